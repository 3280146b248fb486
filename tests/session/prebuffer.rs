//! Playout gathers a little before it starts, and learns from underruns how much.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::Event;

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn sixty_milliseconds_are_gathered_at_first() {
    let (mut call, mut agent) = Call::phone();
    for written in 1..=2 {
        say(&mut agent, &tone(R, 20, 300.0), "a");
        call.idle(1);
        assert_eq!(agent.output.position().played(), Duration::ZERO, "after {written} frames");
    }
    say(&mut agent, &tone(R, 20, 300.0), "a");
    call.idle(1);
    assert_eq!(agent.output.position().played(), Duration::from_millis(20));
}

#[test]
fn a_burst_starts_with_the_next_frame() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 5_000, 300.0), "a");
    call.idle(1);
    assert_eq!(agent.output.position().played(), Duration::from_millis(20));
}

#[test]
fn what_does_not_fill_the_prebuffer_plays_after_as_long() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 20, 300.0), "a");
    call.idle(3);
    assert_eq!(agent.output.position().played(), Duration::ZERO);
    call.idle(1);
    assert_eq!(agent.output.position().played(), Duration::from_millis(20));
}

#[test]
fn an_underrun_is_counted_told_and_learned_from() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    call.idle(10);
    say(&mut agent, &tone(R, 100, 300.0), "a");
    call.idle(20);
    let gaps: Vec<_> = events(&mut agent)
        .into_iter()
        .filter_map(|event| match event {
            Event::Underrun { tag, gap } => Some((tag, gap)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [("a".to_owned(), Duration::from_millis(100))]);
    let stats = agent.control.stats();
    assert_eq!(stats.underruns, 1);
    assert_eq!(stats.prebuffer, Duration::from_millis(160));
    assert_eq!(agent.output.position().played(), Duration::from_millis(200), "and nothing was lost");
}

#[test]
fn the_end_of_something_complete_is_no_underrun() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    agent.output.complete();
    call.idle(10);
    say(&mut agent, &tone(R, 100, 300.0), "a");
    call.idle(10);
    assert_eq!(agent.control.stats().underruns, 0);
}

#[test]
fn calm_utterances_shrink_it_to_a_floor() {
    let (mut call, mut agent) = Call::phone();
    for _ in 0..20 {
        say(&mut agent, &tone(R, 100, 300.0), "a");
        call.idle(60);
    }
    assert_eq!(agent.control.stats().prebuffer, Duration::from_millis(40));
}
