//! The stream that an endpoint sends: ids, numbers and times of its packets, and keys in between.
//!
//! Timestamps follow the time at which frames are due, so that a stretch in which nothing was sent shows in them, and go
//! on from the same count when the codec changes.

use std::time::Duration;

use super::random::Random;
use super::{HEADER_LEN, Header};
use crate::audio::frame::SampleRate;
use crate::protocol::telephone_event;
use crate::{Error, Result, Timestamp};

/// What is sent, and what of it was sent so far.
#[derive(Clone, Debug)]
pub(super) struct OutgoingStream {
    pub(super) ssrc: u32,
    /// Of this id; a new one begins anew.
    pub(super) packets: u32,
    pub(super) octets: u32,
    sequence: u16,
    /// The next frame's timestamp, and when that is due.
    timestamp: u32,
    due: Option<Timestamp>,
    clock: SampleRate,
    ptime: Duration,
    keys: telephone_event::Sender,
}

/// The payload types of a frame, and of a key in its place if keys have one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) audio: u8,
    pub(super) keys: Option<u8>,
}

impl OutgoingStream {
    pub(super) fn new(random: &mut Random, ptime: Duration) -> Self {
        let clock = SampleRate::HZ_8000;
        Self {
            ssrc: random.next_u32(),
            packets: 0,
            octets: 0,
            sequence: random.next_u32() as u16,
            timestamp: random.next_u32(),
            due: None,
            clock,
            ptime,
            keys: telephone_event::Sender::new(clock, ptime),
        }
    }

    /// Begins anew under another id.
    pub(super) fn rename(&mut self, random: &mut Random) {
        self.ssrc = random.next_u32();
        (self.packets, self.octets) = (0, 0);
        self.sequence = random.next_u32() as u16;
    }

    /// Writes the packet of a frame, or that of a key in its place, and returns its length.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` has not the room.
    pub(super) fn write(
        &mut self,
        numbers: Numbers,
        clock: SampleRate,
        payload: &[u8],
        begins: bool,
        due: Timestamp,
        out: &mut [u8],
    ) -> Result<usize> {
        let room = out.len();
        let wanted = HEADER_LEN + payload.len().max(telephone_event::EVENT_LEN);
        if room < wanted {
            return Err(Error::invalid(format!("room for {room} bytes, wanted {wanted}")));
        }
        self.set_clock(clock);
        let has_paused = self.go_on_to(due);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.clock.samples_in(self.ptime) as u32);

        let key = numbers.keys.and_then(|number| Some((number, self.keys.poll(timestamp)?)));
        let sequence = self.sequence;
        let header =
            |payload_type, timestamp, marker| Header { marker, payload_type, sequence, timestamp, ssrc: self.ssrc };
        let event;
        let (header, payload) = match key {
            Some((number, key)) => {
                event = key.event.to_bytes();
                (header(number, key.timestamp, key.marker), &event[..])
            }
            None => (header(numbers.audio, timestamp, begins || has_paused), payload),
        };
        let len = HEADER_LEN + payload.len();
        out[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        out[HEADER_LEN..len].copy_from_slice(payload);
        self.sequence = sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        Ok(len)
    }

    pub(super) fn clock(&self) -> SampleRate {
        self.clock
    }

    pub(super) fn push_key(&mut self, digit: char) -> Result<()> {
        self.keys.push(digit)
    }

    /// The timestamp that a frame due at `now` would have.
    pub(super) fn timestamp_at(&self, now: Timestamp) -> u32 {
        let Some(due) = self.due else {
            return self.timestamp;
        };
        let ticks = |span: Duration| self.clock.samples_in(span) as u32;
        if now >= due {
            self.timestamp.wrapping_add(ticks(now.since(due)))
        } else {
            self.timestamp.wrapping_sub(ticks(due.since(now)))
        }
    }

    /// Goes on to a frame that is due then; says whether it is the first, or nothing was sent for a while before it.
    fn go_on_to(&mut self, due: Timestamp) -> bool {
        let Some(wanted) = self.due else {
            self.due = Some(due + self.ptime);
            return true;
        };
        let late = due.since(wanted);
        // What is less than a packet is how the sender keeps time, not a pause; should it add up, it becomes one.
        let has_paused = late >= self.ptime;
        if has_paused {
            self.timestamp = self.timestamp.wrapping_add(self.clock.samples_in(late) as u32);
        }
        self.due = Some(if has_paused { due } else { wanted } + self.ptime);
        has_paused
    }

    fn set_clock(&mut self, clock: SampleRate) {
        if self.clock != clock {
            self.clock = clock;
            self.keys.set_clock(clock);
        }
    }
}
