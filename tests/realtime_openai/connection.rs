//! A connection that comes, goes and expires: nothing stays behind of it, and what was said is said again.

use std::time::Duration;

use serde_json::json;
use talkpath::protocol::realtime::Backoff;
use talkpath::protocol::realtime::openai::{
    ClientEvent, MAX_HELD, Notice, Output, Role, SessionConfig, close_is_recoverable,
};

use crate::harness::{Talk, ms};

#[test]
fn a_turn_begun_without_a_connection_makes_one_and_is_said_once_it_is_ready() {
    let mut talk = Talk::push_to_talk();
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[1; 800]).unwrap();
    talk.conversation.append(&[2; 800]).unwrap();
    talk.conversation.commit(talk.now).unwrap();
    assert_eq!(talk.steps(), ["Connect"]);
    talk.connect();
    assert_eq!(
        talk.outputs()[2..],
        [
            Output::Ready,
            Output::Send(ClientEvent::Append(vec![1; 800])),
            Output::Send(ClientEvent::Append(vec![2; 800])),
            Output::Send(ClientEvent::Commit),
        ]
    );
}

#[test]
fn of_what_is_said_meanwhile_the_newest_five_seconds_are_kept_and_the_rest_counted() {
    let mut talk = Talk::with(SessionConfig::default());
    for second in 0..7 {
        talk.conversation.append(&[second; 8_000]).unwrap();
    }
    talk.connect();
    let sent: Vec<u8> = talk.outputs().iter().filter_map(first_byte).collect();
    assert_eq!((sent, MAX_HELD), (vec![2, 3, 4, 5, 6], Duration::from_secs(5)));
    assert_eq!(talk.conversation.dropped_bytes(), 16_000);
}

#[test]
fn a_lost_connection_leaves_no_flag_behind() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.delta("r1", 500);
    talk.conversation.start_turn(ms(100)).unwrap();
    talk.outputs();
    talk.conversation.handle_close(1006, "");
    assert_eq!(talk.outputs(), [Output::Disconnected { is_recoverable: true, code: 1006, reason: String::new() }]);
    let conversation = &talk.conversation;
    assert!(!conversation.has_turn() && !conversation.is_responding() && !conversation.is_ready());
    assert_eq!(conversation.received(), ms(0));
    talk.connect();
    talk.at(1_000).say_and_be_answered("r2");
    talk.delta("r2", 20);
    assert!(talk.steps().ends_with(&["ResponseStarted".into(), "Play".into()]));
}

#[test]
fn a_function_of_a_lost_connection_cannot_be_answered() {
    let mut talk = Talk::push_to_talk().ready();
    talk.conversation.handle_close(1011, "");
    assert_eq!(talk.conversation.answer_call("c", "1").unwrap_err().to_string(), "the provider is not connected");
}

#[test]
fn the_next_connection_is_told_what_was_said_as_far_as_it_was_heard() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.hear(&json!({
        "type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "content_index": 0,
        "transcript": "where is my invoice",
    }));
    talk.delta("r1", 1_000);
    talk.hear(&json!({
        "type": "response.output_audio_transcript.done", "response_id": "r1", "item_id": "i-r1",
        "transcript": "it was sent on Monday and again on Tuesday",
    }));
    talk.conversation.start_turn(ms(500)).unwrap();
    talk.conversation.handle_close(1001, "session_expired");
    talk.outputs();
    talk.connect();
    let replayed: Vec<Output> = talk.outputs().split_off(3);
    let line = |role, text: &str| Output::Send(ClientEvent::CreateText { role, text: text.into() });
    assert_eq!(replayed, [line(Role::User, "where is my invoice"), line(Role::Assistant, "it was sent on…")]);
}

#[test]
fn only_a_close_that_may_go_otherwise_the_next_time_is_recoverable() {
    for code in [1001, 1005, 1006, 1011, 1012, 1013, 1015] {
        assert!(close_is_recoverable(code), "{code}");
    }
    for code in [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4000] {
        assert!(!close_is_recoverable(code), "{code}");
    }
    let mut talk = Talk::push_to_talk().ready();
    let reason = "invalid_request_error.beta_api_shape_disabled";
    talk.conversation.handle_close(4000, reason);
    let [Output::Failed(fault), Output::Disconnected { is_recoverable: false, code: 4000, .. }] = &talk.outputs()[..]
    else {
        panic!("a fault, and the end")
    };
    assert_eq!(fault.code.as_deref(), Some(reason));
}

#[test]
fn any_other_error_is_told_and_the_conversation_goes_on() {
    let mut talk = Talk::push_to_talk().ready();
    talk.hear(&json!({"type": "error", "error": {
        "type": "invalid_request_error", "code": "unknown_parameter", "message": "m", "param": "session.x"}}));
    let [Output::Failed(fault)] = &talk.outputs()[..] else { panic!("a fault") };
    assert_eq!((fault.code.as_deref(), fault.param.as_deref()), (Some("unknown_parameter"), Some("session.x")));
    assert!(talk.conversation.is_ready());
}

#[test]
fn a_connection_is_renewed_two_minutes_before_its_hour_is_over_and_only_in_a_pause() {
    let mut talk = Talk::push_to_talk().ready();
    let due = 58 * 60 * 1_000;
    talk.at(due - 1);
    talk.conversation.handle_timeout(talk.now);
    assert_eq!(talk.steps(), Vec::<String>::new());
    talk.at(due).say_and_be_answered("r1");
    talk.outputs();
    talk.conversation.handle_timeout(talk.now);
    assert_eq!(talk.steps(), Vec::<String>::new());
    talk.done("r1", "completed");
    talk.outputs();
    talk.conversation.handle_timeout(talk.now);
    assert_eq!(talk.outputs(), [Output::Renew]);
}

#[test]
fn a_lost_connection_is_tried_again_five_times_ever_more_rarely() {
    let mut backoff = Backoff::new();
    let waits: Vec<Duration> = std::iter::from_fn(|| backoff.next_wait(0.0)).collect();
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000].map(ms));
    backoff.reset();
    assert_eq!((backoff.next_wait(1.0), backoff.next_wait(0.5)), (Some(ms(250)), Some(ms(750))));
}

#[test]
fn an_empty_turn_without_a_connection_leaves_no_audio_behind() {
    let mut talk = Talk::push_to_talk();
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[0; 160]).unwrap();
    talk.conversation.commit(talk.now).unwrap();
    assert_eq!(talk.outputs(), [Output::Connect, Output::Notice(Notice::EmptyCommit)]);
    talk.connect();
    assert_eq!(talk.steps(), ["Connected", "session.update", "Ready"]);
}

fn first_byte(output: &Output) -> Option<u8> {
    match output {
        Output::Send(ClientEvent::Append(audio)) => audio.first().copied(),
        _ => None,
    }
}
