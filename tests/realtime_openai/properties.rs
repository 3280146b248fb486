//! Whatever a provider and a user do in whatever order: no panic, no message that the provider would refuse, nothing stuck.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use talkpath::protocol::realtime::openai::{ClientEvent, Output, ServerEvent, SessionConfig};

use crate::harness::{Talk, ms};

#[derive(Clone, Debug)]
enum Step {
    Start(u64),
    Append(usize),
    Commit,
    Cancel(u64),
    Interrupt(u64),
    Respond,
    Connect,
    Close(u16),
    Committed,
    Created(u8),
    Delta(u8, usize),
    Done(u8),
    Fault(&'static str),
    Wait(u64),
}

const FAULTS: [&str; 4] = [
    "input_audio_buffer_commit_empty",
    "response_cancel_not_active",
    "conversation_already_has_active_response",
    "anything",
];

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..900_u64).prop_map(Step::Start),
        (0..2_000_usize).prop_map(Step::Append),
        Just(Step::Commit),
        (0..900_u64).prop_map(Step::Cancel),
        (0..900_u64).prop_map(Step::Interrupt),
        Just(Step::Respond),
        Just(Step::Connect),
        prop::sample::select(&[1000_u16, 1001, 1006, 4000][..]).prop_map(Step::Close),
        Just(Step::Committed),
        (0..4_u8).prop_map(Step::Created),
        (0..4_u8, 0..400_usize).prop_map(|(id, ms)| Step::Delta(id, ms)),
        (0..4_u8).prop_map(Step::Done),
        prop::sample::select(&FAULTS[..]).prop_map(Step::Fault),
        (0..3_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_conversation(
        steps in prop::collection::vec(any_step(), 0..120),
        is_push_to_talk in any::<bool>(),
    ) {
        let mut config = SessionConfig::default();
        if is_push_to_talk {
            config.turn_detection = None;
        }
        let mut talk = Talk::with(config);
        let (mut is_ready, mut played_out) = (false, 0_usize);
        for step in steps {
            let before = talk.conversation.received();
            match &step {
                Step::Start(played) => drop(talk.conversation.start_turn(ms(*played))),
                Step::Append(bytes) => drop(talk.conversation.append(&vec![0; *bytes])),
                Step::Commit => drop(talk.conversation.commit(talk.now)),
                Step::Cancel(played) => drop(talk.conversation.cancel(talk.now, ms(*played))),
                Step::Interrupt(played) => talk.conversation.interrupt(ms(*played)),
                Step::Respond => drop(talk.conversation.respond()),
                Step::Connect => talk.connect(),
                Step::Close(code) => talk.conversation.handle_close(*code, "r"),
                Step::Committed => talk.hear(&json!({"type": "input_audio_buffer.committed", "item_id": "u"})),
                Step::Created(id) => talk.created(&format!("r{id}")),
                Step::Delta(id, ms) => talk.delta(&format!("r{id}"), *ms),
                Step::Done(id) => talk.done(&format!("r{id}"), "completed"),
                Step::Fault(code) => talk.fault(code),
                Step::Wait(ms) => {
                    talk.now = talk.now + Duration::from_millis(*ms);
                    talk.conversation.handle_timeout(talk.now);
                }
            }
            for output in talk.outputs() {
                match output {
                    Output::Ready => is_ready = true,
                    Output::Disconnected { .. } => is_ready = false,
                    Output::Send(ClientEvent::SessionUpdate(_)) => {}
                    Output::Send(ClientEvent::Truncate { audio_end, .. }) => {
                        prop_assert!(audio_end <= before, "{audio_end:?} of {before:?} received");
                    }
                    Output::Send(ClientEvent::Append(audio)) => {
                        prop_assert!(is_ready && !audio.is_empty());
                    }
                    Output::Play { audio, .. } => played_out += audio.len(),
                    _ => {}
                }
            }
            prop_assert_eq!(talk.conversation.is_ready(), is_ready);
        }
        prop_assert!(played_out < 120 * 400 * 8);
        // Whatever went before, the next connection and turn work.
        talk.conversation.handle_close(1006, "");
        talk.connect();
        talk.outputs();
        talk.now = talk.now + Duration::from_secs(20);
        if is_push_to_talk {
            talk.say_and_be_answered("fresh");
        } else {
            talk.created("fresh");
        }
        talk.delta("fresh", 20);
        talk.done("fresh", "completed");
        let steps = talk.steps();
        let wanted = ["ResponseStarted", "Play", "ResponseEnded"].map(String::from);
        prop_assert!(steps.ends_with(&wanted), "{:?}", steps);
    }

    #[test]
    fn no_text_panics_the_reader(text in "\\PC{0,200}", kind in "[a-z_.]{0,40}") {
        let _ = ServerEvent::parse(&text);
        let known = json!({"type": kind, "delta": text, "response": text, "item_id": 1, "error": [text]});
        let _ = ServerEvent::parse(&known.to_string());
    }
}
