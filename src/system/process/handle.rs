//! [`Process`]: one program that runs, as its starter sees it: what it wrote, what it is to read, how it ended.
//!
//! Any number of threads may hold it. Nothing here waits for the process but where a function says so; reading the pipes
//! and writing to them is the supervisor's thread alone, so that output is taken whether or not anyone looks.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bell::Bell;
use super::exit::Exit;
use super::input::{Input, Written};
use super::lines::Block;
use super::mailbox::{Command, Mailbox};
use super::output::{Gap, Output, Taken};
use super::spec::TerminalSize;
use super::terminal;
use crate::system::clock::Clock;
use crate::system::fork;
use crate::system::secret::SecretRef;
use crate::{Error, ErrorKind, Result};

/// One program that runs, or has ended; a clone is the same one.
///
/// Letting go of it does not end the program: its manager keeps it.
#[derive(Clone, Debug)]
pub struct Process(pub(super) Arc<Shared>);

/// Which of a process's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, and standard error unless that is a stream of its own.
    Stdout,
    /// Standard error, if it is a stream of its own.
    Stderr,
}

/// A write that goes on by itself; see [`Process::begin_write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub(crate) u64);

/// What is typed.
#[derive(Clone, Debug)]
pub enum Typed {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// A secret and a newline; a terminal does not show it, and it stays sealed until it is written.
    Secret(SecretRef),
}

/// Output that was read: items in order, and what was dropped before them.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was dropped before the first item.
    pub gap: Gap,
    blocks: VecDeque<Block>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub id: Arc<str>,
    pub number: u64,
    pub title: String,
    pub started_unix_us: u64,
    pub is_terminal: bool,
    pub mailbox: Arc<Mailbox>,
    maker: fork::Process,
    state: Mutex<State>,
    changed: Condvar,
    bell: Bell,
}

#[derive(Debug)]
pub(super) struct State {
    pub phase: Phase,
    pub stdout: Output,
    pub stderr: Option<Output>,
    pub input: Input,
}

#[derive(Debug)]
pub(super) enum Phase {
    Starting,
    Running {
        pid: i32,
    },
    /// The error until it is taken.
    Failed(Option<Error>),
    Ended {
        pid: i32,
        exit: Exit,
    },
}

impl Process {
    /// The id, by which the manager finds it; no other process of any agent's has it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What may be shown of its command: the program's name and how many arguments it has.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// When it was started, in microseconds since 1970.
    #[must_use]
    pub fn started_unix_us(&self) -> u64 {
        self.0.started_unix_us
    }

