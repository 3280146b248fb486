//! Changes the sample rate of a stream, chunk by chunk, on time and without drift.
//!
//! A phone call runs at 8 or 16 kHz, speech models at 16 or 24, so that every frame of a call is resampled at least once in
//! each direction. General resamplers hold audio back until a block of theirs is full. [`Resampler`] does not: after `n`
//! input samples exactly `n * to / from` (rounded down) are out, whatever the chunks, and the audio is late by the
//! filter's own 2.5 ms or less. Rates differ by exact ratios here: a clock that runs fast or slow is not its business.
//!
//! All pairs of [`SampleRate`]s take the same way: a linear-phase polyphase FIR (`polyphase`) with its cut-off at half the
//! lower rate. Ratios of small numbers (all among 8, 12, 16, 24, 32 and 48 kHz, 96 kHz from 12 on, and doublings) have a fast
//! kernel (`kernel`); those of the 44.1 kHz family with the others, and 96 and 192 kHz with the lowest, take one dot product an
//! output. A general resampler such as rubato's `Fft` is about as fast there, but wants blocks of up to 441 samples (40 ms at
//! 11.025 kHz), is some 10 ms late, and cannot be cloned; `benches/resampler_peers.py` has the figures.

mod kernel;
mod polyphase;

use std::fmt;

use polyphase::Plan;

use super::frame::SampleRate;
use crate::{Error, Result};

/// Resamples 16-bit mono audio as it comes in: a linear-phase filter with its state.
///
/// The first [`delay_samples`](Self::delay_samples) outputs are the filter's ramp-up; who wants audio in its place skips
/// them and appends [`flush`](Self::flush), as [`resample`] does. Results are rounded and saturated, and depend on the
/// samples alone, never on how they were cut into chunks.
///
/// Cheap to make and to clone: filters are computed once a process for each ratio and shared; the state is about 1 KiB and
/// on no heap, but (at most 4 KiB) for some pairs of 96 or 192 kHz with 12 kHz or less.
///
/// ```
/// use talkpath::audio::frame::SampleRate;
/// use talkpath::audio::resample::Resampler;
///
/// # fn main() -> talkpath::Result<()> {
/// let mut resampler = Resampler::new(SampleRate::HZ_8000, SampleRate::HZ_16000);
/// let mut wide = [0; 320];
/// let written = resampler.process_into(&[1_000; 160], &mut wide)?;
/// assert_eq!(written, 320);
/// assert_eq!(wide[319], 1_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Resampler {
    from: SampleRate,
    to: SampleRate,
    /// None if the rates are equal.
    plan: Option<&'static Plan>,
    /// How many samples came in, modulo `plan.down`.
    phase: usize,
    history: History,
}

/// How much filter a [`Resampler`] spends. Figures are for 8 kHz as the lower rate and scale with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// For calls: 2.5 ms late, flat to 3.4 kHz within 0.01 dB, aliases and images of that band at −80 dB or less.
    #[default]
    Phone,
    /// For recordings: 4.5 ms late, flat to 3.6 kHz within 0.01 dB, aliases and images of that band at −100 dB or less.
    Studio,
}

impl Resampler {
    /// Makes a resampler for calls ([`Quality::Phone`]).
    #[must_use]
    pub fn new(from: SampleRate, to: SampleRate) -> Self {
        Self::with_quality(from, to, Quality::Phone)
    }

    /// Makes a resampler of the given quality.
    ///
    /// The first one of a ratio computes its filters: some 20 µs for phone rates, 0.2 to 9 ms in the 44.1 kHz family.
    #[must_use]
    pub fn with_quality(from: SampleRate, to: SampleRate, quality: Quality) -> Self {
        let plan = Plan::for_rates(from, to, quality);
        Self { from, to, plan, phase: 0, history: History::new(plan.map_or(0, |plan| plan.history)) }
    }

