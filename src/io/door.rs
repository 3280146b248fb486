//! The door thread: lets callers in, turns strangers away, and buries calls that have ended.
//!
//! Everything that costs time or memory and is not a frame happens here: accepting, the first message, limits, memory for
//! sessions, and giving it back. A connection reaches a media thread only once it has given a valid id, so that whatever a
//! crowd of strangers does, it does not do it to running calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::io::audiosocket::{ServerConfig, Shared};
use crate::io::clock::Clock;
use crate::io::driver::Connection;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::media::{Command, MediaThread};
use crate::io::notify::Notifier;
use crate::io::socket;
use crate::io::stats::count;
use crate::protocol::audiosocket::{Decoder, ID_MESSAGE_LEN, Message};
use crate::protocol::call_id::CallId;
use crate::session::{FarEnd, Session};
use crate::{Error, Result, Timestamp};

/// The door thread's own state.
pub(crate) struct Door {
    config: ServerConfig,
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
    /// Until when no connection is accepted, as the system had no descriptor left.
    resting_until: Option<Timestamp>,
    epoll: Epoll,
    /// Connections that are no calls, oldest first.
    visitors: BTreeMap<u64, Visitor>,
    /// How many of them have given no id.
    pending: usize,
    next_visitor: u64,
    calls: HashMap<CallId, Place>,
    free_slots: BTreeSet<usize>,
    next_key: u64,
    media: Vec<Media>,
    ended: Receiver<Box<Connection>>,
    stop_requests: Receiver<Duration>,
    stopping: Stopping,
}

/// A connection that is no call: not yet, or not any more.
struct Visitor {
    stream: TcpStream,
    peer: SocketAddr,
    stage: Stage,
    deadline: Timestamp,
}

enum Stage {
    /// Its id has not come whole yet.
    Pending { decoder: Decoder, received: usize },
    /// A call with the same id has just ended, or will in a moment.
    AwaitingTurn(CallId, Decoder),
    /// Told to go; what it still sends is read, as closing on unread data would reset the connection and lose our goodbye.
    Leaving,
}

/// Where a call is carried.
#[derive(Clone, Copy)]
struct Place {
    thread: usize,
    phase: usize,
}

/// A media thread, as seen from the door.
struct Media {
    commands: Sender<Command>,
    bell: Arc<Notifier>,
    calls: usize,
    /// How many calls' frames are due in each millisecond of a packet time.
    phases: Vec<usize>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    Draining { until: Timestamp },
    Ending,
}