    /// The system's number for it, as its guardian sees it. Once it has ended, another process may have it.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        match self.0.state().phase {
            Phase::Running { pid } | Phase::Ended { pid, .. } => Some(pid),
            Phase::Starting | Phase::Failed(_) => None,
        }
    }

    /// How it ended, None while it runs. It is told after all of its output.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self.0.state().phase {
            Phase::Ended { exit, .. } => Some(exit),
            _ => None,
        }
    }

    /// Whether [`start`](super::ProcessManager::begin_start) is done with it; once, an error if it could not be started.
    ///
    /// # Errors
    /// Those of starting it: [`Io`](ErrorKind::Io) with the system's reason.
    pub fn poll_started(&self) -> Result<bool> {
        match &mut self.0.state().phase {
            Phase::Starting => Ok(false),
            Phase::Failed(error) => Err(error.take().unwrap_or_else(|| Error::invalid("it was never started"))),
            Phase::Running { .. } | Phase::Ended { .. } => Ok(true),
        }
    }

    /// Waits until it is started, at most for `timeout`; false if it is not yet.
    ///
    /// # Errors
    /// Those of [`poll_started`](Self::poll_started).
    pub fn wait_started(&self, timeout: Option<Duration>) -> Result<bool> {
        self.0.wait_until(timeout, |state| !matches!(state.phase, Phase::Starting))?;
        self.poll_started()
    }

    /// Waits until it has ended, at most for `timeout`, and says how.
    ///
    /// Under [`Overflow::Block`](super::Overflow::Block) a process that writes more than is held does not end before
    /// someone reads.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if it still runs then.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Exit> {
        let ended = |state: &mut State| matches!(state.phase, Phase::Ended { .. } | Phase::Failed(_));
        if !self.0.wait_until(timeout, ended)? {
            let message = format!("process {} still runs after {:?}", self.0.id, timeout.unwrap_or_default());
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        self.exit().ok_or_else(|| Error::invalid("the process was never started"))
    }

    /// Takes what it has written and nobody has read, about `most_bytes` of it, without waiting.
    pub fn read(&self, stream: Stream, most_bytes: usize) -> Batch {
        let Taken { gap, blocks, resumes } =
            self.0.state().output(stream).map(|output| output.take(most_bytes.max(1))).unwrap_or_default();
        if resumes {
            self.0.mailbox.post(Command::Resume { number: self.0.number, stream });
        }
        Batch { gap, blocks }
    }

    /// Takes the next item into `item`, without waiting; answers what was dropped before it, None if there is none now.
    ///
    /// [`read`](Self::read) costs less where there is much.
    pub fn read_item(&self, stream: Stream, item: &mut Vec<u8>) -> Option<Gap> {
        let taken = self.0.state().output(stream)?.take_item(item);
        let (gap, resumes) = taken?;
        if resumes {
            self.0.mailbox.post(Command::Resume { number: self.0.number, stream });
        }
        Some(gap)
    }

    /// Whether all output was read and no more will come.
    #[must_use]
    pub fn is_exhausted(&self, stream: Stream) -> bool {
        self.0.state().output(stream).is_none_or(|output| output.is_exhausted())
    }

    /// Waits until there is something to read, or nothing more will come; false if neither is so within `timeout`.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) in a forked copy of the agent.
    pub fn wait_output(&self, stream: Stream, timeout: Option<Duration>) -> Result<bool> {
        self.0.wait_until(timeout, |state| {
            state.output(stream).is_none_or(|output| output.has_news() || output.is_exhausted())
        })
    }

    /// All that was dropped of a stream since the start.
    #[must_use]
    pub fn dropped(&self, stream: Stream) -> Gap {
        self.0.state().output(stream).map(|output| output.dropped()).unwrap_or_default()
    }

    /// Writes to its standard input, and waits until it was all taken, at most for `timeout`.
    ///
    /// At a terminal, a line may be of any length.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if it was not: what was not taken is taken back, and the error says how much that
    /// was. [`Io`](ErrorKind::Io) if the process reads no more.
    pub fn write(&self, typed: Typed, timeout: Option<Duration>) -> Result<()> {
        let ticket = self.begin_write(typed)?;
        if self.wait_write(ticket, timeout)? {
            return Ok(());
        }
        Err(self.abandon_write(ticket, timeout.unwrap_or_default()))
    }

    /// Writes a line and waits as [`write`](Self::write) does.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn send_line(&self, line: &str, timeout: Option<Duration>) -> Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.write(Typed::Bytes(bytes), timeout)
    }

    /// Begins to write, without waiting; [`poll_write`](Self::poll_write) tells how it goes.
    ///
    /// # Errors
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if 64 MiB wait already.
    pub fn begin_write(&self, typed: Typed) -> Result<Ticket> {
        self.0.check_process()?;
        let mut state = self.0.state();
        let ticket = match typed {
            Typed::Bytes(bytes) => state.input.queue_bytes(bytes)?,
            Typed::Secret(secret) => state.input.queue_secret(secret)?,
        };
        drop(state);
        self.0.mailbox.post(Command::Write { number: self.0.number });
        Ok(Ticket(ticket))
    }

    /// Whether all of a write was taken.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the process reads no more.
    pub fn poll_write(&self, ticket: Ticket) -> Result<bool> {
        match self.0.state().input.written(ticket.0) {
            Written::Done => Ok(true),
            Written::Waiting => Ok(false),
            Written::Failed => {
                let source = std::io::Error::from(nix::errno::Errno::EPIPE);
                Err(Error::io(format_args!("process {} does not read its input any more", self.0.id), source))
            }
        }
    }

    /// Waits until all of a write was taken, at most for `timeout`; false if it is not yet.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the process reads no more.
    pub fn wait_write(&self, ticket: Ticket, timeout: Option<Duration>) -> Result<bool> {
        self.0.wait_until(timeout, |state| state.input.written(ticket.0) != Written::Waiting)?;
        self.poll_write(ticket)
    }

    /// Takes back what has not been written, after `waited`; the error to return says how much was.
    pub fn abandon_write(&self, ticket: Ticket, waited: Duration) -> Error {
        let written = self.0.state().input.abandon(ticket.0);
        let id = &self.0.id;
        Error::new(
            ErrorKind::Timeout,
            format!("process {id} did not read its input within {waited:?}; it has taken {written} bytes of it"),
        )
    }

    /// Ends its standard input once all that was written is taken; at a terminal by typing the end of input.
    pub fn close_input(&self) {
        self.0.state().input.close();
        self.0.mailbox.post(Command::Write { number: self.0.number });
    }

    /// Sets the size of its terminal; the programs in it are told.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if it has no terminal.
    pub fn resize(&self, size: TerminalSize) -> Result<()> {
        if !self.0.is_terminal {
            return Err(Error::invalid(format!("process {} runs with pipes, wanted one with a terminal", self.0.id)));
        }
        let state = self.0.state();
        // Without a descriptor it has ended, and nobody is there to be told.
        state.input.fd().map_or(Ok(()), |fd| terminal::resize(fd, size))
    }

    /// Sends a signal to it and all that it has started; nothing happens if it has ended.
    pub fn signal(&self, number: i32) {
        self.0.mailbox.post(Command::Signal { number: self.0.number, signal: number });
    }

    /// Asks it and all that it has started to end (SIGTERM), and kills what is left after `grace`; at once, unasked, if that
    /// is zero. Does not wait.
    pub fn stop(&self, grace: Duration) {
        self.0.mailbox.post(Command::Stop { numbers: vec![self.0.number], grace });
    }

    /// The descriptor that is readable when there is something new: output, room, an end. Before looking, call
    /// [`hush`](Self::hush).
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the agent has no descriptor left.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.0.check_process()?;
        self.0.bell.fd()
    }

    /// Makes the descriptor unreadable until there is more.
    pub fn hush(&self) {
        self.0.bell.hush();
    }
}