    /// Resamples a chunk of any size into a new vector of [`output_len`](Self::output_len) samples.
    ///
    /// Not for media threads: it allocates. They take [`process_into`](Self::process_into).
    pub fn process(&mut self, input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; self.output_len(input.len())];
        self.run(input, &mut out);
        out
    }

    /// Resamples a chunk of any size into `out`, and returns how many samples it wrote: [`output_len`](Self::output_len).
    ///
    /// Allocates nothing.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` is too short; then nothing has changed.
    pub fn process_into(&mut self, input: &[i16], out: &mut [i16]) -> Result<usize> {
        let len = self.output_len(input.len());
        let out = room(out, len)?;
        self.run(input, out);
        Ok(len)
    }

    /// Gives out what the filter still holds, [`delay_samples`](Self::delay_samples) of it, into a new vector.
    ///
    /// It is as if silence followed. Afterwards the resampler is as new.
    pub fn flush(&mut self) -> Vec<i16> {
        let mut out = vec![0; self.delay_samples()];
        self.drain(&mut out);
        out
    }

    /// Gives out what the filter still holds into `out`, and returns how many samples that was:
    /// [`delay_samples`](Self::delay_samples).
    ///
    /// It is as if silence followed. Afterwards the resampler is as new. Allocates nothing.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` is too short; then nothing has changed.
    pub fn flush_into(&mut self, out: &mut [i16]) -> Result<usize> {
        let len = self.delay_samples();
        let out = room(out, len)?;
        self.drain(out);
        Ok(len)
    }

    /// Forgets all audio: the resampler is as new.
    pub fn reset(&mut self) {
        self.phase = 0;
        self.history.as_mut_slice().fill(0);
    }

    /// The rate of the input.
    #[must_use]
    pub fn from_rate(&self) -> SampleRate {
        self.from
    }

    /// The rate of the output.
    #[must_use]
    pub fn to_rate(&self) -> SampleRate {
        self.to
    }

    /// By how much the filter delays the audio, in ms; zero between equal rates.
    #[must_use]
    pub fn delay_ms(&self) -> f32 {
        self.delay_samples() as f32 * 1_000.0 / self.to.hz() as f32
    }

    /// By how much the filter delays the audio, in output samples: a whole number, so that skipping them aligns it.
    #[must_use]
    pub fn delay_samples(&self) -> usize {
        self.plan.map_or(0, |plan| plan.delay)
    }

    /// How many samples the next `input_len` input samples give, exactly.
    ///
    /// After `n` samples in total, `n * to / from` rounded down are out. A chunk that is a whole number of output samples
    /// long (20 ms at any rate but 11.025 and 22.05 kHz, say) always gives the same number.
    #[must_use]
    pub fn output_len(&self, input_len: usize) -> usize {
        self.plan.map_or(input_len, |plan| plan.outputs(self.phase + input_len) - plan.outputs(self.phase))
    }

    /// Resamples `input` into `out`, which may be shorter than what the input gives.
    fn run(&mut self, mut input: &[i16], mut out: &mut [i16]) {
        let Some(plan) = self.plan else {
            out.copy_from_slice(&input[..out.len()]);
            return;
        };
        while !input.is_empty() {
            let (piece, rest) = input.split_at(input.len().min(kernel::piece_len(plan, self.phase)));
            let len = self.output_len(piece.len()).min(out.len());
            let (now, later) = std::mem::take(&mut out).split_at_mut(len);
            kernel::filter(plan, self.history.as_slice(), self.phase, piece, now);
            self.history.push(piece);
            self.phase = (self.phase + piece.len()) % plan.down;
            (input, out) = (rest, later);
        }
    }

    fn drain(&mut self, mut out: &mut [i16]) {
        const SILENCE: [i16; 64] = [0; 64];
        while !out.is_empty() {
            let len = self.output_len(SILENCE.len()).min(out.len());
            let (now, later) = std::mem::take(&mut out).split_at_mut(len);
            self.run(&SILENCE, now);
            out = later;
        }
        self.reset();
    }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, phase, .. } = self;
        write!(f, "Resampler({from} to {to}, {} samples late, phase {phase})", self.delay_samples())
    }
}

/// Resamples a whole recording for calls ([`Quality::Phone`]): `input.len() * to / from` samples (rounded down), each in its
/// place.
///
/// ```
/// use talkpath::audio::{frame::SampleRate, resample::resample};
///
/// let second = vec![0; 8_000];
/// assert_eq!(resample(&second, SampleRate::HZ_8000, SampleRate::HZ_24000).len(), 24_000);
/// ```
#[must_use]
pub fn resample(input: &[i16], from: SampleRate, to: SampleRate) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let delay = resampler.delay_samples();
    let mut out = resampler.process(input);
    out.extend(resampler.flush());
    out.drain(..delay);
    out
}

/// The last input samples, as many as the filter needs; zeros before the first.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one")]
enum History {
    /// In place, so that clones of a resampler allocate nothing either.
    Inline { samples: [i16; INLINE_HISTORY], len: usize },
    /// For the widest filters, which phone calls have no use for.
    Boxed(Box<[i16]>),
}

impl History {
    fn new(len: usize) -> Self {
        if len <= INLINE_HISTORY {
            Self::Inline { samples: [0; INLINE_HISTORY], len }
        } else {
            Self::Boxed(vec![0; len].into())
        }
    }

    fn push(&mut self, input: &[i16]) {
        let samples = self.as_mut_slice();
        let kept = samples.len().saturating_sub(input.len());
        samples.copy_within(samples.len() - kept.., 0);
        let new = samples.len() - kept;
        samples[kept..].copy_from_slice(&input[input.len() - new..]);
    }

    fn as_slice(&self) -> &[i16] {
        match self {
            Self::Inline { samples, len } => &samples[..*len],
            Self::Boxed(samples) => samples,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [i16] {
        match self {
            Self::Inline { samples, len } => &mut samples[..*len],
            Self::Boxed(samples) => samples,
        }
    }
}

fn room(out: &mut [i16], wanted: usize) -> Result<&mut [i16]> {
    let got = out.len();
    out.get_mut(..wanted).ok_or_else(|| Error::invalid(format!("room for {got} samples, wanted {wanted}")))
}

/// Enough for every ratio of small numbers.
const INLINE_HISTORY: usize = 640;
