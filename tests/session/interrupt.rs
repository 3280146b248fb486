//! An interruption is at once, and its receipt exact.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{Certainty, Event, InterruptCause, Written};

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn the_receipt_tells_what_was_heard_tag_by_tag() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "hello");
    say(&mut agent, &tone(R, 500, 400.0), "question");
    say(&mut agent, &tone(R, 200, 500.0), "closing");
    call.idle(10);
    let receipt = agent.output.interrupt();
    assert_eq!(receipt.certainty, Certainty::Written);
    let ms = Duration::from_millis;
    let got: Vec<_> = receipt.segments.iter().map(|s| (s.tag.as_str(), s.received, s.played, s.discarded)).collect();
    assert_eq!(
        got,
        [
            ("hello", ms(100), ms(100), ms(0)),
            ("question", ms(500), ms(100), ms(400)),
            ("closing", ms(200), ms(0), ms(200)),
        ]
    );
    // But for a sample or two that the fade rounds to zero.
    assert!((200 * 8 - 2..=200 * 8).contains(&call.sounding()), "the wire agrees with the receipt");
}

#[test]
fn after_the_interruption_there_are_five_milliseconds_of_fade_and_then_silence() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 1_000, 300.0), "a");
    call.idle(10);
    let before = call.wire.len();
    agent.output.interrupt();
    call.idle(5);
    let after = &call.wire[before..];
    assert!(after[..20].iter().any(|&sample| sample != 0), "a fade");
    assert!(after[40..].iter().all(|&sample| sample == 0), "then silence");
}

#[test]
fn late_writes_of_the_old_generation_are_refused() {
    let (mut call, mut agent) = Call::phone();
    let old = agent.output.generation();
    say(&mut agent, &tone(R, 500, 300.0), "a");
    call.idle(5);
    agent.output.interrupt();
    assert_eq!(agent.output.try_write(&tone(R, 20, 300.0), R, "a", old).unwrap(), Written::Stale);
    say(&mut agent, &tone(R, 100, 300.0), "b");
    call.idle(20);
    let position = agent.output.position();
    assert_eq!(position.segments.len(), 1);
    assert_eq!(position.segments[0].tag, "b");
    assert_eq!(position.played(), Duration::from_millis(100));
}

#[test]
fn an_interruption_of_nothing_has_an_empty_receipt() {
    let (_call, mut agent) = Call::phone();
    assert!(agent.output.interrupt().segments.is_empty());
}

#[test]
fn the_event_carries_the_same_receipt() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 500, 300.0), "a");
    call.idle(5);
    let receipt = agent.output.interrupt();
    let all = events(&mut agent);
    assert!(all.contains(&Event::Interrupted { receipt, cause: InterruptCause::Agent }), "{all:?}");
}

#[test]
fn a_thousand_interruptions_leave_nothing_behind() {
    let (mut call, mut agent) = Call::phone();
    for round in 0..1_000 {
        say(&mut agent, &tone(R, 2_000, 300.0), "a");
        call.idle(4);
        let receipt = agent.output.interrupt();
        assert_eq!(receipt.segments[0].received, Duration::from_secs(2), "round {round}");
        call.idle(1);
    }
    assert!(agent.output.is_drained());
    assert_eq!(agent.output.buffered_bytes(), 0);
}
