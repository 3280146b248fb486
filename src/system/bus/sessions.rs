//! The sessions that events are of: each with its sequence numbers, and with who wants what of it.
//!
//! A session's lock gives its events their numbers and their order in every queue; it is never held while anyone waits.
//! There are as many sessions as the bus's limit allows: where there are more, those that were published to least lately
//! are forgotten, and begin with number 1 when they come back.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::Directory;
use super::event::{Event, Origin};
use super::payload::Payload;
use super::queue::Evicted;
use super::ring::{Call, Ring};
use crate::system::clock::Clock;

/// All sessions, spread over some locks so that publishers seldom meet.
pub(super) struct Sessions {
    /// No other bus of this process has it.
    id: u64,
    shelves: Box<[Mutex<Shelf>]>,
    per_shelf: usize,
}

type Shelf = HashMap<Arc<str>, Arc<Session>>;

/// One session.
pub(super) struct Session {
    pub(super) name: Arc<str>,
    state: Mutex<State>,
    last_us: AtomicU64,
    /// Forgotten: whoever still holds it must look for the name again.
    is_forgotten: AtomicBool,
}

#[derive(Default)]
struct State {
    sequence: u64,
    /// Of which state of the directory the routes are.
    version: u64,
    routes: Vec<Route>,
}

/// Who gets the events of one kind.
struct Route {
    kind: Arc<str>,
    lossless: Box<[Arc<Ring>]>,
    others: Box<[Arc<Ring>]>,
}

/// What became of an attempt to publish.
pub(super) enum Outcome {
    Published(u64),
    /// This queue has no room, and nothing was done.
    Full(Arc<Ring>, Payload),
    /// The session has been forgotten, and nothing was done.
    Forgotten(Payload),
}

thread_local! {
    /// The session that this thread published to last, and its bus.
    static LAST: Cell<Option<(u64, Arc<Session>)>> = const { Cell::new(None) };
}

/// What is left to do for a publisher once it holds no lock: to tell readers, and to free what was put out.
#[derive(Default)]
pub(super) struct Aftermath {
    /// The queues with someone to tell: empty, and so without an allocation, but once a batch.
    calls: Vec<(Arc<Ring>, Call)>,
    evicted: Evicted,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        let shelves = (0..SHELVES).map(|_| Mutex::default()).collect();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Relaxed), shelves, per_shelf: limit.div_ceil(SHELVES).max(2) }
    }

    /// Calls `publish` with the session of this name: the one that this thread used last, mostly, for which it takes no lock
    /// and no hash of the name.
    pub(super) fn with<T>(&self, name: &str, publish: impl FnOnce(&Arc<Session>) -> T) -> T {
        // Taken out meanwhile, as what is published may run anything, this too.
        let last = LAST.try_with(|last| last.take().filter(|(bus, session)| *bus == self.id && *session.name == *name));
        let session = match last {
            Ok(Some((_, session))) if !session.is_forgotten.load(Relaxed) => session,
            _ => self.find(name),
        };
        let published = publish(&session);
        // A thread that is ending does without.
        let _ = LAST.try_with(|last| last.set(Some((self.id, session))));
        published
    }

    /// The session of this name, made now if it is not there.
    pub(super) fn find(&self, name: &str) -> Arc<Session> {
        let mut sessions = self.shelf(name).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(name) {
            return Arc::clone(session);
        }
        let mut forgotten = Vec::new();
        if sessions.len() >= self.per_shelf {
            forgotten = forget_half(&mut sessions);
        }
        let name: Arc<str> = name.into();
        let session = Arc::new(Session {
            name: Arc::clone(&name),
            state: Mutex::default(),
            last_us: AtomicU64::new(Clock::unix_us()),
            is_forgotten: AtomicBool::new(false),
        });
        sessions.insert(name, Arc::clone(&session));
        drop(sessions);
        drop(forgotten);
        session
    }

    /// Forgets a session: its next event is number 1 again.
    pub(super) fn forget(&self, name: &str) {
        let found = self.shelf(name).lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(session) = found {
            session.set_forgotten();
        }
    }

    /// Where a name belongs: by its end, as names mostly begin alike. What shares a shelf shares a lock, nothing more.
    fn shelf(&self, name: &str) -> &Mutex<Shelf> {
        let end = name.bytes().rev().take(4).fold(0, |sum: u32, byte| sum.rotate_left(8) ^ u32::from(byte));
        &self.shelves[(end.wrapping_mul(0x9E37_79B1) >> 28) as usize % SHELVES]
    }

    /// How many sessions are known.
    pub(super) fn count(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Takes the half out that was published to least lately.
fn forget_half(sessions: &mut Shelf) -> Vec<Arc<Session>> {
    let mut all: Vec<_> = sessions.values().cloned().collect();
    let half = all.len() / 2;
    all.select_nth_unstable_by_key(half, |session| session.last_us.load(Relaxed));
    all.truncate(half.max(1));
    for session in &all {
        sessions.remove(&session.name);
        session.set_forgotten();
    }
    all
}

impl Session {
    /// Gives an event its number and hands it to everyone who wants it; or does nothing, if a queue that must not lose any
    /// has no room.
    pub(super) fn publish(
        &self,
        kind: &str,
        payload: Payload,
        origin: Option<&Arc<Origin>>,
        directory: &Directory,
        aftermath: &mut Aftermath,
    ) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_forgotten.load(Relaxed) {
            return Outcome::Forgotten(payload);
        }
        let time_us = Clock::unix_us();
        self.last_us.store(time_us, Relaxed);
        let sequence = state.sequence + 1;
        let route = state.route(&self.name, kind, directory);
        let (session, kind) = (Arc::clone(&self.name), Arc::clone(&route.kind));
        let time_us = origin.map_or(time_us, |origin| origin.time_us);
        let event = Event { sequence, session, kind, time_us, payload, origin: origin.cloned() };
        if let Err((ring, payload)) = route.hand_over(event, aftermath) {
            return Outcome::Full(ring, payload);
        }
        state.sequence = sequence;
        Outcome::Published(sequence)
    }

    /// Under the lock, so that whoever publishes now is through before.
    fn set_forgotten(&self) {
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_forgotten.store(true, Relaxed);
    }
}

