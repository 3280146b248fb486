//! Makes one digit of the many packets that report it.

use std::time::Duration;

use super::{Event, ParseError, parse};
use crate::audio::frame::SampleRate;

/// Reports each event of a stream once, with the first packet of it that comes.
///
/// An event is known by its timestamp. Packets that repeat it, come twice, or come late, after the next event began, say
/// nothing new. An event held for so long that its duration has no room is continued under a new timestamp, and stays the
/// same event.
///
/// ```
/// use talkpath::audio::frame::SampleRate;
/// use talkpath::protocol::telephone_event::Receiver;
///
/// let mut receiver = Receiver::new(SampleRate::HZ_8000);
/// let mut digits = String::new();
/// for payload in [[5, 10, 0, 160], [5, 10, 1, 64], [5, 0x8a, 1, 224], [5, 0x8a, 1, 224]] {
///     digits.extend(receiver.handle_packet(4_000, &payload)?.filter_map(|event| event.digit()));
/// }
/// assert_eq!(digits, "5");
/// # Ok::<(), talkpath::protocol::telephone_event::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Up to how many ticks an event may be older than the latest one and be taken for late.
    late: u32,
    latest: Option<Latest>,
}

/// The event that began last.
#[derive(Clone, Copy, Debug)]
struct Latest {
    code: u8,
    timestamp: u32,
    has_ended: bool,
}

impl Receiver {
    /// An event that began at most this long before the latest one is late; one that seems older shows that the sender's
    /// timestamps jumped, and is new.
    pub const LATE: Duration = Duration::from_secs(5);

    /// Makes the receiver of a stream whose timestamps count in `clock`.
    #[must_use]
    pub fn new(clock: SampleRate) -> Self {
        Self { late: clock.samples_in(Self::LATE) as u32, latest: None }
    }

    /// Takes a packet's timestamp and payload and returns the events that are new.
    ///
    /// The iterator must be read to its end: what is not read of it is not taken.
    ///
    /// # Errors
    /// [`ParseError`] if the payload is not one of telephone events; nothing is taken then.
    pub fn handle_packet<'a>(
        &'a mut self,
        timestamp: u32,
        payload: &'a [u8],
    ) -> Result<impl Iterator<Item = Event> + use<'a>, ParseError> {
        let events = parse(payload)?;
        Ok(events.filter_map(move |(offset, event)| {
            self.handle_event(timestamp.wrapping_add(offset), event).then_some(event)
        }))
    }

    /// Takes one event that began at `timestamp` and says whether it is new.
    pub fn handle_event(&mut self, timestamp: u32, event: Event) -> bool {
        let new = Latest { code: event.code, timestamp, has_ended: event.end };
        let Some(latest) = &mut self.latest else {
            self.latest = Some(new);
            return true;
        };
        let ahead = timestamp.wrapping_sub(latest.timestamp);
        if ahead == 0 {
            latest.has_ended |= event.end;
            return false;
        }
        if ahead.wrapping_neg() <= self.late {
            return false;
        }
        let is_continued = ahead == u32::from(u16::MAX) && latest.code == event.code && !latest.has_ended;
        self.latest = Some(new);
        !is_continued
    }

    /// Begins a new stream: for a sender that changed its id.
    pub fn reset(&mut self) {
        self.latest = None;
    }
}
