//! What was heard: how far playout is, tag by tag, to the sample.
//!
//! Playout is one number, shared by both ends without a lock: the [`Cursor`] packs a generation and how many samples of
//! that generation have gone out. The media end moves it before each frame by compare-and-swap; whoever interrupts moves
//! it to the next generation by the same means. So one of the two always comes first, and whoever interrupts learns
//! exactly what had gone out, without waiting for the media thread. The [`Ledger`] lies at the agent end, where the
//! writing happens: it knows which samples belong to which tag, and turns a cursor into a [`Receipt`].
//!
//! The fade that follows an edit (5 ms) is not counted as played.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::audio::frame::SampleRate;

/// What was received, played and discarded of everything written in one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The generation that this is about.
    pub generation: u16,
    /// How the position is known.
    pub certainty: Certainty,
    /// One entry a tag, in the order in which they were written.
    pub segments: Vec<Segment>,
}

/// What became of the audio that was written with one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The tag.
    pub tag: String,
    /// How much was written.
    pub received: Duration,
    /// How much of it went out, or was confirmed by a far end that does.
    pub played: Duration,
    /// How much of it never will, or was dropped from the far end's queue.
    pub discarded: Duration,
}

/// How a playback position is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// It was written to the wire.
    Written,
    /// The far end has confirmed it.
    Acked,
    /// It follows from the clock.
    Estimated,
}

impl Certainty {
    /// The certainty in lower case, as Python and JSON spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Acked => "acked",
            Self::Estimated => "estimated",
        }
    }
}

impl Receipt {
    /// The sum of what was played, over all tags.
    #[must_use]
    pub fn played(&self) -> Duration {
        self.segments.iter().map(|segment| segment.played).sum()
    }

    /// The sum of what was discarded, over all tags.
    #[must_use]
    pub fn discarded(&self) -> Duration {
        self.segments.iter().map(|segment| segment.discarded).sum()
    }
}

/// A generation and a count of samples in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) generation: u16,
    pub(super) samples: u64,
}

impl Mark {
    const fn pack(self) -> u64 {
        (self.generation as u64) << 48 | self.samples & SAMPLES_MASK
    }

    const fn unpack(word: u64) -> Self {
        Self { generation: (word >> 48) as u16, samples: word & SAMPLES_MASK }
    }
}

/// A [`Mark`] that both ends see: how far playout is, or how much was written.
#[derive(Debug, Default)]
pub(super) struct Cursor(AtomicU64);

impl Cursor {
    pub(super) fn load(&self) -> Mark {
        Mark::unpack(self.0.load(Ordering::Acquire))
    }

    /// Sets the cursor; for the one end that alone writes it.
    pub(super) fn store(&self, mark: Mark) {
        self.0.store(mark.pack(), Ordering::Release);
    }

    /// Goes `samples` further if the cursor still stands at `from`.
    pub(super) fn advance(&self, from: Mark, samples: u64) -> Result<Mark, Mark> {
        let to = Mark { samples: from.samples + samples, ..from };
        self.swap(from, to).map(|()| to)
    }

    /// Starts the next generation, and answers where the one before stood.
    pub(super) fn interrupt(&self) -> Mark {
        let mut at = self.load();
        loop {
            match self.swap(at, Mark { generation: at.generation.wrapping_add(1), samples: 0 }) {
                Ok(()) => return at,
                Err(moved) => at = moved,
            }
        }
    }

    fn swap(&self, from: Mark, to: Mark) -> Result<(), Mark> {
        self.0
            .compare_exchange(from.pack(), to.pack(), Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Mark::unpack)
    }
}

/// Which samples of a generation belong to which tag; kept by the agent end.
#[derive(Debug)]
pub(super) struct Ledger {
    wire_rate: SampleRate,
    entries: Vec<Entry>,
    /// Wire samples written in all.
    end: u64,
}

#[derive(Debug)]
struct Entry {
    tag: String,
    number: u32,
    rate: SampleRate,
    /// Samples as written, at `rate`.
    received: u64,
    /// Wire samples of the generation before this entry, and up to its end.
    start: u64,
    end: u64,
}

