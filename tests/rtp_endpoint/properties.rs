//! Whatever a network or a stranger does, an endpoint hears its far end, all of it that arrives, and nobody else.

use proptest::prelude::*;
use talkpath::protocol::rtp::{Endpoint, Received};

use crate::harness::{address, at, caller, endpoint, frame, heard, pair, pcmu, stranger};

/// What may come in between: anything at all, or a packet that looks right.
fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        (0_u32..3, 0_u16..40).prop_map(|(ssrc, sequence)| pcmu(ssrc, sequence)),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 4..40)).prop_map(|(kind, mut bytes)| {
            let words = (bytes.len() / 4 - 1) as u8;
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[..4].copy_from_slice(&[0x81, 200 + kind % 5, 0, words]);
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn what_arrives_is_handed_on_once_and_in_the_order_of_arrival(
        fates in prop::collection::vec((0_u8..10, 0_u64..60), 60..200),
    ) {
        let (mut one, mut other) = pair();
        let mut arrivals = Vec::new();
        for (n, (fate, delay)) in fates.iter().enumerate() {
            let now = n as u64 * 20;
            let sent = frame(&mut one, at(now));
            // The first two come through; of the others some are lost and some come late.
            if n < 2 {
                arrivals.push((now, sent));
            } else if *fate > 0 {
                arrivals.push((now + delay, sent));
            }
        }
        arrivals.sort_by_key(|(when, _)| *when);
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for (when, datagram) in &arrivals {
            sent.push(u16::from_be_bytes([datagram[2], datagram[3]]));
            got.extend(heard(other.handle_rtp(datagram, caller(), at(*when))).0);
        }
        prop_assert_eq!(sent, got);
        prop_assert_eq!(other.stats().packets_received, arrivals.len() as u64);
    }

    #[test]
    fn strangers_change_nothing(
        datagrams in prop::collection::vec((any_datagram(), any::<bool>(), 0_u16..4), 0..200),
    ) {
        let mut alone = endpoint();
        let mut crowded = endpoint();
        for sequence in 0..20 {
            let now = at(u64::from(sequence) * 20);
            for (datagram, to_rtcp, _) in datagrams.iter().filter(|(_, _, when)| *when == sequence % 4) {
                let received = if *to_rtcp {
                    crowded.handle_rtcp(datagram, stranger(), now)
                } else {
                    crowded.handle_rtp(datagram, stranger(), now)
                };
                prop_assert_eq!(received, Received::Dropped);
            }
            let packet = pcmu(1, sequence);
            prop_assert_eq!(alone.handle_rtp(&packet, caller(), now), crowded.handle_rtp(&packet, caller(), now));
            prop_assert_eq!(frame(&mut alone, now), frame(&mut crowded, now));
        }
        let strangers = crowded.stats().strangers;
        prop_assert_eq!(strangers > 0, !datagrams.is_empty());
        let mut stats = crowded.stats();
        stats.strangers = 0;
        prop_assert_eq!(stats, alone.stats());
    }

    #[test]
    fn any_datagrams_at_all_are_survived(
        datagrams in prop::collection::vec((any_datagram(), 0_u8..6, 0_u64..800), 0..300),
    ) {
        let mut end = endpoint();
        let mut now = 0;
        let mut counted = 0;
        for (datagram, way, later) in &datagrams {
            now += later;
            let from = [caller(), address("192.0.2.1:4001"), stranger()][usize::from(way % 3)];
            let received =
                if *way < 3 { end.handle_rtp(datagram, from, at(now)) } else { end.handle_rtcp(datagram, from, at(now)) };
            counted += u64::from(received == Received::Dropped);
            let sent = frame(&mut end, at(now));
            prop_assert_eq!(sent.len(), 172);
            let mut out = [0; Endpoint::REPORT_LEN];
            if let Some(len) = end.poll_report(at(now), &mut out) {
                prop_assert!(talkpath::protocol::rtcp::Compound::parse(&out[..len]).is_ok());
            }
        }
        let stats = end.stats();
        prop_assert_eq!(stats.strangers + stats.malformed + stats.unknown + stats.looped, counted);
    }
}
