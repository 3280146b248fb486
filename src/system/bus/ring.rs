//! One subscriber's queue between threads: publishers push, a reader drains, and neither holds the other's lock for long.
//!
//! The reader is told once a batch, by a flag under the queue's lock. It is *armed* when the reader has found nothing more;
//! the push that finds it armed disarms it and rings the [`Bell`]. So whoever was told is alone in being told until it has
//! drained everything.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{Delivery, Event};
use super::queue::{Evicted, Queue};
use super::subscription::{Options, Policy, SubscriptionStats};
use super::wake::{Bell, Wake};
use crate::system::clock::Clock;
use crate::{Result, Timestamp};

/// One subscriber's queue.
pub(super) struct Ring {
    pub(super) options: Options,
    state: Mutex<State>,
    bell: Bell,
    /// Where a thread sleeps until there is something to read.
    news: Condvar,
    /// Where publishers sleep until there is room.
    room: Condvar,
}

struct State {
    queue: Queue,
    /// Whether the next push rings.
    is_armed: bool,
    /// Whether the next push wakes who sleeps for news.
    has_sleepers: bool,
    /// Whether publishers sleep for room.
    wants_room: bool,
    /// Who else is told of room.
    room_listeners: Vec<Arc<dyn Wake>>,
    /// Nothing more is taken; what is held can still be read.
    is_closed: bool,
}

/// Whom a push has to tell, once the publisher holds no lock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    rings: bool,
    wakes_sleepers: bool,
}

impl Call {
    pub(super) fn is_any(self) -> bool {
        self.rings || self.wakes_sleepers
    }
}

/// When draining arms the bell again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    /// When nothing is left: the reader goes back to its descriptor at once.
    Emptied,
    /// When nothing was there: the reader comes back until then, and is not told meanwhile.
    Nothing,
}

impl Ring {
    pub(super) fn new(options: Options) -> Self {
        let state = State {
            queue: Queue::new(&options),
            is_armed: true,
            has_sleepers: false,
            wants_room: false,
            room_listeners: Vec::new(),
            is_closed: false,
        };
        let (news, room) = (Condvar::new(), Condvar::new());
        Self { options, state: Mutex::new(state), bell: Bell::default(), news, room }
    }

    pub(super) fn is_lossless(&self) -> bool {
        self.options.policy == Policy::Lossless
    }

    /// Promises room for an event of so many bytes; false if there is none. A closed ring promises anything.
    pub(super) fn promise(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let has_room = state.is_closed || state.queue.has_room(bytes);
        if has_room {
            state.queue.promise(bytes);
        }
        has_room
    }

    /// Takes a promise back that was not kept.
    pub(super) fn release(&self, bytes: usize) {
        self.lock().queue.release(bytes);
    }

    /// Adds an event if there is room for it; it comes back if there is none.
    pub(super) fn try_push(&self, event: Event, evicted: &mut Evicted) -> std::result::Result<Call, Event> {
        let mut state = self.lock();
        if !state.is_closed && !state.queue.has_room(event.size_bytes()) {
            return Err(event);
        }
        Ok(state.push(event, evicted))
    }

    /// Adds an event: into room that was promised, or by putting older ones out.
    pub(super) fn push(&self, event: Event, evicted: &mut Evicted) -> Call {
        let mut state = self.lock();
        if self.is_lossless() {
            state.queue.release(event.size_bytes());
        }
        state.push(event, evicted)
    }

    /// Tells whom a push has to tell.
    pub(super) fn tell(&self, call: Call) {
        if call.wakes_sleepers {
            self.news.notify_all();
        }
        if call.rings {
            self.bell.ring();
        }
    }

    /// Moves at most `max` deliveries to `out`, and says how many.
    pub(super) fn drain(&self, max: usize, out: &mut Vec<Delivery>, arm: Arm) -> usize {
        let mut state = self.lock();
        let taken = state.queue.take(max, out);
        if state.queue.is_empty() && !state.is_closed && (taken == 0 || arm == Arm::Emptied) {
            // Under the lock: later it could swallow what a push has rung since.
            self.bell.hush();
            state.is_armed = true;
        }
        if state.queue.is_half_empty() {
            self.let_publishers_in(state);
        }
        taken
    }

