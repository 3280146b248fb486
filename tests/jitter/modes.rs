//! Fixed delay, no delay, and values that are refused.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Arrival, Config, JitterBuffer, Packet, Played, Playout};

use crate::harness::{FRAME, Line, assert_adds_up, linear, payload, tone};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config(playout: Playout) -> Config {
    Config { playout, ..linear() }
}

#[test]
fn a_fixed_delay_is_kept_and_what_is_later_is_discarded() {
    let mut line = Line::new(config(Playout::Fixed(ms(60))));
    let late = |n: u64| if n == 100 { 90_000 } else { n * 3_331 % 40_000 };
    let arrivals: Vec<_> = (0..200).map(|n| (n, n * 20_000 + late(n))).collect();
    line.run((0, 0), &arrivals, 5_000, 220);
    let stats = line.buffer.stats();
    assert_eq!((stats.packets_late, stats.samples_inserted, stats.samples_removed), (1, 0, 0), "{stats:?}");
    assert_eq!(line.kinds[..3], [Played::Rest; 3]);
    assert_eq!(line.heard[4 * FRAME..50 * FRAME], (FRAME as u64..47 * FRAME as u64).map(tone).collect::<Vec<_>>());
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn without_playout_clock_packets_come_out_at_once_and_a_gap_is_waited_for() {
    let mut buffer = JitterBuffer::new(config(Playout::Asap { wait: ms(40) })).unwrap();
    let mut frame = [0; FRAME];
    let send = |buffer: &mut JitterBuffer, n: u16, at: u64| {
        let packet = Packet {
            ssrc: 1,
            sequence: n,
            timestamp: u32::from(n) * 160,
            marker: false,
            payload: &payload(&[n as i16 * 10; FRAME]),
        };
        buffer.handle_packet(&packet, Timestamp::from_millis(at))
    };
    let poll = |buffer: &mut JitterBuffer, frame: &mut [i16], at| buffer.poll_frame(Timestamp::from_millis(at), frame);
    // Ten at once, as after a stall.
    (0..10).for_each(|n| assert_eq!(send(&mut buffer, n, 0), Arrival::Held));
    for n in 0..10 {
        assert_eq!(poll(&mut buffer, &mut frame, 0), Some(Played::Audio));
        assert_eq!(frame, [n * 10; FRAME]);
    }
    assert_eq!(poll(&mut buffer, &mut frame, 0), None);
    // 10 comes after 11, within the wait.
    send(&mut buffer, 11, 220);
    assert_eq!(poll(&mut buffer, &mut frame, 250), None);
    send(&mut buffer, 10, 255);
    assert_eq!(poll(&mut buffer, &mut frame, 255), Some(Played::Audio));
    assert_eq!(frame, [100; FRAME]);
    assert_eq!(poll(&mut buffer, &mut frame, 255), Some(Played::Audio));
    // 12 does not come.
    send(&mut buffer, 13, 260);
    assert_eq!(poll(&mut buffer, &mut frame, 299), None);
    assert_eq!(poll(&mut buffer, &mut frame, 300), Some(Played::Concealed));
    assert_eq!(poll(&mut buffer, &mut frame, 300), Some(Played::Audio));
    assert_eq!(poll(&mut buffer, &mut frame, 300), None);
    assert_adds_up(&buffer.stats(), 15 * FRAME - FRAME);
    assert_eq!(send(&mut buffer, 12, 301), Arrival::Late);
}

#[test]
fn a_delay_beyond_the_limit_is_cut() {
    let mut line = Line::new(config(Playout::Adaptive { min: ms(0), max: ms(100) }));
    // The network stands still for a second, and then everything comes at once.
    let arrivals: Vec<_> = (0..300).map(|n| (n, (n * 20_000).max(if n >= 100 { 3_000_000 } else { 0 }))).collect();
    line.run((0, 0), &arrivals, 5_000, 300);
    let stats = line.buffer.stats();
    assert!(stats.delay <= ms(120), "{stats:?}");
    assert!(stats.samples_discarded > 0);
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn packets_of_every_length_are_played() {
    for rate in [8_000, 16_000, 48_000] {
        for packet_ms in [10, 20, 30, 40, 60] {
            let rate = SampleRate::new(rate).unwrap();
            let mut buffer =
                JitterBuffer::new(Config { codec: Codec::Plain { encoding: Encoding::Slin, rate }, ..linear() })
                    .unwrap();
            let len = rate.hz() as usize / 1_000 * packet_ms;
            let mut frame = vec![0; rate.frame_len()];
            let (mut sent, mut heard) = (0_usize, Vec::new());
            for tick in 0..300 {
                while (sent + 1) * packet_ms <= tick * 20 {
                    let samples: Vec<i16> = (sent * len..(sent + 1) * len).map(|n| tone(n as u64)).collect();
                    let (sequence, timestamp) = (sent as u16, (sent * len) as u32);
                    let packet = Packet { ssrc: 1, sequence, timestamp, marker: false, payload: &payload(&samples) };
                    let arrival = Timestamp::from_millis(((sent + 1) * packet_ms) as u64);
                    buffer.handle_packet(&packet, arrival);
                    sent += 1;
                }
                buffer.poll_frame(Timestamp::from_millis(tick as u64 * 20), &mut frame);
                heard.extend_from_slice(&frame);
            }
            let stats = buffer.stats();
            assert_eq!((stats.packets_lost, stats.samples_discarded), (0, 0), "{rate} {packet_ms} ms: {stats:?}");
            assert_adds_up(&stats, heard.len());
            // A packet longer than a tick makes the first ticks wait; then all is played.
            assert!(stats.samples_concealed <= 6 * rate.frame_len() as u64, "{rate} {packet_ms} ms: {stats:?}");
        }
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let message = |playout| JitterBuffer::new(config(playout)).unwrap_err().to_string();
    assert!(message(Playout::Adaptive { min: ms(90), max: ms(80) }).contains("least delay 90ms"));
    assert!(message(Playout::Adaptive { min: ms(0), max: ms(5) }).contains("longest delay 5ms"));
    assert!(message(Playout::Fixed(ms(2_001))).contains("fixed delay 2.001s"));
    assert!(message(Playout::Asap { wait: ms(1_001) }).contains("wait 1.001s"));
}
