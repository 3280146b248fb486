//! Who speaks: a turn is answered once it is there, an interruption leaves both sides knowing what was heard.

use serde_json::json;
use talkpath::protocol::realtime::openai::{ClientEvent, Output, Refused, SessionConfig};

use crate::harness::{Talk, ms};

#[test]
fn a_response_is_asked_for_only_once_the_turn_is_committed() {
    let mut talk = Talk::push_to_talk();
    talk.connect();
    assert_eq!(talk.steps(), ["Connected", "session.update", "Ready"]);
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[0; 1_600]).unwrap();
    talk.conversation.commit(talk.now).unwrap();
    assert_eq!(talk.steps(), ["input_audio_buffer.clear", "input_audio_buffer.append", "input_audio_buffer.commit"]);
    talk.hear(&json!({"type": "input_audio_buffer.committed", "item_id": "u1"}));
    assert_eq!(talk.steps(), ["response.create"]);
    talk.created("r1");
    talk.delta("r1", 500);
    talk.done("r1", "completed");
    assert_eq!(talk.steps(), ["ResponseStarted", "Play", "ResponseEnded"]);
    assert!(!talk.conversation.has_turn() && !talk.conversation.is_responding());
}

#[test]
fn an_interruption_cancels_by_id_truncates_to_what_was_received_and_drops_what_comes_late() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.delta("r1", 500);
    talk.outputs();
    talk.conversation.start_turn(ms(760)).unwrap();
    talk.delta("r1", 100);
    talk.done("r1", "cancelled");
    let outputs = talk.outputs();
    assert_eq!(
        outputs[..4],
        [
            Output::FlushPlayback,
            Output::Send(ClientEvent::CancelResponse(Some("r1".into()))),
            Output::Send(ClientEvent::Truncate { item_id: "i-r1".into(), content_index: 0, audio_end: ms(500) }),
            Output::Send(ClientEvent::Clear),
        ]
    );
    assert_eq!((outputs.len(), talk.conversation.late_deltas()), (5, 1));
    assert!(!talk.conversation.is_responding());
}

#[test]
fn no_more_is_truncated_than_was_played() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.delta("r1", 300);
    talk.delta("r1", 700);
    assert_eq!(talk.conversation.received(), ms(1_000));
    talk.done("r1", "completed");
    talk.outputs();
    talk.conversation.interrupt(ms(420));
    let truncate = ClientEvent::Truncate { item_id: "i-r1".into(), content_index: 0, audio_end: ms(420) };
    assert_eq!(talk.outputs(), [Output::FlushPlayback, Output::Send(truncate)], "the response itself was done");
}

#[test]
fn what_was_heard_to_its_end_is_left_as_it_is() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.delta("r1", 300);
    talk.done("r1", "completed");
    talk.outputs();
    talk.conversation.start_turn(ms(300)).unwrap();
    assert_eq!(talk.steps(), ["input_audio_buffer.clear"]);
}

#[test]
fn a_cancel_before_the_response_has_an_id_is_held_until_it_has_one() {
    let mut talk = Talk::push_to_talk().ready();
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[0; 1_600]).unwrap();
    talk.conversation.commit(talk.now).unwrap();
    talk.hear(&json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    talk.outputs();
    talk.conversation.cancel(talk.now, ms(0)).unwrap();
    assert_eq!(talk.steps(), Vec::<String>::new());
    talk.created("r1");
    assert_eq!(talk.outputs(), [Output::Send(ClientEvent::CancelResponse(Some("r1".into())))]);
    talk.delta("r1", 100);
    assert_eq!(talk.steps(), Vec::<String>::new());
    talk.done("r1", "cancelled");
    assert_eq!(talk.steps(), ["ResponseEnded"]);
}

#[test]
fn the_next_response_waits_for_the_end_of_the_cancelled_one() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.outputs();
    talk.at(1_000).say_and_wait();
    assert!(!talk.steps().contains(&"response.create".into()), "the cancelled response is not done yet");
    talk.done("r1", "cancelled");
    assert_eq!(talk.steps(), ["ResponseEnded", "response.create"]);
}

#[test]
fn a_second_response_that_the_provider_refuses_is_asked_for_again() {
    let mut talk = Talk::with(SessionConfig::default()).ready();
    talk.conversation.respond().unwrap();
    talk.created("theirs");
    talk.fault("conversation_already_has_active_response");
    assert_eq!(talk.steps(), ["response.create", "ResponseStarted"]);
    talk.done("theirs", "completed");
    assert_eq!(talk.steps(), ["ResponseEnded", "response.create"]);
}

