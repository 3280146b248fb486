//! Joins two stretches of speech across a gap: bends the time of both until their pitch periods meet, then fades.
//!
//! Loss concealment bridges two continuations that were made up, time stretching two that are real; what makes a join
//! inaudible is the same. Where the stretches come from, and how long the gap is, is their business.

use super::frame::SampleRate;
use super::pitch::{self, Pitch, lags};

/// One side of a gap: a continuation into it, and what the continuation should arrive at.
///
/// Both run away from the known samples, so those of the later side run backwards in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    /// As long as the gap, and beyond it by [`beyond`].
    pub(crate) continued: &'a [f32],
    /// The samples at the far end of the gap, in the direction of `continued`; may be empty, then nothing is bent.
    pub(crate) meets: &'a [f32],
    /// The period of `continued`.
    pub(crate) pitch: Pitch,
}

/// Room for the work on one gap.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    earlier: Vec<f32>,
    later: Vec<f32>,
}

impl Bridge {
    /// Makes room for gaps of up to `longest` samples.
    pub(crate) fn new(longest: usize) -> Self {
        Self { earlier: vec![0.0; longest], later: vec![0.0; longest] }
    }

    /// Fills the gap `out` from both sides; gives how alike they were in it, 1 being the same.
    pub(crate) fn join(&mut self, earlier: Side<'_>, later: Side<'_>, out: &mut [i16]) -> f32 {
        let len = out.len();
        let (mut best, mut best_score) = ((0, 0), f32::MIN);
        let later_shifts = shifts(later, len);
        for from_earlier in shifts(earlier, len) {
            self.bend_earlier(earlier, from_earlier.by, len);
            for from_later in later_shifts {
                let together = self.bend_later(later, from_later.by, len);
                let score = from_earlier.likeness + from_later.likeness + together;
                if score > best_score {
                    (best_score, best) = (score, (from_earlier.by, from_later.by));
                }
            }
        }
        self.bend_earlier(earlier, best.0, len);
        let alike = self.bend_later(later, best.1, len);
        mix(&self.earlier[..len], &self.later[..len], alike, out);
        alike
    }

    /// Leads from a continuation into `real`, which it meets at `real`'s end; overwrites `real`.
    pub(crate) fn lead_into(&mut self, earlier: Side<'_>, real: &mut [i16]) {
        let len = real.len();
        let [shift, ..] = shifts(earlier, len);
        self.bend_earlier(earlier, shift.by, len);
        load(&mut self.later[..len], real);
        let alike = pitch::normalised(&self.earlier[..len], &self.later[..len]);
        mix(&self.earlier[..len], &self.later[..len], alike, real);
    }

    fn bend_earlier(&mut self, side: Side<'_>, by: isize, len: usize) {
        bend(side.continued, by, &mut self.earlier[..len]);
    }

    fn bend_later(&mut self, side: Side<'_>, by: isize, len: usize) -> f32 {
        bend(side.continued, by, &mut self.later[..len]);
        self.later[..len].reverse();
        pitch::normalised(&self.earlier[..len], &self.later[..len])
    }
}

/// How far beyond a gap a continuation is wanted: half a period to bend, and half a frame to compare.
pub(crate) fn beyond(rate: SampleRate) -> usize {
    matched(rate) + lags(rate).1 / 2 + 2
}

/// How many samples of each side are compared.
pub(crate) const fn matched(rate: SampleRate) -> usize {
    rate.frame_len() / 2
}

/// By how many samples a continuation is longer than its gap, and how like the far side it then is.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    by: isize,
    likeness: f32,
}

