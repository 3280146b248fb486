//! The parent of one child: a process that does nothing but keep it, and everything that descends from it.
//!
//! Each child has one, so that whose descendant a process is never has to be guessed: what a child leaves behind (a daemon
//! that forked twice, with a session and an environment of its own) becomes the child of that child's keeper, by the
//! system's own rule for subreapers. A keeper lives until nothing is left below it. Should the guardian be killed, it ends
//! its tree by itself; should it be killed, the guardian inherits the tree and ends it.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use crate::cgroup::Group;
use crate::child::{self, Failure, number};
use crate::namespace::Namespaces;
use crate::outlet::Outlet;
use crate::proc::Stat;
use crate::record::Records;
use crate::sys::{self, PollFd, Reaped, WaitStatus};
use crate::tree;
use crate::wire::{Limit, MESSAGE_LEN, Notice, Request, SpawnSpec, Stage, Status};

/// What a keeper is given.
pub(crate) struct Charge<'a> {
    /// The agent's number for the child.
    pub(crate) id: u64,
    /// What to start.
    pub(crate) spec: SpawnSpec,
    /// Its standard input, output and error.
    pub(crate) streams: Vec<OwnedFd>,
    /// The agent's socket.
    pub(crate) agent: RawFd,
    /// What the guardian says comes here; it is gone when the other end is.
    pub(crate) control: OwnedFd,
    /// Readable when a child has ended.
    pub(crate) watch: &'a OwnedFd,
    /// The agent's limits of open files.
    pub(crate) files_before: (u64, u64),
    /// The guardian's control group, if children have their own.
    pub(crate) group: Option<&'a Group>,
    /// The namespaces this process is in, if it is in any.
    pub(crate) namespaces: Option<Namespaces>,
    /// The guardian's records, if it has any.
    pub(crate) records: Option<&'a Records>,
}

/// Starts the child and keeps it until nothing of it is left; for a process just forked.
pub(crate) fn keep(mut charge: Charge<'_>) -> ! {
    sys::set_name(c"talkpath-keeper");
    let outlet = Outlet::new(charge.agent, PollFd::hung_up(charge.control.as_raw_fd()));
    let id = charge.id;
    match prepare(&mut charge) {
        Ok((child, group)) => {
            // Not reaped yet, so the number is the child's.
            let pidfd = sys::pidfd_open(child).ok();
            // In a namespace of its own the numbers mean nothing outside; there the system leaves nothing behind.
            let record = charge.records.filter(|_| charge.namespaces.is_none()).and_then(|records| records.note(child));
            outlet.tell(&Notice::Spawned { id, pid: child }, pidfd.as_ref().map(OwnedFd::as_raw_fd));
            Keeper::new(charge, outlet, child, group, record).run()
        }
        Err((stage, errno)) => {
            outlet.tell(&Notice::SpawnFailed { id, stage, errno }, None);
            sys::exit_now(0)
        }
    }
}

/// Readies the keeper itself, and starts the child.
fn prepare(charge: &mut Charge<'_>) -> Result<(i32, Option<Group>), Failure> {
    let at = |stage| move |error: std::io::Error| (stage, number(&error));
    let mut keep = vec![charge.agent, charge.control.as_raw_fd(), charge.watch.as_raw_fd()];
    keep.extend(charge.records.map(Records::lock));
    keep.extend(charge.streams.iter().map(OwnedFd::as_raw_fd));
    // The other keepers' control sockets above all: each must be gone when the guardian is.
    child::close_all_but(&mut keep).map_err(at(Stage::Keeper))?;
    sys::become_subreaper().map_err(at(Stage::Keeper))?;
    if let Some(namespaces) = charge.namespaces {
        namespaces.settle().map_err(at(Stage::Namespace))?;
    }
    let group = charge.group.map(|group| group.of_child(charge.id, &charge.spec.limits)).transpose();
    let group = group.map_err(at(Stage::Cgroup))?;
    let procs = group.as_ref().and_then(Group::procs);
    let started = child::start(&charge.spec, &charge.streams, charge.files_before, procs.as_deref());
    // Only the child is to hold them: whoever reads its output waits for the last holder.
    charge.streams.clear();
    match started {
        Ok(child) => Ok((child, group)),
        Err(failure) => {
            // The child that failed has to be reaped before its group can go.
            tree::destroy(charge.watch, &[], None, |_, _| {});
            group.iter().for_each(Group::remove);
            Err(failure)
        }
    }
}

