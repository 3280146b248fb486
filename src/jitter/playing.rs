//! Plays: decides at each tick what is due, makes up what is missing, and steers towards the delay that is aimed at.
//!
//! Playing stays aligned with packets: delay changes by whole frames, so no packet waits for a tick that plays a piece of
//! it. When nothing waits, playing stalls: what is made up then stands for the start of a gap if the packet proves lost,
//! and is delay gained if it proves late. How samples are made up, stretched or decoded is the business of those who can.

use super::queue::Chunk;
use super::{FRAME_US, JitterBuffer, Played, Playout};
use crate::audio::level::Level;

impl JitterBuffer {
    /// The delay that is aimed at.
    pub(super) fn target_us(&self, now_us: i64) -> i64 {
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
    pub(super) fn begin(&mut self, now_us: i64, target_us: i64) -> Option<(i64, i64)> {
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
            (self.next, self.played) = (Some(first.at), first.origin.sequence - 1);
        }
        Some((self.next?, least))
    }

    /// Lets what was made up while nothing waited stand for the start of a gap; gives where playing goes on.
    pub(super) fn settle(&mut self, next: i64, now_us: i64) -> i64 {
        let Some(first) = self.queue.first().filter(|first| first.at > next && self.stalled > 0) else { return next };
        let made_up = self.stalled.min((first.at - next) as usize);
        self.stalled -= made_up;
        if !self.is_pause(first) {
            self.note_loss(now_us);
        }
        let next = next + made_up as i64;
        self.next = Some(next);
        self.unseen += made_up;
        next
    }

    /// Drops what waits beyond the longest delay; gives the delay that is left.
    pub(super) fn discard_excess(&mut self, mut delay_us: i64, target_us: i64) -> i64 {
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
    pub(super) fn steer(&mut self, delay_us: i64, target_us: i64, out: &mut [i16]) -> Option<Played> {
        let next = self.next?;
        let frame = self.frame;
        if self.queue.first().is_some_and(|first| first.origin.recovered) {
            return None;
        }
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
    pub(super) fn render(&mut self, now_us: i64, target_us: i64, least: i64, out: &mut [i16]) -> Played {
        let mut result = None;
        let mut filled = 0;
        while filled < out.len() {
            self.decode_ahead();
            let rest = &mut out[filled..];
            let next = self.next.unwrap_or_default();
            let Some(first) = self.queue.first() else {
                let made_up = self.stall(rest);
                result = result.or(Some(made_up));
                break;
            };
            if first.at <= next && first.origin.recovered {
                let most = rest.len().min((first.end() - next) as usize);
                let known = self.queue.peek(next, &mut rest[..most]);
                filled += known;
                self.concealer.accept(&mut rest[..known]);
                self.consume(known);
                self.recorder.stats.samples_concealed += known as u64;
                self.recorder.stats.samples_recovered += known as u64;
                result = result.or(Some(Played::Concealed));
                continue;
            }
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
            _ => {
                self.next = self.next.map(|next| next + out.len() as i64);
                self.unseen += out.len();
            }
        }
        if let Some(level) = self.comfort {
            self.concealer.rest(level, out);
            self.recorder.stats.samples_rested += out.len() as u64;
            Played::Rest
        } else {
            let filled = self.conceal_by_codec(out);
            self.concealer.conceal(&[], &mut out[filled..]);
            self.recorder.stats.samples_concealed += out.len() as u64;
            Played::Concealed
        }
    }

    /// Makes up what lies between `next` and `first`, as far as it fits; gives how much that is.
    fn fill_gap(&mut self, first: Chunk, next: i64, out: &mut [i16]) -> usize {
        let gap = (first.at - next) as usize;
        let mut len = gap.min(out.len());
        let filled = self.fill_by_codec(first, gap, &mut out[..len]);
        if filled > 0 {
            len = filled;
        } else if len == gap {
            let known = self.queue.peek(first.at, &mut self.upcoming);
            self.concealer.conceal(&self.upcoming[..known], &mut out[..len]);
        } else {
            self.concealer.conceal(&[], &mut out[..len]);
            self.unseen += len;
        }
        self.recorder.stats.samples_concealed += len as u64;
        self.next = Some(next + len as i64);
        len
    }

    /// Whether the gap before `first` is the sender's silence.
    const fn is_pause(&self, first: Chunk) -> bool {
        first.origin.sequence == self.played + 1 || first.origin.marker
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
    pub(super) fn drop_first(&mut self) {
        let Some(chunk) = self.queue.remove_first() else { return };
        self.count(chunk);
        let from = self.next.map_or(chunk.at, |next| next.max(chunk.at));
        if chunk.origin.begins && chunk.undecoded().is_some() {
            self.decoder.reset();
        }
        if !chunk.origin.recovered {
            self.recorder.stats.samples_discarded += (chunk.end() - from) as u64;
        }
        if let Some(next) = self.next {
            self.next = Some(next.max(chunk.end()));
        }
        self.concealer.cut();
    }

    /// Counts the packet of `chunk`, and those missing before it, once.
    fn count(&mut self, chunk: Chunk) {
        let missing = chunk.origin.sequence - self.played - 1;
        if missing < 0 || chunk.origin.recovered {
            return;
        }
        (0..missing).for_each(|_| self.recorder.bursts.missed());
        self.recorder.bursts.received();
        self.recorder.stats.packets_lost += missing as u64;
        self.played = chunk.origin.sequence;
    }

    /// [`Playout::Asap`]: gives a frame as soon as it is whole, or nothing more of it is waited for.
    pub(super) fn poll_at_once(&mut self, now_us: i64, wait_us: i64, out: &mut [i16]) -> Option<Played> {
        let first = self.queue.first()?;
        let next = match self.next {
            Some(next) => next,
            None => {
                (self.next, self.played) = (Some(first.at), first.origin.sequence - 1);
                first.at
            }
        };
        self.decode_ahead();
        let waited = now_us - first.origin.arrival_us >= wait_us;
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
}

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
const QUIET: f32 = 0.05;
const SILENT: f32 = 20.0;
/// By how much the memory of the loudest frame fades each frame: to half in 7 s.
const LOUDEST_DECAY: f32 = 0.998;
/// The longest gap that is concealed for a listener without a clock, in frames.
const LONGEST_GAP: usize = 5;
