//! Drained means: everything that was written has gone out.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::Event;

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn the_end_of_what_was_said_is_reported_once_it_is_out() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 90, 300.0), "a");
    agent.output.complete();
    for _ in 0..4 {
        assert!(!events(&mut agent).contains(&Event::Drained));
        assert!(!agent.output.is_drained());
        call.idle(1);
    }
    call.idle(1);
    assert!(agent.output.is_drained());
    assert_eq!(events(&mut agent).iter().filter(|event| **event == Event::Drained).count(), 1);
    assert_eq!(agent.output.position().played(), Duration::from_millis(90));
}

#[test]
fn what_is_complete_plays_at_once_however_short() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 10, 300.0), "beep");
    agent.output.complete();
    call.idle(1);
    assert_eq!(agent.output.position().played(), Duration::from_millis(10));
}

#[test]
fn pause_holds_everything_and_resume_goes_on_where_it_stopped() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 400, 300.0), "a");
    call.idle(5);
    agent.output.pause();
    call.idle(50);
    assert_eq!(agent.output.position().played(), Duration::from_millis(100));
    agent.output.resume();
    call.idle(16);
    assert_eq!(agent.output.position().played(), Duration::from_millis(400));
    assert_eq!(agent.control.stats().underruns, 0);
}
