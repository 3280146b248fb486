//! What a subscriber gets: events, and gaps where events were dropped.

use std::sync::Arc;

use super::payload::Payload;

/// Something that happened; cheap to clone.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number among the events of its session, whatever their kind: 1, 2, 3 and so on.
    pub sequence: u64,
    /// Whose event it is: a call's id, mostly.
    pub session: Arc<str>,
    /// What happened, as `area:what`.
    pub kind: Arc<str>,
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// What there is to say about it.
    pub payload: Payload,
    /// Where it came from, if another process published it; a bridge sends on only what has none.
    pub origin: Option<Arc<Origin>>,
}

/// Where an event of another process came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The other bus, as its bridge names it.
    pub name: Arc<str>,
    /// Its number in its session there.
    pub sequence: u64,
    /// When it was published there, in microseconds since 1970.
    pub time_us: u64,
}

/// Events that a subscriber was too slow for: dropped, and counted exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The session that they were of. None where so many sessions lost events that the rest is counted together; then
    /// [`first_sequence`](Self::first_sequence) and [`last_sequence`](Self::last_sequence) are 0.
    pub session: Option<Arc<str>>,
    /// How many events were dropped that the subscriber would have got.
    pub count: u64,
    /// The number of the first of them.
    pub first_sequence: u64,
    /// The number of the last of them.
    pub last_sequence: u64,
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next event.
    Event(Event),
    /// Events were dropped here: those of the session that follow are later ones.
    Gap(Gap),
}

impl Event {
    /// How many bytes it counts for in a queue: itself and its payload.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.payload.size_bytes()
    }
}

impl Delivery {
    /// The event, unless it is a gap.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Gap(_) => None,
        }
    }
}
