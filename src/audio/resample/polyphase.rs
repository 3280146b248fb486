//! Filter banks: which taps make which output sample, for one ratio and quality, computed once a process.
//!
//! A ratio `up / down` means: think of the input with `up - 1` zeros put after each sample, low-pass it, keep every
//! `down`-th sample. The low-pass is a Kaiser-windowed sinc cut at half the lower rate. Its every `max(up, down)`-th tap is
//! zero but the middle one, so that one phase of an interpolator hands input samples through as they are, and one share
//! of a decimator is a single tap. The sums themselves are [`kernel`](super::kernel)'s work; state is
//! [`Resampler`](super::Resampler)'s.

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::Quality;
use crate::audio::frame::SampleRate;

/// What one ratio and quality needs, shared by all resamplers that have it.
pub(super) struct Plan {
    /// Output samples for [`down`](Self::down) input samples; both in lowest terms.
    pub(super) up: usize,
    pub(super) down: usize,
    /// By how many output samples the filter is late.
    pub(super) delay: usize,
    /// How many past input samples the filter needs.
    pub(super) history: usize,
    pub(super) bank: Bank,
}

/// The taps, in the order that the kernel wants them.
pub(super) enum Bank {
    /// Small ratios: whole groups of `down` inputs make `up` outputs, many groups at a time.
    Grouped(Vec<Vec<Run>>),
    /// All other ratios: one row of taps for each of the `up` phases, one output at a time.
    Rows(Rows),
}

/// A plain FIR over every `down`-th input sample, one of those that are summed up for one output of a group.
pub(super) struct Run {
    /// Which sample of each group of `down` inputs.
    pub(super) stream: usize,
    /// How many groups after the first in the history the first tap lies.
    pub(super) offset: usize,
    pub(super) taps: Vec<f32>,
}

/// Taps by phase.
pub(super) struct Rows {
    /// Taps a row: a multiple of [`ROW_STEP`], zeros at the end.
    pub(super) len: usize,
    /// The reach of the filter to either side, in steps of the common rate.
    pub(super) reach: usize,
    pub(super) taps: Vec<f32>,
}

impl Plan {
    /// The plan for a pair of rates, computed at the first call for it; none if the rates are equal.
    pub(super) fn for_rates(from: SampleRate, to: SampleRate, quality: Quality) -> Option<&'static Self> {
        const RATES: usize = SampleRate::ALL.len();
        static PLANS: [[[OnceLock<Plan>; 2]; RATES]; RATES] =
            [const { [const { [const { OnceLock::new() }; 2] }; RATES] }; RATES];
        if from == to {
            return None;
        }
        let slot = |rate: SampleRate| SampleRate::ALL.iter().position(|&hz| hz == rate.hz()).unwrap_or_default();
        let plan = PLANS[slot(from)][slot(to)][quality as usize].get_or_init(|| {
            let common = gcd(from.hz(), to.hz());
            Self::design((to.hz() / common) as usize, (from.hz() / common) as usize, quality)
        });
        Some(plan)
    }

    /// How many samples leave once `inputs` have come in, since the start: `inputs * up / down`, rounded down.
    pub(super) fn outputs(&self, inputs: usize) -> usize {
        inputs * self.up / self.down
    }

    fn design(up: usize, down: usize, quality: Quality) -> Self {
        let prototype = Prototype::design(up, down, quality);
        let delay = delay(up, down, prototype.reach());
        if up <= MAX_GROUP && down <= MAX_GROUP {
            grouped(up, down, delay, &prototype)
        } else {
            rows(up, down, delay, &prototype)
        }
    }
}

/// The smallest delay, in output samples, at which no output needs an input that has yet to come.
///
/// Output `n` leaves with input `ceil((n + 1) * down / up) - 1`. The farthest input under the filter must be no later.
fn delay(up: usize, down: usize, reach: usize) -> usize {
    let late = |n: usize| {
        let last = ((n + 1) * down).div_ceil(up) - 1;
        (n * down + reach + 1).saturating_sub(up * last + up).div_ceil(down)
    };
    (0..up).map(late).max().unwrap_or_default()
}

