//! The jitter buffer: packets in as the network brings them, one frame of 20 ms a tick out.
//!
//! It puts packets in order, keeps just the delay that all but a few of them need, conceals what is lost, and never
//! has a tick without a frame. Playing stays aligned with packets: delay changes by whole frames, so no packet waits for
//! a tick that plays a piece of it. Delay grows in quiet frames, or where a packet is late anyway; it shrinks in quiet
//! frames, and in speech only when far too long, where two frames merge well. While packets get lost one more is held
//! back, because a gap is concealed better when what follows it is known.
//!
//! It owns no clock and no decoder: the caller passes `now` in, and samples. Codecs that conceal by themselves are not
//! asked to.

mod config;
mod delay;
mod packet;
mod quality;
mod queue;
mod stats;
mod timeline;

pub use config::{Config, Playout};
pub use packet::{Arrival, Packet, Played};
pub use quality::BurstGap;
pub use stats::Stats;

use std::time::Duration;

use crate::audio::conceal::Concealer;
use crate::audio::level::Level;
use crate::audio::stretch::Stretcher;
use crate::{Result, Timestamp};
use delay::Delays;
use queue::{Chunk, Queue};
use stats::Recorder;
use timeline::Timeline;

/// Turns packets in any order into one frame a tick; never allocates after [`JitterBuffer::new`].
///
/// ```
/// use talkpath::Timestamp;
/// use talkpath::jitter::{Config, JitterBuffer, Packet, Played};
///
/// let mut buffer = JitterBuffer::new(Config::default())?;
/// let mut frame = [0; 160];
/// for n in 0..50_u16 {
///     let now = Timestamp::from_millis(20 * u64::from(n));
///     if n != 30 {
///         let timestamp = 160 * u32::from(n);
///         let packet = Packet { ssrc: 1, sequence: n, timestamp, marker: n == 0, samples: &[500; 160] };
///         buffer.handle_packet(&packet, now);
///     }
///     let played = buffer.poll_frame(now, &mut frame);
///     assert_eq!(played, Some(if n == 30 { Played::Concealed } else { Played::Audio }));
/// }
/// assert_eq!(buffer.stats().packets_lost, 1);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    config: Config,
    frame: usize,
    timeline: Timeline,
    queue: Queue,
    delays: Delays,
    concealer: Concealer,
    stretcher: Stretcher,
    recorder: Recorder,
    /// The media timestamp to play next; `None` before the first packet is due.
    next: Option<i64>,
    /// The sequence number of the packet that was played last.
    played: i64,
    /// Samples made up while nothing waited: concealment if they prove lost, more delay if late.
    stalled: usize,
    /// Until when one packet more is held, and what it was before the last loss, which may prove to be lateness.
    hold_until_us: [i64; 2],
    /// The level of the loudest frames.
    loudest: f32,
    /// The level of comfort noise that the sender asked for.
    comfort: Option<f32>,
    /// The length of the last packet.
    packet_len: usize,
    upcoming: Vec<i16>,
}

impl JitterBuffer {
    /// Makes an empty buffer.
    ///
    /// # Errors
    /// Those of [`Config::validate`].
    pub fn new(config: Config) -> Result<Self> {
        config.validate()?;
        let frame = config.rate.frame_len();
        // Packets of 10 ms take a chunk each; as much again may come at once after a stall.
        let chunks = 2 * (config.longest().as_millis() as usize / 10) + 64;
        Ok(Self {
            frame,
            timeline: Timeline::new(config.rate.hz()),
            queue: Queue::new(chunks, frame),
            delays: Delays::new(),
            concealer: Concealer::new(config.rate),
            stretcher: Stretcher::new(config.rate),
            recorder: Recorder::default(),
            next: None,
            played: 0,
            stalled: 0,
            hold_until_us: [i64::MIN; 2],
            loudest: 0.0,
            comfort: None,
            packet_len: frame,
            upcoming: vec![0; LOOK_AHEAD * frame],
            config,
        })
    }