impl Ledger {
    pub(super) fn new(wire_rate: SampleRate) -> Self {
        Self { wire_rate, entries: Vec::new(), end: 0 }
    }

    /// Notes that `received` samples at `rate` became `wire` samples of the tag, which has this number.
    pub(super) fn write(&mut self, tag: &str, number: u32, rate: SampleRate, received: u64, wire: u64) {
        let start = self.end;
        self.end += wire;
        match self.entries.last_mut() {
            Some(last) if last.number == number && last.rate == rate => {
                last.received += received;
                last.end = self.end;
            }
            _ => self.entries.push(Entry { tag: tag.to_owned(), number, rate, received, start, end: self.end }),
        }
    }

    /// The number that this tag was given in this generation.
    pub(super) fn number_of(&self, tag: &str) -> Option<u32> {
        self.entries.iter().rev().find(|entry| entry.tag == tag).map(|entry| entry.number)
    }

    /// Wire samples that were written in all.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What was played when the cursor stood at `played` wire samples; the rest counts as discarded if `ended`.
    pub(super) fn receipt(&self, generation: u16, played: u64, certainty: Certainty, ended: bool) -> Receipt {
        let mut segments: Vec<Segment> = Vec::new();
        for entry in &self.entries {
            let received = entry.rate.duration_of(entry.received);
            let heard = played.clamp(entry.start, entry.end) - entry.start;
            let heard = if entry.end <= played { received } else { self.wire_rate.duration_of(heard).min(received) };
            let lost = if ended { received - heard } else { Duration::ZERO };
            match segments.iter_mut().find(|segment| segment.tag == entry.tag) {
                Some(segment) => {
                    segment.received += received;
                    segment.played += heard;
                    segment.discarded += lost;
                }
                None => segments.push(Segment { tag: entry.tag.clone(), received, played: heard, discarded: lost }),
            }
        }
        Receipt { generation, certainty, segments }
    }

    /// Forgets the oldest entries that were wholly played, so that an hour's call does not grow the ledger.
    pub(super) fn forget_played(&mut self, played: u64) {
        if self.entries.len() <= KEPT_ENTRIES {
            return;
        }
        let old = self.entries.len() - KEPT_ENTRIES;
        let keep_from = self.entries[..old].iter().take_while(|entry| entry.end <= played).count();
        self.entries.drain(..keep_from);
    }
}

const SAMPLES_MASK: u64 = (1 << 48) - 1;
/// How many entries of one generation a receipt reaches back at least.
const KEPT_ENTRIES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_interrupt_and_a_frame_cannot_both_win() {
        let cursor = Cursor::default();
        let before = cursor.load();
        let stopped_at = cursor.interrupt();
        assert_eq!(stopped_at, before);
        assert_eq!(cursor.advance(before, 160), Err(Mark { generation: 1, samples: 0 }));
    }

    #[test]
    fn generations_wrap() {
        let cursor = Cursor::default();
        cursor.store(Mark { generation: u16::MAX, samples: 7 });
        cursor.interrupt();
        assert_eq!(cursor.load(), Mark { generation: 0, samples: 0 });
    }

    proptest! {
        /// Whatever is written and wherever playout stops: received = played + discarded, for each tag, in order.
        #[test]
        fn nothing_is_lost_in_a_receipt(
            writes in prop::collection::vec((0usize..4, 1u64..5000), 1..40),
            stop in 0f64..1.2,
        ) {
            let rate = SampleRate::HZ_8000;
            let mut ledger = Ledger::new(rate);
            for &(tag, samples) in &writes {
                ledger.write(["a", "b", "c", "d"][tag], tag as u32, rate, samples, samples);
            }
            let total: u64 = writes.iter().map(|write| write.1).sum();
            prop_assert_eq!(ledger.end(), total);
            let played = (((total as f64) * stop) as u64).min(total);
            let receipt = ledger.receipt(0, played, Certainty::Written, true);
            for segment in &receipt.segments {
                prop_assert_eq!(segment.received, segment.played + segment.discarded);
            }
            let sum = receipt.played().as_micros() as i128;
            let exact = i128::from(played) * 125;
            prop_assert!((sum - exact).abs() <= writes.len() as i128, "{} against {}", sum, exact);
        }
    }
}
