//! The media thread: a clock, the connections it owns, and nobody to wait for.
//!
//! Each pass sends what is due, then reads what has come, and then sleeps until the next absolute deadline. Calls are
//! spread over phases a millisecond apart, so that a pass serves few of them and the last in it is hardly later than
//! the first; reading goes in batches with a look at the deadlines in between. A pass allocates nothing and takes no lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::notify::Notifier;
use crate::io::priority::{Priority, raise_this_thread};
use crate::io::server::call::Call;
use crate::io::server::connection::{Connection, Served};
use crate::io::server::link::{Desk, Scratch};
use crate::io::server::shared::Shared;
use crate::io::stats::MediaStats;
use crate::session::EndReason;
use crate::{Error, Result, Timestamp};

/// What the door tells a media thread.
pub(super) enum Command {
    /// Here is a call, whose first frame is due then.
    Adopt(Box<Connection>, Timestamp),
    /// Let every call end in peace.
    Drain,
    /// End every call now, and stop.
    Stop,
}

/// A media thread's own state.
pub(super) struct MediaThread {
    index: usize,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    /// Notified with each command.
    bell: Arc<Notifier>,
    /// Connections that ended go back to the door, which buries them.
    ended: Sender<Box<Connection>>,
    epoll: Epoll,
    events: Vec<EpollEvent>,
    connections: Vec<Option<Box<Connection>>>,
    /// When each connection wants to be served, beside them so that a pass finds the due ones in one sweep.
    due: Vec<Timestamp>,
    calls: usize,
    scratch: Scratch,
    stats: MediaStats,
    published: Timestamp,
    wake_agents: bool,
    is_stopping: bool,
}

