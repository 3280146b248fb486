//! What is still to be written to a process: pieces in order, each with a ticket by which its writer asks how it went.
//!
//! A process that does not read holds up nobody but who waits for it: writing is the supervisor's, piece by piece as the
//! process takes them. At a terminal two things need care. A line beyond 4,095 bytes is handed over in parts, as the
//! system would drop the rest of it. And while a secret is typed, the terminal shows nothing.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use memchr::memchr;
use nix::errno::Errno;
use nix::unistd::write;

use super::terminal::{Echo, line_pusher};
use crate::system::secret::SecretRef;
use crate::{Error, ErrorKind, Result};

/// The queue of one process's standard input.
#[derive(Debug)]
pub(crate) struct Input {
    fd: Option<OwnedFd>,
    is_terminal: bool,
    queue: VecDeque<Piece>,
    queued_bytes: usize,
    next_ticket: u64,
    /// The first ticket whose bytes were not all taken, since the process reads no more.
    failed_from: Option<u64>,
    closes: bool,
    /// Bytes of the line that is being typed which the terminal has not handed over.
    line_len: usize,
    echo: Echo,
}

/// How one write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All was taken.
    Done,
    /// Some of it still waits.
    Waiting,
    /// The process reads no more.
    Failed,
}

#[derive(Debug)]
struct Piece {
    ticket: u64,
    source: Source,
    at: usize,
    /// Whether writing has begun, and the terminal is as it should be for it.
    is_begun: bool,
    pusher: Option<u8>,
}

#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    /// A line: the newline follows the secret.
    Secret(SecretRef),
}

impl Input {
    pub(crate) fn new(fd: OwnedFd, is_terminal: bool) -> Self {
        Self {
            fd: Some(fd),
            is_terminal,
            queue: VecDeque::new(),
            queued_bytes: 0,
            next_ticket: 0,
            failed_from: None,
            closes: false,
            line_len: 0,
            echo: Echo::default(),
        }
    }

    /// Queues bytes; answers the ticket.
    pub(crate) fn queue_bytes(&mut self, bytes: Vec<u8>) -> Result<u64> {
        self.check_room(bytes.len())?;
        self.queued_bytes += bytes.len();
        Ok(self.queue(Source::Bytes(bytes)))
    }

    /// Queues a secret and a newline; answers the ticket. The secret stays sealed until it is written.
    pub(crate) fn queue_secret(&mut self, secret: SecretRef) -> Result<u64> {
        self.check_room(1)?;
        Ok(self.queue(Source::Secret(secret)))
    }

    /// How the write with this ticket goes.
    pub(crate) fn written(&self, ticket: u64) -> Written {
        match self.failed_from {
            Some(first) if ticket >= first => Written::Failed,
            _ if self.queue.front().is_some_and(|piece| piece.ticket <= ticket) => Written::Waiting,
            _ => Written::Done,
        }
    }

    /// Takes back what has not been written of a piece; answers how many bytes were.
    pub(crate) fn abandon(&mut self, ticket: u64) -> usize {
        let Some(index) = self.queue.iter().position(|piece| piece.ticket == ticket) else { return 0 };
        let piece = self.queue.remove(index);
        if let (Some(fd), true) = (&self.fd, index == 0) {
            self.echo.turn_on(fd.as_fd());
        }
        piece.map_or(0, |piece| {
            self.queued_bytes -= piece.source.queued_len();
            piece.at
        })
    }

    /// Closes it once all that is queued was written; at a terminal, types the character that ends input instead.
    pub(crate) fn close(&mut self) {
        self.closes = true;
    }

    /// Whether there is something to do for [`flush`](Self::flush).
    pub(crate) fn is_waiting(&self) -> bool {
        self.fd.is_some() && (!self.queue.is_empty() || self.closes)
    }

    /// The descriptor, while it is open.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// Writes what the process takes now; answers the descriptor if it was closed, for which nothing may wait any more.
    ///
    /// On a thread with SIGPIPE blocked alone.
    pub(crate) fn flush(&mut self) -> Option<OwnedFd> {
        while let (Some(fd), Some(piece)) = (&self.fd, self.queue.front_mut()) {
            let fd = fd.as_fd();
            if !piece.is_begun {
                piece.begin(fd, self.is_terminal, &mut self.echo);
            }
            match piece.write(fd, &mut self.line_len) {
                Ok(true) => {
                    if matches!(piece.source, Source::Secret(_)) {
                        self.echo.turn_on(fd);
                    }
                    self.queued_bytes -= piece.source.queued_len();
                    self.queue.pop_front();
                }
                Ok(false) => return None,
                Err(_) => return self.fail(),
            }
        }
        if !std::mem::take(&mut self.closes) {
            return None;
        }
        if !self.is_terminal {
            return self.fail();
        }
        if let Some(fd) = &self.fd {
            // Typed at the start of a line it ends input; within one it has to be typed twice.
            let twice = [END_OF_INPUT; 2];
            let typed = if self.line_len > 0 { &twice[..] } else { &twice[..1] };
            self.closes = write(fd, typed) == Err(Errno::EAGAIN);
        }
        None
    }

