//! How long the pitch period at the end of a stretch of speech is, and how sure that is.
//!
//! Concealment repeats whole periods and time stretching removes or doubles them, so both ask here. The search is a
//! normalised cross-correlation of the last samples with those one lag earlier; between octaves it prefers the shorter
//! period. It keeps no state: tracking pitch over time is nobody's business yet.

use super::frame::SampleRate;

/// A pitch period and how periodic the signal is at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pitch {
    /// The period in samples.
    pub(crate) lag: usize,
    /// The normalised correlation at `lag`: 1 repeats exactly, 0 or less does not repeat.
    pub(crate) strength: f32,
}

/// The shortest and the longest period that is searched, in samples: 400 Hz to 57 Hz.
pub(crate) const fn lags(rate: SampleRate) -> (usize, usize) {
    (rate.hz() as usize / 400, rate.hz() as usize / 57)
}

/// Finds the period at the end of `signal`, comparing at most `window` samples.
///
/// A signal too short for the longest period is searched as far as it reaches, comparing at least a third of `window`.
/// Silence has strength 0.
pub(crate) fn find(signal: &[f32], rate: SampleRate, window: usize) -> Pitch {
    let (shortest, longest) = lags(rate);
    let step = (rate.hz() / 8_000).max(1) as usize;
    let mut best = Pitch { lag: longest.min(signal.len() / 2).max(shortest), strength: 0.0 };
    let mut shortest_good = best;
    let mut previous = [0.0_f32; 2];
    for pass in 0..2 {
        let mut lag = shortest;
        while lag <= longest && lag + window / 3 <= signal.len() {
            let strength = similarity(signal, lag, window);
            if pass == 0 {
                if strength > best.strength {
                    best = Pitch { lag, strength };
                }
            } else {
                // A local peak nearly as good as the best, found earlier, is the true period if the best is its multiple.
                let peak = previous[1] >= previous[0] && previous[1] >= strength;
                if peak && previous[1] >= OCTAVE_BIAS * best.strength && lag > shortest + step {
                    let periods = best.lag as f32 / (lag - step) as f32;
                    if periods > 1.5 && (periods - periods.round()).abs() < SUBMULTIPLE {
                        shortest_good = Pitch { lag: lag - step, strength: previous[1] };
                        break;
                    }
                }
                previous = [previous[1], strength];
            }
            lag += step;
        }
        if pass == 0 {
            shortest_good = best;
            if best.strength < 0.3 {
                return best;
            }
        }
    }
    refine(signal, shortest_good, step, window)
}

/// Looks between the steps of the coarse search.
fn refine(signal: &[f32], coarse: Pitch, step: usize, window: usize) -> Pitch {
    let (from, to) = (coarse.lag.saturating_sub(step - 1), coarse.lag + step - 1);
    let better = |best: Pitch, lag: usize| {
        if lag == coarse.lag || lag + window / 3 > signal.len() {
            return best;
        }
        let strength = similarity(signal, lag, window);
        if strength > best.strength { Pitch { lag, strength } } else { best }
    };
    (from..=to).fold(coarse, better)
}

/// The normalised correlation of the end of `signal` with what lies `lag` samples earlier.
fn similarity(signal: &[f32], lag: usize, window: usize) -> f32 {
    let len = window.min(signal.len() - lag);
    let end = &signal[signal.len() - len..];
    let before = &signal[signal.len() - len - lag..signal.len() - lag];
    normalised(end, before)
}

/// The normalised correlation of two equally long stretches; 0 if either is silent.
pub(crate) fn normalised(a: &[f32], b: &[f32]) -> f32 {
    let energy = dot(a, a) * dot(b, b);
    if energy <= 1.0 { 0.0 } else { dot(a, b) / energy.sqrt() }
}

/// The scalar product, in eight running sums so that it vectorises.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// How near to the best a shorter period must come to be taken instead.
const OCTAVE_BIAS: f32 = 0.88;
/// How near to a whole number of the shorter periods the best must be: else they are those of a formant.
const SUBMULTIPLE: f32 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rings at 760 Hz after each pulse, whatever the rate.
    fn pulses(period: usize, rate: SampleRate) -> Vec<f32> {
        let scale = 8_000.0 / rate.hz() as f32;
        let pulse = |n: usize| {
            let at = (n % period) as f32 * scale;
            8_000.0 * (-at / 9.0).exp() * (at * 0.6).sin()
        };
        (0..rate.hz() as usize / 20).map(pulse).collect()
    }

    #[test]
    fn the_period_of_a_pulse_train_is_found_and_no_multiple_of_it() {
        for (rate, period) in [(8_000, 23), (8_000, 64), (8_000, 130), (16_000, 47), (16_000, 201), (48_000, 401)] {
            let rate = SampleRate::new(rate).unwrap();
            let pitch = find(&pulses(period, rate), rate, rate.frame_len());
            assert_eq!(pitch.lag, period, "{rate}: {pitch:?}");
            assert!(pitch.strength > 0.99, "{rate}: {pitch:?}");
        }
    }

    #[test]
    fn a_weak_high_tone_does_not_pass_for_the_period() {
        let rate = SampleRate::HZ_16000;
        let tone = |n: usize, period: f32| (n as f32 * std::f32::consts::TAU / period).sin();
        let both: Vec<f32> = (0..960).map(|n| 5_000.0 * tone(n, 80.0) + 1_500.0 * tone(n, 5.0)).collect();
        let pitch = find(&both, rate, rate.frame_len());
        assert_eq!((pitch.lag, pitch.strength > 0.99), (80, true), "{pitch:?}");
    }

    #[test]
    fn silence_and_noise_are_not_periodic() {
        let rate = SampleRate::HZ_8000;
        assert_eq!(find(&[0.0; 400], rate, 160).strength, 0.0);
        let mut seed = 1_u32;
        let noise: Vec<f32> = (0..400)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as f32 - 32_768.0
            })
            .collect();
        assert!(find(&noise, rate, 160).strength < 0.4);
    }
}
