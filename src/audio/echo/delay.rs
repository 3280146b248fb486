//! Finds where in what was sent an echo begins, and whether there is one at all.
//!
//! A quarter of a second of what was heard is laid over what was sent in the half second before: generalised
//! cross-correlation with the phase transform (C. Knapp and G. Carter, 1976), at about 4 kHz and between 200 and
//! 1,800 Hz, where speech is strong and every telephone carries it. Whitening makes the peak of a true echo sharp however
//! the voice is coloured, and a caller who speaks at the same time only adds to the noise around it. A tone or a hum
//! that is on both sides makes many peaks, or a broad one, and is no echo.
//!
//! The search works on the stack and costs some 100 µs; how often it is worth that is decided by who calls.

use super::fft::Fft;
use super::past::Past;
use crate::audio::frame::SampleRate;

/// A search at one rate.
#[derive(Debug)]
pub(super) struct Search {
    fft: &'static Fft,
    /// Samples that make one of the search's.
    factor: usize,
    /// A low-pass filter before that.
    low_pass: Vec<f32>,
    /// The correlations of the last searches, from the longest delay to none, and on to what comes too early.
    lags: Vec<f32>,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// By how much the echo comes after what was sent, in samples of the call.
    pub(super) delay: usize,
    /// By how many standard deviations the peak is higher than any other.
    pub(super) clarity: f32,
}

impl Search {
    pub(super) fn new(rate: SampleRate) -> Self {
        let factor = (rate.hz() / SEARCH_HZ) as usize;
        let len = 8 * factor;
        let middle = (len as f32 - 1.0) / 2.0;
        let low_pass = (0..len)
            .map(|n| {
                let x = (n as f32 - middle) * std::f32::consts::PI / factor as f32;
                let sinc = if x == 0.0 { 1.0 } else { (0.92 * x).sin() / x };
                let hann = 0.5 - 0.5 * (std::f32::consts::TAU * (n as f32 + 0.5) / len as f32).cos();
                sinc * hann / factor as f32
            })
            .collect();
        Self { fft: Fft::of(WINDOW), factor, low_pass, lags: vec![0.0; LAGS + 1 + EARLY] }
    }

    /// How many samples of what was heard are looked at.
    pub(super) fn heard_len(&self) -> usize {
        HEARD * self.factor + self.low_pass.len()
    }

    /// How many samples before those are looked through in what was sent: the longest delay.
    pub(super) fn longest(&self) -> usize {
        LAGS * self.factor
    }

    /// Looks for the newest [`heard_len`](Self::heard_len) samples up to `heard_end` in what was sent up to
    /// `sent_end`, which is as old.
    pub(super) fn run(&mut self, heard: &Past, heard_end: i64, sent: &Past, sent_end: i64) -> Option<Peak> {
        let fft = self.fft;
        let mut near = Block::new();
        let mut far = Block::new();
        let mut time = [0.0; WINDOW];
        let mut scratch = [0.0; WINDOW];
        self.decimate(heard, heard_end, &mut time[..HEARD]);
        for n in 0..EDGE {
            let fade = (n as f32 + 0.5) / EDGE as f32;
            time[n] *= fade;
            time[HEARD - 1 - n] *= fade;
        }
        fft.forward(&time, &mut near.re, &mut near.im, &mut scratch);
        self.decimate(sent, sent_end, &mut time[..HEARD + LAGS]);
        time[HEARD + LAGS..].fill(0.0);
        fft.forward(&time, &mut far.re, &mut far.im, &mut scratch);
        whiten(&mut far, &near);
        fft.inverse(&mut far.re, &mut far.im, &mut time, &mut scratch);
        let deviation = (time[..=LAGS].iter().map(|value| value * value).sum::<f32>() / LAGS as f32).sqrt();
        if deviation > 0.0 && deviation.is_finite() {
            let scale = 1.0 / deviation;
            for (all, value) in self.lags.iter_mut().zip(&time) {
                *all = KEPT * *all + scale * value;
            }
        }
        self.judge()
    }

    /// Forgets earlier searches.
    pub(super) fn reset(&mut self) {
        self.lags.fill(0.0);
    }