/// Finds where the continuation of a gap of `len` meets `side` best: up to three peaks, the best first.
fn shifts(side: Side<'_>, len: usize) -> [Shift; PEAKS] {
    let Side { continued, meets, pitch } = side;
    let mut found = [Shift::default(); PEAKS];
    let range = (pitch.lag as isize / 2).min(len as isize / 2);
    if pitch.strength < BENDABLE || meets.is_empty() {
        return found;
    }
    let likeness = |by: isize| {
        let from = len.wrapping_add_signed(by);
        // Near the natural place is likelier than far from it.
        let far = by as f32 / pitch.lag as f32;
        pitch::normalised(&continued[from..from + meets.len()], meets) - FARNESS * far * far
    };
    found[0] = Shift { by: 0, likeness: likeness(0) };
    let mut around = [f32::MIN, likeness(-range)];
    for by in -range..=range {
        let next = if by < range { likeness(by + 1) } else { f32::MIN };
        let here = around[1];
        if here >= around[0] && here > next && here > found[PEAKS - 1].likeness && by != 0 {
            found[PEAKS - 1] = Shift { by, likeness: here };
            found.sort_unstable_by(|a, b| b.likeness.total_cmp(&a.likeness));
        }
        around = [here, next];
    }
    found
}

/// Reads `out.len() + by` samples as if they were `out.len()`.
fn bend(samples: &[f32], by: isize, out: &mut [f32]) {
    let len = out.len();
    let step = len.wrapping_add_signed(by) as f32 / len as f32;
    for (n, out) in out.iter_mut().enumerate() {
        let at = n as f32 * step;
        let (whole, part) = (at as usize, at.fract());
        *out = samples[whole] + part * (samples[whole + 1] - samples[whole]);
    }
}

/// How much of what came before and of what comes after is heard at `at` of the gap, 0 to 1.
///
/// Signals that are alike add up in amplitude, others in power; the sum keeps the level in both cases.
fn weights(at: f32, alike: f32) -> (f32, f32) {
    let (old, new) = (1.0 - at, at);
    let level = (old * old + new * new + 2.0 * alike * old * new).sqrt();
    (old / level, new / level)
}

/// Fades from one to the other.
fn mix(earlier: &[f32], later: &[f32], alike: f32, out: &mut [i16]) {
    let (alike, len) = (alike.clamp(0.0, 1.0), out.len() as f32);
    for (n, ((out, earlier), later)) in out.iter_mut().zip(earlier).zip(later).enumerate() {
        let (old, new) = weights((n as f32 + 0.5) / len, alike);
        *out = round(old * earlier + new * later);
    }
}

/// Widens samples.
pub(crate) fn load(to: &mut [f32], from: &[i16]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = f32::from(from));
}

/// Narrows a sample; what is out of range saturates.
pub(crate) fn round(sample: f32) -> i16 {
    sample.round() as i16
}

/// How many ways to meet the far side are tried.
const PEAKS: usize = 3;
/// The strength of pitch below which nothing is bent.
const BENDABLE: f32 = 0.4;
/// What a shift by a whole period costs, in likeness.
const FARNESS: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tones_out_of_phase_are_joined_without_a_step() {
        let rate = SampleRate::HZ_8000;
        let tone = |from: f32| move |n: usize| 8_000.0 * ((n as f32 + from) * std::f32::consts::TAU / 50.0).sin();
        let len = 160;
        for off in [0, 5, 12, 20, 25, 33, 45] {
            let earlier: Vec<f32> = (0..len + beyond(rate)).map(tone(0.0)).collect();
            let real: Vec<f32> = (0..2 * len).map(tone(off as f32)).collect();
            let after: Vec<f32> = (len..len + matched(rate)).map(tone(off as f32)).collect();
            let mut out: Vec<i16> = real[..len].iter().map(|&x| round(x)).collect();
            let pitch = Pitch { lag: 50, strength: 1.0 };
            Bridge::new(len).lead_into(Side { continued: &earlier, meets: &after, pitch }, &mut out);
            let all: Vec<f32> = out.iter().map(|&x| f32::from(x)).chain(after).collect();
            let step = all.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            // The tone itself steps by 1,005; bent by half a period over 160 samples, by 16 % more.
            assert!(step < 1_300.0, "off by {off}: {step}");
        }
    }
}
