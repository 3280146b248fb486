//! Both ends tell each other what they hear, when it is due, and when they leave.

use std::time::Duration;

use talkpath::protocol::rtcp::{Compound, Packet as Rtcp, Writer};
use talkpath::protocol::rtp::{Endpoint, Received};

use crate::harness::{address, at, callee, caller, endpoint, feed, frame, pair, pcmu};

fn report(end: &mut Endpoint, ms: u64) -> Option<Vec<u8>> {
    let mut out = [0; Endpoint::REPORT_LEN];
    let len = end.poll_report(at(ms), &mut out)?;
    Some(out[..len].to_vec())
}

#[test]
fn a_call_is_reported_with_loss_jitter_and_round_trip() {
    let (mut one, mut other) = pair();
    for n in 0..3_000_u64 {
        let now = n * 20;
        let sent = frame(&mut one, at(now));
        // One in ten gets lost, the way takes 40 ms there and 60 ms back.
        if n % 10 != 5 {
            other.handle_rtp(&sent, caller(), at(now + 40));
        }
        let sent = frame(&mut other, at(now));
        one.handle_rtp(&sent, callee(), at(now + 60));
        if let Some(sent) = report(&mut one, now) {
            assert_eq!(other.handle_rtcp(&sent, address("192.0.2.1:4001"), at(now + 40)), Received::Taken);
        }
        if let Some(sent) = report(&mut other, now) {
            assert_eq!(one.handle_rtcp(&sent, address("192.0.2.2:5001"), at(now + 60)), Received::Taken);
        }
    }
    let (one, other) = (one.stats(), other.stats());
    assert!((8..=40).contains(&one.reports_sent), "{} in a minute", one.reports_sent);
    assert_eq!(one.reports_received, other.reports_sent);
    assert_eq!(other.packets_lost, 300);
    let heard = one.remote.unwrap();
    assert!((20..=31).contains(&heard.fraction_lost), "{} of 256", heard.fraction_lost);
    assert!((200..=300).contains(&heard.packets_lost), "{}", heard.packets_lost);
    let round_trip = heard.round_trip.unwrap();
    assert!(round_trip.abs_diff(Duration::from_millis(100)) < Duration::from_millis(1), "{round_trip:?}");
    let heard = other.remote.unwrap();
    assert_eq!((heard.fraction_lost, heard.packets_lost, heard.jitter), (0, 0, Duration::ZERO));
}

#[test]
fn a_report_says_what_was_sent_and_names_nobody() {
    let mut end = endpoint();
    assert_eq!(report(&mut end, 1_000), None, "not due before the first half of the interval is half over");
    feed(&mut end, 1, 0..5, 0);
    let sent = report(&mut end, 4_000).unwrap();
    let packets: Vec<_> = Compound::parse(&sent).unwrap().packets().collect();
    assert!(matches!(packets[0], Rtcp::ReceiverReport { .. }), "nothing was sent: {packets:?}");
    let timestamps = [6_000, 6_020].map(|ms| {
        let sent = frame(&mut end, at(ms));
        u32::from_be_bytes(sent[4..8].try_into().unwrap())
    });
    let sent = report(&mut end, 12_000).unwrap();
    let compound = Compound::parse(&sent).unwrap();
    let Some(Rtcp::SenderReport { ssrc, sender, reports }) = compound.packets().next() else {
        panic!("no sender report");
    };
    assert_eq!((ssrc, sender.packets, sender.octets), (end.ssrc(), 2, 320));
    assert_eq!(sender.rtp_timestamp, timestamps[0].wrapping_add(6_000 * 8), "what would be sent now");
    assert_eq!(reports.map(|block| (block.ssrc, block.lost)).collect::<Vec<_>>(), [(1, 0)]);
    let name = compound.cname(end.ssrc()).unwrap();
    assert!(name.len() == 24 && name.iter().all(u8::is_ascii_hexdigit), "{name:?}");
    assert_ne!(compound.cname(end.ssrc()), Compound::parse(&report(&mut pair().0, 9_000).unwrap()).unwrap().cname(0));
}

