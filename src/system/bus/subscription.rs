//! A subscription: what a reader holds, and how its queue behaves when it is full.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use super::event::Delivery;
use super::ring::{Arm, Ring};
use super::wake::Wake;
use crate::system::clock::Clock;
use crate::system::fork::Process;
use crate::{Error, Result};

/// What happens when a subscriber's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The publisher waits for room: nothing is lost, and a reader that stops reading stops publishers.
    Lossless,
    /// The oldest events make room; a [`Gap`](super::Gap) says exactly which.
    #[default]
    DropOldest,
    /// Of each session and kind only the newest event is kept, as for a level meter. What is replaced leaves no gap; where
    /// there are more sessions and kinds than places, the oldest make room as with [`DropOldest`](Self::DropOldest).
    Conflate,
}

/// How a subscription is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What happens when the queue is full.
    pub policy: Policy,
    /// How many events may wait (8,192).
    pub capacity: usize,
    /// How many bytes they may count for (8 MiB); one event alone may count for more.
    pub capacity_bytes: usize,
    /// What errors call it.
    pub name: String,
}

/// What a subscription has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// How many events wait now.
    pub waiting: usize,
    /// How many bytes they count for.
    pub waiting_bytes: usize,
    /// How many events were dropped since the start.
    pub dropped: u64,
    /// How many events were replaced by newer ones since the start.
    pub conflated: u64,
}

/// A reader's end: it gets what matches its filter from the moment of subscribing on, in each session's order.
///
/// Any thread may use it; what one drains, no other gets. Dropping it ends it.
pub struct Subscription {
    ring: Arc<Ring>,
    bus: Weak<Shared>,
    process: Process,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Lossless, Self::DropOldest, Self::Conflate];

    /// The policy in lower case, as Python spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lossless => "lossless",
            Self::DropOldest => "drop_oldest",
            Self::Conflate => "conflate",
        }
    }
}

impl std::str::FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == name);
        found.ok_or_else(|| Error::invalid(format!("policy {name:?}, wanted lossless, drop_oldest or conflate")))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { policy: Policy::default(), capacity: 8_192, capacity_bytes: 8 << 20, name: String::from("a subscriber") }
    }
}

impl Options {
    pub(super) fn validate(&self) -> Result<()> {
        for (name, got, max) in
            [("capacity", self.capacity, MAX_CAPACITY), ("capacity_bytes", self.capacity_bytes, MAX_CAPACITY_BYTES)]
        {
            if !(1..=max).contains(&got) {
                return Err(Error::invalid(format!("{name} of {got}, wanted 1 to {max}")));
            }
        }
        Ok(())
    }
}

impl Subscription {
    pub(super) fn new(ring: Arc<Ring>, bus: Weak<Shared>, process: Process) -> Self {
        Self { ring, bus, process }
    }

    /// Moves at most `max` deliveries to `out` without waiting, and says how many.
    ///
    /// When it has taken everything, the descriptor is unreadable again. In a forked child there is never anything.
    pub fn drain(&self, max: usize, out: &mut Vec<Delivery>) -> usize {
        if self.process.is_current() { self.ring.drain(max, out, Arm::Emptied) } else { 0 }
    }

    /// Like [`drain`](Self::drain), for a reader that goes on until it gets nothing: only then is it told of news again.
    pub fn drain_on(&self, max: usize, out: &mut Vec<Delivery>) -> usize {
        if self.process.is_current() { self.ring.drain(max, out, Arm::Nothing) } else { 0 }
    }

    /// Waits until there is something to drain or the subscription is closed; false if neither happens in `timeout` (None:
    /// for ever).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) in a forked child, where nothing would ever come.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        self.process_check()?;
        Ok(self.ring.wait(timeout.map(|timeout| Clock::now() + timeout)))
    }

    /// The descriptor that is readable while there is something to drain, and for good once the subscription is closed. Only
    /// draining may read it.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when it is first asked for and the process has no descriptor left.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.process_check()?;
        self.ring.descriptor()
    }

    /// Sets what is told, on publishers' threads, that there is something to drain; at once if there is.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if something is set already.
    pub fn set_wake(&self, wake: Arc<dyn Wake>) -> Result<()> {
        self.process_check()?;
        if self.ring.set_listener(wake) { Ok(()) } else { Err(Error::invalid("two listeners, wanted one")) }
    }

    /// Ends it: publishers that wait for its room go on, and what it holds is dropped.
    pub fn close(&self) {
        if self.process.is_current() {
            if let Some(bus) = self.bus.upgrade() {
                bus.directory.remove(&self.ring);
            }
            self.ring.close();
        }
    }

    /// Whether it was closed, or its bus is gone, and everything has been drained.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.process.is_current() || self.ring.is_over()
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> SubscriptionStats {
        if self.process.is_current() { self.ring.stats() } else { SubscriptionStats::default() }
    }

    /// How it is kept.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.ring.options
    }

    fn process_check(&self) -> Result<()> {
        super::check_process(self.process)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.close();
    }
}

/// How many events may be allowed to wait.
const MAX_CAPACITY: usize = 1 << 24;
/// How many bytes they may be allowed to count for.
const MAX_CAPACITY_BYTES: usize = 1 << 32;
