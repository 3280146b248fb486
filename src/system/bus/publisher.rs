//! The publishing end: one session's, looked up once.

use std::sync::Arc;

use super::event::{Event, Origin};
use super::payload::Payload;
use super::ring::Ring;
use super::sessions::{Aftermath, Outcome, Session};
use super::wake::Wake;
use super::{Shared, check_name, check_process};
use crate::system::clock::Clock;
use crate::{Error, ErrorKind, Result};

/// Publishes to one session of a bus, which it has looked up once. A clone publishes to the same.
#[derive(Clone)]
pub struct Publisher {
    bus: Arc<Shared>,
    session: Arc<Session>,
    origin: Option<Arc<Origin>>,
}

/// What a publisher does when there is no room.
#[derive(Clone, Copy)]
pub(super) enum Patience<'a> {
    /// It waits, as long as the bus allows.
    Waits,
    /// It fails.
    Fails,
    /// It fails, and this is told when there is room.
    IsTold(&'a Arc<dyn Wake>),
}

impl Publisher {
    pub(super) fn new(bus: Arc<Shared>, session: Arc<Session>) -> Self {
        Self { bus, session, origin: None }
    }

    /// Publishes on behalf of another process: its events carry `origin`, and the time it has.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { origin: Some(Arc::new(origin)), ..self }
    }

    /// The session's name.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session.name
    }

    /// Publishes an event, waiting for room; see [`Bus::publish`](super::Bus::publish).
    ///
    /// # Errors
    /// Those of [`Bus::publish`](super::Bus::publish).
    pub fn publish(&self, kind: &str, payload: Payload) -> Result<u64> {
        self.send(kind, payload, Patience::Waits)
    }

    /// Publishes an event without ever waiting; see [`Bus::try_publish`](super::Bus::try_publish).
    ///
    /// # Errors
    /// Those of [`Bus::try_publish`](super::Bus::try_publish).
    pub fn try_publish(&self, kind: &str, payload: Payload) -> Result<u64> {
        self.send(kind, payload, Patience::Fails)
    }

    /// Publishes an event without waiting; where there is no room, `wake` is told once there may be some.
    ///
    /// # Errors
    /// Those of [`Bus::try_publish`](super::Bus::try_publish).
    pub fn try_publish_or_tell(&self, kind: &str, payload: Payload, wake: &Arc<dyn Wake>) -> Result<u64> {
        self.send(kind, payload, Patience::IsTold(wake))
    }

    fn send(&self, kind: &str, payload: Payload, patience: Patience<'_>) -> Result<u64> {
        self.bus.send(&self.session, kind, payload, self.origin.as_ref(), patience)
    }
}

impl Shared {
    /// Publishes an event to a session that was looked up.
    pub(super) fn send(
        &self,
        session: &Arc<Session>,
        kind: &str,
        mut payload: Payload,
        origin: Option<&Arc<Origin>>,
        patience: Patience<'_>,
    ) -> Result<u64> {
        check_process(self.process)?;
        check_name("kind", kind)?;
        let bytes = size_of::<Event>() + payload.size_bytes();
        if bytes > self.limits.event_bytes {
            let limit = self.limits.event_bytes;
            return Err(Error::invalid(format!("an event of {bytes} bytes, wanted at most {limit}")));
        }
        let mut found = None;
        let mut deadline = None;
        loop {
            let session = found.as_ref().unwrap_or(session);
            let mut aftermath = Aftermath::default();
            let full = match session.publish(kind, payload, origin, &self.directory, &mut aftermath) {
                Outcome::Published(sequence) => {
                    aftermath.settle();
                    return Ok(sequence);
                }
                Outcome::Forgotten(back) => {
                    payload = back;
                    found = Some(self.sessions.find(&session.name));
                    continue;
                }
                Outcome::Full(ring, back) => {
                    payload = back;
                    ring
                }
            };
            if full.is_gone() {
                full.close();
                continue;
            }
            match patience {
                Patience::Fails => return Err(no_room(&full)),
                Patience::IsTold(wake) if full.tell_of_room(bytes, wake) => return Err(no_room(&full)),
                Patience::IsTold(_) => {}
                Patience::Waits => {
                    let timeout = self.limits.publish_timeout;
                    let deadline = *deadline.get_or_insert_with(|| Clock::now() + timeout);
                    if !full.wait_for_room(bytes, deadline) {
                        let name = &full.options.name;
                        let message = format!("{name} had no room within {timeout:?}, wanted it to read its events");
                        return Err(Error::new(ErrorKind::Timeout, message));
                    }
                }
            }
        }
    }
}

fn no_room(ring: &Ring) -> Error {
    let (name, capacity) = (&ring.options.name, ring.options.capacity);
    Error::new(ErrorKind::LimitExceeded, format!("{name} has no room, wanted it to read its {capacity} events"))
}
