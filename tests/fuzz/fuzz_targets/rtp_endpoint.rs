//! Feeds an RTP endpoint, and the door of a free port, any datagrams from anywhere: they must not panic, nor listen to a
//! stranger, and what they send must be sound.
//!
//! Each datagram has three bytes before it: from where it comes and to which port, how much later, and its length. One
//! bit makes RTP of the right version of it, so that more than junk gets through.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::PTIME;
use talkpath::protocol::rtcp::Compound;
use talkpath::protocol::rtp::{Endpoint, Packet, PayloadTypes, Probation, Received};

fuzz_target!(|input: &[u8]| {
    let types = Arc::new(PayloadTypes::default());
    let remote = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let elsewhere = [remote, SocketAddr::from(([192, 0, 2, 1], 4_001)), SocketAddr::from(([203, 0, 113, 9], 4_000))];
    let mut now = Timestamp::ZERO;
    let mut endpoint = Endpoint::new(Arc::clone(&types), PTIME, remote, 1, now);
    let mut door = Probation::default();
    let mut dropped = 0;
    let mut rest = input;
    while let [way, later, len, after @ ..] = rest {
        let (datagram, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now = now + Duration::from_millis(u64::from(*later) * 4);
        let from = elsewhere[usize::from(way % 3)];
        let mut datagram = datagram.to_vec();
        if let (true, [flags, kind, ..]) = (way & 64 != 0, &mut datagram[..]) {
            *flags = 0x80;
            *kind &= 0x7f;
        }
        let before = endpoint.remote();
        let received = match way & 128 {
            0 => endpoint.handle_rtp(&datagram, from, now),
            _ => endpoint.handle_rtcp(&datagram, from, now),
        };
        dropped += u64::from(received == Received::Dropped);
        let is_media = matches!(received, Received::Media { .. });
        assert!(!is_media || from == endpoint.remote());
        assert!(is_media || before == endpoint.remote());
        if let Some(proved) = door.handle_datagram(&types, &datagram, from, now) {
            let numbers = proved.early.map(|early| Packet::parse(&early.datagram).expect("a packet").header.sequence);
            assert_eq!(numbers[1], numbers[0].wrapping_add(1));
            door.shun(from, u32::from(*later), now);
        }
        let mut out = [0; 200];
        if *way & 32 != 0 {
            let _ = endpoint.send_key(char::from(*later));
        }
        let sent = endpoint.write_frame(Codec::PCMU, &[0xff; 160], false, now, &mut out).expect("there is room");
        assert_eq!(Packet::parse(&out[..sent]).expect("a packet").header.ssrc, endpoint.ssrc());
        if let Some(sent) = endpoint.poll_report(now, &mut out) {
            assert!(Compound::parse(&out[..sent]).is_ok());
        }
    }
    let stats = endpoint.stats();
    assert_eq!(stats.strangers + stats.malformed + stats.unknown + stats.looped, dropped);
    let mut out = [0; Endpoint::REPORT_LEN];
    assert!(endpoint.write_goodbye(now, &mut out).is_some());
});
