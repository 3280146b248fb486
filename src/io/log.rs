//! What happened, kept as small typed records until someone reads them.
//!
//! A media thread must not format or write a log line. It puts a [`LogRecord`] into a bounded ring; whoever reads the ring
//! formats it, on a thread where that costs nobody a frame. Records that the ring had no room for are counted, and the
//! count is itself the next record.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::audio::codec::Codec;
use crate::io::priority::Priority;
use crate::io::short_text::ShortText;
use crate::protocol::audiosocket::DecodeError;
use crate::protocol::call_id::CallId;
use crate::protocol::websocket;
use crate::protocol::websocket::handshake::{AnswerError, Refusal};
use crate::session::EndReason;

/// How much a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Only for who looks for it.
    Debug,
    /// What is as it should be.
    Info,
    /// What somebody should look at.
    Warning,
    /// What cost a call, or is a defect.
    Error,
}

/// One thing that happened; [`Display`](fmt::Display) gives the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// Who says it, such as `talkpath.audiosocket`.
    pub target: &'static str,
    /// The call that it happened to, if it happened to one.
    pub call: Option<CallId>,
    /// What happened.
    pub event: LogEvent,
}

/// What can happen on a server.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogEvent {
    /// The server takes calls.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A media thread runs.
    MediaThread {
        /// Its number.
        index: usize,
        /// What the system granted it.
        priority: Priority,
    },
    /// A call began: the peer gave its id.
    CallBegan {
        /// Who calls.
        peer: SocketAddr,
    },
    /// A call ended.
    CallEnded {
        /// Why.
        reason: EndReason,
        /// How long it was.
        duration: Duration,
        /// Messages that meant nothing and were skipped.
        skipped: u64,
    },
    /// The peer sends another codec under the label of 8 kHz linear PCM.
    CompandedAudio,
    /// The peer's stream is not AudioSocket, or not any more.
    BadStream {
        /// Who sent it.
        peer: SocketAddr,
        /// What was wrong.
        error: DecodeError,
    },
    /// The peer said that it ran into an error.
    PeerError {
        /// Its code.
        code: u8,
    },
    /// The peer gave no id in time.
    NoIdInTime {
        /// Who connected.
        peer: SocketAddr,
    },
    /// The peer closed before it gave an id.
    ClosedBeforeId {
        /// Who connected.
        peer: SocketAddr,
    },
    /// A connection without an id was closed to make room for a newer one.
    PendingEvicted {
        /// Whose.
        peer: SocketAddr,
    },
    /// A call was refused: there are as many as there may be.
    TooManyCalls {
        /// Who called.
        peer: SocketAddr,
        /// How many there may be.
        limit: usize,
    },
    /// A call was refused: another one has its id.
    DuplicateId {
        /// Who called.
        peer: SocketAddr,
    },
    /// The peer was silent for too long.
    PeerSilent {
        /// For how long.
        silence: Duration,
    },
    /// The peer does not take what is sent to it.
    PeerNotReading {
        /// Frames that were dropped whole.
        dropped: u64,
    },
    /// The peer goes on from another address.
    PeerMoved {
        /// Which.
        to: SocketAddr,
    },
    /// A client's request for a WebSocket was refused.
    UpgradeRefused {
        /// Who asked.
        peer: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
    /// A server did not agree to a WebSocket.
    NoUpgrade {
        /// Who was asked.
        peer: SocketAddr,
        /// Why.
        error: AnswerError,
    },
    /// The peer's stream is not WebSocket, or not any more.
    BadWebSocket {
        /// Who sent it.
        peer: SocketAddr,
        /// What was wrong.
        error: websocket::DecodeError,
    },
    /// The first message was not the start of a channel.
    NoMediaStart {
        /// Who sent it.
        peer: SocketAddr,
    },
    /// The channel's media are in a format that talkpath does not speak.
    UnknownFormat {
        /// Whose.
        peer: SocketAddr,
        /// The format's name.
        format: ShortText,
    },
    /// The channel did not start in time.
    NoStartInTime {
        /// Whose.
        peer: SocketAddr,
    },
    /// A call is this channel's.
    ChannelJoined {
        /// The channel's name at Asterisk.
        channel: ShortText,
        /// What its media are.
        codec: Codec,
    },
    /// The connection failed.
    ConnectionFailed {
        /// The system's error number.
        os_error: i32,
    },
    /// No connection can be accepted now.
    AcceptFailed {
        /// The system's error number.
        os_error: i32,
    },
    /// The program does not take the calls that began.
    NotAccepted,
    /// A session panicked; its call ended, the others go on.
    SessionPanicked,
    /// The server stops: no new calls, and those there are may end in peace.
    Stopping {
        /// How many calls there are.
        calls: usize,
        /// How long they may take.
        grace: Duration,
    },
    /// The server has stopped.
    Stopped,
    /// Records were lost, as nobody read them.
    RecordsLost {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call {
            Some(id) => write!(f, "call {id}: {}", self.event),
            None => self.event.fmt(f),
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = std::io::Error::from_raw_os_error;
        match *self {
            Self::Listening { address } => write!(f, "listening on {address}"),
            Self::MediaThread { index, priority } => write!(f, "media thread {index} runs with {priority} priority"),
            Self::CallBegan { peer } => write!(f, "began, from {peer}"),
            Self::CallEnded { reason, duration, skipped: 0 } => {
                write!(f, "ended after {:.1} s: {}", duration.as_secs_f64(), reason.name())
            }
            Self::CallEnded { reason, duration, skipped } => {
                let seconds = duration.as_secs_f64();
                write!(f, "ended after {seconds:.1} s: {}; skipped {skipped} messages without meaning", reason.name())
            }
            Self::CompandedAudio => f.write_str(
                "the peer sends 160 bytes a frame as 8 kHz linear PCM, which is mu-law, A-law or G.722 under a wrong label \
                 and will sound like noise; dial with AudioSocket/HOST:PORT/UUID/c(slin), or c(slin16) for wideband",
            ),
            Self::BadStream { peer, error } => write!(f, "{peer} does not speak AudioSocket: {error}"),
            Self::PeerError { code } => write!(f, "the peer reports error {code:#04x}"),
            Self::NoIdInTime { peer } => write!(f, "{peer} gave no call id in time"),
            Self::ClosedBeforeId { peer } => write!(f, "{peer} closed before it gave a call id"),
            Self::PendingEvicted { peer } => write!(f, "{peer} gave no call id yet and made room for a newer connection"),
            Self::TooManyCalls { peer, limit } => write!(f, "refused {peer}: there are {limit} calls, the limit"),
            Self::DuplicateId { peer } => write!(f, "refused {peer}: another call has this id"),
            Self::PeerSilent { silence } => write!(f, "the peer sent nothing for {:.0} s", silence.as_secs_f64()),
            Self::PeerNotReading { dropped } => {
                write!(f, "the peer does not read: {dropped} frames were dropped, and the call ends")
            }
            Self::PeerMoved { to } => write!(f, "the peer goes on from {to}"),
            Self::UpgradeRefused { peer, refusal } => write!(f, "refused {peer}: {refusal}"),
            Self::NoUpgrade { peer, error } => write!(f, "{peer} agrees to no WebSocket: {error}"),
            Self::BadWebSocket { peer, error } => write!(f, "{peer} breaks the WebSocket protocol: {error}"),
            Self::NoMediaStart { peer } => write!(f, "{peer} did not begin with MEDIA_START"),
            Self::UnknownFormat { peer, format } => write!(
                f,
                "{peer} sends {format:?}, wanted slin, slin12 to slin192, ulaw, alaw, g722 or opus, such as with c(slin16) in the \
                 dial string"
            ),
            Self::NoStartInTime { peer } => write!(f, "{peer} sent no MEDIA_START in time"),
            Self::ChannelJoined { channel, codec } => write!(f, "is channel {channel}, in {codec}"),
            Self::ConnectionFailed { os_error } => write!(f, "the connection failed: {}", os(os_error)),
            Self::AcceptFailed { os_error } => write!(f, "cannot accept connections now: {}", os(os_error)),
            Self::NotAccepted => f.write_str("the program does not take new calls, so this one ends"),
            Self::SessionPanicked => f.write_str("a defect in talkpath ended this call (panic in the session)"),
            Self::Stopping { calls, grace } => {
                write!(f, "stopping: {calls} calls have {:.1} s to end", grace.as_secs_f64())
            }
            Self::Stopped => f.write_str("stopped"),
            Self::RecordsLost { count } => write!(f, "{count} log records were lost, as nobody read them in time"),
        }
    }
}

/// The ring: any number of writers, none of which ever waits.
#[derive(Debug)]
pub(crate) struct LogRing {
    sender: Sender<LogRecord>,
    receiver: Receiver<LogRecord>,
    lost: AtomicU64,
    /// The logger's name: what Python hands to `logging.getLogger`.
    target: &'static str,
}

impl LogRing {
    pub(crate) fn new(capacity: usize, target: &'static str) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self { sender, receiver, lost: AtomicU64::new(0), target }
    }

    pub(crate) fn push(&self, level: LogLevel, call: Option<CallId>, event: LogEvent) {
        if self.sender.try_send(LogRecord { level, target: self.target, call, event }).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// The oldest record; after the last one, how many were lost since that was last said.
    pub(crate) fn poll(&self) -> Option<LogRecord> {
        if let Ok(record) = self.receiver.try_recv() {
            return Some(record);
        }
        match self.lost.swap(0, Relaxed) {
            0 => None,
            count => {
                let event = LogEvent::RecordsLost { count };
                Some(LogRecord { level: LogLevel::Warning, target: self.target, call: None, event })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_counts_what_it_lost() {
        let ring = LogRing::new(2, "talkpath.audiosocket");
        for _ in 0..5 {
            ring.push(LogLevel::Info, None, LogEvent::Stopped);
        }
        let lines: Vec<String> = std::iter::from_fn(|| ring.poll()).map(|record| record.to_string()).collect();
        assert_eq!(lines, ["stopped", "stopped", "3 log records were lost, as nobody read them in time"]);
    }

    #[test]
    fn a_record_names_its_call() {
        let ring = LogRing::new(2, "talkpath.audiosocket");
        let event =
            LogEvent::CallEnded { reason: EndReason::CallerHangup, duration: Duration::from_secs(2), skipped: 1 };
        ring.push(LogLevel::Info, Some(CallId::default()), event);
        assert_eq!(
            ring.poll().unwrap().to_string(),
            "call 00000000-0000-0000-0000-000000000000: ended after 2.0 s: caller_hangup; skipped 1 messages without meaning"
        );
    }
}
