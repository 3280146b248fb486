//! Feeds the WebSocket decoder and the handshake any bytes, whole and in pieces: no panic, and the same both times.
//!
//! The first byte says which side is played, how long the pieces are, and whether the frames are masked as that side
//! wants them, so that the fuzzer need not find masks first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::protocol::websocket::handshake::{MAX_HEAD_LEN, read_answer, read_request};
use talkpath::protocol::websocket::{DecodeError, Decoder, Message, Role};

const MAX_LEN: usize = 2_000;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let mut stream = bytes.to_vec();
    if choice & 2 == 0
        && let [_, second, ..] = &mut *stream
    {
        *second = *second & 0x7f | u8::from(role == Role::Server) << 7;
    }
    let whole = summarise(role, &stream, stream.len().max(1));
    let split = summarise(role, &stream, usize::from(choice >> 2) + 1);
    assert_eq!(whole, split);

    if let Ok(Some((request, len))) = read_request(bytes, "media") {
        assert!(len <= bytes.len() && len <= MAX_HEAD_LEN && request.path.starts_with('/'));
    }
    if let Ok(Some(len)) = read_answer(bytes, "dGhlIHNhbXBsZSBub25jZQ==", "media") {
        assert!(len <= bytes.len());
    }
});

/// What a stream said: a sum over its messages, whether it was closed, and what was wrong.
fn summarise(role: Role, stream: &[u8], piece_len: usize) -> (u64, u64, bool, Option<DecodeError>) {
    let mut decoder = Decoder::new(role, MAX_LEN);
    let (mut messages, mut sum) = (0, 0_u64);
    let mut stream = stream.to_vec();
    for piece in stream.chunks_mut(piece_len) {
        let mut input = piece;
        loop {
            let payload = match decoder.poll(&mut input) {
                Ok(Some(Message::Text(text))) => text.as_bytes(),
                Ok(Some(Message::Binary(bytes))) => bytes,
                Ok(Some(Message::Ping(bytes) | Message::Pong(bytes))) => {
                    assert!(bytes.len() <= 125);
                    bytes
                }
                Ok(Some(Message::Close(close))) => close.map_or(&[][..], |close| close.reason.as_bytes()),
                Ok(None) => break,
                Err(error) => return (messages, sum, false, Some(error)),
            };
            assert!(payload.len() <= MAX_LEN);
            messages += 1;
            sum = payload.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        }
        assert!(input.is_empty());
    }
    (messages, sum, decoder.is_closed(), None)
}
