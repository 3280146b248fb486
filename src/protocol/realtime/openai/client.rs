//! What is said to the provider.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// Who said a text item of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The caller.
    User,
    /// The model.
    Assistant,
}

/// A message to the provider.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// `session.update`, with its `session`.
    SessionUpdate(Value),
    /// `input_audio_buffer.append`: audio of the user's, in the session's format.
    Append(Vec<u8>),
    /// `input_audio_buffer.commit`: the user's turn is over.
    Commit,
    /// `input_audio_buffer.clear`: what was appended is forgotten.
    Clear,
    /// `conversation.item.create` of something said before this connection.
    CreateText {
        /// Who said it.
        role: Role,
        /// What was said.
        text: String,
    },
    /// `conversation.item.create` of what a function returned.
    CreateCallOutput {
        /// Which call it answers.
        call_id: String,
        /// What it returned, by habit JSON.
        output: String,
    },
    /// `conversation.item.truncate`: no more than this was heard.
    Truncate {
        /// The item that was being played.
        item_id: String,
        /// Which part of it.
        content_index: u64,
        /// How much of it was heard.
        audio_end: Duration,
    },
    /// `response.create`: it is the model's turn.
    CreateResponse,
    /// `response.cancel`, of this response or of whichever is under way.
    CancelResponse(Option<String>),
}

impl ClientEvent {
    /// The message's type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SessionUpdate(_) => "session.update",
            Self::Append(_) => "input_audio_buffer.append",
            Self::Commit => "input_audio_buffer.commit",
            Self::Clear => "input_audio_buffer.clear",
            Self::CreateText { .. } | Self::CreateCallOutput { .. } => "conversation.item.create",
            Self::Truncate { .. } => "conversation.item.truncate",
            Self::CreateResponse => "response.create",
            Self::CancelResponse(_) => "response.cancel",
        }
    }

    /// The message as it goes over the wire, but for being text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut message = match self {
            Self::SessionUpdate(session) => json!({"session": session}),
            Self::Append(audio) => json!({"audio": BASE64.encode(audio)}),
            Self::Commit | Self::Clear | Self::CreateResponse | Self::CancelResponse(None) => json!({}),
            Self::CreateText { role, text } => {
                let (role, part) = match role {
                    Role::User => ("user", "input_text"),
                    Role::Assistant => ("assistant", "output_text"),
                };
                json!({"item": {"type": "message", "role": role, "content": [{"type": part, "text": text}]}})
            }
            Self::CreateCallOutput { call_id, output } => {
                json!({"item": {"type": "function_call_output", "call_id": call_id, "output": output}})
            }
            Self::Truncate { item_id, content_index, audio_end } => {
                // Down to whole milliseconds: what was not heard wholly was not heard.
                let audio_end_ms = u64::try_from(audio_end.as_millis()).unwrap_or(u64::MAX);
                json!({"item_id": item_id, "content_index": content_index, "audio_end_ms": audio_end_ms})
            }
            Self::CancelResponse(Some(id)) => json!({"response_id": id}),
        };
        message["type"] = self.kind().into();
        message
    }
}
