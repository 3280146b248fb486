//! A conversation whose provider is the test.

use std::time::Duration;

use serde_json::{Value, json};
use talkpath::Timestamp;
use talkpath::protocol::realtime::openai::{AudioFormat, Conversation, Output, ServerEvent, SessionConfig};

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) struct Talk {
    pub(crate) conversation: Conversation,
    pub(crate) now: Timestamp,
}

impl Talk {
    /// Push-to-talk with mu-law, not connected.
    pub(crate) fn push_to_talk() -> Self {
        Self::with(SessionConfig { turn_detection: None, ..SessionConfig::default() })
    }

    pub(crate) fn with(config: SessionConfig) -> Self {
        assert_eq!(config.format, AudioFormat::Pcmu);
        Self { conversation: Conversation::new(config), now: Timestamp::ZERO }
    }

    /// The same, connected and configured; what that took is forgotten.
    pub(crate) fn ready(mut self) -> Self {
        self.connect();
        self.outputs();
        self
    }

    pub(crate) fn connect(&mut self) {
        self.hear(&json!({"type": "session.created"}));
        self.hear(&json!({"type": "session.updated"}));
    }

    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.now = Timestamp::from_millis(ms);
        self
    }

    pub(crate) fn hear(&mut self, message: &Value) {
        let event = ServerEvent::parse(&message.to_string()).unwrap();
        self.conversation.handle_event(event, self.now);
    }

    /// A whole turn of the user's, up to the response that it gets.
    pub(crate) fn say_and_be_answered(&mut self, response: &str) {
        self.conversation.start_turn(Duration::ZERO).unwrap();
        self.conversation.append(&[0x55; 1_600]).unwrap();
        self.conversation.commit(self.now).unwrap();
        self.hear(&json!({"type": "input_audio_buffer.committed", "item_id": "u"}));
        self.created(response);
    }

    pub(crate) fn created(&mut self, id: &str) {
        self.hear(&json!({"type": "response.created", "response": {"id": id}}));
    }

    pub(crate) fn done(&mut self, id: &str, status: &str) {
        self.hear(&json!({"type": "response.done", "response": {"id": id, "status": status}}));
    }

    /// Audio of so many milliseconds, of item `i-<response>`.
    pub(crate) fn delta(&mut self, response: &str, ms: usize) {
        use base64::Engine as _;
        let delta = base64::engine::general_purpose::STANDARD.encode(vec![0x7f; ms * 8]);
        self.hear(&json!({
            "type": "response.output_audio.delta", "response_id": response, "item_id": format!("i-{response}"),
            "output_index": 0, "content_index": 0, "delta": delta,
        }));
    }

    pub(crate) fn fault(&mut self, code: &str) {
        self.hear(&json!({"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": "m"}}));
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.conversation.poll_output()).collect()
    }

    /// What is to be done, in a word each: a message by its type, all else by its name.
    pub(crate) fn steps(&mut self) -> Vec<String> {
        self.outputs().iter().map(step).collect()
    }
}

fn step(output: &Output) -> String {
    match output {
        Output::Send(event) => event.kind().into(),
        other => {
            let shown = format!("{other:?}");
            let end = shown.find([' ', '(', '{']).unwrap_or(shown.len());
            if let Output::Notice(_) = other { shown } else { shown[..end].into() }
        }
    }
}