    /// Takes a packet that came at `arrival`.
    ///
    /// Arrivals are on the scale of [`poll_frame`](Self::poll_frame)'s `now`. A packet without samples, or longer than
    /// the buffer, is discarded.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, arrival: Timestamp) -> Arrival {
        let arrival_us = arrival.as_micros() as i64;
        let len = packet.samples.len();
        let place = self.timeline.place(packet, len, arrival_us);
        let stats = &mut self.recorder.stats;
        stats.packets += 1;
        stats.samples_received += len as u64;
        if place.duplicate {
            stats.packets_duplicate += 1;
            stats.samples_discarded += len as u64;
            return Arrival::Duplicate;
        }
        if place.restarted {
            self.recorder.restart();
            self.delays.clear();
        }
        let media_us = self.media_us(place.at);
        self.recorder.transit(arrival_us - media_us);
        self.delays.note(arrival_us, media_us);
        let stats = &mut self.recorder.stats;
        let next = self.next.unwrap_or(i64::MIN);
        if place.at + len as i64 <= next || !self.queue.fits(len) {
            stats.packets_late += 1;
            stats.samples_discarded += len as u64;
            if place.sequence < self.played {
                // It was late, not lost: there is no reason to hold more packets back.
                stats.packets_lost = stats.packets_lost.saturating_sub(1);
                self.hold_until_us[0] = self.hold_until_us[1];
            }
            return Arrival::Late;
        }
        self.packet_len = len;
        while !self.queue.room_for(len) {
            self.drop_first();
        }
        // What was dropped may have taken the place of the start of this packet.
        let late = self.next.map_or(0, |next| next.saturating_sub(place.at).clamp(0, len as i64)) as usize;
        let held = self.queue.insert(
            place.at + late as i64,
            place.sequence,
            arrival_us,
            packet.marker,
            &packet.samples[late..],
        );
        self.recorder.stats.samples_discarded += (len - held) as u64;
        Arrival::Held
    }

    /// Takes a comfort noise packet (RFC 3389): the sender pauses, and its background lies `level` dB below full scale.
    ///
    /// `packet` has no samples. Its sequence number does not count as lost audio.
    pub fn handle_comfort_noise(&mut self, packet: &Packet<'_>, level: u8, arrival: Timestamp) {
        self.timeline.place(packet, 0, arrival.as_micros() as i64);
        self.comfort = Some(32_768.0 * 10.0_f32.powf(-f32::from(level.min(127)) / 20.0));
    }

    /// Fills `out` with the frame that is due at `now`; says what it is made of.
    ///
    /// Call it every 20 ms; it has a frame each time. With [`Playout::Asap`] call it after each packet, and every 20 ms,
    /// until it gives `None`: nothing is due, and `out` is untouched.
    ///
    /// # Panics
    /// If `out` is not a frame of 20 ms at the configured rate.
    pub fn poll_frame(&mut self, now: Timestamp, out: &mut [i16]) -> Option<Played> {
        assert_eq!(out.len(), self.frame, "samples in a frame");
        let now_us = now.as_micros() as i64;
        if let Playout::Asap { wait } = self.config.playout {
            return self.poll_at_once(now_us, wait.as_micros() as i64, out);
        }
        let target_us = self.target_us(now_us);
        let Some((next, least)) = self.begin(now_us, target_us) else {
            out.fill(0);
            self.recorder.stats.samples_rested += out.len() as u64;
            return Some(Played::Rest);
        };
        let next = self.settle(next, now_us);
        let delay_us = self.discard_excess(now_us - self.media_us(next) - least, target_us);
        let stats = &mut self.recorder.stats;
        stats.target = Duration::from_micros(target_us as u64);
        if self.stalled == 0 {
            stats.delay = Duration::from_micros(delay_us.max(0) as u64);
        }
        Some(self.steer(delay_us, target_us, out).unwrap_or_else(|| self.render(now_us, target_us, least, out)))
    }

    /// What has been seen and done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        // A piece may have been played in part.
        let played = self.queue.first().zip(self.next).map_or(0, |(first, next)| (next - first.at).max(0));
        self.recorder.report(self.queue.held() - played as usize, self.config.rate.duration_of(self.packet_len as u64))
    }

    /// The delay that is aimed at.
    fn target_us(&self, now_us: i64) -> i64 {
        match self.config.playout {
            Playout::Fixed(delay) => delay.as_micros() as i64,
            Playout::Adaptive { min, max } => {
                let wanted = self.delays.spread(QUANTILE);
                // While packets get lost, one more than is due should mostly be there.
                let losing = now_us < self.hold_until_us[0];
                let held = if losing { self.delays.spread(HELD_QUANTILE) + FRAME_US } else { 0 };
                wanted.max(held).clamp(min.as_micros() as i64, max.as_micros() as i64)
            }
            Playout::Asap { .. } => 0,
        }
    }

    /// Where playing stands, and the delay of the fastest packets; begins if the first packet is due.
    fn begin(&mut self, now_us: i64, target_us: i64) -> Option<(i64, i64)> {
        let least = self.delays.least()?;
        if self.next.is_none() {
            let first = self.queue.first()?;
            let wait_us = match self.config.playout {
                Playout::Adaptive { min, .. } => min.as_micros() as i64,
                _ => target_us,
            };
            if now_us - self.media_us(first.at) - least < wait_us {
                return None;
            }
            (self.next, self.played) = (Some(first.at), first.sequence - 1);
        }
        Some((self.next?, least))
    }

    /// Lets what was made up while nothing waited stand for the start of a gap; gives where playing goes on.
    fn settle(&mut self, next: i64, now_us: i64) -> i64 {
        let Some(first) = self.queue.first().filter(|first| first.at > next && self.stalled > 0) else { return next };
        let made_up = self.stalled.min((first.at - next) as usize);
        self.stalled -= made_up;
        if !self.is_pause(first) {
            self.note_loss(now_us);
        }
        let next = next + made_up as i64;
        self.next = Some(next);
        next
    }

    /// Drops what waits beyond the longest delay; gives the delay that is left.
    fn discard_excess(&mut self, mut delay_us: i64, target_us: i64) -> i64 {
        let most = match self.config.playout {
            Playout::Adaptive { max, .. } => max.as_micros() as i64 + FRAME_US,
            _ => target_us + 2 * FRAME_US,
        };
        while delay_us > most
            && let (Some(first), Some(next)) = (self.queue.first(), self.next)
        {
            let left = first.end() - next;
            if delay_us - self.media_us(left) < target_us {
                break;
            }
            delay_us -= self.media_us(left);
            self.drop_first();
        }
        delay_us
    }

    /// Changes the delay if it is wrong and can be changed unheard.
    fn steer(&mut self, delay_us: i64, target_us: i64, out: &mut [i16]) -> Option<Played> {
        let next = self.next?;
        let frame = self.frame;
        let known = self.queue.peek(next, &mut self.upcoming);
        let (upcoming, played) = (&self.upcoming[..known], self.concealer.played());
        let quiet = |samples: &[i16]| Level::measure(samples).rms < (QUIET * self.loudest).max(SILENT);
        if delay_us < target_us && known > 0 && quiet(&upcoming[..known.min(frame)]) {
            if self.stretcher.expand(played, upcoming, out).is_none() {
                self.concealer.conceal(upcoming, out);
            } else {
                self.concealer.accept(out);
            }
            self.recorder.stats.samples_inserted += frame as u64;
            return Some(Played::Inserted);
        }
        let excess_us = delay_us - FRAME_US - target_us;
        if excess_us < SLACK_US || known < 2 * frame || self.stalled > 0 {
            return None;
        }
        let alike_enough = if quiet(&upcoming[..2 * frame]) {
            f32::MIN
        } else if excess_us >= HURRY_US {
            STRETCHABLE
        } else if excess_us >= CATCH_UP_US {
            SAME
        } else {
            return None;
        };
        if self.stretcher.accelerate(played, upcoming, out)? < alike_enough {
            return None;
        }
        self.consume(2 * frame);
        let stats = &mut self.recorder.stats;
        stats.samples_played += frame as u64;
        stats.samples_removed += frame as u64;
        self.concealer.accept(out);
        Some(Played::Audio)
    }

    /// Plays what is due, and makes up what is missing.
    fn render(&mut self, now_us: i64, target_us: i64, least: i64, out: &mut [i16]) -> Played {
        let mut result = None;
        let mut filled = 0;
        while filled < out.len() {
            let rest = &mut out[filled..];
            let next = self.next.unwrap_or_default();
            let Some(first) = self.queue.first() else {
                let made_up = self.stall(rest);
                result = result.or(Some(made_up));
                break;
            };
            if first.at <= next {
                let known = self.queue.peek(next, rest);
                filled += known;
                let heard = Level::measure(&rest[..known]).rms;
                self.loudest = (LOUDEST_DECAY * self.loudest).max(heard);
                self.concealer.accept(&mut rest[..known]);
                self.stalled = 0;
                self.comfort = None;
                self.consume(known);
                self.recorder.stats.samples_played += known as u64;
                result = Some(Played::Audio);
                continue;
            }
            if self.is_pause(first) {
                if now_us - self.media_us(first.at) - least >= target_us {
                    self.next = Some(first.at);
                    self.concealer.cut();
                    continue;
                }
                let len = rest.len().min((first.at - next) as usize);
                self.concealer.rest(self.comfort.unwrap_or(0.0), &mut rest[..len]);
                self.recorder.stats.samples_rested += len as u64;
                filled += len;
                self.next = Some(next + len as i64);
                result = result.or(Some(Played::Rest));
                continue;
            }
            filled += self.fill_gap(first, next, rest);
            self.note_loss(now_us);
            result = result.or(Some(Played::Concealed));
        }
        result.unwrap_or(Played::Concealed)
    }

    /// Makes up samples while nothing waits.
    fn stall(&mut self, out: &mut [i16]) -> Played {
        match self.config.playout {
            Playout::Adaptive { .. } => self.stalled += out.len(),
            _ => self.next = self.next.map(|next| next + out.len() as i64),
        }
        if let Some(level) = self.comfort {
            self.concealer.rest(level, out);
            self.recorder.stats.samples_rested += out.len() as u64;
            Played::Rest
        } else {
            self.concealer.conceal(&[], out);
            self.recorder.stats.samples_concealed += out.len() as u64;
            Played::Concealed
        }
    }

    /// Makes up what lies between `next` and `first`, as far as it fits; gives how much that is.
    fn fill_gap(&mut self, first: Chunk, next: i64, out: &mut [i16]) -> usize {
        let gap = (first.at - next) as usize;
        let len = gap.min(out.len());
        let known = if len == gap { self.queue.peek(first.at, &mut self.upcoming) } else { 0 };
        self.concealer.conceal(&self.upcoming[..known], &mut out[..len]);
        self.recorder.stats.samples_concealed += len as u64;
        self.next = Some(next + len as i64);
        len
    }

    /// Whether the gap before `first` is the sender's silence.
    const fn is_pause(&self, first: Chunk) -> bool {
        first.sequence == self.played + 1 || first.marker
    }

    /// Holds one packet more from now on, for as long as losses count as recent.
    fn note_loss(&mut self, now_us: i64) {
        let until = now_us + LOSS_MEMORY_US;
        if until > self.hold_until_us[0] + FRAME_US / 2 {
            self.hold_until_us = [until, self.hold_until_us[0]];
        }
    }

    /// Moves on over `len` samples that were played.
    fn consume(&mut self, len: usize) {
        let next = self.next.unwrap_or_default() + len as i64;
        self.next = Some(next);
        while let Some(first) = self.queue.first()
            && first.at < next
        {
            self.count(first);
            if first.end() > next {
                break;
            }
            self.queue.remove_first();
        }
    }

    /// Drops the chunk that would be played first, for want of room or time.
    fn drop_first(&mut self) {
        let Some(chunk) = self.queue.remove_first() else { return };
        self.count(chunk);
        let from = self.next.map_or(chunk.at, |next| next.max(chunk.at));
        self.recorder.stats.samples_discarded += (chunk.end() - from) as u64;
        if let Some(next) = self.next {
            self.next = Some(next.max(chunk.end()));
        }
        self.concealer.cut();
    }

    /// Counts the packet of `chunk`, and those missing before it, once.
    fn count(&mut self, chunk: Chunk) {
        let missing = chunk.sequence - self.played - 1;
        if missing < 0 {
            return;
        }
        (0..missing).for_each(|_| self.recorder.bursts.missed());
        self.recorder.bursts.received();
        self.recorder.stats.packets_lost += missing as u64;
        self.played = chunk.sequence;
    }

    /// [`Playout::Asap`]: gives a frame as soon as it is whole, or nothing more of it is waited for.
    fn poll_at_once(&mut self, now_us: i64, wait_us: i64, out: &mut [i16]) -> Option<Played> {
        let first = self.queue.first()?;
        let next = match self.next {
            Some(next) => next,
            None => {
                (self.next, self.played) = (Some(first.at), first.sequence - 1);
                first.at
            }
        };
        let waited = now_us - first.arrival_us >= wait_us;
        let known = self.queue.peek(next, &mut self.upcoming[..self.frame]);
        if known < self.frame && !waited && !(self.is_pause(first) && first.at > next) {
            return None;
        }
        let gap = first.at - next;
        if gap > 0 && (self.is_pause(first) || gap > (LONGEST_GAP * self.frame) as i64) {
            // A listener without a clock does not hear silence, nor wants speech made up for long.
            self.next = Some(first.at);
            self.concealer.cut();
            return self.poll_at_once(now_us, wait_us, out);
        }
        Some(self.render(now_us, 0, i64::MIN / 2, out))
    }

    const fn media_us(&self, samples: i64) -> i64 {
        samples * 1_000_000 / self.config.rate.hz() as i64
    }
}

