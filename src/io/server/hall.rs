//! Where calls are carried: places, media threads, and which call has which.
//!
//! The door thread owns it and lends it to the [`Entrance`](super::entrance::Entrance). It gives a call the thread and
//! the millisecond that carry the fewest calls, and takes back what a call has left.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::notify::Notifier;
use crate::io::server::Outcome;
use crate::io::server::config::ServerConfig;
use crate::io::server::connection::Connection;
use crate::io::server::link::Link;
use crate::io::server::media::{Command, MediaThread};
use crate::io::server::shared::Shared;
use crate::io::stats::count;
use crate::protocol::call_id::CallId;
use crate::session::{FarEnd, Input, Session, WireFormat};
use crate::{Error, Result, Timestamp};

/// The places for calls, and the threads that carry them.
pub(crate) struct Hall {
    pub(crate) config: ServerConfig,
    shared: Arc<Shared>,
    epoll: Epoll,
    calls: HashMap<CallId, Place>,
    free_slots: BTreeSet<usize>,
    next_key: u64,
    media: Vec<Media>,
    ended: Receiver<Box<Connection>>,
    outcomes: Sender<Outcome>,
}

/// Who wants to come in.
pub(crate) struct Guest {
    pub(crate) id: CallId,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) link: Box<dyn Link>,
    pub(crate) far_end: FarEnd,
    /// What each side sends, where the transport knows it beforehand: the call then begins at once.
    pub(crate) format: Option<WireFormat>,
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

impl Hall {
    /// Starts the media threads.
    pub(crate) fn open(config: ServerConfig, shared: Arc<Shared>, outcomes: Sender<Outcome>) -> Result<Self> {
        let failed = |errno: nix::Error| Error::io("set up the door thread", errno.into());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        epoll.add(&shared.door_bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL)).map_err(failed)?;
        let (ended_sender, ended) = bounded(config.max_calls);
        let phases = (config.session.ptime.as_millis() / PHASE.as_millis()) as usize;
        let mut hall = Self {
            shared,
            epoll,
            calls: HashMap::with_capacity(config.max_calls),
            free_slots: (0..config.max_calls).collect(),
            next_key: 1,
            media: Vec::with_capacity(config.media_threads),
            ended,
            outcomes,
            config,
        };
        for index in 0..hall.config.media_threads {
            // Should one fail to start, dropping the hall stops those that did.
            let media = hall.start_media(index, phases, ended_sender.clone())?;
            hall.media.push(media);
        }
        Ok(hall)
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

    /// What an entrance has its sockets watched by; the highest token is taken.
    pub(crate) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// Waits for sockets until `timeout`, and hands over the tokens of those that are ready.
    pub(super) fn wait(&self, events: &mut [EpollEvent], timeout: EpollTimeout) -> usize {
        self.epoll.wait(events, timeout).unwrap_or(0)
    }

    /// Logs what happened, to a call or to none.
    pub(crate) fn log(&self, level: LogLevel, call: Option<CallId>, event: LogEvent) {
        self.shared.log.push(level, call, event);
    }

    /// Logs why somebody never became a call, and counts it.
    pub(crate) fn reject(&self, level: LogLevel, event: LogEvent) {
        self.log(level, None, event);
        count(&self.shared.counters.connections_rejected);
    }

    /// Logs why a call was refused, and counts it.
    pub(crate) fn refuse(&self, id: CallId, event: LogEvent) {
        count(&self.shared.counters.calls_refused);
        self.log(LogLevel::Warning, Some(id), event);
    }

    /// Tells the program what became of an attempt to call out.
    pub(crate) fn tell_outcome(&self, attempt: u64, outcome: Result<CallId>) {
        // A program that is gone needs no answer.
        let _ = self.outcomes.send((attempt, outcome));
        self.shared.notifier.notify();
    }

    /// Whether a call with this id runs.
    pub(crate) fn carries(&self, id: CallId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Whether there is a place for one call more.
    pub(crate) fn has_room(&self) -> bool {
        !self.free_slots.is_empty()
    }

    /// How many calls run.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Has a call carried whose id no other has; gives its link back if there is no room.
    pub(crate) fn admit(&mut self, guest: Guest) -> std::result::Result<(), Box<dyn Link>> {
        let Guest { id, peer, local, link, far_end, format } = guest;
        let now = Clock::now();
        let Some(slot) = self.free_slots.first().copied().filter(|_| !self.carries(id)) else {
            return Err(link);
        };
        let (place, first_due) = self.find_place(now);
        let mut config = self.config.session.clone();
        config.codec = format.map(|format| format.output).or(config.codec);
        let mut session = Session::new(config, far_end, first_due);
        if let Some(WireFormat { input, .. }) = format {
            // Nothing was heard yet, but the call can begin.
            session.handle_input(Input::Audio { codec: input, payload: &[] }, now);
        }
        let key = self.next_key;
        let connection = Connection::new((slot, key), id, (peer, local), link, session, now);
        let media = &mut self.media[place.thread];
        // The channel has room for every call that there can be, so it fails only if the thread is gone.
        if let Err(unsent) = media.commands.try_send(Command::Adopt(Box::new(connection), first_due)) {
            let Command::Adopt(connection, _) = unsent.into_inner() else { unreachable!("it is what was sent") };
            return Err(connection.into_link());
        }
        self.shared.set_key(slot, key);
        media.bell.notify();
        media.calls += 1;
        media.phases[place.phase] += 1;
        self.free_slots.remove(&slot);
        self.calls.insert(id, place);
        self.next_key += 1;
        count(&self.shared.counters.calls_began);
        self.log(LogLevel::Info, Some(id), LogEvent::CallBegan { peer });
        Ok(())
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

    /// Takes back the place of the next call that has ended, and answers whose it was and what it leaves.
    pub(super) fn bury_next(&mut self) -> Option<(CallId, SocketAddr, Box<dyn Link>)> {
        let connection = self.ended.try_recv().ok()?;
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
            self.log(LogLevel::Info, Some(id), event);
        }
        Some((id, peer, connection.into_link()))
    }

    /// Lets every call end in peace.
    pub(super) fn drain(&self) {
        self.tell_media(|| Command::Drain);
    }

    /// Ends every call, and with them the media threads.
    pub(super) fn stop(&self) {
        self.tell_media(|| Command::Stop);
    }

    /// Ends every call, and waits for the media threads.
    pub(super) fn join(&mut self) {
        self.stop();
        for media in &mut self.media {
            if let Some(thread) = media.thread.take() {
                let _ = thread.join();
            }
        }
    }

    fn tell_media(&self, command: impl Fn() -> Command) {
        for media in &self.media {
            let _ = media.commands.send(command());
            media.bell.notify();
        }
    }

    /// Shows how many there are.
    pub(super) fn publish(&self, pending: usize) {
        self.shared.counters.pending.store(pending, Relaxed);
        self.shared.counters.calls.store(self.calls.len(), Relaxed);
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        self.join();
    }
}

/// The door bell's token.
pub(super) const BELL: u64 = u64::MAX;
/// How far apart the phases are that calls are spread over.
const PHASE: Duration = Duration::from_millis(1);
/// By when a media thread has surely taken a call over.
const HANDOVER: Duration = Duration::from_millis(6);
