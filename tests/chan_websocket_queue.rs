//! The queue at Asterisk neither runs dry while the agent speaks nor piles up, whatever the two clocks do.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;

use proptest::prelude::*;
use talkpath::protocol::chan_websocket::{FarQueue, Plan};

/// What waits in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Frame { is_agent: bool },
    Mark(u64),
}

/// Asterisk's side: a queue, and a clock that takes a frame off it every 20 ms of its own.
#[derive(Default)]
struct Channel {
    queue: VecDeque<Item>,
    /// Ticks that found no frame, though the agent was speaking.
    gaps: u32,
    is_speaking: bool,
}

impl Channel {
    /// Plays one frame; marks in front of it come back.
    fn tick(&mut self, back: &mut Vec<u64>) {
        while let Some(Item::Mark(number)) = self.queue.front() {
            back.push(*number);
            self.queue.pop_front();
        }
        match self.queue.pop_front() {
            Some(Item::Frame { is_agent }) => self.is_speaking = is_agent,
            Some(Item::Mark(_)) => unreachable!("taken before"),
            None if self.is_speaking => self.gaps += 1,
            None => {}
        }
    }

    fn frames(&self) -> usize {
        self.queue.iter().filter(|item| matches!(item, Item::Frame { .. })).count()
    }
}

/// A call of so many seconds: 3 s of agent audio, 2 s of silence, and again; returns gaps and the deepest queue.
///
/// Asterisk's clock is `drift` parts in a million fast; frames are up to `jitter_us` late, marks come back after `delay_us`.
fn run(seconds: u64, drift: i64, jitter_us: u64, delay_us: u64, seed: u64) -> (u32, usize) {
    let mut queue = FarQueue::new();
    let mut channel = Channel::default();
    let mut random = seed | 1;
    let mut tick_at = 7_000_i64;
    let mut under_way: VecDeque<(i64, Item)> = VecDeque::new();
    let mut coming_back: VecDeque<(i64, u64)> = VecDeque::new();
    let (mut deepest, mut warm_gaps) = (0, 0);
    for number in 0..seconds * 50 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let now = (number * 20_000 + random % (jitter_us + 1)) as i64;
        while tick_at <= now {
            while under_way.front().is_some_and(|(at, _)| *at <= tick_at) {
                channel.queue.push_back(under_way.pop_front().unwrap().1);
            }
            let mut back = Vec::new();
            channel.tick(&mut back);
            coming_back.extend(back.into_iter().map(|mark| (tick_at + delay_us as i64, mark)));
            tick_at += 20_000 - 20_000 * drift / 1_000_000;
        }
        while coming_back.front().is_some_and(|(at, _)| *at <= now) {
            let mark = coming_back.pop_front().unwrap().1;
            assert_eq!(queue.handle_mark(mark), Some(mark));
        }
        let is_agent = number % 250 >= 100;
        let plan = queue.plan(number, is_agent);
        if let Plan::Send { copies, mark } = plan {
            assert!(copies == 1 || !is_agent, "agent audio is never doubled");
            let at = now + delay_us as i64;
            under_way.extend((0..copies).map(|_| (at, Item::Frame { is_agent })));
            under_way.extend(mark.then_some((at, Item::Mark(number))));
        } else {
            assert!(!is_agent, "agent audio is never skipped");
        }
        queue.handle_sent(number, plan);
        if number == 1_000 {
            warm_gaps = channel.gaps;
        }
        if number > 1_000 {
            deepest = deepest.max(channel.frames());
        }
    }
    (channel.gaps - warm_gaps, deepest)
}

#[test]
fn an_hour_of_drift_leaves_no_gap_and_piles_up_nothing() {
    for drift in [-200, -100, 0, 100, 200] {
        let (gaps, deepest) = run(3_600, drift, 5_000, 300, 42);
        assert_eq!(gaps, 0, "at {drift} ppm");
        assert!(deepest <= 4, "{deepest} frames at {drift} ppm");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_slow_network_is_no_deep_queue(delay_us in 0_u64..150_000, drift in -200_i64..200, seed in any::<u64>()) {
        let (gaps, deepest) = run(120, drift, 8_000, delay_us, seed);
        // With jitter of nearly half a frame and clocks in the worst phase, one gap in some hundred hours of calls.
        prop_assert!(gaps <= 1, "{} gaps", gaps);
        prop_assert!(deepest <= 5, "{} frames", deepest);
    }

    #[test]
    fn whatever_comes_back_numbers_only_go_up(
        steps in prop::collection::vec((0_u8..5, any::<bool>(), 0_u64..300), 1..300),
    ) {
        let mut queue = FarQueue::new();
        let (mut number, mut highest) = (0, None);
        for (step, is_agent, id) in steps {
            match step {
                0 => queue.handle_flush(),
                1 => queue.handle_length(id as u32),
                2 => {
                    if let Some(played) = queue.handle_mark(id) {
                        prop_assert!(played < number && highest.is_none_or(|highest| played > highest));
                        highest = Some(played);
                    }
                }
                _ => {
                    let plan = queue.plan(number, is_agent);
                    if let Plan::Send { mark: true, .. } = plan {
                        prop_assert!(queue.marks_under_way() < 64);
                    }
                    let is_sent_once = matches!(plan, Plan::Send { copies: 1, .. });
                    prop_assert!(!is_agent || is_sent_once);
                    queue.handle_sent(number, plan);
                    number += 1;
                }
            }
        }
    }
}

#[test]
fn a_mark_that_crosses_a_flush_still_counts() {
    let mut queue = FarQueue::new();
    for number in 0..5 {
        let plan = queue.plan(number, true);
        assert_eq!(plan, Plan::Send { copies: 1, mark: true });
        queue.handle_sent(number, plan);
    }
    queue.handle_flush();
    assert_eq!(queue.marks_under_way(), 0);
    assert_eq!((queue.handle_mark(1), queue.handle_mark(1), queue.handle_mark(0)), (Some(1), None, None));
    assert_eq!(queue.handle_mark(5), None, "not sent yet");
}

#[test]
fn a_channel_without_marks_is_held_by_its_length() {
    let mut queue = FarQueue::new();
    queue.handle_length(4);
    let sent: Vec<bool> = (1..8)
        .map(|number| {
            let plan = queue.plan(number, false);
            queue.handle_sent(number, plan);
            plan != Plan::Skip
        })
        .collect();
    assert_eq!(sent, [false, false, false, true, true, true, true]);
}