/// A tick, in microseconds.
const FRAME_US: i64 = 20_000;
/// The share of packets that the delay lets come in time.
const QUANTILE: f64 = 0.97;
/// The share of packets that come a frame earlier than they must, while packets get lost.
const HELD_QUANTILE: f64 = 0.7;
/// By how much a delay must be too long to be shortened, beside the frame that is left out.
const SLACK_US: i64 = 5_000;
/// From which excess on speech is shortened where it cannot be heard.
const CATCH_UP_US: i64 = 60_000;
/// From which excess on speech is shortened wherever it can be.
const HURRY_US: i64 = 200_000;
/// How alike two frames of speech must be to be merged in a hurry.
const STRETCHABLE: f32 = 0.7;
/// How alike two frames must be to be merged without being heard.
const SAME: f32 = 0.98;
/// How long a loss asks for one packet more to be held.
const LOSS_MEMORY_US: i64 = 8_000_000;
/// The level, relative to the loudest frames, below which a frame is quiet, and the RMS below which any is.
const QUIET: f32 = 0.03;
const SILENT: f32 = 20.0;
/// By how much the memory of the loudest frame fades each frame: to half in 7 s.
const LOUDEST_DECAY: f32 = 0.998;
/// How many frames are looked at before they are played.
const LOOK_AHEAD: usize = 4;
/// The longest gap that is concealed for a listener without a clock, in frames.
const LONGEST_GAP: usize = 5;
