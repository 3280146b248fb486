//! What the supervisor is asked to do, by any thread, without waiting for it.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::console::Console;
use super::handle::{Shared, Stream};
use super::spec::{Limits, Prepared};
use crate::{Error, Result};

/// One thing to do.
#[derive(Debug)]
pub(super) enum Command {
    Start(Box<Start>),
    /// Something is to be written.
    Write {
        number: u64,
    },
    /// There is room for output again.
    Resume {
        number: u64,
        stream: Stream,
    },
    Signal {
        number: u64,
        signal: i32,
    },
    Stop {
        numbers: Vec<u64>,
        grace: Duration,
    },
    /// A process that somebody else started is to end with the agent.
    Adopt {
        number: u64,
        pid: i32,
        began: u64,
    },
    /// Not any more.
    Release {
        number: u64,
    },
    /// The last thing: everything ends.
    Shutdown,
}

/// What it takes to start a process.
#[derive(Debug)]
pub(super) struct Start {
    pub shared: Arc<Shared>,
    pub prepared: Prepared,
    pub limits: Limits,
    pub console: Option<Console>,
    /// Whether output is held for readers.
    pub captures: bool,
    pub prompt_after: Option<Duration>,
    /// The process's ends of its input, output and error.
    pub theirs: [OwnedFd; 3],
    /// Our ends of its output and its error.
    pub ours: [Option<OwnedFd>; 2],
}

impl Command {
    /// Whether the guardian has to be asked for it.
    pub(super) fn is_for_guardian(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Resume { .. } | Self::Shutdown)
    }
}

/// The queue, and the descriptor that wakes the supervisor.
#[derive(Debug)]
pub(super) struct Mailbox {
    commands: Mutex<VecDeque<Command>>,
    event: EventFd,
}

impl Mailbox {
    pub(super) fn new() -> Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(|errno| Error::io("open an eventfd", errno.into()))?;
        Ok(Self { commands: Mutex::default(), event })
    }

    pub(super) fn post(&self, command: Command) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = commands.is_empty();
        commands.push_back(command);
        drop(commands);
        if is_first {
            // It cannot overflow: it is written only where the queue was empty.
            let _ = self.event.write(1);
        }
    }

    /// Takes all that is there.
    pub(super) fn take(&self) -> VecDeque<Command> {
        // The descriptor first: emptied after the queue, it could swallow the word of what comes in between.
        let _ = self.event.read();
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
