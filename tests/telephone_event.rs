//! Each digit arrives once and in order, whatever the network does to the packets that carry it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use talkpath::ErrorKind;
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::protocol::telephone_event::{Event, Outgoing, Receiver, Sender, parse};

const RATE: SampleRate = SampleRate::HZ_8000;
const STEP: u32 = 160;

/// All packets of `digits`, the first at timestamp `start`, with the tick that each was sent in.
fn packets_of(digits: &str, start: u32) -> Vec<(u32, Outgoing)> {
    let mut sender = Sender::new(RATE, PTIME);
    for digit in digits.chars() {
        sender.push(digit).unwrap();
    }
    let mut packets = Vec::new();
    let mut tick = 0;
    while !sender.is_idle() {
        packets.extend(sender.poll(start.wrapping_add(tick * STEP)).map(|packet| (tick, packet)));
        tick += 1;
        assert!(tick < 64 * 12, "the sender never ends");
    }
    packets
}

fn receive(receiver: &mut Receiver, packets: impl IntoIterator<Item = Outgoing>) -> String {
    let mut digits = String::new();
    for packet in packets {
        let payload = packet.event.to_bytes();
        let events = receiver.handle_packet(packet.timestamp, &payload).unwrap();
        digits.extend(events.filter_map(|event| event.digit()));
    }
    digits
}

fn event(code: u8, end: bool, duration: u16) -> Event {
    Event { code, end, volume: 10, duration }
}

#[test]
fn a_digit_is_held_then_ended_three_times() {
    let packets = packets_of("7", u32::MAX - 300);
    let seen: Vec<_> = packets.iter().map(|(tick, p)| (*tick, p.marker, p.event.end, p.event.duration)).collect();
    let wanted = [
        (0, true, false, 160),
        (1, false, false, 320),
        (2, false, false, 480),
        (3, false, false, 640),
        (4, false, true, 800),
        (5, false, true, 800),
        (6, false, true, 800),
    ];
    assert_eq!(seen, wanted);
    assert!(packets.iter().all(|(_, p)| p.timestamp == u32::MAX - 300 && p.event.code == 7 && p.event.volume == 10));
}

#[test]
fn digits_follow_each_other_after_a_pause() {
    let packets = packets_of("*1D", 0);
    let starts: Vec<_> =
        packets.iter().filter(|(_, p)| p.marker).map(|(tick, p)| (*tick, p.timestamp, p.event.code)).collect();
    // Held for five packets, and four of pause.
    assert_eq!(starts, [(0, 0, 10), (9, 9 * STEP, 1), (18, 18 * STEP, 15)]);
    assert_eq!(packets.len(), 21);
}