impl Batch {
    /// The next item: a line with its newline, or what there was of one.
    pub fn pop(&mut self) -> Option<&[u8]> {
        while self.blocks.front().is_some_and(|block| block.len() == 0) {
            self.blocks.pop_front();
        }
        self.blocks.front_mut()?.pop()
    }

    /// How many items are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.iter().map(Block::len).sum()
    }

    /// Whether nothing is left; there may have been a gap all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts another batch, which was read after this one, behind it.
    pub fn append(&mut self, mut later: Self) {
        self.gap.lines += later.gap.lines;
        self.gap.bytes += later.gap.bytes;
        self.blocks.append(&mut later.blocks);
    }
}

impl Shared {
    pub(super) fn new(
        id: Arc<str>,
        number: u64,
        title: String,
        is_terminal: bool,
        mailbox: Arc<Mailbox>,
        state: State,
    ) -> Self {
        Self {
            id,
            number,
            title,
            started_unix_us: Clock::unix_us(),
            is_terminal,
            mailbox,
            maker: fork::Process::current(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            bell: Bell::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells who waits if that made news.
    pub(super) fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let is_news = change(&mut self.state());
        if is_news {
            self.changed.notify_all();
            self.bell.ring();
        }
    }

    /// Waits for something to become so; false if it is not within `timeout`.
    fn wait_until(&self, timeout: Option<Duration>, mut so: impl FnMut(&mut State) -> bool) -> Result<bool> {
        self.check_process()?;
        let deadline = timeout.map(|timeout| Clock::now() + timeout);
        let mut state = self.state();
        loop {
            if so(&mut state) {
                return Ok(true);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = Clock::until(deadline);
                    if left.is_zero() {
                        return Ok(false);
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// In a forked copy of the agent nothing moves: there is no supervisor, and what others held at the fork stays locked.
    fn check_process(&self) -> Result<()> {
        if self.maker.is_current() {
            return Ok(());
        }
        Err(Error::invalid(format!("process {} belongs to the agent that this process was forked from", self.id)))
    }
}

impl State {
    pub(super) fn output(&mut self, stream: Stream) -> Option<&mut Output> {
        match stream {
            Stream::Stdout => Some(&mut self.stdout),
            Stream::Stderr => self.stderr.as_mut(),
        }
    }
}
