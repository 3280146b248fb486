//! Every end of a call has a reason, and both sides learn it.

use talkpath::ErrorKind;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{EndReason, Event, Input};

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn after_drain_everything_is_heard_first() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 200, 300.0), "bye");
    agent.control.hangup(true);
    call.idle(9);
    assert!(!call.hung_up);
    call.idle(3);
    assert!(call.hung_up);
    assert_eq!(call.ended, Some(EndReason::AgentHangup));
    assert!(call.sounding() >= 200 * 8);
    assert_eq!(events(&mut agent).last(), Some(&Event::Ended { reason: EndReason::AgentHangup }));
}

#[test]
fn at_once_means_with_the_next_poll() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 2_000, 300.0), "bye");
    agent.control.hangup(false);
    call.drain();
    assert!(call.hung_up);
}

#[test]
fn nothing_can_be_written_after_the_end() {
    let (mut call, mut agent) = Call::phone();
    call.session.handle_input(Input::Ended(EndReason::CallerHangup), call.now);
    call.drain();
    assert_eq!(call.ended, Some(EndReason::CallerHangup));
    assert!(!call.hung_up, "the far end has gone already");
    let error = agent.output.try_write(&[0; 160], R, "a", 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionEnded);
    assert!(error.to_string().contains("caller_hangup"), "{error}");
}

#[test]
fn an_agent_that_lets_go_of_its_end_hangs_up() {
    let (mut call, agent) = Call::phone();
    drop(agent);
    call.drain();
    assert!(call.hung_up);
    assert_eq!(call.ended, Some(EndReason::HandlerFailed));
}

#[test]
fn a_pause_does_not_keep_a_call_from_ending() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "bye");
    agent.output.pause();
    agent.control.hangup(true);
    call.idle(10);
    assert_eq!(call.ended, Some(EndReason::AgentHangup));
    assert!(call.sounding() >= 100 * 8);
}

#[test]
fn what_was_heard_before_the_end_can_still_be_read() {
    let (mut call, mut agent) = Call::phone();
    call.quiet(4);
    call.session.handle_input(Input::Ended(EndReason::CallerHangup), call.now);
    assert!(!agent.input.is_finished());
    assert_eq!(std::iter::from_fn(|| agent.input.read().map(|f| f.samples.len())).sum::<usize>(), 5 * 160);
    assert!(agent.input.is_finished());
}

#[test]
fn a_server_that_stops_hears_the_agent_out() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 200, 300.0), "bye");
    call.session.handle_input(Input::Drain, call.now);
    call.idle(9);
    assert!(!call.hung_up);
    call.idle(3);
    assert!(call.hung_up && call.sounding() >= 200 * 8);
    assert_eq!(events(&mut agent).last(), Some(&Event::Ended { reason: EndReason::ServerStopping }));
}