#[test]
fn a_cancel_that_came_too_late_leaves_the_conversation_idle() {
    let mut talk = Talk::push_to_talk().ready();
    talk.say_and_be_answered("r1");
    talk.conversation.cancel(talk.now, ms(0)).unwrap();
    talk.fault("response_cancel_not_active");
    assert!(!talk.conversation.is_responding());
    assert!(!talk.steps().contains(&"Failed".into()), "nobody needs to know");
}

#[test]
fn a_turn_of_less_than_a_tenth_of_a_second_is_a_notice_and_nothing_else() {
    let mut talk = Talk::push_to_talk().ready();
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[0; 799]).unwrap();
    talk.outputs();
    talk.conversation.commit(talk.now).unwrap();
    assert_eq!(talk.steps(), ["Notice(EmptyCommit)"]);
    assert!(!talk.conversation.has_turn());
    // The provider may count otherwise.
    talk.fault("input_audio_buffer_commit_empty");
    assert_eq!(talk.steps(), ["Notice(EmptyCommit)"]);
}

#[test]
fn commands_out_of_place_say_why() {
    let mut talk = Talk::push_to_talk().ready();
    assert_eq!(talk.conversation.commit(talk.now), Err(Refused::NoTurn));
    assert_eq!(talk.conversation.append(&[0; 160]), Err(Refused::NoTurn));
    talk.conversation.start_turn(ms(0)).unwrap();
    assert_eq!(talk.conversation.start_turn(ms(0)), Err(Refused::TurnInProgress));
    let refused = talk.conversation.append(&[0; 300_000]).unwrap_err();
    assert_eq!(refused.to_string(), "300000 bytes of audio at once, wanted at most 262144");
    talk.conversation.append(&[0; 1_600]).unwrap();
    talk.at(1_000);
    talk.conversation.commit(talk.now).unwrap();
    talk.conversation.start_turn(ms(0)).unwrap();
    talk.conversation.append(&[0; 1_600]).unwrap();
    talk.at(1_100);
    assert_eq!(talk.conversation.commit(talk.now), Err(Refused::RateLimited { retry_after: ms(150) }));
    assert!(talk.conversation.has_turn(), "it can be committed a little later");
    let mut talk = Talk::with(SessionConfig::default()).ready();
    assert_eq!(talk.conversation.start_turn(ms(0)), Err(Refused::WrongMode));
}

#[test]
fn nothing_to_cancel_and_a_repeated_cancel_are_notices() {
    let mut talk = Talk::push_to_talk().ready();
    talk.conversation.cancel(talk.now, ms(0)).unwrap();
    assert_eq!(talk.steps(), ["Notice(NothingToCancel)"]);
    talk.say_and_be_answered("r1");
    talk.conversation.cancel(talk.now, ms(0)).unwrap();
    talk.outputs();
    talk.conversation.cancel(talk.now, ms(0)).unwrap();
    assert_eq!(talk.steps(), ["Notice(RepeatedCancel)"]);
}

#[test]
fn the_sixth_cancel_in_ten_seconds_is_refused() {
    let mut talk = Talk::push_to_talk().ready();
    for turn in 0..6 {
        talk.at(turn * 1_000).say_and_be_answered(&format!("r{turn}"));
        talk.at(turn * 1_000 + 400);
        let result = talk.conversation.cancel(talk.now, ms(0));
        let wanted = if turn < 5 { Ok(()) } else { Err(Refused::RateLimited { retry_after: ms(5_000) }) };
        assert_eq!(result, wanted, "turn {turn}");
        talk.done(&format!("r{turn}"), "cancelled");
    }
}

#[test]
fn a_function_is_called_answered_and_spoken_of() {
    let mut talk = Talk::with(SessionConfig::default()).ready();
    talk.created("r1");
    talk.hear(&json!({
        "type": "response.function_call_arguments.done", "response_id": "r1", "item_id": "f", "call_id": "c1",
        "name": "book", "arguments": "{\"day\": 3}",
    }));
    talk.done("r1", "completed");
    assert_eq!(talk.steps(), ["ResponseStarted", "Call", "ResponseEnded"]);
    talk.conversation.answer_call("c1", "{\"ok\": true}").unwrap();
    talk.conversation.respond().unwrap();
    assert_eq!(talk.steps(), ["conversation.item.create", "response.create"]);
}

impl Talk {
    /// A whole turn of the user's, committed and confirmed.
    fn say_and_wait(&mut self) {
        self.conversation.start_turn(ms(0)).unwrap();
        self.conversation.append(&[0x55; 1_600]).unwrap();
        self.conversation.commit(self.now).unwrap();
        self.hear(&json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
    }
}
