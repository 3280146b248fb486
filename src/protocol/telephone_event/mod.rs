//! Telephone events: keys pressed during a call, as RTP packets of their own (RFC 4733).
//!
//! A key is sent again and again while it is held, and three times more when it is let go, all with the timestamp of its
//! start; so most packets may get lost. [`Receiver`] makes one digit of them, [`Sender`] makes them of a digit. The payload
//! type is agreed per call, and the RTP header around a payload is [`rtp`](super::rtp)'s business.

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::{Outgoing, Sender};

/// How long an event is on the wire, in bytes.
pub const EVENT_LEN: usize = 4;

/// One report of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Which event: 0 to 15 are the keys, 16 is a hook flash.
    pub code: u8,
    /// Whether it is over.
    pub end: bool,
    /// How loud the tone is: 0 to 63 dB below 0 dBm0.
    pub volume: u8,
    /// How long it has lasted, in ticks of the timestamp.
    pub duration: u16,
}

impl Event {
    /// Reads an event; any four bytes are one.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; EVENT_LEN]) -> Self {
        let [code, flags, d0, d1] = bytes;
        Self { code, end: flags & 0x80 != 0, volume: flags & 0x3f, duration: u16::from_be_bytes([d0, d1]) }
    }

    /// The event's bytes; a volume beyond 63 is written as 63.
    #[must_use]
    pub fn to_bytes(self) -> [u8; EVENT_LEN] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | self.volume.min(63), d0, d1]
    }

    /// The key, if the event is one.
    #[must_use]
    pub fn digit(&self) -> Option<char> {
        DIGITS.get(usize::from(self.code)).copied().map(char::from)
    }

    /// The code of a key: `0` to `9`, `*`, `#`, `A` to `D` in either case.
    #[must_use]
    pub fn code_of(digit: char) -> Option<u8> {
        let position = DIGITS.iter().position(|&known| digit.eq_ignore_ascii_case(&char::from(known)))?;
        Some(position as u8)
    }
}

/// Reads a payload: usually one event, but several short ones may follow each other (RFC 4733, section 2.5.1).
///
/// Each comes with how much later than the packet's timestamp it began, in ticks.
///
/// # Errors
/// [`ParseError`] if the payload is empty or ends in the middle of an event.
pub fn parse(payload: &[u8]) -> Result<impl Iterator<Item = (u32, Event)>, ParseError> {
    let (events, rest) = payload.as_chunks();
    if events.is_empty() || !rest.is_empty() {
        return Err(ParseError { len: payload.len() });
    }
    let mut offset = 0_u32;
    Ok(events.iter().map(move |&bytes| {
        let event = Event::from_bytes(bytes);
        let start = offset;
        offset = offset.wrapping_add(u32::from(event.duration));
        (start, event)
    }))
}

/// A payload is not one of telephone events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("telephone-event payload of {len} bytes, wanted a multiple of {EVENT_LEN}")]
pub struct ParseError {
    /// The payload's length, in bytes.
    pub len: usize,
}

/// The keys, in the order of their codes.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
