//! What is heard where packets are missing, and how it is counted.

use talkpath::jitter::Played;

use crate::harness::{FRAME, Line, assert_adds_up, largest_step, linear, tone};

#[test]
fn a_lost_packet_of_a_tone_is_hardly_missed() {
    let mut line = Line::new(linear());
    let arrivals: Vec<_> = (0..200).filter(|n| n % 20 != 10).map(|n| (n, n * 20_000)).collect();
    line.run((0, 0), &arrivals, 5_000, 200);
    let stats = line.buffer.stats();
    assert_eq!(stats.packets_lost, 10);
    assert_eq!(line.count(Played::Audio), 190);
    let worst = line.heard.iter().zip((0..).map(tone)).map(|(&got, want)| (got - want).abs()).max().unwrap();
    assert!(worst < 1_500, "{worst}");
    assert!(largest_step(&line.heard) < 2_000);
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn a_long_gap_fades_to_silence_and_the_return_does_not_click() {
    let mut line = Line::new(linear());
    let arrivals: Vec<_> = (0..200).filter(|n| !(50..75).contains(n)).map(|n| (n, n * 20_000)).collect();
    line.run((0, 0), &arrivals, 5_000, 200);
    assert!(line.heard[65 * FRAME..74 * FRAME].iter().all(|&sample| sample == 0));
    assert!(line.heard[50 * FRAME..51 * FRAME].iter().any(|&sample| sample > 7_000));
    assert!(largest_step(&line.heard) < 2_000, "{}", largest_step(&line.heard));
    let stats = line.buffer.stats();
    assert_eq!(stats.packets_lost, 25);
    assert!(stats.bursts.burst.as_millis() > 400, "{stats:?}");
    // The same 12.5 % one by one sound better.
    let mut spread = Line::new(linear());
    let arrivals: Vec<_> = (0..200).filter(|n| n % 8 != 4).map(|n| (n, n * 20_000)).collect();
    spread.run((0, 0), &arrivals, 5_000, 200);
    assert!(spread.buffer.stats().mos > stats.mos);
}

#[test]
fn packets_that_are_late_but_not_lost_are_all_played() {
    let mut line = Line::new(linear());
    let arrivals: Vec<_> =
        (0..200).map(|n| (n, (n * 20_000).max(if (100..105).contains(&n) { 2_100_000 } else { 0 }))).collect();
    line.run((0, 0), &arrivals, 5_000, 210);
    let stats = line.buffer.stats();
    assert_eq!((stats.packets_lost, stats.packets_late, stats.samples_discarded), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.samples_played + stats.samples_removed, stats.samples_received, "{stats:?}");
    assert!(largest_step(&line.heard) < 2_000);
}
