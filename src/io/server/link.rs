//! What every transport does alike, seen from a media thread: the trait [`Link`], and what it is lent.
//!
//! A link is one call's way to its far end: its sockets and its protocol's state, and nothing of the call itself. It never
//! waits, and neither allocates nor locks once the call runs.

use std::any::Any;
use std::time::Duration;

use nix::sys::epoll::Epoll;

use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::io::log::{LogEvent, LogLevel, LogRing};
use crate::io::stats::MediaStats;
use crate::protocol::call_id::CallId;
use crate::session::Session;

/// One call's way to its far end.
pub(crate) trait Link: Send {
    /// Has `epoll` report all its sockets under one token.
    fn watch(&self, epoll: &Epoll, token: u64) -> nix::Result<()>;

    /// Takes its sockets out of `epoll`.
    fn unwatch(&self, epoll: &Epoll);

    /// Has `epoll` say when there is room to send again, or no more; only for a link that keeps what is unsent.
    fn watch_for_room(&self, _epoll: &Epoll, _token: u64, _is_wanted: bool) {}

    /// Reads a bounded amount of what has come and hands it to the session; says whether there was anything.
    ///
    /// The end of the stream is an [`Input::Ended`](crate::session::Input::Ended), too; an error ends the call.
    fn read(&mut self, session: &mut Session, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool>;

    /// Sends one frame whole, or not at all: false if the far end takes nothing and it is dropped.
    fn transmit(&mut self, frame: &Frame<'_>, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool>;

    /// Sends a key by the transport's own means, in place of the frames that follow; only of a far end that takes keys.
    fn send_dtmf(&mut self, _key: char, _desk: &mut Desk<'_>) -> std::io::Result<()> {
        Ok(())
    }

    /// Has the far end drop what it has queued; only of a far end that confirms what it plays.
    fn flush_far_end(&mut self, _desk: &mut Desk<'_>) -> std::io::Result<()> {
        Ok(())
    }

    /// Tells the far end that the call is over, as far as that can be done at once.
    fn hang_up(&mut self, now: Timestamp);

    /// Tries to send what an earlier message has left.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// Whether part of a message waits to be sent.
    fn has_unsent(&self) -> bool {
        false
    }

    /// How many messages without meaning the far end has sent.
    fn skipped(&self) -> u64 {
        0
    }

    /// Itself, so that the entrance that made it gets its own type back once the call is over.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// One frame that is to be sent.
#[allow(dead_code, reason = "what a frame is matters to some transports only")]
pub(crate) struct Frame<'a> {
    /// What the payload is.
    pub(crate) codec: Codec,
    /// Exactly one packet time.
    pub(crate) payload: &'a [u8],
    /// When it was due.
    pub(crate) due: Timestamp,
    /// How many frames came before it in this call, silence included.
    pub(crate) number: u64,
    /// Whether it holds anything of the agent's; otherwise it is digital silence.
    pub(crate) is_agent: bool,
    /// Whether it is the first of the agent's after silence.
    pub(crate) begins: bool,
}

/// What a media thread lends to the connection that it serves.
pub(crate) struct Desk<'a> {
    /// The call that is served.
    pub(crate) call: CallId,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) log: &'a LogRing,
    pub(crate) stats: &'a mut MediaStats,
    pub(crate) idle_timeout: Duration,
}

impl Desk<'_> {
    /// Logs what happened to the call.
    pub(crate) fn log(&self, level: LogLevel, event: LogEvent) {
        self.log.push(level, Some(self.call), event);
    }
}

/// Room for one read and one message, of any transport.
pub(crate) struct Scratch {
    pub(crate) input: Box<[u8]>,
    pub(crate) message: Box<[u8]>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { input: vec![0; INPUT_LEN].into_boxed_slice(), message: vec![0; MESSAGE_LEN].into_boxed_slice() }
    }
}

/// As much as any transport reads at once.
const INPUT_LEN: usize = 65_536;
/// The longest message of any transport: AudioSocket's header and 65,535 bytes, and then some.
const MESSAGE_LEN: usize = 65_536 + 64;