impl State {
    fn route(&mut self, session: &str, kind: &str, directory: &Directory) -> &Route {
        let version = directory.version();
        if self.version != version {
            self.routes.clear();
            self.version = version;
        }
        let known = self.routes.iter().position(|route| *route.kind == *kind);
        let index = known.unwrap_or_else(|| {
            if self.routes.len() >= MAX_ROUTES {
                self.routes.clear();
            }
            let (lossless, others) = directory
                .subscribers()
                .iter()
                .filter(|subscriber| subscriber.wants(session, kind))
                .map(|subscriber| Arc::clone(&subscriber.ring))
                .partition::<Vec<_>, _>(|ring| ring.is_lossless());
            self.routes.push(Route { kind: kind.into(), lossless: lossless.into(), others: others.into() });
            self.routes.len() - 1
        });
        &self.routes[index]
    }
}

impl Route {
    /// Hands an event to all or, if one that must not lose any has no room, to none.
    fn hand_over(&self, event: Event, aftermath: &mut Aftermath) -> Result<(), (Arc<Ring>, Payload)> {
        let Some((last, others)) = self.lossless.split_last() else {
            aftermath.push_all(&self.others, event);
            return Ok(());
        };
        let bytes = event.size_bytes();
        for (index, ring) in others.iter().enumerate() {
            if !ring.promise(bytes) {
                others[..index].iter().for_each(|ring| ring.release(bytes));
                return Err((Arc::clone(ring), event.payload));
            }
        }
        if others.is_empty() && self.others.is_empty() {
            return match last.try_push(event, &mut aftermath.evicted) {
                Ok(call) => {
                    aftermath.add(last, call);
                    Ok(())
                }
                Err(event) => Err((Arc::clone(last), event.payload)),
            };
        }
        match last.try_push(event.clone(), &mut aftermath.evicted) {
            Ok(call) => aftermath.add(last, call),
            Err(_) => {
                others.iter().for_each(|ring| ring.release(bytes));
                return Err((Arc::clone(last), event.payload));
            }
        }
        for ring in others {
            let call = ring.push(event.clone(), &mut aftermath.evicted);
            aftermath.add(ring, call);
        }
        aftermath.push_all(&self.others, event);
        Ok(())
    }
}

impl Aftermath {
    fn push_all(&mut self, rings: &[Arc<Ring>], event: Event) {
        let Some((last, others)) = rings.split_last() else {
            // Freed with the rest.
            self.evicted.add(event);
            return;
        };
        for ring in others {
            let call = ring.push(event.clone(), &mut self.evicted);
            self.add(ring, call);
        }
        let call = last.push(event, &mut self.evicted);
        self.add(last, call);
    }

    fn add(&mut self, ring: &Arc<Ring>, call: Call) {
        if call.is_any() {
            self.calls.push((Arc::clone(ring), call));
        }
    }

    /// Does it.
    pub(super) fn settle(self) {
        for (ring, call) in &self.calls {
            ring.tell(*call);
        }
    }
}

/// Over how many locks sessions are spread.
const SHELVES: usize = 16;
/// Of how many kinds a session remembers who wants them; a kind that a peer makes up anew each time must cost no memory.
const MAX_ROUTES: usize = 32;
