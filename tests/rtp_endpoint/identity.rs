//! Only the far end is heard, from where it is, under the id it has now.

use talkpath::protocol::rtcp::{Compound, Packet as Rtcp};
use talkpath::protocol::rtp::{Endpoint, Received};

use crate::harness::{address, at, callee, caller, endpoint, feed, frame, heard, pair, pcmu, stranger};

#[test]
fn a_source_is_proved_by_its_second_packet_and_loses_none() {
    let mut end = endpoint();
    assert_eq!(end.handle_rtp(&pcmu(1, 65_535), caller(), at(0)), Received::Taken);
    assert_eq!(end.remote_ssrc(), None);
    let Received::Media { before: Some((came, _)), .. } = end.handle_rtp(&pcmu(1, 0), caller(), at(20)) else {
        panic!("not proved");
    };
    assert_eq!((came, end.remote_ssrc()), (at(0), Some(1)));
    assert_eq!(feed(&mut end, 1, 1..5, 40), [1, 2, 3, 4]);
    let stats = end.stats();
    assert_eq!((stats.packets_received, stats.octets_received, stats.restarts), (6, 960, 0));
}

#[test]
fn packets_out_of_sequence_prove_nothing() {
    let mut end = endpoint();
    assert!(feed(&mut end, 1, [1, 1, 3, 2, 9, 8], 0).is_empty());
    assert!(feed(&mut end, 2, [9], 200).is_empty(), "another id");
    assert_eq!(feed(&mut end, 2, [10, 12, 11], 220), [9, 10, 12, 11], "once proved, order is the jitter buffer's");
}

#[test]
fn strangers_are_dropped_and_counted_whatever_they_send() {
    let mut end = endpoint();
    assert_eq!(feed(&mut end, 1, 1..4, 0), [1, 2, 3]);
    for n in 4..10 {
        assert_eq!(end.handle_rtp(&pcmu(1, n), stranger(), at(80)), Received::Dropped);
        assert_eq!(end.handle_rtp(b"junk", stranger(), at(80)), Received::Dropped);
    }
    let another_port = address("192.0.2.1:4002");
    assert_eq!(end.handle_rtp(&pcmu(1, 4), another_port, at(80)), Received::Dropped);
    assert_eq!(end.stats().strangers, 13);
    assert_eq!(end.remote(), caller());
    assert_eq!(feed(&mut end, 1, 4..7, 100), [4, 5, 6]);
}

#[test]
fn junk_from_the_far_end_is_dropped_and_counted() {
    let mut end = endpoint();
    feed(&mut end, 1, 1..3, 0);
    for junk in [&b""[..], b"junk", &[0x80; 11], &[0x40; 40]] {
        assert_eq!(end.handle_rtp(junk, caller(), at(50)), Received::Dropped);
    }
    let mut unknown = pcmu(1, 3);
    unknown[1] = 77;
    assert_eq!(end.handle_rtp(&unknown, caller(), at(60)), Received::Dropped);
    assert_eq!(end.handle_rtp(&pcmu(1, 3)[..12], caller(), at(60)), Received::Dropped, "no payload");
    assert_eq!((end.stats().malformed, end.stats().unknown), (4, 2));
    assert_eq!(feed(&mut end, 1, 3..5, 60), [3, 4]);
}

#[test]
fn a_far_end_that_takes_another_id_is_heard_from_its_first_packet_on() {
    let mut end = endpoint();
    feed(&mut end, 1, 1..6, 0);
    assert_eq!(feed(&mut end, 2, 700..704, 100), [700, 701, 702, 703]);
    assert_eq!((end.stats().restarts, end.remote_ssrc()), (1, Some(2)));
    assert!(feed(&mut end, 1, [6], 180).is_empty(), "a late packet of the old one proves nothing");
    assert_eq!(feed(&mut end, 2, [704], 180), [704]);
}

