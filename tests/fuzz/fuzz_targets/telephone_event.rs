//! Feeds the receiver of telephone events any packets: it must not panic, and a packet that comes twice in a row must say
//! nothing new the second time; and drives the sender by any clock.
//!
//! The input is packets of a length (one byte), a timestamp (four) and a payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::protocol::telephone_event::{Receiver, Sender};

fuzz_target!(|input: &[u8]| {
    let mut receiver = Receiver::new(SampleRate::HZ_8000);
    let mut sender = Sender::new(SampleRate::HZ_8000, PTIME);
    let mut left = input;
    while let Some((&[len, t0, t1, t2, t3], after)) = left.split_first_chunk() {
        let (payload, after) = after.split_at(usize::from(len).min(after.len()));
        left = after;
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);

        let count = receiver.handle_packet(timestamp, payload).map(Iterator::count);
        assert_eq!(count.is_ok(), !payload.is_empty() && payload.len().is_multiple_of(4));
        assert!(count.unwrap_or(0) <= payload.len() / 4);
        if payload.len() == 4 {
            assert_eq!(receiver.handle_packet(timestamp, payload).map(Iterator::count), Ok(0));
        }

        let _ = sender.push(char::from(len));
        if let Some(packet) = sender.poll(timestamp) {
            assert!(packet.event.digit().is_some() && packet.event.duration > 0);
        }
    }
});
