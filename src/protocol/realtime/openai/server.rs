//! What the provider says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::fault::Fault;
use crate::{Error, ErrorKind, Result};

/// The longest message that is read.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStatus {
    /// It was said to its end.
    Completed,
    /// It was interrupted.
    Cancelled,
    /// The provider could not.
    Failed,
    /// It was cut off: too long, or filtered.
    Incomplete,
}

/// How much of a quota is left.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// Of what: `requests` or `tokens`.
    pub name: String,
    /// How much there is.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// In how many seconds it is whole again.
    pub reset_seconds: f64,
}

/// A message of the provider's. Fields that nobody here needs are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// `session.created`: it is there.
    SessionCreated,
    /// `session.updated`: it has taken the configuration.
    SessionUpdated,
    /// `input_audio_buffer.committed`: the user's turn is an item now.
    Committed {
        /// That item.
        item_id: String,
    },
    /// `input_audio_buffer.cleared`.
    Cleared,
    /// `input_audio_buffer.speech_started`: its detector hears the user.
    SpeechStarted {
        /// Where in the audio of this connection, in milliseconds.
        audio_start_ms: u64,
    },
    /// `input_audio_buffer.speech_stopped`: its detector hears the user no more.
    SpeechStopped {
        /// Where in the audio of this connection, in milliseconds.
        audio_end_ms: u64,
    },
    /// `conversation.item.input_audio_transcription.delta`: some words of the user's.
    HeardDelta {
        /// Of which item.
        item_id: String,
        /// The words.
        delta: String,
    },
    /// `conversation.item.input_audio_transcription.completed`: all words of the user's turn.
    Heard {
        /// Of which item.
        item_id: String,
        /// The words.
        transcript: String,
    },
    /// `conversation.item.input_audio_transcription.failed`: nobody could write it down.
    HearingFailed(Fault),
    /// `response.created`.
    ResponseCreated {
        /// Its name.
        id: String,
    },
    /// `response.done`.
    ResponseDone {
        /// Its name.
        id: String,
        /// How it ended.
        status: ResponseStatus,
        /// Why, if it failed.
        fault: Option<Fault>,
    },
    /// `response.output_audio.delta`: some audio, in the session's format.
    AudioDelta {
        /// Of which response.
        response_id: String,
        /// Of which item.
        item_id: String,
        /// Of which part of it.
        content_index: u64,
        /// The audio.
        audio: Vec<u8>,
    },
    /// `response.output_audio.done`: no more audio of this item.
    AudioDone {
        /// Of which response.
        response_id: String,
        /// Of which item.
        item_id: String,
    },
    /// `response.output_audio_transcript.delta`: some words of what is being said.
    SaidDelta {
        /// Of which response.
        response_id: String,
        /// Of which item.
        item_id: String,
        /// The words.
        delta: String,
    },
    /// `response.output_audio_transcript.done`: all words of an item.
    Said {
        /// Of which response.
        response_id: String,
        /// Of which item.
        item_id: String,
        /// The words.
        transcript: String,
    },
    /// `response.function_call_arguments.done`: the model calls a function.
    FunctionCall {
        /// In which response.
        response_id: String,
        /// What the answer refers to.
        call_id: String,
        /// The function's name.
        name: String,
        /// Its arguments, as JSON that nobody has checked.
        arguments: String,
    },
    /// `rate_limits.updated`.
    RateLimits(Vec<RateLimit>),
    /// `error`: a request failed; the session goes on.
    Error(Fault),
    /// Something else, which is counted and ignored.
    Unknown {
        /// Its type.
        kind: String,
    },
}