struct Keeper<'a> {
    charge: Charge<'a>,
    outlet: Outlet,
    child: i32,
    /// Whether the child itself is still to be reaped, so that its number is its own.
    child_there: bool,
    group: Option<Group>,
    record: Option<PathBuf>,
    killed: u32,
    /// When what is left after a stop is killed.
    stop_at: Option<u64>,
    /// When the child has run for as long as it may.
    wall_at: Option<u64>,
    /// When its tree is looked at next, if it has bounds that have to be looked after.
    look_at: Option<u64>,
    ticks_per_second: u64,
    page_bytes: u64,
}

impl<'a> Keeper<'a> {
    fn new(charge: Charge<'a>, outlet: Outlet, child: i32, group: Option<Group>, record: Option<PathBuf>) -> Self {
        let now = sys::now_ms();
        let limits = charge.spec.limits;
        let looks = [limits.nproc, limits.memory_bytes, limits.cpu_seconds].iter().any(Option::is_some);
        let (ticks_per_second, page_bytes) = sys::units();
        Self {
            charge,
            outlet,
            child,
            child_there: true,
            group,
            record,
            killed: 0,
            stop_at: None,
            wall_at: limits.wall_ms.map(|wall_ms| now.saturating_add(wall_ms)),
            look_at: looks.then_some(now),
            ticks_per_second,
            page_bytes,
        }
    }

    fn run(mut self) -> ! {
        loop {
            self.reap();
            let due = [self.stop_at, self.wall_at, self.look_at].into_iter().flatten().min();
            let wait = due.map_or(-1, |due| due.saturating_sub(sys::now_ms()).min(LONGEST_WAIT_MS) as i32);
            let mut fds =
                [PollFd::readable(self.charge.control.as_raw_fd()), PollFd::readable(self.charge.watch.as_raw_fd())];
            sys::poll(&mut fds, wait);
            if fds[1].ready() {
                sys::forget_signals(self.charge.watch);
            }
            if fds[0].ready() {
                self.obey();
            }
            self.look_after_time(sys::now_ms());
        }
    }

    /// Does what the guardian says.
    fn obey(&mut self) {
        let mut buffer = vec![0; MESSAGE_LEN];
        let request = match sys::receive(self.charge.control.as_raw_fd(), &mut buffer) {
            Ok((0, ..)) => None,
            Ok((len, ..)) => Request::decode(&buffer[..len]).ok(),
            Err(error) if error.raw_os_error() == Some(sys::EAGAIN) => return,
            Err(_) => None,
        };
        match request {
            Some(Request::Signal { signal: sys::SIGKILL, whole_tree: true, .. }) => self.destroy(),
            Some(Request::Signal { signal, whole_tree: true, .. }) => tree::signal_all(&[signal]),
            Some(Request::Signal { signal, .. }) if self.child_there => {
                // A number that is no signal is refused by the system, and nothing happens.
                let _ = sys::kill(self.child, signal);
            }
            Some(Request::Signal { .. }) => {}
            Some(Request::Stop { grace_ms, .. }) => {
                let stop_at = sys::now_ms() + u64::from(grace_ms);
                self.stop_at = Some(self.stop_at.map_or(stop_at, |sooner| sooner.min(stop_at)));
                // A shell at a terminal does not mind TERM; what is stopped has to go on to end.
                let signals = [sys::SIGTERM, sys::SIGCONT, sys::SIGHUP];
                tree::signal_all(if self.charge.spec.pty { &signals } else { &signals[..2] });
            }
            // The guardian is gone, and with it the agent's way to reach this tree.
            _ => {
                self.destroy();
                self.end()
            }
        }
    }

