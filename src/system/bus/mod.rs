//! The event bus: tells everybody who wants to know what happens in which session, and never more than they can take.
//!
//! Publishers and readers are threads of any language. Each [`Subscription`] has a queue of its own, bounded in events and
//! bytes, with a stated answer when it is full ([`Policy`]). A reader is told once a batch, not once an event. Events of one
//! session reach everyone in the order of their [`sequence`](Event::sequence) numbers; a [`Gap`] says exactly what was
//! dropped. The bus knows no session's meaning, and runs no code of its users: callbacks are a language's own affair.
//!
//! ```
//! use talkpath::system::bus::{Bus, Delivery, Filter, Options, Payload};
//!
//! let bus = Bus::new();
//! let voice = bus.subscribe(Filter::new("call-*", "voice:*")?, Options::default())?;
//! bus.publish("call-1", "voice:mic_level", Payload::json("{\"level\":40}"))?;
//! bus.publish("call-1", "session:drained", Payload::json("{}"))?;
//!
//! let mut batch = Vec::new();
//! assert_eq!(voice.drain(100, &mut batch), 1);
//! let Delivery::Event(event) = &batch[0] else { panic!("nothing was dropped") };
//! assert_eq!((&*event.kind, event.sequence), ("voice:mic_level", 1));
//! # Ok::<(), talkpath::Error>(())
//! ```

mod directory;
mod event;
mod gaps;
mod pattern;
mod payload;
mod publisher;
mod queue;
mod ring;
mod sessions;
mod subscription;
mod wake;

use std::sync::Arc;
use std::time::Duration;

pub use event::{Delivery, Event, Gap, Origin};
pub use pattern::{Filter, Pattern};
pub use payload::{Opaque, Payload};
pub use publisher::Publisher;
pub use subscription::{Options, Policy, Subscription, SubscriptionStats};
pub use wake::Wake;

use crate::system::fork::Process;
use crate::{Error, Result};
use directory::{Directory, Subscriber};
use publisher::Patience;
use ring::Ring;
use sessions::Sessions;

/// An event bus; a clone is the same bus. Once the last one is gone, its subscriptions end.
///
/// It belongs to the process that made it: in a forked child publishing is refused, and nothing is touched that the parent
/// uses.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

/// What a bus allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many sessions' numbers are remembered (65,536). Beyond that, those published to least lately are forgotten, and
    /// begin with 1 when they come back.
    pub sessions: usize,
    /// How many bytes an event may count for (16 MiB).
    pub event_bytes: usize,
    /// How long [`Bus::publish`] waits for a lossless subscriber's room (5 s).
    pub publish_timeout: Duration,
}

/// What all handles of a bus share.
pub(crate) struct Shared {
    limits: Limits,
    process: Process,
    directory: Directory,
    sessions: Sessions,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 65_536, event_bytes: 16 << 20, publish_timeout: Duration::from_secs(5) }
    }
}

impl Bus {
    /// Makes a bus with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// Makes a bus with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let (directory, sessions) = (Directory::new(), Sessions::new(limits.sessions));
        Self { shared: Arc::new(Shared { limits, process: Process::current(), directory, sessions }) }
    }

    /// Publishes an event, and answers its number in its session.
    ///
    /// It waits, up to [`Limits::publish_timeout`], while a lossless subscriber has no room; then nobody has got the event.
    /// `session` and `kind` are names of 1 to 255 bytes; a kind is spelt `area:what`.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if there was no room in time;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name or a payload beyond its limit, or in a forked child.
    pub fn publish(&self, session: &str, kind: &str, payload: Payload) -> Result<u64> {
        self.send(session, kind, payload, Patience::Waits)
    }

    /// Publishes an event without ever waiting, and answers its number in its session.
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if a lossless subscriber has no room, and otherwise those of
    /// [`publish`](Self::publish).
    pub fn try_publish(&self, session: &str, kind: &str, payload: Payload) -> Result<u64> {
        self.send(session, kind, payload, Patience::Fails)
    }

    /// Publishes an event without waiting; where there is no room, `wake` is told once there may be some.
    ///
    /// # Errors
    /// Those of [`try_publish`](Self::try_publish).
    pub fn try_publish_or_tell(
        &self,
        session: &str,
        kind: &str,
        payload: Payload,
        wake: &Arc<dyn Wake>,
    ) -> Result<u64> {
        self.send(session, kind, payload, Patience::IsTold(wake))
    }

    /// Looks a session up once, for whoever publishes to it again and again.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that is empty or longer than 255 bytes, or in a
    /// forked child.
    pub fn publisher(&self, session: &str) -> Result<Publisher> {
        check_process(self.shared.process)?;
        check_name("session", session)?;
        Ok(Publisher::new(Arc::clone(&self.shared), self.shared.sessions.find(session)))
    }

    /// Subscribes to what matches `filter`, from now on.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a capacity of nothing or beyond all measure, or in a forked
    /// child.
    pub fn subscribe(&self, filter: Filter, options: Options) -> Result<Subscription> {
        check_process(self.shared.process)?;
        options.validate()?;
        let ring = Arc::new(Ring::new(options));
        self.shared.directory.add(Subscriber { filter, ring: Arc::clone(&ring) });
        Ok(Subscription::new(ring, Arc::downgrade(&self.shared), self.shared.process))
    }

    /// Forgets a session that is over: its next event would be number 1 again.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) in a forked child.
    pub fn forget(&self, session: &str) -> Result<()> {
        check_process(self.shared.process)?;
        self.shared.sessions.forget(session);
        Ok(())
    }

    /// How many sessions are remembered.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) in a forked child.
    pub fn session_count(&self) -> Result<usize> {
        check_process(self.shared.process)?;
        Ok(self.shared.sessions.count())
    }

    fn send(&self, session: &str, kind: &str, payload: Payload, patience: Patience<'_>) -> Result<u64> {
        check_process(self.shared.process)?;
        check_name("session", session)?;
        self.shared.sessions.with(session, |session| self.shared.send(session, kind, payload, None, patience))
    }

    /// What it allows.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Whether both are the same bus.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.directory.subscribers().iter().for_each(|subscriber| subscriber.ring.end());
        }
    }
}

/// That this is the process which made the bus.
fn check_process(process: Process) -> Result<()> {
    if process.is_current() {
        return Ok(());
    }
    Err(Error::invalid("a bus from before this process was forked, wanted one made after"))
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} of {} bytes, wanted a name of 1 to {MAX_NAME_BYTES}", name.len())))
}

/// How long the name of a session or a kind may be.
const MAX_NAME_BYTES: usize = 255;
