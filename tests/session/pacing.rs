//! One frame every 20 ms from the first to the last, whatever the driver's lateness.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::session::{Config, FarEnd, Output, Session};

use crate::harness::{Call, say, tone};

#[test]
fn silence_goes_out_from_the_first_moment_before_any_audio_came() {
    let mut session = Session::new(Config::default(), FarEnd::default(), Timestamp::ZERO);
    let mut frames = 0;
    for ms in (0..300).step_by(5) {
        loop {
            match session.poll_output(Timestamp::from_millis(ms)) {
                Output::Transmit { payload, .. } => {
                    assert_eq!(payload, [0; 320]);
                    frames += 1;
                }
                Output::Timeout(_) => break,
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    assert_eq!(frames, 15);
    assert!(session.take_agent().is_none(), "no agent before the format is known");
}

#[test]
fn without_any_audio_the_call_starts_in_8_khz() {
    let mut session = Session::new(Config::default(), FarEnd::default(), Timestamp::ZERO);
    while !matches!(session.poll_output(Timestamp::from_millis(399)), Output::Timeout(_)) {}
    assert!(session.take_agent().is_none());
    assert!(matches!(session.poll_output(Timestamp::from_millis(400)), Output::Started));
    assert_eq!(session.take_agent().unwrap().control.format().output.rate().hz(), 8_000);
}

#[test]
fn an_hour_has_exactly_as_many_frames_as_it_must() {
    let (mut call, mut agent) = Call::phone();
    let before = call.sent_at.len();
    let speech = tone(talkpath::audio::frame::SampleRate::HZ_8000, 3_000, 300.0);
    for _ in 0..360 {
        say(&mut agent, &speech, "hour");
        call.idle(500);
    }
    assert_eq!(call.sent_at.len() - before, 180_000);
    assert_eq!(agent.output.position().played(), Duration::from_secs(360 * 3));
}

#[test]
fn a_late_tick_sends_at_once_and_the_next_keeps_the_grid() {
    let (mut call, _agent) = Call::phone();
    call.now = Timestamp::from_millis(33);
    call.drain();
    assert_eq!(call.sent_at.last(), Some(&Timestamp::from_millis(33)));
    match call.session.poll_output(Timestamp::from_millis(34)) {
        Output::Timeout(when) => assert_eq!(when, Timestamp::from_millis(40)),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_short_stall_is_caught_up_and_a_long_one_is_skipped_and_counted() {
    let (mut call, agent) = Call::phone();
    let before = call.sent_at.len();
    call.now = Timestamp::from_millis(79);
    call.drain();
    assert_eq!(call.sent_at.len() - before, 3, "20, 40 and 60 ms at once");
    call.now = Timestamp::from_millis(1_079);
    call.drain();
    assert_eq!(call.sent_at.len() - before, 4, "one frame, not fifty");
    assert_eq!(agent.control.stats().missed_ticks, 49);
    match call.session.poll_output(call.now) {
        Output::Timeout(when) => assert_eq!(when, Timestamp::from_millis(1_080), "still on the grid"),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_stall_loses_nothing_that_was_queued() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(talkpath::audio::frame::SampleRate::HZ_8000, 400, 300.0), "a");
    call.idle(3);
    call.now = call.now + Duration::from_millis(500);
    call.idle(30);
    assert_eq!(agent.output.position().played(), Duration::from_millis(400));
}