    fn look_after_time(&mut self, now: u64) {
        if self.wall_at.is_some_and(|at| now >= at) {
            self.wall_at = None;
            self.exceed(Limit::Wall);
        }
        if self.look_at.is_some_and(|at| now >= at) {
            self.look_at = Some(now + LOOK_EVERY_MS);
            if let Some(limit) = self.look() {
                self.exceed(limit);
            }
        }
        if self.stop_at.is_some_and(|at| now >= at) {
            self.stop_at = None;
            self.destroy();
        }
    }

    /// Counts what the tree has and uses; the bound it is beyond, if any.
    fn look(&self) -> Option<Limit> {
        // What ended and was reaped here has left its time with this process.
        let mut ticks = Stat::read(std::process::id() as i32).map_or(0, |own| own.cpu_ticks);
        let (mut processes, mut pages) = (0, 0);
        tree::survey(|stat| {
            processes += 1;
            pages += stat.resident_pages;
            ticks += stat.cpu_ticks;
        });
        let limits = self.charge.spec.limits;
        let beyond = |value: u64, limit: Option<u64>| limit.is_some_and(|limit| value > limit);
        [
            (Limit::Processes, beyond(processes, limits.nproc)),
            (Limit::Memory, beyond(pages.saturating_mul(self.page_bytes), limits.memory_bytes)),
            (Limit::Cpu, beyond(ticks, limits.cpu_seconds.map(|limit| limit.saturating_mul(self.ticks_per_second)))),
        ]
        .into_iter()
        .find_map(|(limit, beyond)| beyond.then_some(limit))
    }

    fn exceed(&mut self, which: Limit) {
        self.outlet.tell(&Notice::LimitReached { id: self.charge.id, which }, None);
        self.destroy();
    }

    /// Kills the tree.
    fn destroy(&mut self) {
        let mut alive = 0;
        tree::survey(|_| alive += 1);
        if let Some(group) = &self.group {
            group.kill();
        }
        if std::process::id() == 1 {
            // The first process of a namespace: everybody else in it.
            let _ = sys::kill(-1, sys::SIGKILL);
        }
        let mut ended = None;
        let killed = tree::destroy(self.charge.watch, &[], None, |pid, status| {
            if pid == self.child {
                ended = Some(status);
            }
        });
        self.killed += killed.max(alive);
        if let Some(status) = ended {
            self.report(status);
        }
    }

    /// Takes leave of children that have ended, the last of all with the keeper itself.
    fn reap(&mut self) {
        loop {
            match sys::reap() {
                Reaped::Child(pid, status) if pid == self.child && self.child_there => self.report(status),
                Reaped::Child(..) => {}
                Reaped::NoneYet => return,
                Reaped::NoChildren => self.end(),
            }
        }
    }

    fn report(&mut self, status: WaitStatus) {
        self.child_there = false;
        let status = status.code().map_or_else(
            || {
                let (number, core_dumped) = status.signal();
                Status::Signal { number, core_dumped }
            },
            Status::Code,
        );
        self.outlet.tell(&Notice::Exited { id: self.charge.id, status }, None);
    }

    fn end(&mut self) -> ! {
        let id = self.charge.id;
        if let Some(group) = &self.group {
            if group.ran_out_of_memory() {
                self.outlet.tell(&Notice::LimitReached { id, which: Limit::Memory }, None);
            }
            group.remove();
        }
        if let Some(record) = &self.record {
            let _ = fs::remove_file(record);
        }
        self.outlet.tell(&Notice::TreeGone { id, killed: self.killed }, None);
        sys::exit_now(0)
    }
}

/// How often a tree with bounds is looked at: a program that forks without end makes some hundred processes meanwhile.
const LOOK_EVERY_MS: u64 = 20;
const LONGEST_WAIT_MS: u64 = 3_600_000;