fn grouped(up: usize, down: usize, delay: usize, prototype: &Prototype) -> Plan {
    let (up_step, down_step, late) = (up as isize, down as isize, delay as isize);
    let reach = prototype.reach() as isize;
    // The inputs under output `n` of group 0, counted from the group's first input.
    let first = |n: isize| -(reach - (n - late) * down_step).div_euclid(up_step);
    let past = (-first(0)).max(0) as usize;
    let groups = past.div_ceil(down);
    let runs = (0..up_step).map(|n| {
        let position = (n - late) * down_step;
        let taps: Vec<(usize, f64)> = (first(n)..)
            .map(|input| (input, position - input * up_step))
            .take_while(|&(_, m)| m >= -reach)
            .map(|(input, m)| ((input + (groups * down) as isize) as usize, prototype.tap(m)))
            .collect();
        let scale = 1.0 / taps.iter().map(|&(_, tap)| tap).sum::<f64>();
        let mut runs: Vec<Run> = Vec::new();
        for stream in 0..down {
            let own = taps.iter().filter(|&&(input, tap)| input % down == stream && tap != 0.0);
            let own: Vec<(usize, f32)> = own.map(|&(input, tap)| (input / down, (tap * scale) as f32)).collect();
            if let Some(&(offset, _)) = own.first() {
                runs.push(Run { stream, offset, taps: own.into_iter().map(|(_, tap)| tap).collect() });
            }
        }
        runs
    });
    let bank = Bank::Grouped(runs.collect());
    Plan { up, down, delay, history: groups * down + down - 1, bank }
}

fn rows(up: usize, down: usize, delay: usize, prototype: &Prototype) -> Plan {
    let reach = prototype.reach();
    let len = (2 * reach + 1).div_ceil(up).next_multiple_of(ROW_STEP);
    let mut taps = vec![0.0; up * len];
    for (phase, row) in taps.chunks_exact_mut(len).enumerate() {
        let positions = (0..).map(|k| reach as isize - phase as isize - (k * up) as isize);
        let own: Vec<f64> = positions.take_while(|&m| m >= -(reach as isize)).map(|m| prototype.tap(m)).collect();
        let scale = 1.0 / own.iter().sum::<f64>();
        for (slot, tap) in row.iter_mut().zip(own) {
            *slot = (tap * scale) as f32;
        }
    }
    let history = (delay * down + down - 1 + reach).div_ceil(up);
    Plan { up, down, delay, history, bank: Bank::Rows(Rows { len, reach, taps }) }
}

/// One half of the symmetric low-pass, at the common rate `from * up`, not yet scaled.
struct Prototype(Vec<f64>);

impl Prototype {
    fn design(up: usize, down: usize, quality: Quality) -> Self {
        let (taps_per_phase, attenuation) = quality.design();
        let beta = 0.1102 * (attenuation - 8.7);
        let band = up.max(down);
        let half = taps_per_phase * band / 2;
        let tap = |m: usize| match m {
            0 => 1.0,
            _ if m.is_multiple_of(band) => 0.0,
            _ => {
                let x = PI * m as f64 / band as f64;
                let edge = m as f64 / half as f64;
                x.sin() / x * bessel_i0(beta * (1.0 - edge * edge).sqrt()) / bessel_i0(beta)
            }
        };
        Self((0..half).map(tap).collect())
    }

    fn reach(&self) -> usize {
        self.0.len() - 1
    }

    fn tap(&self, m: isize) -> f64 {
        self.0[m.unsigned_abs()]
    }
}

impl Quality {
    /// Taps a phase at the lower rate, and the stop band's attenuation in dB that the Kaiser window is shaped for.
    const fn design(self) -> (usize, f64) {
        match self {
            Self::Phone => (40, 84.0),
            Self::Studio => (72, 111.0),
        }
    }
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The largest `up` or `down` that is worked off in groups.
pub(super) const MAX_GROUP: usize = 8;

/// Rows of taps are a multiple of this long: one AVX register of f32.
pub(super) const ROW_STEP: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(from: u32, to: u32, quality: Quality) -> &'static Plan {
        Plan::for_rates(SampleRate::new(from).unwrap(), SampleRate::new(to).unwrap(), quality).unwrap()
    }

    #[test]
    fn one_phase_of_an_interpolator_is_a_plain_copy() {
        let Bank::Grouped(runs) = &plan(8_000, 24_000, Quality::Phone).bank else { panic!("8 to 24 kHz is grouped") };
        let lengths: Vec<usize> = runs.iter().map(|runs| runs.iter().map(|run| run.taps.len()).sum()).collect();
        assert_eq!(lengths.iter().filter(|&&len| len == 1).count(), 1, "{lengths:?}");
        assert_eq!(lengths.iter().filter(|&&len| len == 40).count(), 2, "{lengths:?}");
        assert_eq!(runs.iter().flatten().find(|run| run.taps.len() == 1).unwrap().taps, [1.0]);
    }

    #[test]
    fn every_plan_fits_the_kernels_buffers() {
        for from in SampleRate::ALL {
            for to in SampleRate::ALL.into_iter().filter(|&to| to != from) {
                for quality in [Quality::Phone, Quality::Studio] {
                    let plan = plan(from, to, quality);
                    super::super::kernel::check_fits(plan);
                }
            }
        }
    }
}