    /// Finds the peak.
    fn judge(&self) -> Option<Peak> {
        let lags = &self.lags;
        let (at, height) = loudest(lags[..=LAGS].iter().enumerate());
        let own = at.saturating_sub(AFTER)..=at + BEFORE;
        let elsewhere = || lags.iter().enumerate().filter(|(n, _)| !own.contains(n));
        let count = elsewhere().count() as f32;
        let deviation = (elsewhere().map(|(_, value)| value * value).sum::<f32>() / count).sqrt();
        if deviation <= 0.0 || !deviation.is_finite() {
            return None;
        }
        let (_, rival) = loudest(elsewhere());
        Some(Peak { delay: (LAGS - at) * self.factor, clarity: (height - rival) / deviation })
    }

    /// Fills `out` with the newest samples up to `end`, at the rate of the search.
    fn decimate(&self, past: &Past, end: i64, out: &mut [f32]) {
        let taps = self.low_pass.len();
        let begin = end - (out.len() * self.factor) as i64 - taps as i64;
        let mut piece = [0.0; PIECE];
        let step = (PIECE - taps) / self.factor;
        for (i, out) in out.chunks_mut(step).enumerate() {
            let n = out.len() * self.factor + taps;
            past.read(begin + (i * step * self.factor) as i64, &mut piece[..n]);
            for (out, window) in out.iter_mut().zip(piece[self.factor..n].windows(taps).step_by(self.factor)) {
                *out = window.iter().zip(&self.low_pass).map(|(sample, tap)| sample * tap).sum();
            }
        }
    }
}

struct Block {
    re: [f32; BINS],
    im: [f32; BINS],
}

impl Block {
    fn new() -> Self {
        Self { re: [0.0; BINS], im: [0.0; BINS] }
    }
}

/// Replaces `far` by the cross-spectrum with `near`, its magnitudes made nearly equal and cut to the band.
fn whiten(far: &mut Block, near: &Block) {
    let mean = |block: &Block| {
        let band = block.re[BAND].iter().zip(&block.im[BAND]);
        band.map(|(re, im)| re * re + im * im).sum::<f32>() / BAND.len() as f32
    };
    let floor_far = FLOOR * mean(far) + f32::MIN_POSITIVE;
    let floor_near = FLOOR * mean(near) + f32::MIN_POSITIVE;
    for k in BAND {
        let (a_re, a_im, b_re, b_im) = (far.re[k], far.im[k], near.re[k], near.im[k]);
        let power = (a_re * a_re + a_im * a_im + floor_far) * (b_re * b_re + b_im * b_im + floor_near);
        let scale = 1.0 / power.sqrt();
        far.re[k] = (a_re * b_re + a_im * b_im) * scale;
        far.im[k] = (a_im * b_re - a_re * b_im) * scale;
    }
    for k in (0..BAND.start).chain(BAND.end..BINS) {
        far.re[k] = 0.0;
        far.im[k] = 0.0;
    }
}

fn loudest<'a>(values: impl Iterator<Item = (usize, &'a f32)>) -> (usize, f32) {
    values.fold((0, 0.0), |best, (n, value)| if value.abs() > best.1 { (n, value.abs()) } else { best })
}

/// About the rate of the search.
const SEARCH_HZ: u32 = 4_000;
/// What is heard, and the lags that are tried, in samples of the search: 256 and 512 ms.
const HEARD: usize = 1_024;
const LAGS: usize = 2_048;
/// What was heard before it was sent is no echo, but what an agent says after the caller; it is tried for comparison.
const EARLY: usize = 800;
const WINDOW: usize = 4_096;
const BINS: usize = Fft::bins(WINDOW);
/// 200 to 1,800 Hz.
const BAND: std::ops::Range<usize> = 205..1_843;
/// What is fewer than 5 ms before the peak, or 30 ms behind it, belongs to it: the first reflections.
const BEFORE: usize = 20;
const AFTER: usize = 120;
/// How much of earlier searches counts in the next; windows overlap by three quarters.
const KEPT: f32 = 0.85;
/// Fade at both ends of what was heard: 8 ms.
const EDGE: usize = 32;
/// What is that far below the mean power is not raised to it.
const FLOOR: f32 = 0.01;
/// Samples that are decimated at once; the low-pass filters of the highest rates must leave room.
const PIECE: usize = 2_048;