#[test]
fn timing_is_what_was_asked_for() {
    let long = Sender::new(RATE, PTIME).with_timing(Duration::from_millis(250), Duration::ZERO);
    let mut sender = long.unwrap();
    sender.push('a').unwrap();
    sender.push('#').unwrap();
    let packets: Vec<_> = (0..32).filter_map(|tick| sender.poll(tick * STEP)).collect();
    // 250 ms are 13 packets; without a pause, the next digit waits for the repeated ends alone.
    assert_eq!(packets[12].event, event(12, true, 2_080));
    assert_eq!((packets[15].timestamp, packets[15].event.code), (15 * STEP, 11));
    assert_eq!(packets.len(), 30);

    let error = Sender::new(RATE, PTIME).with_timing(Duration::from_secs(9), Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_queue_is_bounded_and_takes_only_digits() {
    let mut sender = Sender::new(RATE, PTIME);
    for wrong in ['x', 'E', ' ', '\u{0661}'] {
        let error = sender.push(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{wrong:?}");
    }
    for _ in 0..Sender::CAPACITY {
        sender.push('1').unwrap();
    }
    assert_eq!(sender.push('1').unwrap_err().kind(), ErrorKind::LimitExceeded);
    assert!(sender.poll(0).is_some());
    sender.push('1').unwrap();
    sender.clear();
    let packets = (1..100).filter_map(|tick| sender.poll(tick * STEP)).count();
    assert_eq!((packets, sender.is_idle()), (6, true), "what had begun goes on to its end");
}

#[test]
fn every_digit_has_a_code() {
    for (code, digit) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!(Event::code_of(digit), Some(code as u8));
        assert_eq!(event(code as u8, false, 0).digit(), Some(digit));
    }
    assert_eq!(Event::code_of('d'), Some(15));
    assert_eq!(event(16, false, 0).digit(), None, "a hook flash");
}

#[test]
fn a_payload_has_one_event_or_some_that_follow_each_other() {
    let bytes = [1, 0x8a, 0x01, 0x90, 2, 0x8a, 0x01, 0x90, 3, 0x4a, 0, 160];
    let events: Vec<_> = parse(&bytes).unwrap().collect();
    assert_eq!(events, [(0, event(1, true, 400)), (400, event(2, true, 400)), (800, event(3, false, 160))]);
    let mut receiver = Receiver::new(RATE);
    let new = receiver.handle_packet(5_000, &bytes).unwrap().count();
    assert_eq!(new, 3);
    assert!(!receiver.handle_event(5_800, event(3, true, 320)), "the third one goes on");
    for len in [0, 1, 3, 5, 11] {
        let error = parse(&bytes[..len]).err().unwrap();
        assert!(error.to_string().contains(&format!("{len} bytes")), "{error}");
    }
}

#[test]
fn the_same_key_twice_is_two_digits() {
    let mut receiver = Receiver::new(RATE);
    let packets = packets_of("55", 77).into_iter().map(|(_, packet)| packet);
    assert_eq!(receive(&mut receiver, packets), "55");
}

#[test]
fn an_event_too_long_for_its_duration_stays_one() {
    let mut receiver = Receiver::new(RATE);
    let full = u32::from(u16::MAX);
    assert!(receiver.handle_event(10, event(5, false, 160)));
    assert!(!receiver.handle_event(10, event(5, false, u16::MAX)));
    assert!(!receiver.handle_event(10 + full, event(5, false, 160)));
    assert!(!receiver.handle_event(10 + 2 * full, event(5, true, 160)));
    assert!(receiver.handle_event(10 + 3 * full, event(5, true, 160)), "it had ended: another");
}

#[test]
fn late_packets_say_nothing_new_and_jumps_do() {
    let mut receiver = Receiver::new(RATE);
    assert!(receiver.handle_event(100_000, event(1, false, 160)));
    assert!(receiver.handle_event(101_600, event(2, false, 160)));
    assert!(!receiver.handle_event(100_000, event(1, true, 800)), "the first one's end comes late");
    assert!(!receiver.handle_event(101_600, event(2, true, 800)));
    assert!(!receiver.handle_event(61_600, event(3, true, 800)), "five seconds before");
    assert!(receiver.handle_event(61_599, event(3, true, 800)), "the sender's timestamps jumped");
    receiver.reset();
    assert!(receiver.handle_event(61_599, event(3, true, 800)), "a new stream");
}

proptest! {
    /// The network loses any packets but one of each digit, doubles some, and lets others overtake.
    #[test]
    fn each_digit_arrives_once(
        digits in "[0-9*#A-D]{1,12}",
        start: u32,
        fates in prop::collection::vec((0_u8..10, 0_u32..8, any::<bool>()), 7 * 12),
        survivors in prop::collection::vec(0_usize..7, 12),
    ) {
        let sent = packets_of(&digits, start);
        let mut arrivals = Vec::new();
        for (i, &(tick, packet)) in sent.iter().enumerate() {
            let (luck, delay, is_doubled) = fates[i];
            let is_survivor = i % 7 == survivors[i / 7];
            if is_survivor {
                // Not overtaken by the next digit, whose first packet is nine ticks after this one's first.
                arrivals.push((tick, packet));
            }
            if luck < 4 {
                arrivals.push((tick + delay, packet));
                if is_doubled {
                    arrivals.push((tick + 3 * delay, packet));
                }
            }
        }
        arrivals.sort_by_key(|&(tick, _)| tick);
        let heard = receive(&mut Receiver::new(RATE), arrivals.into_iter().map(|(_, packet)| packet));
        prop_assert_eq!(heard, digits);
    }

    #[test]
    fn an_event_reads_as_it_was_written(code: u8, end: bool, volume in 0_u8..64, duration: u16) {
        let event = Event { code, end, volume, duration };
        prop_assert_eq!(Event::from_bytes(event.to_bytes()), event);
    }

    #[test]
    fn any_bytes_are_taken_without_harm(packets in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let mut receiver = Receiver::new(RATE);
        for (timestamp, payload) in &packets {
            let wanted = payload.len() / 4;
            let got = receiver.handle_packet(*timestamp, payload).map(Iterator::count);
            prop_assert!(got.map_or(!payload.len().is_multiple_of(4) || payload.is_empty(), |count| count <= wanted));
        }
    }

    #[test]
    fn any_clock_is_followed_without_harm(nows in prop::collection::vec(any::<u32>(), 0..40)) {
        let mut sender = Sender::new(RATE, PTIME);
        for (i, now) in nows.into_iter().enumerate() {
            if i % 5 == 0 {
                sender.push('3').unwrap();
            }
            let packet = sender.poll(now);
            prop_assert!(packet.is_none_or(|packet| packet.event.code == 3 && packet.event.duration > 0));
        }
    }
}