impl Door {
    /// Listens and starts the media threads.
    pub(crate) fn open(
        config: ServerConfig,
        shared: Arc<Shared>,
        stop_requests: Receiver<Duration>,
    ) -> Result<(Self, SocketAddr)> {
        socket::raise_descriptor_limit(config.max_calls + config.max_pending + SPARE_DESCRIPTORS);
        let doing = || format!("listen on {}", config.listen);
        let listener = socket::listen(config.listen).map_err(|error| Error::io(doing(), error))?;
        let address = listener.local_addr().map_err(|error| Error::io(doing(), error))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| Error::io(doing(), errno.into()))?;
        epoll
            .add(&shared.door_bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))
            .and_then(|()| epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)))
            .map_err(|errno| Error::io(doing(), errno.into()))?;
        let (ended_sender, ended) = bounded(config.max_calls);
        let phases = (config.session.ptime.as_millis() / PHASE.as_millis()) as usize;
        let mut door = Self {
            shared,
            listener: Some(listener),
            resting_until: None,
            epoll,
            visitors: BTreeMap::new(),
            pending: 0,
            next_visitor: FIRST_VISITOR,
            calls: HashMap::with_capacity(config.max_calls),
            free_slots: (0..config.max_calls).collect(),
            next_key: 1,
            media: Vec::with_capacity(config.media_threads),
            ended,
            stop_requests,
            stopping: Stopping::No,
            config,
        };
        for index in 0..door.config.media_threads {
            // Should one fail to start, dropping the door stops those that did.
            let media = door.start_media(index, phases, ended_sender.clone())?;
            door.media.push(media);
        }
        door.shared.log.push(LogLevel::Info, None, LogEvent::Listening { address });
        Ok((door, address))
    }

    fn start_media(&self, index: usize, phases: usize, ended: Sender<Box<Connection>>) -> Result<Media> {
        // Room for every call that there can be, and for what is said to all.
        let (commands, receiver) = bounded(self.config.max_calls + 8);
        let bell = Arc::new(Notifier::new()?);
        let max_calls = self.config.max_calls;
        let shared = Arc::clone(&self.shared);
        let media = MediaThread::new(index, max_calls, shared, receiver, Arc::clone(&bell), ended)?;
        let realtime_priority = self.config.realtime_priority;
        let thread = std::thread::Builder::new()
            .name(format!("talkpath-media{index}"))
            .spawn(move || media.run(realtime_priority))
            .map_err(|error| Error::io("start a media thread", error))?;
        Ok(Media { commands, bell, calls: 0, phases: vec![0; phases], thread: Some(thread) })
    }

    /// Minds the door until a stop is complete.
    pub(crate) fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); BATCH];
        while !(self.stopping == Stopping::Ending && self.calls.is_empty() && self.visitors.is_empty()) {
            let ready = self.epoll.wait(&mut events, self.timeout()).unwrap_or(0);
            for event in &events[..ready] {
                match event.data() {
                    BELL => {
                        self.shared.door_bell.take();
                    }
                    LISTENER => self.accept(),
                    visitor => self.attend(visitor),
                }
            }
            self.bury_ended();
            self.obey_stop_requests();
            self.keep_deadlines();
            self.shared.counters.pending.store(self.pending, Relaxed);
            self.shared.counters.calls.store(self.calls.len(), Relaxed);
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = &self.listener else {
                return;
            };
            match listener.accept() {
                Ok((stream, peer)) => self.welcome(stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The peer went away while it stood in the queue, or a signal came.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.rest(&error);
                    return;
                }
            }
        }
    }

    /// Stops accepting for a while: the system has no descriptor or memory left, and trying again at once would spin.
    fn rest(&mut self, error: &std::io::Error) {
        let event = LogEvent::AcceptFailed { os_error: error.raw_os_error().unwrap_or(0) };
        self.shared.log.push(LogLevel::Error, None, event);
        self.evict_oldest();
        if let Some(listener) = &self.listener {
            let _ = self.epoll.delete(listener);
        }
        self.resting_until = Some(Clock::now() + REST);
    }

    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr) {
        if socket::prepare(&stream).is_err() {
            return;
        }
        if self.pending >= self.config.max_pending {
            self.evict_oldest();
        }
        let key = self.next_visitor;
        self.next_visitor += 1;
        if self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key)).is_err() {
            return;
        }
        let deadline = Clock::now() + self.config.handshake_timeout;
        let stage = Stage::Pending { decoder: Decoder::new(), received: 0 };
        self.visitors.insert(key, Visitor { stream, peer, stage, deadline });
        self.pending += 1;
        // Asterisk's id is mostly there already.
        self.attend(key);
    }

    fn evict_oldest(&mut self) {
        let oldest = self.visitors.iter().find(|(_, visitor)| matches!(visitor.stage, Stage::Pending { .. }));
        if let Some((&key, visitor)) = oldest {
            self.reject(key, LogLevel::Warning, LogEvent::PendingEvicted { peer: visitor.peer });
        }
    }

    /// Closes a connection that never became a call.
    fn reject(&mut self, key: u64, level: LogLevel, event: LogEvent) {
        self.shared.log.push(level, None, event);
        count(&self.shared.counters.connections_rejected);
        self.forget(key);
    }

    fn forget(&mut self, key: u64) -> Option<Visitor> {
        let visitor = self.visitors.remove(&key)?;
        let _ = self.epoll.delete(&visitor.stream);
        self.pending -= usize::from(matches!(visitor.stage, Stage::Pending { .. }));
        Some(visitor)
    }

    /// Reads what a visitor has sent.
    fn attend(&mut self, key: u64) {
        let Some(visitor) = self.visitors.get_mut(&key) else {
            return;
        };
        let peer = visitor.peer;
        let (decoder, received) = match &mut visitor.stage {
            Stage::Pending { decoder, received } => (decoder, received),
            Stage::AwaitingTurn(..) => return,
            Stage::Leaving => {
                let mut discarded = [0; 16_384];
                match visitor.stream.read(&mut discarded) {
                    Ok(n) if n > 0 => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => drop(self.forget(key)),
                }
                return;
            }
        };
        // Not a byte more than the id: what follows is for the media thread to read.
        let mut bytes = [0; ID_MESSAGE_LEN];
        let read = match visitor.stream.read(&mut bytes[*received..]) {
            Ok(n) if n > 0 => n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            _ => return self.reject(key, LogLevel::Debug, LogEvent::ClosedBeforeId { peer }),
        };
        let fresh = &bytes[*received..][..read];
        *received += read;
        match decoder.poll(&mut &*fresh) {
            Ok(Some(Message::Id(id))) => self.admit(key, id),
            Ok(_) => {}
            Err(error) => self.reject(key, LogLevel::Warning, LogEvent::BadStream { peer, error }),
        }
    }

    /// Makes a call of a visitor that has given its id, if it may be one.
    fn admit(&mut self, key: u64, id: CallId) {
        let Some(mut visitor) = self.forget(key) else {
            return;
        };
        let (Stage::Pending { decoder, .. } | Stage::AwaitingTurn(_, decoder)) = visitor.stage else {
            return;
        };
        let now = Clock::now();
        let peer = visitor.peer;
        if self.calls.contains_key(&id) {
            // A dialplan that calls again with the same id can be faster than the end of its last call.
            visitor.stage = Stage::AwaitingTurn(id, decoder);
            visitor.deadline = now + TURN_WAIT;
            self.visitors.insert(key, visitor);
            return;
        }
        let limit = self.config.max_calls;
        let Some(slot) = self.free_slots.first().copied() else {
            return self.refuse(key, id, visitor.stream, peer, LogEvent::TooManyCalls { peer, limit });
        };
        let (place, first_due) = self.find_place(now);
        let session = Session::new(self.config.session.clone(), FarEnd::default(), first_due);
        let place_key = (slot, self.next_key);
        let connection = Connection::new(place_key, id, peer, visitor.stream, decoder, session, now);
        let media = &mut self.media[place.thread];
        if media.commands.try_send(Command::Adopt(Box::new(connection), first_due)).is_err() {
            return;
        }
        self.shared.set_key(slot, self.next_key);
        media.bell.notify();
        media.calls += 1;
        media.phases[place.phase] += 1;
        self.free_slots.remove(&slot);
        self.calls.insert(id, place);
        self.next_key += 1;
        count(&self.shared.counters.calls_began);
        self.shared.log.push(LogLevel::Info, Some(id), LogEvent::CallBegan { peer });
    }

    /// Finds the thread and the phase that carry the fewest calls, and when the first frame is due there.
    fn find_place(&self, now: Timestamp) -> (Place, Timestamp) {
        let thread = (0..self.media.len()).min_by_key(|&thread| self.media[thread].calls).unwrap_or(0);
        let phases = &self.media[thread].phases;
        let phase_us = PHASE.as_micros() as u64;
        // By when the media thread has surely seen the call, on the grid of phases.
        let soonest = (now + HANDOVER).as_micros().div_ceil(phase_us);
        let period = phases.len() as u64;
        let best = (soonest..soonest + period).min_by_key(|at| phases[(at % period) as usize]).unwrap_or(soonest);
        (Place { thread, phase: (best % period) as usize }, Timestamp::from_micros(best * phase_us))
    }

    fn refuse(&mut self, key: u64, id: CallId, stream: TcpStream, peer: SocketAddr, event: LogEvent) {
        count(&self.shared.counters.calls_refused);
        self.shared.log.push(LogLevel::Warning, Some(id), event);
        let _ = (&stream).write(&[0, 0, 0]);
        self.see_off(key, stream, peer);
    }

    /// Closes a connection such that what was sent last still arrives.
    fn see_off(&mut self, key: u64, stream: TcpStream, peer: SocketAddr) {
        let is_open = stream.shutdown(Shutdown::Write).is_ok();
        if is_open && self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key)).is_ok() {
            let wait = if self.stopping == Stopping::No { LEAVE_WAIT } else { LAST_LEAVE_WAIT };
            let deadline = Clock::now() + wait;
            self.visitors.insert(key, Visitor { stream, peer, stage: Stage::Leaving, deadline });
        }
    }

    fn bury_ended(&mut self) {
        while let Ok(connection) = self.ended.try_recv() {
            let Connection { slot, key, id, peer, began, ended, .. } = *connection;
            let skipped = connection.skipped();
            if let Some(place) = self.calls.remove(&id) {
                let media = &mut self.media[place.thread];
                media.calls -= 1;
                media.phases[place.phase] -= 1;
            }
            self.free_slots.insert(slot);
            self.shared.set_finished(slot, key);
            self.shared.notifier.notify();
            if let Some(reason) = ended {
                let event = LogEvent::CallEnded { reason, duration: Clock::now().since(began), skipped };
                self.shared.log.push(LogLevel::Info, Some(id), event);
            }
            let visitor = self.next_visitor;
            self.next_visitor += 1;
            self.see_off(visitor, connection.into_stream(), peer);
            self.let_next_in(id);
        }
    }

    fn let_next_in(&mut self, id: CallId) {
        let waits = |visitor: &Visitor| matches!(visitor.stage, Stage::AwaitingTurn(awaited, _) if awaited == id);
        if let Some((&key, _)) = self.visitors.iter().find(|(_, visitor)| waits(visitor)) {
            self.admit(key, id);
        }
    }

    fn obey_stop_requests(&mut self) {
        while let Ok(grace) = self.stop_requests.try_recv() {
            let until = Clock::now() + grace;
            match &mut self.stopping {
                Stopping::No => {
                    let event = LogEvent::Stopping { calls: self.calls.len(), grace };
                    self.shared.log.push(LogLevel::Info, None, event);
                    self.listener = None;
                    self.resting_until = None;
                    self.visitors.retain(|_, visitor| matches!(visitor.stage, Stage::Leaving));
                    self.pending = 0;
                    let latest = Clock::now() + LAST_LEAVE_WAIT;
                    self.visitors.values_mut().for_each(|visitor| visitor.deadline = visitor.deadline.min(latest));
                    self.tell_media(|| Command::Drain);
                    self.stopping = Stopping::Draining { until };
                }
                Stopping::Draining { until: earlier } => *earlier = until.min(*earlier),
                Stopping::Ending => {}
            }
        }
        if let Stopping::Draining { until } = self.stopping
            && (self.calls.is_empty() || Clock::now() >= until)
        {
            self.tell_media(|| Command::Stop);
            self.stopping = Stopping::Ending;
        }
    }

    fn tell_media(&self, command: impl Fn() -> Command) {
        for media in &self.media {
            let _ = media.commands.send(command());
            media.bell.notify();
        }
    }

    fn keep_deadlines(&mut self) {
        let now = Clock::now();
        if self.resting_until.is_some_and(|until| now >= until) {
            self.resting_until = None;
            if let Some(listener) = &self.listener {
                let _ = self.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
            }
        }
        let overdue: Vec<u64> =
            self.visitors.iter().filter(|(_, visitor)| now >= visitor.deadline).map(|(&key, _)| key).collect();
        for key in overdue {
            let Some(visitor) = self.visitors.get(&key) else {
                continue;
            };
            let peer = visitor.peer;
            match visitor.stage {
                Stage::Pending { .. } => self.reject(key, LogLevel::Warning, LogEvent::NoIdInTime { peer }),
                Stage::AwaitingTurn(id, _) => {
                    if let Some(visitor) = self.forget(key) {
                        self.refuse(key, id, visitor.stream, peer, LogEvent::DuplicateId { peer });
                    }
                }
                Stage::Leaving => drop(self.forget(key)),
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let draining = match self.stopping {
            Stopping::Draining { until } => Some(until),
            _ => None,
        };
        let deadlines = self.visitors.values().map(|visitor| visitor.deadline);
        let Some(next) = deadlines.chain(draining).chain(self.resting_until).min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up, so that it is over when the wait is.
        let ms = next.since(Clock::now()).as_micros().div_ceil(1_000);
        EpollTimeout::try_from(ms.min(3_600_000)).unwrap_or(EpollTimeout::ZERO)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.tell_media(|| Command::Stop);
        for media in &mut self.media {
            if let Some(thread) = media.thread.take() {
                let _ = thread.join();
            }
        }
        self.shared.log.push(LogLevel::Info, None, LogEvent::Stopped);
        self.shared.is_stopped.store(true, Release);
        self.shared.notifier.notify();
    }
}

const LISTENER: u64 = 0;
const BELL: u64 = 1;
const FIRST_VISITOR: u64 = 2;
const BATCH: usize = 64;
/// How many connections are accepted before those that are there are looked after again.
const ACCEPTS_AT_ONCE: usize = 64;
/// How long no connection is accepted once the system had no descriptor for one.
const REST: Duration = Duration::from_millis(100);
/// How long a call with the id of a running one waits for that to end.
const TURN_WAIT: Duration = Duration::from_millis(250);
/// How long a peer that was told to go may take to close.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// The same while the server stops, and somebody waits for that.
const LAST_LEAVE_WAIT: Duration = Duration::from_millis(200);
/// How far apart the phases are that calls are spread over.
const PHASE: Duration = Duration::from_millis(1);
/// By when a media thread has surely taken a call over.
const HANDOVER: Duration = Duration::from_millis(6);
/// Descriptors for everything beside connections.
const SPARE_DESCRIPTORS: usize = 256;
