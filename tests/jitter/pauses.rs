//! Senders that are silent in pauses.

use talkpath::Timestamp;
use talkpath::audio::level::Level;
use talkpath::jitter::{Packet, Played};

use crate::harness::{FRAME, Line, assert_adds_up, largest_step, linear, payload, tone};

#[test]
fn a_pause_is_no_loss_and_the_next_talkspurt_comes_without_more_delay() {
    let mut line = Line::new(linear());
    // The sequence goes on, the timestamp leaps over two seconds.
    for (start, first) in [(0, (0, 0)), (4_000_000, (100, 200 * FRAME as u32))] {
        let arrivals: Vec<_> = (0..100).map(|n| (n, start + n * 20_000)).collect();
        line.run(first, &arrivals, start + 5_000, 200);
    }
    let stats = line.buffer.stats();
    assert_eq!(stats.packets_lost, 0);
    assert_eq!(line.count(Played::Audio), 200);
    assert_eq!(line.kinds[200], Played::Audio, "{:?}", &line.kinds[195..205]);
    assert!(stats.delay.as_millis() <= 5, "{stats:?}");
    assert!(largest_step(&line.heard) < 2_000);
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn comfort_noise_has_the_level_that_was_asked_for() {
    let mut line = Line::new(linear());
    line.run((0, 0), &(0..50).map(|n| (n, n * 20_000)).collect::<Vec<_>>(), 5_000, 50);
    let noise = Packet { ssrc: 7, sequence: 50, timestamp: 50 * FRAME as u32, marker: false, payload: &[] };
    line.buffer.handle_comfort_noise(&noise, 40, Timestamp::from_millis(1_000));
    for tick in 50..100 {
        assert_eq!(line.tick(tick * 20_000 + 5_000), Played::Rest);
    }
    let level = Level::measure(&line.heard[51 * FRAME..100 * FRAME]).rms_dbfs();
    assert!((level + 40.0).abs() < 0.5, "{level} dBFS");
    for n in 100..150_u64 {
        let samples: Vec<i16> = (0..FRAME as u64).map(|k| tone(n * FRAME as u64 + k)).collect();
        let (sequence, timestamp) = (n as u16 - 49, n as u32 * FRAME as u32);
        let packet = Packet { ssrc: 7, sequence, timestamp, marker: n == 100, payload: &payload(&samples) };
        line.buffer.handle_packet(&packet, Timestamp::from_micros(n * 20_000));
        assert_eq!(line.tick(n * 20_000 + 5_000), Played::Audio);
    }
    assert_eq!(line.buffer.stats().packets_lost, 0);
}
