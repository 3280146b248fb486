//! Order, duplicates, wrap-around, delay that changes, clocks that differ.

use talkpath::jitter::{Arrival, Played};

use crate::harness::{Line, assert_adds_up, largest_step, linear, payload, tone};

/// Packet `n` at its time after `delay` µs.
fn steady(count: u64, delay: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
    (0..count).map(|n| (n, n * 20_000 + delay(n))).collect()
}

#[test]
fn a_steady_stream_comes_out_as_it_went_in_at_every_start_of_the_counters() {
    for first in [(0, 0), (65_500, u32::MAX - 5_000), (32_767, 0x7fff_ffff), (9, 80)] {
        let mut line = Line::new(linear());
        line.run(first, &steady(200, |_| 40_000), 45_000, 200);
        let want: Vec<i16> = (0..200 * 160).map(tone).collect();
        assert_eq!(line.heard, want, "{first:?}");
        assert_eq!(line.count(Played::Audio), 200);
    }
}

#[test]
fn packets_out_of_order_are_put_in_order_and_duplicates_are_dropped() {
    let mut line = Line::new(linear());
    // Every pair is swapped, and every tenth comes again.
    let mut arrivals: Vec<_> = steady(400, |n| 40_000 + if n % 2 == 0 { 21_000 } else { 0 });
    arrivals.extend((0..40).map(|n| (n * 10, n * 200_000 + 62_000)));
    line.run((1, 1), &arrivals, 45_000, 420);
    let stats = line.buffer.stats();
    assert_eq!(stats.packets_duplicate, 40);
    assert_eq!(stats.packets_lost, 0, "{stats:?}");
    assert!(line.kinds[20..400].iter().all(|&kind| kind == Played::Audio), "{:?}", line.kinds);
    assert!(largest_step(&line.heard) < 2_500, "{}", largest_step(&line.heard));
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn a_packet_that_comes_twice_says_so() {
    let mut line = Line::new(linear());
    assert_eq!(line.send((5, 5), 0, 0), Arrival::Held);
    assert_eq!(line.send((5, 5), 1, 20_000), Arrival::Held);
    assert_eq!(line.send((5, 5), 0, 20_001), Arrival::Duplicate);
}

#[test]
fn delay_grows_with_jitter_and_shrinks_again_when_it_is_over() {
    let mut line = Line::new(linear());
    let jitter = |n: u64| if (250..1_000).contains(&n) { n * 7_919 % 60_000 } else { 0 };
    // What decides when the delay can change is the level: pauses of 200 ms each second.
    let mut arrivals = steady(3_000, jitter).into_iter().peekable();
    let (mut delays, mut heard) = (Vec::new(), 0);
    for tick in 0..3_000_u64 {
        let now = tick * 20_000 + 5_000;
        while let Some((n, at)) = arrivals.next_if(|&(_, at)| at <= now) {
            let quiet = n % 50 >= 40;
            let samples: Vec<i16> = (0..160).map(|k| if quiet { 3 } else { tone(n * 160 + k) }).collect();
            let packet = talkpath::jitter::Packet {
                ssrc: 1,
                sequence: n as u16,
                timestamp: (n * 160) as u32,
                marker: false,
                payload: &payload(&samples),
            };
            line.buffer.handle_packet(&packet, talkpath::Timestamp::from_micros(at));
        }
        line.tick(now);
        heard += 160;
        delays.push(line.buffer.stats().delay.as_millis());
    }
    let mean = |range: std::ops::Range<usize>| delays[range.clone()].iter().sum::<u128>() / range.len() as u128;
    assert!(mean(150..250) <= 10, "{}", mean(150..250));
    assert!((55..90).contains(&mean(600..900)), "{}", mean(600..900));
    assert!(mean(2_000..3_000) <= 10, "{}", mean(2_000..3_000));
    assert_adds_up(&line.buffer.stats(), heard);
}

/// An hour of a tone whose sender's clock is `ppm` slow, heard without a growth of delay and without a click.
fn an_hour_apart(ppm: i64) {
    let mut line = Line::new(linear());
    let ticks = 3_600 * 50;
    let (mut sent, mut longest) = (0_u64, 0);
    for tick in 0..ticks {
        let now = tick * 20_000 + 100_000;
        loop {
            let drift = sent as i64 * 20_000 * ppm / 1_000_000;
            let at = (sent * 20_000).wrapping_add_signed(drift) + 50_000;
            if at > now {
                break;
            }
            line.send((0, 0), sent, at);
            sent += 1;
        }
        line.tick(now);
        if tick > 1_000 {
            longest = longest.max(line.buffer.stats().delay.as_millis());
        }
    }
    assert!(longest <= 90, "{longest} ms");
    let stats = line.buffer.stats();
    // What the clocks are apart after an hour was left out or made up, to within the delay that may be kept.
    let apart = 8 * 3_600 * ppm / 1_000;
    let stretched = stats.samples_concealed as i64 + stats.samples_inserted as i64 - stats.samples_removed as i64;
    assert!((stretched - apart).abs() <= 8 * 100, "{stretched} samples, wanted {apart}: {stats:?}");
    // The tone itself steps by 1,255; stretched frames are among those heard.
    let step = largest_step(&line.heard);
    assert!(step < 2_000, "step {step}");
    assert_eq!((stats.packets_lost, stats.packets_late), (0, 0), "{stats:?}");
    assert_adds_up(&stats, line.heard.len());
}

#[test]
fn an_hour_with_a_sender_100_ppm_slow_neither_gathers_delay_nor_clicks() {
    an_hour_apart(100);
}

#[test]
fn an_hour_with_a_sender_100_ppm_fast_neither_gathers_delay_nor_clicks() {
    an_hour_apart(-100);
}

#[test]
fn an_hour_with_a_sender_200_ppm_slow_neither_gathers_delay_nor_clicks() {
    an_hour_apart(200);
}

#[test]
fn an_hour_with_a_sender_200_ppm_fast_neither_gathers_delay_nor_clicks() {
    an_hour_apart(-200);
}

#[test]
fn a_new_source_or_a_jump_of_the_timestamp_goes_on_where_the_old_stream_ended() {
    let mut line = Line::new(linear());
    line.run((100, 1_000), &steady(100, |_| 0), 1_000, 100);
    for (n, first) in [(0, (40_000, 99_000_000)), (1, (40_100, 5)), (2, (7, 2_000_000_000))] {
        let start = (n + 1) * 2_000_000;
        let arrivals: Vec<_> = steady(100, |_| start);
        line.run(first, &arrivals, start + 1_000, 100);
        assert_eq!(line.buffer.stats().restarts, n + 1);
    }
    let stats = line.buffer.stats();
    assert_eq!((stats.packets_lost, stats.samples_discarded), (0, 0), "{stats:?}");
    assert_eq!(line.count(Played::Audio), 400);
    assert!(largest_step(&line.heard) < 2_000);
}
