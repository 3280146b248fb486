//! The supervisor: one thread that reads what all processes write, writes what they are to read, and hears how they end.
//!
//! It waits in epoll for the guardian, the outputs, the inputs that were full, and the mailbox. No Python runs on it and no
//! lock of a reader is held while it waits, so that processes are served whatever the agent's threads and loops do. All
//! signals are blocked on it: handlers run on the host's threads, and a closed pipe is an error here and no signal.

mod ends;
mod streams;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::exit::{ExitStatus, LimitKind};
use super::guardian::{Guardian, GuardianConfig, Limit, Notice, Request, SpawnSpec, Status};
use super::handle::{Phase, Shared, Stream};
use super::mailbox::{Command, Mailbox, Start};
use super::registry::Registry;
use super::running::{PIPE, Running, STREAMS};
use super::wire::MAX_STOP_IDS;
use crate::system::clock::Clock;
use crate::{Error, ErrorKind, Result, Timestamp};

pub(super) struct Supervisor {
    epoll: Epoll,
    mailbox: Arc<Mailbox>,
    registry: Arc<Registry>,
    config: GuardianConfig,
    guardian: Option<Guardian>,
    running: HashMap<u64, Running>,
    timers: BinaryHeap<Reverse<(Timestamp, Timer)>>,
    /// What the guardian had no room for.
    backlog: VecDeque<Command>,
    scratch: Box<[u8]>,
    is_shut_down: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// An item has begun and nothing may have followed.
    Prompt(u64, Source),
    /// The process has ended, and someone holds its outputs open.
    Linger(u64),
    /// The bus had no room.
    Console(u64),
    /// The guardian had no room.
    Backlog,
    /// The records of what runs are to be written anew.
    Records,
}

/// Whose descriptor it is; with the process's number it makes epoll's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Mailbox,
    Guardian,
    GuardianEnd,
    Stdout,
    Stderr,
    Stdin,
    /// The pidfd of a process whose guardian is gone.
    End,
}

