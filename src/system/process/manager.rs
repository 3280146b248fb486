//! [`ProcessManager`]: starts processes, finds them again, and ends them all.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::pipe2;

use super::console::Console;
use super::guardian::{GuardianConfig, Tier, runtime_directory};
use super::handle::{Phase, Process, Shared, State};
use super::input::Input;
use super::mailbox::{Command, Mailbox, Start};
use super::output::Output;
use super::records::{self, Record};
use super::registry::{Found, Registry};
use super::spec::{ProcessSpec, Stderr};
use super::supervisor::Supervisor;
use super::terminal::open_terminal;
use crate::system::bus::Bus;
use crate::system::fork;
use crate::{Error, ErrorKind, Result};

/// Starts processes and keeps them, until it is closed or the last handle of it is dropped: then all of them end.
///
/// A clone is the same manager. It has one thread, and one guardian beside the agent from the first start on. However the
/// agent ends, by itself or by SIGKILL, the guardian ends what the agent has started, and all that those have started.
#[derive(Clone, Debug)]
pub struct ProcessManager(Arc<Handle>);

/// How a manager is made.
#[derive(Clone, Debug, Default)]
pub struct ManagerConfig {
    /// How descendants are kept together. A tier that the system does not allow is an error at the first start, never a
    /// weaker one.
    pub tier: Tier,
    /// The bus that is told what processes write and how they end, where a [`console`](ProcessSpec::console) is named.
    pub bus: Option<Bus>,
}

