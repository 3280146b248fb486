//! Every queue is bounded, and says what it took.

use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, Event, Output, Written};

use crate::harness::{Call, events, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn a_write_takes_what_there_is_room_for() {
    let config = Config { output_limit_bytes: 16_000, ..Config::default() };
    let (mut call, mut agent) = Call::start(config, R);
    let second = tone(R, 1_000, 300.0);
    assert_eq!(agent.output.try_write(&second, R, "a", 0).unwrap(), Written::Taken(8_000));
    assert_eq!(agent.output.try_write(&second, R, "a", 0).unwrap(), Written::Taken(0));
    assert_eq!(agent.output.buffered_bytes(), 16_000);
    call.session.poll_output(call.now);
    let mut woken = false;
    loop {
        match call.session.poll_output(call.now) {
            Output::Wake => woken = true,
            Output::Timeout(_) => break,
            _ => {}
        }
    }
    assert!(woken, "whoever waits for room is told");
    assert_eq!(agent.output.try_write(&second, R, "a", 0).unwrap(), Written::Taken(160));
}

#[test]
fn the_limit_holds_at_every_rate() {
    let config = Config { output_limit_bytes: 16_000, ..Config::default() };
    let (_call, mut agent) = Call::start(config, R);
    let rate = SampleRate::HZ_48000;
    assert_eq!(agent.output.try_write(&tone(rate, 2_000, 300.0), rate, "a", 0).unwrap(), Written::Taken(48_000));
    assert!(agent.output.buffered_bytes() <= 16_000);
}

#[test]
fn a_flood_of_tiny_writes_is_bounded_too() {
    let (mut call, mut agent) = Call::phone();
    let mut taken = 0;
    while agent.output.try_write(&[1_000], R, "a", 0).unwrap() == Written::Taken(1) {
        taken += 1;
        assert!(taken <= 100_000, "no end of it");
    }
    assert_eq!(taken, 1_024);
    call.idle(10);
    assert_eq!(agent.output.try_write(&[1_000], R, "a", 0).unwrap(), Written::Taken(1));
    assert_eq!(agent.output.position().played(), R.duration_of(1_024));
}

#[test]
fn an_agent_that_does_not_read_loses_the_newest_and_is_told_how_much() {
    let (mut call, mut agent) = Call::phone();
    call.quiet(500);
    let mut heard = std::time::Duration::ZERO;
    while let Some(frame) = agent.input.read() {
        heard += R.duration_of(frame.samples.len() as u64);
        assert!(frame.lost.is_zero());
    }
    assert_eq!(heard.as_millis(), 5_000);
    assert_eq!(agent.control.stats().input_lost.as_millis(), 5_020);
    call.quiet(1);
    assert_eq!(agent.input.read().unwrap().lost.as_millis(), 5_020);
}

#[test]
fn events_that_nobody_reads_are_counted_and_the_end_is_never_lost() {
    let (mut call, mut agent) = Call::phone();
    for _ in 0..200 {
        call.session.handle_input(talkpath::session::Input::Dtmf('5'), call.now);
    }
    call.session.handle_input(talkpath::session::Input::Ended(talkpath::session::EndReason::CallerHangup), call.now);
    let all = events(&mut agent);
    assert!(all.contains(&Event::EventsLost { count: 201 - 128 }), "{:?}", all.last());
    assert!(matches!(all.last(), Some(Event::Ended { .. })));
    assert!(agent.events.poll(&mut agent.output).is_none());
}