    /// Nothing more can be written: the process has ended, or has closed its end.
    pub(crate) fn fail(&mut self) -> Option<OwnedFd> {
        let first = self.queue.front().map_or(self.next_ticket, |piece| piece.ticket);
        self.failed_from.get_or_insert(first);
        self.queue.clear();
        self.queued_bytes = 0;
        self.fd.take()
    }

    fn queue(&mut self, source: Source) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if self.fd.is_some() && !self.closes {
            self.queue.push_back(Piece { ticket, source, at: 0, is_begun: false, pusher: None });
        } else {
            self.failed_from.get_or_insert(ticket);
        }
        ticket
    }

    fn check_room(&self, more: usize) -> Result<()> {
        let total = self.queued_bytes.saturating_add(more);
        if total > MOST_QUEUED && !self.queue.is_empty() {
            let message = format!("{total} bytes wait to be written to the process, wanted at most {MOST_QUEUED}");
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        Ok(())
    }
}

impl Piece {
    /// Readies the terminal, if it is one.
    fn begin(&mut self, fd: BorrowedFd<'_>, is_terminal: bool, echo: &mut Echo) {
        self.is_begun = true;
        if !is_terminal {
            return;
        }
        self.pusher = line_pusher(fd);
        match self.source {
            Source::Secret(_) => {
                // It fails where the process is gone, and then nothing is typed, either.
                let _ = echo.turn_off(fd);
            }
            // What an earlier secret has left undone.
            Source::Bytes(_) => echo.turn_on(fd),
        }
    }

    /// Writes what the process takes; says whether it was all.
    fn write(&mut self, fd: BorrowedFd<'_>, line_len: &mut usize) -> Result<bool> {
        let (at, pusher) = (&mut self.at, self.pusher);
        let done = match &self.source {
            Source::Bytes(bytes) => write_all(fd, bytes, at, pusher, line_len),
            Source::Secret(secret) => secret.expose(|bytes| {
                let done = write_all(fd, bytes, at, pusher, line_len)?;
                Ok(done && write_all(fd, b"\n", &mut 0, pusher, line_len)?)
            })?,
        };
        done.map_err(|errno| Error::io("write to a process", errno.into()))
    }
}

impl Source {
    fn queued_len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Secret(_) => 0,
        }
    }
}

/// Writes `bytes` from `at` on, in parts that a terminal which gathers lines takes; says whether it wrote them all.
fn write_all(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    at: &mut usize,
    pusher: Option<u8>,
    line_len: &mut usize,
) -> nix::Result<bool> {
    while *at < bytes.len() {
        let rest = &bytes[*at..];
        let line = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        let part = match pusher {
            None => rest,
            Some(_) if *line_len + line <= LONGEST_TYPED => &rest[..line],
            Some(pusher) if *line_len >= PART => {
                if try_write(fd, &[pusher])?.is_none() {
                    return Ok(false);
                }
                *line_len = 0;
                continue;
            }
            Some(_) => &rest[..line.min(PART - *line_len)],
        };
        let Some(taken) = try_write(fd, part)? else { return Ok(false) };
        *at += taken;
        *line_len = match part[..taken].iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => taken - newline - 1,
            None => *line_len + taken,
        };
    }
    Ok(true)
}

/// Writes what is taken now; None if that is nothing.
fn try_write(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<Option<usize>> {
    loop {
        match write(fd, bytes) {
            Ok(taken) => return Ok(Some(taken)),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The longest line that a terminal gathers, with its newline (`N_TTY_BUF_SIZE` less one).
const LONGEST_TYPED: usize = 4_095;
/// The parts in which a longer line is handed over: well below, as something may have been typed before.
const PART: usize = 1_024;
/// The character that ends input at a terminal, unless the process has chosen another.
const END_OF_INPUT: u8 = 4;
/// How much may wait to be written to one process, in bytes; a single write may be longer.
const MOST_QUEUED: usize = 64 * 1024 * 1024;
