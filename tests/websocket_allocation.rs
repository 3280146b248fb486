//! Reading and writing messages of a call allocates nothing, once it is under way, whatever the pieces.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use talkpath::protocol::chan_websocket::{Command, Event, Format, MAX_COMMAND_LEN, MAX_MESSAGE_LEN};
use talkpath::protocol::websocket::{Decoder, MAX_HEADER_LEN, Message, Opcode, Role, encode_into};

#[path = "common/allocations.rs"]
mod allocations;

const EVENTS: [&str; 4] = [
    "MEDIA_MARK_PROCESSED 1234567",
    r#"{"event":"MEDIA_MARK_PROCESSED","channel_id":"pbx-1.2","correlation_id":"1234567"}"#,
    "DTMF_END digit:5 channel_id:pbx-1.2",
    r#"{"event":"DTMF_END","channel_id":"pbx-1.2","digit":"5"}"#,
];

#[test]
fn a_call_under_way_allocates_nothing() {
    // 20 ms at 192 kHz is longer than a read, so it comes in pieces.
    for (frame_len, read_len) in [(160, 4_096), (640, 4_096), (7_680, 4_096), (160, 7)] {
        let mut decoder = Decoder::new(Role::Server, MAX_MESSAGE_LEN);
        let mut stream = vec![0; 20_000];
        let payload = vec![0x55; frame_len];
        let mut out = vec![0; frame_len + MAX_HEADER_LEN];
        let mut heard = 0;
        let mut before = 0;
        for round in 0..50 {
            if round == 2 {
                before = allocations::of_this_thread();
            }
            let mask = Some([1, 2, 3, round]);
            let mut len = encode_into(Opcode::Binary, &payload, mask, &mut stream).unwrap();
            for event in EVENTS {
                len += encode_into(Opcode::Text, event.as_bytes(), mask, &mut stream[len..]).unwrap();
            }
            for piece in stream[..len].chunks_mut(read_len) {
                let mut input = piece;
                while let Some(message) = decoder.poll(&mut input).unwrap() {
                    match message {
                        Message::Binary(bytes) => heard += bytes.len(),
                        Message::Text(text) => assert!(matches!(
                            Event::parse(text).unwrap(),
                            Event::MarkProcessed { id: Some(1_234_567) } | Event::DtmfEnd { digit: '5' }
                        )),
                        other => panic!("{other:?} was never sent"),
                    }
                }
            }
            let mut command = [0; MAX_COMMAND_LEN];
            for format in [Format::PlainText, Format::Json] {
                let len = Command::MarkMedia(u64::MAX).write_into(format, &mut command);
                encode_into(Opcode::Text, &command[..len], None, &mut out).unwrap();
            }
        }
        assert_eq!(allocations::of_this_thread() - before, 0, "{frame_len} bytes in reads of {read_len}");
        assert_eq!(heard, 50 * frame_len);
    }
}
