//! Feeds the AudioSocket decoder any bytes, whole and in pieces: it must not panic, and must say the same both times.
//!
//! The first byte of the input says how long the pieces are; every other input starts with a valid id, so that the
//! fuzzer need not find one first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::protocol::audiosocket::{DecodeError, Decoder, Message};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let mut stream = Vec::with_capacity(bytes.len() + 19);
    if choice & 1 == 0 {
        stream.extend_from_slice(b"\x01\x00\x100123456789abcdef");
    }
    stream.extend_from_slice(bytes);
    let whole = summarise(&stream, stream.len().max(1));
    let split = summarise(&stream, usize::from(choice >> 1) + 1);
    assert_eq!(whole, split);
});

/// What a stream said: everything but where long audio was cut into pieces.
fn summarise(stream: &[u8], piece_len: usize) -> (u64, u64, u64, Option<DecodeError>) {
    let mut decoder = Decoder::new();
    let (mut messages, mut audio_bytes) = (0, 0);
    for piece in stream.chunks(piece_len) {
        let mut input = piece;
        loop {
            match decoder.poll(&mut input) {
                Ok(Some(Message::Audio { payload, .. })) => {
                    assert!(!payload.is_empty() && payload.len() <= 65_535);
                    audio_bytes += payload.len() as u64;
                }
                Ok(Some(Message::Dtmf(digit))) => {
                    assert!("0123456789*#ABCD".contains(digit));
                    messages += 1;
                }
                Ok(Some(_)) => messages += 1,
                Ok(None) => break,
                Err(error) => return (messages, audio_bytes, decoder.skipped(), Some(error)),
            }
        }
        assert!(input.is_empty());
    }
    (messages, audio_bytes, decoder.skipped(), None)
}
