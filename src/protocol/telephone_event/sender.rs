//! Makes the packets of digits, one a tick.

use std::time::Duration;

use super::Event;
use crate::audio::frame::SampleRate;
use crate::{Error, ErrorKind, Result};

/// What to send instead of a frame of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The RTP marker: set on a digit's first packet.
    pub marker: bool,
    /// The RTP timestamp: that of the digit's start, not of this packet.
    pub timestamp: u32,
    /// The payload, [`Event::to_bytes`].
    pub event: Event,
}

/// Sends digits, one after another, each as packets that are repeated so that they may get lost.
///
/// Ask it once a tick, with the timestamp that a frame of audio would have: where it answers with a packet, that goes out
/// in the frame's place and takes the next sequence number. A digit's last packet is sent [`END_COPIES`](Self::END_COPIES)
/// times, one a tick.
///
/// ```
/// use talkpath::audio::frame::{PTIME, SampleRate};
/// use talkpath::protocol::telephone_event::Sender;
///
/// let mut sender = Sender::new(SampleRate::HZ_8000, PTIME);
/// sender.push('5')?;
/// let packets: Vec<_> = (0..20).map_while(|tick| sender.poll(1_000 + tick * 160)).collect();
/// assert_eq!(packets.len(), 7);
/// assert!(packets[0].marker && packets.iter().all(|packet| packet.timestamp == 1_000));
/// assert_eq!(packets[6].event.duration, 800);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    clock: SampleRate,
    /// How many ticks of the timestamp there are from packet to packet, in a digit, and between digits.
    step: u32,
    hold: u32,
    gap: u32,
    volume: u8,
    /// The codes that wait, first come first.
    waiting: [u8; Self::CAPACITY],
    waiting_len: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Holding { code: u8, start: u32 },
    Ending { packet: Outgoing, copies: u8 },
    Pausing { since: u32 },
}

impl Sender {
    /// How many digits may wait.
    pub const CAPACITY: usize = 64;

    /// How often a digit's end is sent (RFC 4733, section 2.5.1).
    pub const END_COPIES: u8 = 3;

    /// How long a digit is held unless [`with_timing`](Self::with_timing) says otherwise.
    pub const HOLD: Duration = Duration::from_millis(100);

    /// How long a pause is between digits, likewise.
    pub const GAP: Duration = Duration::from_millis(80);

    /// Makes a sender for a stream whose timestamps count in `clock`, with a packet each `ptime`.
    #[must_use]
    pub fn new(clock: SampleRate, ptime: Duration) -> Self {
        Self {
            clock,
            step: clock.samples_in(ptime) as u32,
            hold: clock.samples_in(Self::HOLD) as u32,
            gap: clock.samples_in(Self::GAP) as u32,
            volume: 10,
            waiting: [0; Self::CAPACITY],
            waiting_len: 0,
            state: State::Idle,
        }
    }

    /// Sets how long each digit is held and how long the pause after it is, both rounded up to whole packets.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if a digit is held for longer than 65,535 ticks, which is what a
    /// packet can say.
    pub fn with_timing(self, hold: Duration, gap: Duration) -> Result<Self> {
        let (hold_ticks, gap_ticks) = (self.clock.samples_in(hold), self.clock.samples_in(gap));
        let (Ok(_), Ok(gap)) = (u16::try_from(hold_ticks), u32::try_from(gap_ticks)) else {
            let most = self.clock.duration_of(u64::from(u16::MAX));
            return Err(Error::invalid(format!("digits held for {hold:?}, {gap:?} apart, wanted at most {most:?}")));
        };
        Ok(Self { hold: hold_ticks as u32, gap, ..self })
    }

    /// Goes on in a stream whose timestamps count in another clock, as after a change of codec; what waits still waits.
    pub fn set_clock(&mut self, clock: SampleRate) {
        let (from, to) = (u64::from(self.clock.hz()), u64::from(clock.hz()));
        let scaled = |ticks: u32| u32::try_from(u64::from(ticks) * to / from).unwrap_or(u32::MAX);
        self.step = scaled(self.step);
        self.gap = scaled(self.gap);
        self.hold = scaled(self.hold).min(u32::from(u16::MAX));
        self.clock = clock;
    }

    /// Adds a digit to those that wait: `0` to `9`, `*`, `#`, `A` to `D`.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for anything else,
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if [`CAPACITY`](Self::CAPACITY) digits wait.
    pub fn push(&mut self, digit: char) -> Result<()> {
        let Some(code) = Event::code_of(digit) else {
            return Err(Error::invalid(format!("digit {digit:?}, wanted one of 0 to 9, *, #, A to D")));
        };
        let Some(slot) = self.waiting.get_mut(self.waiting_len) else {
            let message = format!("{} digits wait to be sent, wanted fewer", Self::CAPACITY);
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        };
        *slot = code;
        self.waiting_len += 1;
        Ok(())
    }

    /// Returns what to send in place of the frame with timestamp `now`; nothing if that frame itself should be sent.
    pub fn poll(&mut self, now: u32) -> Option<Outgoing> {
        if let State::Pausing { since } = self.state
            && now.wrapping_sub(since) >= self.gap
        {
            self.state = State::Idle;
        }
        match self.state {
            State::Idle => {
                let code = self.pop()?;
                Some(self.hold(code, now, now))
            }
            State::Holding { code, start } => Some(self.hold(code, start, now)),
            State::Ending { packet, copies } => {
                let since = packet.timestamp.wrapping_add(u32::from(packet.event.duration));
                self.state = match copies - 1 {
                    0 => State::Pausing { since },
                    copies => State::Ending { packet, copies },
                };
                Some(packet)
            }
            State::Pausing { .. } => None,
        }
    }

    /// Drops the digits that wait; one that has begun goes on to its end.
    pub fn clear(&mut self) {
        self.waiting_len = 0;
    }

    /// Whether nothing is being sent and nothing waits; the pause after a digit counts as sending.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting_len == 0 && matches!(self.state, State::Idle)
    }

    /// Makes the packet of a digit that began at `start` and is held up to the end of this packet.
    fn hold(&mut self, code: u8, start: u32, now: u32) -> Outgoing {
        let elapsed = now.wrapping_sub(start).saturating_add(self.step);
        let end = elapsed >= self.hold;
        let duration = elapsed.min(u32::from(u16::MAX)) as u16;
        let event = Event { code, end, volume: self.volume, duration };
        let packet = Outgoing { marker: false, timestamp: start, event };
        self.state =
            if end { State::Ending { packet, copies: Self::END_COPIES - 1 } } else { State::Holding { code, start } };
        Outgoing { marker: now == start, ..packet }
    }

    fn pop(&mut self) -> Option<u8> {
        let code = *self.waiting[..self.waiting_len].first()?;
        self.waiting.copy_within(1..self.waiting_len, 0);
        self.waiting_len -= 1;
        Some(code)
    }
}
