//! What a session tells its agent, and why a session ended.
//!
//! The media end writes small fixed-size [`Notice`]s into a ring, with no text and nothing to free. The agent end turns
//! each into an [`Event`], with the names and receipts that it alone knows.

use std::fmt;
use std::time::Duration;

use super::position::Receipt;
use crate::audio::codec::Codec;

/// Something that happened in a call, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The wire format is known and the call runs.
    Started {
        /// What the peer sends.
        codec: Codec,
    },
    /// The caller pressed a key.
    Dtmf {
        /// One of `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How much audio had been heard by then.
        position: Duration,
    },
    /// The caller began to speak.
    SpeechStarted {
        /// Where the first voiced audio lies, counted from the first sample heard.
        position: Duration,
        /// Where the decision fell.
        decided: Duration,
    },
    /// The caller stopped speaking.
    SpeechStopped {
        /// Where the last voiced audio ended.
        position: Duration,
        /// Where the decision fell.
        decided: Duration,
    },
    /// The first sample of a tag went out on the wire.
    PlaybackStarted {
        /// The tag it was written with.
        tag: String,
    },
    /// Playout has reached a mark.
    MarkPlayed {
        /// The mark's name.
        name: String,
    },
    /// All that was written has been played.
    Drained,
    /// Playout ran dry in the middle of a tag: the caller heard a gap.
    Underrun {
        /// The tag that went on after the gap.
        tag: String,
        /// How long nothing was there to play.
        gap: Duration,
    },
    /// What was queued has been dropped.
    Interrupted {
        /// What was heard of it, tag by tag.
        receipt: Receipt,
        /// Who interrupted.
        cause: InterruptCause,
    },
    /// The agent read its events too late and some were dropped.
    EventsLost {
        /// How many.
        count: u32,
    },
    /// The call is over; always the last event, and never lost.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

/// Who interrupted the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptCause {
    /// The agent itself, by `interrupt()`.
    Agent,
    /// The caller, by speaking, and the core acted on it.
    BargeIn,
}

impl InterruptCause {
    /// The cause in lower case, as Python and JSON spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::BargeIn => "barge_in",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The far end hung up.
    CallerHangup,
    /// The agent hung up.
    AgentHangup,
    /// The agent's handler failed or let go of the session without hanging up.
    HandlerFailed,
    /// Nothing came from the far end for too long.
    IdleTimeout,
    /// The far end broke the protocol.
    ProtocolError,
    /// The connection failed.
    TransportError,
    /// The server stopped.
    ServerStopping,
}

impl EndReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::CallerHangup,
        Self::AgentHangup,
        Self::HandlerFailed,
        Self::IdleTimeout,
        Self::ProtocolError,
        Self::TransportError,
        Self::ServerStopping,
    ];

    /// The reason in lower case, as Python and JSON spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallerHangup => "caller_hangup",
            Self::AgentHangup => "agent_hangup",
            Self::HandlerFailed => "handler_failed",
            Self::IdleTimeout => "idle_timeout",
            Self::ProtocolError => "protocol_error",
            Self::TransportError => "transport_error",
            Self::ServerStopping => "server_stopping",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event as the media end writes it: fixed size, nothing to allocate or free.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    Started { codec: Codec },
    Dtmf { digit: char, position: Duration },
    SpeechStarted { position: Duration, decided: Duration },
    SpeechStopped { position: Duration, decided: Duration },
    PlaybackStarted { tag: u32 },
    MarkPlayed { mark: u32 },
    Drained,
    Underrun { tag: u32, gap: Duration },
    Interrupted { generation: u16, played: u64 },
}
