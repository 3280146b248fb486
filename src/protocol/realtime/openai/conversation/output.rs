//! What a conversation asks of whoever drives it, and what it refuses.

use std::time::Duration;

use super::super::client::ClientEvent;
use super::super::fault::Fault;
use super::super::server::{RateLimit, ResponseStatus};

/// Something to be done, or to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this message.
    Send(ClientEvent),
    /// Make a connection: somebody wants to speak.
    Connect,
    /// Make another connection in place of this one, which is about to expire: nobody speaks now.
    Renew,
    /// The provider is there; what is said now waits until it is [`Ready`](Self::Ready).
    Connected,
    /// The provider has taken the configuration.
    Ready,
    /// The connection is gone.
    Disconnected {
        /// Whether another is worth trying.
        is_recoverable: bool,
        /// WebSocket's code.
        code: u16,
        /// What was said with it.
        reason: String,
    },
    /// Play this audio of the model's, in the session's format.
    Play {
        /// The item it belongs to.
        item_id: String,
        /// The audio.
        audio: Vec<u8>,
    },
    /// All of a response's audio has come.
    PlayEnded,
    /// Drop what waits to be played.
    FlushPlayback,
    /// The provider's detector hears the user.
    SpeechStarted,
    /// The provider's detector hears the user no more.
    SpeechStopped,
    /// The user's words; a part of them where `is_final` is not set.
    UserText {
        /// The words.
        text: String,
        /// Whether these are all.
        is_final: bool,
    },
    /// The model's words; a part of them where `is_final` is not set.
    AgentText {
        /// The words.
        text: String,
        /// Whether these are all.
        is_final: bool,
    },
    /// The model calls a function; [`answer_call`](super::Conversation::answer_call) says what it returned.
    Call {
        /// What the answer refers to.
        call_id: String,
        /// The function's name.
        name: String,
        /// Its arguments, as JSON that nobody has checked.
        arguments: String,
    },
    /// The model begins to answer.
    ResponseStarted,
    /// The model has answered.
    ResponseEnded(ResponseStatus),
    /// How much of the quotas is left.
    RateLimits(Vec<RateLimit>),
    /// Something that the user may want to know.
    Notice(Notice),
    /// A request failed; the conversation goes on.
    Failed(Fault),
}

/// What went otherwise than wished, and harms nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A turn of less than a tenth of a second was committed: it is forgotten.
    EmptyCommit,
    /// There is nothing to cancel.
    NothingToCancel,
    /// It is being cancelled already.
    RepeatedCancel,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The provider is not there.
    #[error("the provider is not connected")]
    NotConnected,
    /// Turns are the user's to begin only in push-to-talk.
    #[error("the provider hears where turns begin and end, which is not push-to-talk")]
    WrongMode,
    /// A turn has begun already.
    #[error("a turn is under way")]
    TurnInProgress,
    /// No turn has begun.
    #[error("no turn is under way")]
    NoTurn,
    /// Too much audio at once.
    #[error("{got} bytes of audio at once, wanted at most {max}")]
    FrameTooLarge {
        /// How much it was.
        got: usize,
        /// How much it may be.
        max: usize,
    },
    /// Too often.
    #[error("too often; again in {} ms", retry_after.as_millis())]
    RateLimited {
        /// After how long it is taken again.
        retry_after: Duration,
    },
}