#[test]
fn numbers_that_jump_must_be_proved_anew() {
    let mut end = endpoint();
    feed(&mut end, 1, 1..6, 0);
    assert!(feed(&mut end, 1, [20_000], 100).is_empty(), "a stray number");
    assert_eq!(feed(&mut end, 1, 6..8, 120), [6, 7]);
    assert_eq!(feed(&mut end, 1, 40_000..40_003, 160), [40_000, 40_001, 40_002]);
    assert_eq!(end.stats().restarts, 1);
    assert_eq!(end.stats().packets_lost, 0, "counted anew");
}

#[test]
fn a_far_end_that_moves_is_followed_only_once_its_old_address_is_silent() {
    let mut end = endpoint();
    feed(&mut end, 1, 1..11, 0);
    let moved = address("198.51.100.7:61000");
    let send = |end: &mut Endpoint, ssrc, n, ms| heard(end.handle_rtp(&pcmu(ssrc, n), moved, at(ms))).0;
    assert!(send(&mut end, 1, 11, 400).is_empty() && send(&mut end, 1, 12, 420).is_empty(), "too soon");
    assert!(send(&mut end, 2, 30, 800).is_empty() && send(&mut end, 2, 31, 820).is_empty(), "another id");
    assert!(send(&mut end, 1, 9_000, 840).is_empty() && send(&mut end, 1, 9_001, 860).is_empty(), "other numbers");
    assert_eq!((end.remote(), end.stats().strangers), (caller(), 6));
    assert!(send(&mut end, 1, 40, 880).is_empty());
    assert_eq!(send(&mut end, 1, 41, 900), [40, 41]);
    assert_eq!((end.remote(), end.stats().moves, end.stats().restarts), (moved, 1, 0));
    assert_eq!(end.handle_rtp(&pcmu(1, 42), caller(), at(920)), Received::Dropped, "now that is the stranger");
    assert_eq!(end.report_address(), address("198.51.100.7:61001"));
}

#[test]
fn a_far_end_with_our_id_makes_us_take_another() {
    let (_, mut end) = pair();
    let ours = end.ssrc();
    assert_eq!(feed(&mut end, ours, 1..5, 0), [1, 2, 3, 4]);
    assert_ne!(end.ssrc(), ours);
    assert_eq!(end.stats().collisions, 1);
    let mut out = [0; Endpoint::REPORT_LEN];
    assert!(end.report_due() <= at(80));
    let len = end.poll_report(at(80), &mut out).unwrap();
    let packets: Vec<_> = Compound::parse(&out[..len]).unwrap().packets().collect();
    assert!(packets.contains(&Rtcp::Bye { ssrcs: &[ours.to_be_bytes()], reason: &[] }), "{packets:?}");
    assert_eq!(end.poll_report(at(80), &mut out), None, "once");
}

#[test]
fn packets_that_come_back_are_dropped() {
    let mut end = endpoint();
    for n in 0..100 {
        let sent = frame(&mut end, at(n * 20));
        let received = end.handle_rtp(&sent, caller(), at(n * 20 + 5));
        assert!(matches!(received, Received::Taken | Received::Dropped), "{received:?}");
    }
    assert_eq!((end.stats().collisions, end.stats().looped), (1, 99));
}

#[test]
fn an_endpoint_hears_the_other() {
    let (mut one, mut other) = pair();
    let mut numbers = Vec::new();
    for n in 0..50 {
        let sent = frame(&mut one, at(n * 20));
        numbers.extend(heard(other.handle_rtp(&sent, caller(), at(n * 20 + 30))).0);
        let answer = frame(&mut other, at(n * 20 + 30));
        one.handle_rtp(&answer, callee(), at(n * 20 + 60));
    }
    assert_eq!(numbers.len(), 50);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert_eq!((one.remote_ssrc(), other.remote_ssrc()), (Some(other.ssrc()), Some(one.ssrc())));
    assert_ne!(one.ssrc(), other.ssrc());
}