impl ServerEvent {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol) if it is longer than [`MAX_MESSAGE_BYTES`], no JSON object with a `type`, or one of
    /// a type that is known here without what belongs to it, or with audio that is not base64.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(broken(format!("a message of {} bytes, wanted at most {MAX_MESSAGE_BYTES}", text.len())));
        }
        let message: Value =
            serde_json::from_str(text).map_err(|error| broken(format!("a message that is no json: {error}")))?;
        let kind = string(&message, "type")?;
        let read = Fields { message: &message, kind: &kind };
        Ok(match kind.as_str() {
            "session.created" => Self::SessionCreated,
            "session.updated" => Self::SessionUpdated,
            "input_audio_buffer.committed" => Self::Committed { item_id: read.string("item_id")? },
            "input_audio_buffer.cleared" => Self::Cleared,
            "input_audio_buffer.speech_started" => {
                Self::SpeechStarted { audio_start_ms: read.number("audio_start_ms") }
            }
            "input_audio_buffer.speech_stopped" => Self::SpeechStopped { audio_end_ms: read.number("audio_end_ms") },
            "conversation.item.input_audio_transcription.delta" => {
                Self::HeardDelta { item_id: read.string("item_id")?, delta: read.string("delta")? }
            }
            "conversation.item.input_audio_transcription.completed" => {
                Self::Heard { item_id: read.string("item_id")?, transcript: read.string("transcript")? }
            }
            "conversation.item.input_audio_transcription.failed" => {
                Self::HearingFailed(Fault::read(read.part("error")?))
            }
            "response.created" => Self::ResponseCreated { id: string(read.part("response")?, "id")? },
            "response.done" => {
                let response = read.part("response")?;
                let status = match string(response, "status")?.as_str() {
                    "completed" => ResponseStatus::Completed,
                    "cancelled" => ResponseStatus::Cancelled,
                    "incomplete" => ResponseStatus::Incomplete,
                    _ => ResponseStatus::Failed,
                };
                let details = response.get("status_details").and_then(|details| details.get("error"));
                let fault = details.filter(|error| error.is_object()).map(Fault::read);
                Self::ResponseDone { id: string(response, "id")?, status, fault }
            }
            "response.output_audio.delta" | "response.audio.delta" => {
                let audio = BASE64.decode(read.string("delta")?);
                Self::AudioDelta {
                    response_id: read.string("response_id")?,
                    item_id: read.string("item_id")?,
                    content_index: read.number("content_index"),
                    audio: audio.map_err(|error| broken(format!("{kind} with a delta that is no base64: {error}")))?,
                }
            }
            "response.output_audio.done" | "response.audio.done" => {
                Self::AudioDone { response_id: read.string("response_id")?, item_id: read.string("item_id")? }
            }
            "response.output_audio_transcript.delta" | "response.audio_transcript.delta" => Self::SaidDelta {
                response_id: read.string("response_id")?,
                item_id: read.string("item_id")?,
                delta: read.string("delta")?,
            },
            "response.output_audio_transcript.done" | "response.audio_transcript.done" => Self::Said {
                response_id: read.string("response_id")?,
                item_id: read.string("item_id")?,
                transcript: read.string("transcript")?,
            },
            "response.function_call_arguments.done" => Self::FunctionCall {
                response_id: read.string("response_id")?,
                call_id: read.string("call_id")?,
                name: read.string("name")?,
                arguments: read.string("arguments")?,
            },
            "rate_limits.updated" => {
                let limits = read.part("rate_limits")?.as_array().map(Vec::as_slice).unwrap_or_default();
                Self::RateLimits(limits.iter().take(MAX_RATE_LIMITS).filter_map(RateLimit::read).collect())
            }
            "error" => Self::Error(Fault::read(read.part("error")?)),
            _ => Self::Unknown { kind },
        })
    }
}

impl RateLimit {
    fn read(limit: &Value) -> Option<Self> {
        Some(Self {
            name: limit.get("name")?.as_str()?.into(),
            limit: limit.get("limit")?.as_u64()?,
            remaining: limit.get("remaining")?.as_u64()?,
            reset_seconds: limit.get("reset_seconds")?.as_f64()?,
        })
    }
}

/// What belongs to a message of a kind.
struct Fields<'a> {
    message: &'a Value,
    kind: &'a str,
}

impl Fields<'_> {
    fn part(&self, name: &str) -> Result<&Value> {
        self.message.get(name).ok_or_else(|| broken(format!("{} without {name}", self.kind)))
    }

    fn string(&self, name: &str) -> Result<String> {
        let text = self.part(name)?.as_str();
        text.map(str::to_owned).ok_or_else(|| broken(format!("{} with a {name} that is no text", self.kind)))
    }

    /// A number that compatible servers leave out now and then.
    fn number(&self, name: &str) -> u64 {
        self.message.get(name).and_then(Value::as_u64).unwrap_or_default()
    }
}

fn string(value: &Value, name: &str) -> Result<String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| broken(format!("a message without a text {name}")))
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

const MAX_RATE_LIMITS: usize = 16;
