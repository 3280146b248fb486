//! What the supervisor does for one process: reads its outputs, finds prompts, counts, and tells its end.
//!
//! The end of a process and the end of its output are two things. A grandchild may hold the pipe for hours, and the last
//! words may still be in it when the system says that the process is gone. So after the end what is there is read to the
//! last byte, and a little longer if the pipe stays open ([`LINGER`]); then the exit is told. What comes later still, from
//! whoever was left behind, is read and thrown away, so that it neither blocks nor dies of a closed pipe.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::read;

use super::console::Console;
use super::exit::{Exit, ExitStatus, LimitKind};
use super::handle::{Phase, Shared, Stream};
use super::mailbox::Start;
use crate::Timestamp;

/// One process that runs, or has left open pipes behind.
pub(super) struct Running {
    pub shared: Arc<Shared>,
    /// By which it is signalled when its guardian cannot do it any more.
    pub pidfd: Option<OwnedFd>,
    pub taps: [Option<Tap>; 2],
    pub console: Option<Console>,
    /// How it ended, once the system has said so.
    pub status: Option<ExitStatus>,
    pub limit: Option<LimitKind>,
    /// Whether the end was told: then only open pipes are left of it.
    pub is_told: bool,
    /// Whether the supervisor is called when it can be written to.
    pub is_input_watched: bool,
    captures: bool,
    output_left: Option<u64>,
    prompt_after: Option<Duration>,
    /// What may still be held beyond the limit, as the process has ended.
    last_words: usize,
}

/// Our end of one output.
pub(super) struct Tap {
    fd: OwnedFd,
    /// Whether the supervisor is called when there is something to read.
    pub is_watched: bool,
    /// When an item that has begun is handed out as it is, if nothing follows.
    prompt_at: Option<Timestamp>,
    pub is_prompt_timed: bool,
    /// Whether the pipe has been enlarged, or cannot be.
    is_wide: bool,
}

/// What reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There may be more.
    More,
    /// There is nothing more now.
    Dry,
    /// There is no room for more.
    Full,
    /// The other end is closed by all who had it.
    Closed,
}

impl Running {
    pub(super) fn new(start: Start) -> Self {
        let tap = |fd| Tap { fd, is_watched: false, prompt_at: None, is_prompt_timed: false, is_wide: false };
        Self {
            shared: start.shared,
            pidfd: None,
            taps: start.ours.map(|fd| fd.map(tap)),
            console: start.console,
            status: None,
            limit: None,
            is_told: false,
            is_input_watched: false,
            captures: start.captures,
            output_left: start.limits.output_bytes,
            prompt_after: start.prompt_after,
            last_words: LAST_WORDS,
        }
    }

    /// Reads once what `stream` has; says what it has come to, and whether the limit of output is passed with it.
    pub(super) fn read(&mut self, stream: Stream, scratch: &mut [u8], now: Timestamp) -> (Reading, bool) {
        let most = self.room(stream).min(scratch.len());
        if most == 0 {
            return (Reading::Full, false);
        }
        let Some(tap) = &mut self.taps[stream as usize] else { return (Reading::Closed, false) };
        let got = loop {
            match read(&tap.fd, &mut scratch[..most]) {
                Ok(0) => return (Reading::Closed, false),
                Ok(got) => break got,
                Err(Errno::EAGAIN) => return (Reading::Dry, false),
                Err(Errno::EINTR) => {}
                // At a terminal EIO says that all its other ends are closed; nothing else is to be expected.
                Err(_) => return (Reading::Closed, false),
            }
        };
        if got == PIPE && !tap.is_wide {
            // Somebody writes much: fewer turns between the two. It is refused where pipes have used up their share.
            tap.is_wide = true;
            let _ = rustix::pipe::fcntl_setpipe_size(&tap.fd, WIDE_PIPE);
        }
        if self.is_told {
            return (Reading::More, false);
        }
        if self.status.is_some() {
            self.last_words = self.last_words.saturating_sub(got);
        }
        let mut bytes = &scratch[..got];
        let mut is_beyond = false;
        if let Some(left) = &mut self.output_left {
            is_beyond = got as u64 > *left;
            bytes = &bytes[..usize::try_from(*left).map_or(got, |left| left.min(got))];
            *left -= bytes.len() as u64;
        }
        self.take(stream, bytes, now);
        (Reading::More, is_beyond)
    }

