//! Packets made by hand, and two endpoints whose packets the test carries.

use std::net::SocketAddr;
use std::sync::Arc;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::PTIME;
use talkpath::protocol::rtp::{Endpoint, Header, Media, Packet, PayloadTypes, Received};

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn caller() -> SocketAddr {
    address("192.0.2.1:4000")
}

pub(crate) fn callee() -> SocketAddr {
    address("192.0.2.2:5000")
}

pub(crate) fn stranger() -> SocketAddr {
    address("203.0.113.9:4000")
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// The callee's end.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new(Arc::new(PayloadTypes::default()), PTIME, caller(), 7, at(0))
}

/// The caller's end and the callee's.
pub(crate) fn pair() -> (Endpoint, Endpoint) {
    (Endpoint::new(Arc::new(PayloadTypes::default()), PTIME, callee(), 8, at(0)), endpoint())
}

/// 20 ms of PCMU.
pub(crate) fn pcmu(ssrc: u32, sequence: u16) -> Vec<u8> {
    let timestamp = u32::from(sequence).wrapping_mul(160);
    packet(Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }, &[sequence as u8; 160])
}

pub(crate) fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 12 + payload.len()];
    Packet::new(header, payload).write_into(&mut out).unwrap();
    out
}

/// One frame of PCMU from an endpoint.
pub(crate) fn frame(endpoint: &mut Endpoint, due: Timestamp) -> Vec<u8> {
    let mut out = [0; 200];
    let len = endpoint.write_frame(Codec::PCMU, &[0xff; 160], false, due, &mut out).unwrap();
    out[..len].to_vec()
}

/// The numbers of the audio packets that a datagram handed on, and the keys.
pub(crate) fn heard(received: Received<'_>) -> (Vec<u16>, String) {
    let (mut numbers, mut keys) = (Vec::new(), String::new());
    if let Received::Media { before, media } = received {
        for media in before.map(|(_, media)| media).into_iter().chain([media]) {
            match media {
                Media::Audio { header, .. } => numbers.push(header.sequence),
                Media::Keys { keys: pressed, .. } => keys.extend(pressed.iter()),
                Media::ComfortNoise { .. } => {}
            }
        }
    }
    (numbers, keys)
}

/// Feeds packets of one source, 20 ms apart, and returns the numbers that were handed on.
pub(crate) fn feed(
    endpoint: &mut Endpoint,
    ssrc: u32,
    numbers: impl IntoIterator<Item = u16>,
    from_ms: u64,
) -> Vec<u16> {
    let mut out = Vec::new();
    for (n, sequence) in numbers.into_iter().enumerate() {
        out.extend(heard(endpoint.handle_rtp(&pcmu(ssrc, sequence), caller(), at(from_ms + n as u64 * 20))).0);
    }
    out
}