#[derive(Debug)]
struct Handle {
    mailbox: Arc<Mailbox>,
    registry: Arc<Registry>,
    bus: Option<Bus>,
    /// What all its ids begin with.
    prefix: String,
    maker: fork::Process,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ProcessManager {
    /// Makes a manager; its guardian is started with the first process.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the system gives no thread or descriptor.
    pub fn new(config: ManagerConfig) -> Result<Self> {
        let mailbox = Arc::new(Mailbox::new()?);
        let registry = Arc::new(Registry::new(Record::new(runtime_directory())));
        let guardian = GuardianConfig { tier: config.tier, ..GuardianConfig::default() };
        let supervisor = Supervisor::new(Arc::clone(&mailbox), Arc::clone(&registry), guardian)?;
        let thread = without_signals(|| {
            std::thread::Builder::new().name("talkpath-process".into()).spawn(move || supervisor.run())
        })?;
        Ok(Self(Arc::new(Handle {
            mailbox,
            registry,
            bus: config.bus,
            prefix: prefix(),
            maker: fork::Process::current(),
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Starts a process, and waits until the system says that it runs.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if the spec asks for what cannot be, [`Io`](ErrorKind::Io) if the
    /// program is not there or the system refuses, [`SessionEnded`](ErrorKind::SessionEnded) if the manager is closed.
    pub fn start(&self, spec: &ProcessSpec) -> Result<Process> {
        let process = self.begin_start(spec)?;
        process.wait_started(None)?;
        Ok(process)
    }

    /// Begins to start a process; [`Process::poll_started`] tells when it runs.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if the spec asks for what cannot be, [`Io`](ErrorKind::Io) if the
    /// agent has no descriptors left, [`SessionEnded`](ErrorKind::SessionEnded) if the manager is closed.
    pub fn begin_start(&self, spec: &ProcessSpec) -> Result<Process> {
        let handle = &self.0;
        if !handle.maker.is_current() {
            return Err(Error::invalid("a process manager from before this process was forked, wanted one made after"));
        }
        let thread = handle.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            return Err(Error::new(ErrorKind::SessionEnded, "the process manager is closed"));
        }
        let prepared = spec.prepare()?;
        let ends = Ends::open(spec)?;
        let number = NEXT.fetch_add(1, Relaxed);
        let id: Arc<str> = format!("{}{number}", handle.prefix).into();
        let output = || Output::new(spec.buffer_bytes, spec.longest_line_bytes, spec.overflow);
        let state = State {
            phase: Phase::Starting,
            stdout: output(),
            stderr: ends.ours[1].is_some().then(output),
            input: Input::new(ends.input, spec.pty.is_some()),
        };
        let console = match (&spec.console, &handle.bus) {
            (None, _) => None,
            (Some(session), Some(bus)) => Some(Console::new(
                bus.publisher(session)?,
                Arc::clone(&id),
                spec.buffer_bytes,
                spec.longest_line_bytes,
                spec.overflow,
            )),
            (Some(_), None) => return Err(Error::invalid("a console without a bus, wanted a manager that has one")),
        };
        let mailbox = Arc::clone(&handle.mailbox);
        let shared = Arc::new(Shared::new(id, number, spec.title(), spec.pty.is_some(), mailbox, state));
        let process = Process(Arc::clone(&shared));
        handle.registry.add(&process);
        handle.mailbox.post(Command::Start(Box::new(Start {
            shared,
            prepared,
            limits: spec.limits,
            console,
            captures: spec.captures,
            prompt_after: spec.prompt_after,
            theirs: ends.theirs,
            ours: ends.ours,
        })));
        Ok(process)
    }

    /// Finds a process by its id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Found> {
        self.0.registry.find(id)
    }

    /// The processes that run, oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<Process> {
        self.0.registry.running()
    }

    /// Takes charge of a process that somebody else started and has not yet reaped, a child of the agent's: it ends with the
    /// agent, however that ends, and so does what descends from it by then. Answers the number for
    /// [`kill_adopted`](Self::kill_adopted) and [`release`](Self::release).
    ///
    /// It cannot be kept as a process of ours is: what has left it by forking twice is not found.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if there is no such process, or in a forked copy of the agent.
    pub fn adopt(&self, pid: u32) -> Result<u64> {
        if !self.0.maker.is_current() {
            return Err(Error::invalid("a process manager from before this process was forked, wanted one made after"));
        }
        let gone = || Error::invalid(format!("process {pid}, wanted one that runs"));
        let began = records::began(pid).ok_or_else(gone)?;
        let pid = i32::try_from(pid).map_err(|_| gone())?;
        let number = NEXT.fetch_add(1, Relaxed);
        self.0.mailbox.post(Command::Adopt { number, pid, began });
        Ok(number)
    }

    /// Kills a process that was adopted, with what descends from it. Whoever started it reaps it.
    pub fn kill_adopted(&self, number: u64) {
        self.0.mailbox.post(Command::Signal { number, signal: rustix::process::Signal::KILL.as_raw() });
    }

    /// Leaves a process that was adopted to itself.
    pub fn release(&self, number: u64) {
        self.0.mailbox.post(Command::Release { number });
    }

    /// How descendants are kept together, once the first process was started.
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        self.0.registry.tier()
    }

    /// The bus that is told.
    #[must_use]
    pub fn bus(&self) -> Option<&Bus> {
        self.0.bus.as_ref()
    }

    /// Asks all processes and what they have started to end (SIGTERM), and kills what is left of them after `grace`, which
    /// they share. Does not wait.
    pub fn stop_all(&self, grace: Duration) {
        let numbers = self.running().iter().map(|process| process.0.number).collect();
        self.0.mailbox.post(Command::Stop { numbers, grace });
    }

    /// Ends everything: asks as [`stop_all`](Self::stop_all) does, waits, kills what is left, and starts nothing more.
    pub fn close(&self, grace: Duration) {
        if !self.0.maker.is_current() {
            return;
        }
        let running = self.running();
        if !running.is_empty() && !grace.is_zero() {
            self.stop_all(grace);
            let deadline = crate::system::clock::Clock::now() + grace + KILLED_WITHIN;
            for process in running {
                // Who does not end in time is killed below.
                let _ = process.wait(Some(crate::system::clock::Clock::until(deadline)));
            }
        }
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.mailbox.post(Command::Shutdown);
        if let Some(thread) = thread {
            // A supervisor that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A forked copy of the agent must end nothing of its parent's.
        if self.maker.is_current() {
            self.mailbox.post(Command::Shutdown);
        }
    }
}

/// The ends of a process's streams: its own, and ours.
struct Ends {
    theirs: [OwnedFd; 3],
    input: OwnedFd,
    ours: [Option<OwnedFd>; 2],
}

impl Ends {
    fn open(spec: &ProcessSpec) -> Result<Self> {
        if let Some(size) = spec.pty {
            let (agent, process) = open_terminal(size)?;
            let theirs = [clone(&process)?, clone(&process)?, process];
            return Ok(Self { theirs, input: clone(&agent)?, ours: [Some(agent), None] });
        }
        let (stdin, input) = pipe()?;
        let (output, stdout) = pipe()?;
        set_nonblocking(&input)?;
        set_nonblocking(&output)?;
        let (error, stderr) = match spec.stderr {
            Stderr::Stdout => (None, clone(&stdout)?),
            Stderr::Separate => {
                let (error, stderr) = pipe()?;
                set_nonblocking(&error)?;
                (Some(error), stderr)
            }
            Stderr::Discard => {
                let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
                (None, null.map_err(|error| Error::io("open /dev/null", error))?.into())
            }
        };
        Ok(Self { theirs: [stdin, stdout, stderr], input, ours: [Some(output), error] })
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::io("open a pipe", errno.into()))
}

/// Our end alone: the process's own would surprise it.
fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags =
        rustix::fs::fcntl_getfl(fd).and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK));
    flags.map_err(|errno| Error::io("set up a pipe", errno.into()))
}

fn clone(fd: &OwnedFd) -> Result<OwnedFd> {
    fd.try_clone().map_err(|error| Error::io("copy a descriptor", error))
}

/// Starts a thread on which all signals are blocked, so that they go to the host's own.
fn without_signals<T>(start: impl FnOnce() -> std::io::Result<T>) -> Result<T> {
    let doing = "start the supervisor's thread";
    let before =
        SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(|errno| Error::io(doing, errno.into()))?;
    let started = start();
    // It cannot fail, as the mask is one that was in force.
    let _ = before.thread_set_mask();
    started.map_err(|error| Error::io(doing, error))
}

/// What the ids of one manager begin with: no two agents' are likely to be the same, nor those of its forked copies.
fn prefix() -> String {
    // Without randomness it is told from the agents that run now, if not from those before.
    let random = getrandom::u32().unwrap_or_else(|_| std::process::id());
    let letter = |at: usize| char::from(LETTERS[(random >> (5 * at)) as usize % LETTERS.len()]);
    (0..4).map(letter).chain(['-']).collect()
}

/// Numbers of all managers of this agent: an id means one process, whichever manager has it.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Letters and digits that no voice and no font confuses.
const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// How long after the grace the system may take to kill what is left.
const KILLED_WITHIN: Duration = Duration::from_secs(2);