    fn take(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        let mut has_partial = false;
        if let Some(console) = &mut self.console {
            console.push(stream, bytes);
            has_partial = console.has_partial(stream);
        }
        if self.captures {
            self.shared.change(|state| {
                let Some(output) = state.output(stream) else { return false };
                let is_news = output.push(bytes);
                has_partial |= output.has_partial();
                is_news
            });
        }
        // A program whose output is buffered stops in the middle of a line when a buffer is full: that is no prompt.
        let patience = if bytes.len().is_multiple_of(STDIO_BUFFER) { 10 } else { 1 };
        let prompt_at = self.prompt_after.filter(|_| has_partial).map(|after| now + after * patience);
        if let Some(tap) = &mut self.taps[stream as usize] {
            tap.prompt_at = prompt_at;
        }
    }

    /// How much of `stream` may be read now.
    fn room(&mut self, stream: Stream) -> usize {
        if self.is_told {
            return usize::MAX;
        }
        let mut room = usize::MAX;
        if self.captures {
            room = self.shared.state().output(stream).map_or(usize::MAX, |output| output.room());
        }
        if let Some(console) = &mut self.console {
            room = room.min(console.room(stream));
        }
        // Who has ended waits for nobody: the last words are at most what a pipe holds.
        if self.status.is_some() { room.max(self.last_words) } else { room }
    }

    /// When an item that has begun is to be handed out as it is, if nothing follows.
    pub(super) fn prompt_due(&self, stream: Stream) -> Option<Timestamp> {
        self.taps[stream as usize].as_ref()?.prompt_at
    }

    /// Hands out what has begun, if nothing has followed until now; answers when to look again.
    pub(super) fn end_prompt(&mut self, stream: Stream, now: Timestamp) -> Option<Timestamp> {
        let due = self.prompt_due(stream)?;
        if due > now {
            return Some(due);
        }
        if let Some(tap) = &mut self.taps[stream as usize] {
            tap.prompt_at = None;
        }
        if let Some(console) = &mut self.console {
            console.end_partial(stream);
        }
        if self.captures {
            self.shared.change(|state| state.output(stream).is_some_and(|output| output.end_partial()));
        }
        None
    }

    /// Lets go of an output; nothing more comes of it.
    pub(super) fn close(&mut self, stream: Stream) -> Option<Tap> {
        let tap = self.taps[stream as usize].take();
        self.finish_output(stream);
        tap
    }

    /// Whether its end is known, and may be told now: all its output is there.
    pub(super) fn is_ready(&self) -> bool {
        self.status.is_some() && !self.is_told && self.taps.iter().all(Option::is_none)
    }

    /// Tells its end.
    pub(super) fn tell(&mut self, status: ExitStatus) {
        self.is_told = true;
        for stream in STREAMS {
            self.finish_output(stream);
        }
        let exit = Exit { status, limit: self.limit };
        if let Some(console) = &mut self.console {
            console.finish(exit);
        }
        self.shared.change(|state| {
            if let Phase::Running { pid } = state.phase {
                state.phase = Phase::Ended { pid, exit };
            }
            true
        });
    }

    fn finish_output(&mut self, stream: Stream) {
        if let Some(console) = &mut self.console {
            console.finish_stream(stream);
        }
        self.shared.change(|state| state.output(stream).map(|output| output.finish()).is_some());
    }
}

impl Tap {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Both, in the order of [`Running::taps`].
pub(super) const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];
/// How long after the end an output is heard that someone else holds open.
pub(super) const LINGER: Duration = Duration::from_millis(250);
/// What is read at once, and what a pipe holds at first.
pub(super) const PIPE: usize = 64 * 1024;
/// What C programs write at once to a pipe.
const STDIO_BUFFER: usize = 4_096;
/// What the pipe of a process that writes much is enlarged to.
const WIDE_PIPE: usize = 256 * 1024;
/// What is taken after the end although there is no room for it: more than any pipe of ours holds.
const LAST_WORDS: usize = 1024 * 1024;
