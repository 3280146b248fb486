//! The last samples of a stream, found by their number.
//!
//! What was sent and what was heard are counted from the start of the call, and an echo is a difference of counts. This
//! keeps the newest of one stream; what is older, or has not come yet, reads as silence.

use std::time::Duration;

use crate::audio::frame::SampleRate;

/// The newest samples of one stream.
#[derive(Debug)]
pub(super) struct Past {
    ring: Vec<i16>,
    /// Samples so far.
    total: u64,
}

impl Past {
    /// Keeps the last `len` samples.
    pub(super) fn new(len: usize) -> Self {
        Self { ring: vec![0; len], total: 0 }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn push(&mut self, samples: &[i16]) {
        let len = self.ring.len();
        let skipped = samples.len().saturating_sub(len);
        self.total += skipped as u64;
        let samples = &samples[skipped..];
        let at = (self.total % len as u64) as usize;
        let first = samples.len().min(len - at);
        self.ring[at..at + first].copy_from_slice(&samples[..first]);
        self.ring[..samples.len() - first].copy_from_slice(&samples[first..]);
        self.total += samples.len() as u64;
    }

    /// Reads from sample number `begin` on; silence where it has none.
    pub(super) fn read(&self, begin: i64, out: &mut [f32]) {
        let len = self.ring.len() as i64;
        let total = self.total as i64;
        let oldest = (total - len).max(0);
        let end = begin + out.len() as i64;
        let from = begin.max(oldest).min(end);
        let to = end.min(total).max(from);
        let (before, rest) = out.split_at_mut((from - begin) as usize);
        let (held, after) = rest.split_at_mut((to - from) as usize);
        before.fill(0.0);
        after.fill(0.0);
        let at = (from.rem_euclid(len)) as usize;
        let first = held.len().min(self.ring.len() - at);
        let (low, high) = held.split_at_mut(first);
        for (out, &sample) in low.iter_mut().zip(&self.ring[at..]).chain(high.iter_mut().zip(&self.ring)) {
            *out = f32::from(sample);
        }
    }
}

/// What was sent when a sample was heard, by the counts of both.
///
/// One packet time more or less is jitter, and what comes in a burst after a stall was only late. But where one stream
/// left something out, the counts differ for good: if they did for a second, the difference is taken over.
#[derive(Debug)]
pub(super) struct Alignment {
    rate: SampleRate,
    /// Sent less heard; `None` before anything was heard.
    offset: Option<i64>,
    low: i64,
    high: i64,
    watched: usize,
}

impl Alignment {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self { rate, offset: None, low: i64::MAX, high: i64::MIN, watched: 0 }
    }

    pub(super) fn rate(&self) -> SampleRate {
        self.rate
    }

    /// The number in what was sent that belongs to this number in what was heard.
    pub(super) fn sent_at(&self, heard: u64) -> i64 {
        heard as i64 + self.offset.unwrap_or(0)
    }

    /// Takes both counts after `len` more samples were heard; true if what was sent must be found anew.
    pub(super) fn update(&mut self, sent: u64, heard: u64, len: usize) -> bool {
        let difference = sent as i64 - heard as i64;
        let offset = *self.offset.get_or_insert(difference);
        self.low = self.low.min(difference - offset);
        self.high = self.high.max(difference - offset);
        self.watched += len;
        if self.watched < self.rate.samples_in(WATCHED) {
            return false;
        }
        let slack = self.rate.samples_in(SLACK) as i64;
        let moved = if self.low > slack {
            self.low
        } else if self.high < -slack {
            self.high
        } else {
            0
        };
        self.offset = Some(offset + moved);
        (self.low, self.high, self.watched) = (i64::MAX, i64::MIN, 0);
        moved != 0
    }
}

const WATCHED: Duration = Duration::from_secs(1);
/// Counts that differ by less than this are jitter: two packets.
const SLACK: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_has_and_silence_elsewhere() {
        let mut past = Past::new(8);
        past.push(&[1, 2, 3, 4, 5]);
        past.push(&[6, 7, 8, 9, 10]);
        let read = |begin, len| {
            let mut out = vec![-1.0; len];
            past.read(begin, &mut out);
            out
        };
        assert_eq!(read(0, 12), [0.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 0.0, 0.0]);
        assert_eq!(read(4, 3), [5.0, 6.0, 7.0]);
        assert_eq!(read(-9, 3), [0.0; 3]);
        assert_eq!(read(20, 3), [0.0; 3]);
        assert_eq!(read(9, 2), [10.0, 0.0]);
    }

    #[test]
    fn of_a_long_push_the_end_is_kept() {
        let mut past = Past::new(3);
        past.push(&[1, 2, 3, 4, 5]);
        let mut out = [0.0; 4];
        past.read(1, &mut out);
        assert_eq!((out, past.total()), ([0.0, 3.0, 4.0, 5.0], 5));
    }
}