    /// Waits until there is something to read or the ring is closed; false if neither has happened in time.
    pub(super) fn wait(&self, deadline: Option<Timestamp>) -> bool {
        let mut state = self.lock();
        let mut looks = 0;
        loop {
            if !state.queue.is_empty() || state.is_closed {
                return true;
            }
            if looks < LOOKS_BEFORE_SLEEP {
                looks += 1;
                drop(state);
                std::thread::yield_now();
                state = self.lock();
                continue;
            }
            state.has_sleepers = true;
            state = match deadline {
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = Clock::until(deadline);
                    if left.is_zero() {
                        return false;
                    }
                    self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits until there may be room for so many bytes; false if there was none in time.
    pub(super) fn wait_for_room(&self, bytes: usize, deadline: Timestamp) -> bool {
        loop {
            // Asked without the lock: a language may have to run to answer.
            if self.bell.is_gone() {
                self.close();
                return true;
            }
            let slice = deadline.min(Clock::now() + LOOK_AGAIN);
            let mut state = self.lock();
            loop {
                if state.is_closed || state.queue.has_room(bytes) {
                    return true;
                }
                let left = Clock::until(slice);
                if left.is_zero() {
                    break;
                }
                state.wants_room = true;
                state = self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            drop(state);
            if slice == deadline {
                return false;
            }
        }
    }

    /// Has `listener` told once there is room; false if there is room now, or the ring is closed.
    pub(super) fn tell_of_room(&self, bytes: usize, listener: &Arc<dyn Wake>) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.queue.has_room(bytes) {
            return false;
        }
        if !state.room_listeners.iter().any(|known| Arc::ptr_eq(known, listener)) {
            state.room_listeners.push(Arc::clone(listener));
        }
        true
    }

    /// Sets who is told of news; if there are some already, at once.
    pub(super) fn set_listener(&self, listener: Arc<dyn Wake>) -> bool {
        let is_set = self.bell.set_listener(listener);
        if is_set {
            self.ring_if_late();
        }
        is_set
    }

    pub(super) fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        let is_new = self.bell.has_no_descriptor();
        let descriptor = self.bell.descriptor()?;
        if is_new {
            self.ring_if_late();
        }
        Ok(descriptor)
    }

    /// Takes nothing more, and lets whoever waits go; what is held can still be read.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.is_armed = false;
        self.let_publishers_in(state);
        self.news.notify_all();
        self.bell.ring();
    }

    /// Ends it, and drops what it holds.
    pub(super) fn close(&self) {
        self.end();
        let held: VecDeque<_> = self.lock().queue.clear();
        drop(held);
    }

    /// Whether it has ended and everything was read.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.is_closed && state.queue.is_empty()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.bell.is_gone()
    }

    pub(super) fn stats(&self) -> SubscriptionStats {
        let state = self.lock();
        SubscriptionStats {
            waiting: state.queue.events(),
            waiting_bytes: state.queue.bytes(),
            dropped: state.queue.dropped,
            conflated: state.queue.conflated,
        }
    }

    /// What came before there was anyone to tell is told now.
    fn ring_if_late(&self) {
        let mut state = self.lock();
        if !state.queue.is_empty() || state.is_closed {
            state.is_armed = false;
            drop(state);
            self.bell.ring();
        }
    }

    fn let_publishers_in(&self, mut state: MutexGuard<'_, State>) {
        let wants_room = std::mem::take(&mut state.wants_room);
        let listeners = std::mem::take(&mut state.room_listeners);
        drop(state);
        if wants_room {
            self.room.notify_all();
        }
        for listener in listeners {
            listener.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, event: Event, evicted: &mut Evicted) -> Call {
        if self.is_closed {
            // Freed by the publisher, without a lock.
            evicted.add(event);
            return Call::default();
        }
        self.queue.push(event, evicted);
        Call { rings: std::mem::take(&mut self.is_armed), wakes_sleepers: std::mem::take(&mut self.has_sleepers) }
    }
}

/// How often a reader lets others run and looks again before it sleeps: in a flood the next batch is there by then, and to
/// be woken costs both sides more than all of its events.
const LOOKS_BEFORE_SLEEP: u32 = 32;
/// How often a publisher that waits for room asks whether the reader is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