#[test]
fn intervals_are_spread_around_five_seconds() {
    let mut end = endpoint();
    let mut times = vec![0];
    for ms in (0..600_000).step_by(20) {
        if report(&mut end, ms).is_some() {
            times.push(ms);
        }
    }
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((1_250..=3_770).contains(&gaps[0]), "{}", gaps[0]);
    assert!(gaps[1..].iter().all(|gap| (2_500..=7_520).contains(gap)), "{gaps:?}");
    let mean = gaps[1..].iter().sum::<u64>() / (gaps.len() as u64 - 1);
    assert!((4_200..=5_800).contains(&mean), "{mean}");
    assert!(gaps.iter().min() < gaps.iter().max());
}

#[test]
fn a_goodbye_is_heard_and_ends_the_call_unless_another_source_follows() {
    let (mut one, mut other) = pair();
    for n in 0..10 {
        let sent = frame(&mut one, at(n * 20));
        other.handle_rtp(&sent, caller(), at(n * 20));
    }
    let mut out = [0; Endpoint::REPORT_LEN];
    let len = one.write_goodbye(at(200), &mut out).unwrap();
    assert_eq!(other.handle_rtcp(&out[..len], address("192.0.2.1:4001"), at(210)), Received::Bye);
    let straggler = frame(&mut one, at(200));
    assert_eq!(other.handle_rtp(&straggler, caller(), at(220)), Received::Taken);
    assert!(!other.is_over(at(700)) && other.is_over(at(710)));
    assert_eq!(feed(&mut other, 9, 1..4, 400), [1, 2, 3]);
    assert!(!other.is_over(at(1_000)));
    assert_eq!(other.stats().restarts, 1);
}

#[test]
fn reports_of_strangers_and_of_other_sources_are_not_believed() {
    let mut end = endpoint();
    let bye = |ssrc| {
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        writer.receiver_report(ssrc, &[]).unwrap();
        writer.bye(ssrc, "").unwrap();
        let len = writer.len();
        out[..len].to_vec()
    };
    assert_eq!(end.handle_rtcp(&bye(1), address("192.0.2.1:4001"), at(0)), Received::Dropped, "nobody is heard yet");
    feed(&mut end, 1, 0..3, 0);
    assert_eq!(end.handle_rtcp(&bye(1), address("203.0.113.9:4001"), at(60)), Received::Dropped);
    assert_eq!(end.handle_rtcp(&bye(2), address("192.0.2.1:4001"), at(60)), Received::Dropped);
    assert_eq!(end.handle_rtcp(b"junk", address("192.0.2.1:4001"), at(60)), Received::Dropped);
    assert_eq!((end.stats().strangers, end.stats().unknown, end.stats().malformed), (1, 2, 1));
    assert_eq!(feed(&mut end, 1, 3..5, 60), [3, 4], "still there");
    assert_eq!(end.handle_rtcp(&bye(1), address("192.0.2.1:4777"), at(60)), Received::Bye, "any port of its host");
}

#[test]
fn reports_go_where_they_come_from() {
    let mut end = endpoint();
    assert_eq!(end.report_address(), address("192.0.2.1:4001"));
    feed(&mut end, 1, 0..3, 0);
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    writer.receiver_report(1, &[]).unwrap();
    let len = writer.len();
    end.handle_rtcp(&out[..len], address("192.0.2.1:9999"), at(60));
    assert_eq!((end.report_address(), end.is_muxed()), (address("192.0.2.1:9999"), false));
    assert_eq!(end.handle_rtp(&out[..len], caller(), at(80)), Received::Taken, "on the port of the audio");
    assert_eq!((end.report_address(), end.is_muxed()), (caller(), true));
    assert_eq!(end.handle_rtp(&pcmu(1, 3)[..3], caller(), at(80)), Received::Dropped);
}