impl Supervisor {
    pub(super) fn new(mailbox: Arc<Mailbox>, registry: Arc<Registry>, config: GuardianConfig) -> Result<Self> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| Error::io("open an epoll", errno.into()))?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, word(Source::Mailbox, 0));
        epoll.add(mailbox.fd(), event).map_err(|errno| Error::io("watch a mailbox", errno.into()))?;
        Ok(Self {
            epoll,
            mailbox,
            registry,
            config,
            guardian: None,
            running: HashMap::new(),
            timers: BinaryHeap::new(),
            backlog: VecDeque::new(),
            scratch: vec![0; PIPE].into_boxed_slice(),
            is_shut_down: false,
        })
    }

    /// Serves until it is shut down.
    pub(super) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        while !self.is_shut_down {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                // It is ours alone and stays open: there is no way to go on without it.
                Err(_) => break,
            };
            for event in &events[..count] {
                self.handle(event.data());
            }
            self.run_timers();
        }
        self.end();
    }

    fn handle(&mut self, data: u64) {
        let number = data >> SOURCE_BITS;
        match source(data) {
            Some(Source::Mailbox) => {
                for command in self.mailbox.take() {
                    self.obey(command);
                }
            }
            Some(Source::Guardian) => self.hear(),
            Some(Source::GuardianEnd) => {
                self.hear();
                self.lose_guardian();
            }
            Some(Source::Stdout) => self.read(number, Stream::Stdout),
            Some(Source::Stderr) => self.read(number, Stream::Stderr),
            Some(Source::Stdin) => self.write(number),
            Some(Source::End) => self.ended(number, ExitStatus::Unknown),
            None => {}
        }
    }

    fn obey(&mut self, command: Command) {
        if !self.backlog.is_empty() && command.is_for_guardian() {
            // In order: nothing is stopped before it was started.
            self.backlog.push_back(command);
        } else if let Some(command) = self.try_obey(command) {
            self.backlog.push_back(command);
            self.timers.push(Reverse((Clock::now() + GUARDIAN_RETRY, Timer::Backlog)));
        }
    }

    /// Gives the command back if the guardian has no room for it.
    fn try_obey(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Start(start) => return self.start(start).map(Command::Start),
            Command::Write { number } => self.write(number),
            Command::Resume { number, stream } => self.watch_output(number, stream),
            Command::Signal { number, signal } => {
                if !self.ask(&Request::Signal { id: number, signal, whole_tree: true }) {
                    return Some(command);
                }
            }
            Command::Stop { ref numbers, grace } => {
                if !self.stop(numbers, grace) {
                    return Some(command);
                }
            }
            Command::Adopt { number: id, pid, began: started } => {
                // Without a guardian there is nobody to end it; the next one is told of those that come then.
                let asked = self.guardian().and_then(|it| it.request(&Request::Adopt { id, pid, started }, &[]));
                if asked.is_err_and(|error| error.kind() == ErrorKind::LimitExceeded) {
                    return Some(command);
                }
            }
            Command::Release { number } => {
                if !self.ask(&Request::Release { id: number }) {
                    return Some(command);
                }
            }
            Command::Shutdown => self.is_shut_down = true,
        }
        None
    }

    fn run_backlog(&mut self) {
        while let Some(command) = self.backlog.pop_front() {
            if let Some(command) = self.try_obey(command) {
                self.backlog.push_front(command);
                self.timers.push(Reverse((Clock::now() + GUARDIAN_RETRY, Timer::Backlog)));
                return;
            }
        }
    }

    fn start(&mut self, start: Box<Start>) -> Option<Box<Start>> {
        let id = start.shared.number;
        let spec = SpawnSpec {
            argv: start.prepared.argv.clone(),
            env: start.prepared.env.clone(),
            cwd: start.prepared.cwd.clone(),
            pty: start.shared.is_terminal,
            limits: start.limits.for_guardian(),
        };
        let fds = start.theirs.each_ref().map(|fd| fd.as_fd());
        let asked = self.guardian().and_then(|guardian| guardian.request(&Request::Spawn { id, spec }, &fds));
        match asked {
            Ok(()) => {
                self.running.insert(id, Running::new(*start));
            }
            Err(error) if error.kind() == ErrorKind::LimitExceeded => return Some(start),
            Err(error) => {
                self.registry.forget(&start.shared);
                fail(&start.shared, error);
            }
        }
        None
    }

    /// The guardian, started now if there is none.
    fn guardian(&mut self) -> Result<&Guardian> {
        if self.guardian.is_none() {
            let guardian = Guardian::start(&self.config)?;
            self.registry.set_tier(guardian.tier());
            for (fd, source) in [(guardian.fd(), Source::Guardian), (guardian.pidfd(), Source::GuardianEnd)] {
                watch(&self.epoll, fd, EpollFlags::EPOLLIN, word(source, 0))
                    .map_err(|errno| Error::io("watch the guardian", errno.into()))?;
            }
            self.guardian = Some(guardian);
        }
        self.guardian.as_ref().ok_or_else(|| Error::invalid("no guardian"))
    }

    /// Asks something of the guardian, if there is one; false if it has no room for it now.
    fn ask(&mut self, request: &Request) -> bool {
        let asked = self.guardian.as_ref().map_or(Ok(()), |guardian| guardian.request(request, &[]));
        match asked {
            Err(error) if error.kind() == ErrorKind::LimitExceeded => return false,
            Err(_) => self.lose_guardian(),
            Ok(()) => {}
        }
        true
    }

    fn stop(&mut self, numbers: &[u64], grace: Duration) -> bool {
        if grace.is_zero() {
            // Not asked first: whoever ends at the asking would not have been killed.
            let signal = rustix::process::Signal::KILL.as_raw();
            return numbers.iter().all(|id| self.ask(&Request::Signal { id: *id, signal, whole_tree: true }));
        }
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        // Said twice to some where there is no room for the rest, which changes nothing for them.
        numbers.chunks(MAX_STOP_IDS).all(|ids| self.ask(&Request::Stop { ids: ids.to_vec(), grace_ms }))
    }

    /// Takes what the guardian has to say.
    fn hear(&mut self) {
        while let Some(guardian) = &self.guardian {
            match guardian.poll_notice() {
                Ok(Some(notice)) => self.take_notice(notice),
                Ok(None) => return,
                Err(_) => return self.lose_guardian(),
            }
        }
    }

    fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Spawned { id, pid, pidfd } => {
                let Some(running) = self.running.get_mut(&id) else { return };
                running.pidfd = Some(pidfd);
                running.shared.change(|state| {
                    state.phase = Phase::Running { pid };
                    true
                });
                if let Some(console) = &mut running.console {
                    console.started(pid);
                }
                self.time_records();
                for stream in STREAMS {
                    self.watch_output(id, stream);
                }
                self.write(id);
            }
            Notice::SpawnFailed { id, stage, errno } => {
                if let Some(running) = self.running.remove(&id) {
                    self.registry.forget(&running.shared);
                    let doing = format!("start {}, at {}", running.shared.title, stage.name());
                    fail(&running.shared, Error::io(doing, std::io::Error::from_raw_os_error(errno)));
                }
            }
            Notice::Exited { id, status } => {
                let status = match status {
                    Status::Code(code) => ExitStatus::Code(code),
                    Status::Signal { number, core_dumped } => ExitStatus::Signal { number, core_dumped },
                };
                self.ended(id, status);
            }
            Notice::LimitReached { id, which } => {
                if let Some(running) = self.running.get_mut(&id) {
                    running.limit.get_or_insert(match which {
                        Limit::Processes => LimitKind::Processes,
                        Limit::Memory => LimitKind::Memory,
                        Limit::Cpu => LimitKind::CpuTime,
                        Limit::Wall => LimitKind::WallTime,
                    });
                }
            }
            Notice::Lost { id, .. } => self.ended(id, ExitStatus::Unknown),
            Notice::TreeGone { .. } => {}
            Notice::Gone => self.lose_guardian(),
        }
    }

    fn time_records(&mut self) {
        if self.registry.mark_changed() {
            self.timers.push(Reverse((Clock::now() + RECORDS, Timer::Records)));
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let Some(Reverse((due, _))) = self.timers.peek() else { return EpollTimeout::NONE };
        // Rounded up, so that it is not asked a thousand times within the last millisecond.
        let ms = Clock::until(*due).as_micros().div_ceil(1_000);
        EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::ZERO)
    }

    fn run_timers(&mut self) {
        let now = Clock::now();
        while let Some(Reverse((due, timer))) = self.timers.peek().copied() {
            if due > now {
                return;
            }
            self.timers.pop();
            match timer {
                Timer::Prompt(number, source) => {
                    let stream = if source == Source::Stderr { Stream::Stderr } else { Stream::Stdout };
                    let Some(running) = self.running.get_mut(&number) else { continue };
                    match running.end_prompt(stream, now) {
                        Some(due) => self.timers.push(Reverse((due, timer))),
                        None => {
                            if let Some(tap) = &mut running.taps[stream as usize] {
                                tap.is_prompt_timed = false;
                            }
                            self.publish(number);
                        }
                    }
                }
                Timer::Linger(number) => {
                    if self.running.get(&number).is_some_and(|running| !running.is_told) {
                        self.tell(number);
                    }
                }
                Timer::Console(number) => {
                    self.publish(number);
                    self.tell_if_ready(number);
                }
                Timer::Backlog => self.run_backlog(),
                Timer::Records => self.registry.write_records(),
            }
        }
    }
}

fn fail(shared: &Shared, error: Error) {
    shared.change(|state| {
        state.phase = Phase::Failed(Some(error));
        drop(state.input.fail());
        true
    });
}

fn watch(epoll: &Epoll, fd: BorrowedFd<'_>, flags: EpollFlags, word: u64) -> nix::Result<()> {
    epoll.add(fd, EpollEvent::new(flags, word))
}

fn word(source: Source, number: u64) -> u64 {
    number << SOURCE_BITS | source as u64
}

fn source(word: u64) -> Option<Source> {
    let all = [
        Source::Mailbox,
        Source::Guardian,
        Source::GuardianEnd,
        Source::Stdout,
        Source::Stderr,
        Source::Stdin,
        Source::End,
    ];
    all.into_iter().find(|source| *source as u64 == word & ((1 << SOURCE_BITS) - 1))
}

const SOURCE_BITS: u32 = 4;
/// When the guardian is asked again after it had no room.
const GUARDIAN_RETRY: Duration = Duration::from_millis(2);
/// How soon the records tell what has changed.
const RECORDS: Duration = Duration::from_millis(50);