impl MediaThread {
    /// Prepares a thread for up to `max_calls` calls; [`run`](Self::run) is what the thread does.
    pub(super) fn new(
        index: usize,
        max_calls: usize,
        shared: Arc<Shared>,
        commands: Receiver<Command>,
        bell: Arc<Notifier>,
        ended: Sender<Box<Connection>>,
    ) -> Result<Self> {
        let failed = |errno: nix::Error| Error::io("set up a media thread", errno.into());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        epoll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL)).map_err(failed)?;
        Ok(Self {
            index,
            shared,
            commands,
            bell,
            ended,
            epoll,
            events: vec![EpollEvent::empty(); BATCH],
            connections: (0..max_calls).map(|_| None).collect(),
            due: vec![NEVER; max_calls],
            calls: 0,
            scratch: Scratch::new(),
            stats: MediaStats::default(),
            published: Timestamp::ZERO,
            wake_agents: false,
            is_stopping: false,
        })
    }

    /// Carries calls until it is told to stop.
    pub(super) fn run(mut self, realtime_priority: bool) {
        self.stats.priority = if realtime_priority { raise_this_thread() } else { Priority::Normal };
        // The system may round a sleep up by this much to save wake-ups; 50 µs unless told otherwise.
        let _ = nix::sys::prctl::set_timerslack(1_000);
        let event = LogEvent::MediaThread { index: self.index, priority: self.stats.priority };
        self.shared.log.push(LogLevel::Info, None, event);
        self.publish(Clock::now());
        let mut woke = Clock::now();
        loop {
            let sent_until = self.send_due();
            let is_backlogged = self.read_batch();
            self.notify_agents();
            if self.is_stopping && self.calls == 0 {
                break;
            }
            if is_backlogged {
                continue;
            }
            let now = Clock::now();
            self.stats.passes.record(now.since(woke));
            if now.since(self.published) >= PUBLISH_INTERVAL {
                self.publish(now);
            }
            if self.calls == 0 {
                self.wait_for_command();
            } else {
                Clock::sleep_until(self.next_deadline().min(sent_until + READ_INTERVAL));
            }
            woke = Clock::now();
        }
        self.publish(Clock::now());
    }

    /// Serves every connection that is due; returns when it was done looking.
    fn send_due(&mut self) -> Timestamp {
        let now = Clock::now();
        for slot in 0..self.due.len() {
            if self.due[slot] <= now {
                self.serve(slot);
            }
        }
        now
    }

    /// Reads from one batch of connections; says whether there may be more.
    fn read_batch(&mut self) -> bool {
        let ready = self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
        let mut has_read = false;
        for i in 0..ready {
            let event = self.events[i];
            if event.data() == BELL {
                self.bell.take();
                self.obey_commands();
                continue;
            }
            let slot = event.data() as usize;
            let is_writable = event.events().contains(EpollFlags::EPOLLOUT);
            let (Some(connection), mut desk) = self.connection_and_desk(slot) else {
                continue;
            };
            if is_writable {
                connection.flush(&mut desk);
                self.watch_for_room(slot);
            }
            has_read |= self.read(slot);
        }
        ready == BATCH && has_read
    }

    fn obey_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            let now = Clock::now();
            match command {
                Command::Adopt(connection, first_due) => self.adopt(connection, first_due),
                Command::Drain => self.connections.iter_mut().flatten().for_each(|connection| connection.drain(now)),
                Command::Stop => {
                    self.is_stopping = true;
                    self.connections.iter_mut().flatten().for_each(|connection| connection.stop(now));
                    // Due at once, so that each is served and says that it has ended.
                    for (due, connection) in self.due.iter_mut().zip(&self.connections) {
                        *due = if connection.is_some() { now } else { NEVER };
                    }
                }
            }
        }
    }

    fn adopt(&mut self, connection: Box<Connection>, first_due: Timestamp) {
        let slot = connection.slot;
        let watched = connection.link().watch(&self.epoll, slot as u64);
        self.due[slot] = first_due;
        let connection = self.connections[slot].insert(connection);
        self.calls += 1;
        if watched.is_err() || self.is_stopping {
            connection.stop(Clock::now());
            self.due[slot] = Timestamp::ZERO;
        }
        // What came before the call was carried waits to be heard.
        self.read(slot);
    }

    fn read(&mut self, slot: usize) -> bool {
        let (Some(connection), mut desk) = self.connection_and_desk(slot) else {
            return false;
        };
        match catch_unwind(AssertUnwindSafe(|| connection.read(&mut desk))) {
            Ok(false) => return false,
            Ok(true) => self.serve(slot),
            Err(_) => self.bury_panicked(slot),
        }
        true
    }

    /// Does what a connection's session wants done, and what that leaves to do.
    fn serve(&mut self, slot: usize) {
        let (Some(connection), mut desk) = self.connection_and_desk(slot) else {
            return;
        };
        let had_unsent = connection.has_unsent();
        // A defect in one session must not cost the others their calls. The session is not used after a panic.
        let Ok(served) = catch_unwind(AssertUnwindSafe(|| connection.serve(&mut desk))) else {
            self.bury_panicked(slot);
            return;
        };
        let Served { has_begun, wake, next } = served;
        let has_unsent = connection.has_unsent();
        if has_begun && let Some(agent) = connection.take_agent() {
            let Connection { key, id, peer, local, .. } = *connection;
            let call = Call { key, id, peer, local, transport: self.shared.transport, agent };
            self.wake_agents = true;
            // An agent that finds no room is dropped, which hangs up.
            if let Err(unsent) = self.shared.began.try_send(call) {
                let id = unsent.into_inner().id;
                self.shared.log.push(LogLevel::Error, Some(id), LogEvent::NotAccepted);
            }
        }
        if wake {
            self.shared.set_ready(slot);
            self.wake_agents = true;
        }
        match next {
            Some(when) => {
                self.due[slot] = when;
                if has_unsent != had_unsent {
                    self.watch_for_room(slot);
                }
            }
            None => self.bury(slot),
        }
    }

    /// Has epoll say when a socket has room again, as long as part of a message waits for it.
    fn watch_for_room(&mut self, slot: usize) {
        let Some(connection) = &self.connections[slot] else {
            return;
        };
        connection.link().watch_for_room(&self.epoll, slot as u64, connection.has_unsent());
    }

    fn bury_panicked(&mut self, slot: usize) {
        if let Some(connection) = &mut self.connections[slot] {
            self.shared.log.push(LogLevel::Error, Some(connection.id), LogEvent::SessionPanicked);
            connection.give_up();
            connection.ended = Some(EndReason::TransportError);
        }
        self.bury(slot);
    }

    /// Hands a connection that has ended back to the door.
    fn bury(&mut self, slot: usize) {
        self.due[slot] = NEVER;
        if let Some(connection) = self.connections[slot].take() {
            connection.link().unwatch(&self.epoll);
            self.calls -= 1;
            // The channel has room for every call that there can be.
            let _ = self.ended.try_send(connection);
            self.shared.door_bell.notify();
        }
    }

    fn notify_agents(&mut self) {
        if std::mem::take(&mut self.wake_agents) {
            self.shared.notifier.notify();
        }
    }

    fn wait_for_command(&mut self) {
        let mut event = [EpollEvent::empty()];
        let _ = self.epoll.wait(&mut event, EpollTimeout::NONE);
    }

    fn publish(&mut self, now: Timestamp) {
        self.stats.cpu = Clock::thread_cpu_time();
        if self.shared.counters.publish(self.index, &self.stats) {
            self.published = now;
        }
    }

    fn next_deadline(&self) -> Timestamp {
        self.due.iter().copied().min().unwrap_or(NEVER)
    }

    /// Borrows a connection together with what it needs from the thread.
    fn connection_and_desk(&mut self, slot: usize) -> (Option<&mut Connection>, Desk<'_>) {
        let connection = self.connections.get_mut(slot).and_then(|connection| connection.as_deref_mut());
        let desk = Desk {
            call: connection.as_ref().map(|connection| connection.id).unwrap_or_default(),
            scratch: &mut self.scratch,
            log: &self.shared.log,
            stats: &mut self.stats,
            idle_timeout: self.shared.idle_timeout,
        };
        (connection, desk)
    }
}

/// The bell's place among the sockets' slots.
const BELL: u64 = u64::MAX;
/// How many sockets are read before the deadlines are looked at again.
const BATCH: usize = 32;
/// The deadline of an empty place.
const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);
/// The longest that a message waits to be read.
const READ_INTERVAL: Duration = Duration::from_millis(5);
/// How often a thread shows its counters.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
