//! The magnitudes of four overlapping spectra at once: what Silero's network hears instead of samples.
//!
//! Silero takes a Hann-windowed Fourier transform of 256 samples every 128, written down as a matrix that is a quarter
//! of its weights. It is a plain transform, so it is computed as one: the four spectra of a window side by side in
//! the lanes of a vector, each as a complex transform of half the length.

use std::f64::consts::TAU;

/// One number of each of the four spectra.
pub(super) type Lanes = [f32; FRAMES];

/// Spectra in a window.
pub(super) const FRAMES: usize = 4;
/// Magnitudes in a spectrum, from 0 Hz to half the rate.
pub(super) const BINS: usize = FRAME / 2 + 1;
/// Samples that four spectra take: the last one begins at three hops.
pub(super) const SPAN: usize = FRAME + (FRAMES - 1) * HOP;

/// The window's shape and the transform's factors.
pub(super) struct Spectrum {
    hann: [f32; FRAME],
    /// `e^(-i TAU k / FRAME)`, half a turn of them.
    turns: [(f32, f32); HALF],
}

impl Spectrum {
    pub(super) fn new() -> Self {
        let angle = |k: usize| TAU * k as f64 / FRAME as f64;
        Self {
            hann: std::array::from_fn(|k| (0.5 - 0.5 * angle(k).cos()) as f32),
            turns: std::array::from_fn(|k| (angle(k).cos() as f32, -angle(k).sin() as f32)),
        }
    }

    /// Computes the magnitudes of the four spectra of `samples`.
    pub(super) fn magnitudes(&self, samples: &[f32; SPAN], out: &mut [Lanes; BINS]) {
        // Even samples are the real part and odd ones the imaginary part of a transform of half the length.
        let (mut real, mut imaginary) = ([[0.0; FRAMES]; HALF], [[0.0; FRAMES]; HALF]);
        for k in 0..HALF {
            // Bit-reversed order, because the transform works in place.
            let at = k.reverse_bits() >> (usize::BITS - HALF.ilog2());
            real[at] = std::array::from_fn(|frame| samples[frame * HOP + 2 * k] * self.hann[2 * k]);
            imaginary[at] = std::array::from_fn(|frame| samples[frame * HOP + 2 * k + 1] * self.hann[2 * k + 1]);
        }
        self.transform(&mut real, &mut imaginary);
        for (k, out) in out.iter_mut().enumerate() {
            let (a, b) = (k % HALF, (HALF - k) % HALF);
            let (turn_real, turn_imaginary) = if k < HALF { self.turns[k] } else { (-1.0, 0.0) };
            for frame in 0..FRAMES {
                // The spectra of the even and of the odd samples, taken apart by their symmetry.
                let even = (real[a][frame] + real[b][frame], imaginary[a][frame] - imaginary[b][frame]);
                let odd = (imaginary[a][frame] + imaginary[b][frame], real[b][frame] - real[a][frame]);
                let x = even.0 + turn_real * odd.0 - turn_imaginary * odd.1;
                let y = even.1 + turn_real * odd.1 + turn_imaginary * odd.0;
                out[frame] = 0.5 * (x * x + y * y).sqrt();
            }
        }
    }

    /// A complex transform in place, of numbers in bit-reversed order.
    fn transform(&self, real: &mut [Lanes; HALF], imaginary: &mut [Lanes; HALF]) {
        let mut half = 1;
        while half < HALF {
            for begin in (0..HALF).step_by(2 * half) {
                for k in 0..half {
                    let (cosine, sine) = self.turns[k * HALF / half];
                    let (upper, lower) = (begin + k, begin + k + half);
                    let (x, y) = (real[lower], imaginary[lower]);
                    let turned_x: Lanes = std::array::from_fn(|lane| x[lane] * cosine - y[lane] * sine);
                    let turned_y: Lanes = std::array::from_fn(|lane| x[lane] * sine + y[lane] * cosine);
                    let (x, y) = (real[upper], imaginary[upper]);
                    real[lower] = std::array::from_fn(|lane| x[lane] - turned_x[lane]);
                    imaginary[lower] = std::array::from_fn(|lane| y[lane] - turned_y[lane]);
                    real[upper] = std::array::from_fn(|lane| x[lane] + turned_x[lane]);
                    imaginary[upper] = std::array::from_fn(|lane| y[lane] + turned_y[lane]);
                }
            }
            half *= 2;
        }
    }
}

/// Samples of a spectrum.
const FRAME: usize = 256;
const HALF: usize = FRAME / 2;
/// Samples from one spectrum to the next.
const HOP: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_those_of_the_definition() {
        let mut state = 1_u32;
        let samples: [f32; SPAN] = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        });
        let mut out = [[0.0; FRAMES]; BINS];
        Spectrum::new().magnitudes(&samples, &mut out);
        for frame in 0..FRAMES {
            for (bin, got) in out.iter().enumerate() {
                let (mut x, mut y) = (0.0, 0.0);
                for k in 0..FRAME {
                    let hann = 0.5 - 0.5 * (TAU * k as f64 / FRAME as f64).cos();
                    let (sine, cosine) = (TAU * (k * bin % FRAME) as f64 / FRAME as f64).sin_cos();
                    let sample = f64::from(samples[frame * HOP + k]) * hann;
                    (x, y) = (x + sample * cosine, y - sample * sine);
                }
                let wanted = x.hypot(y);
                assert!((f64::from(got[frame]) - wanted).abs() < 1e-4, "{got:?} is not {wanted} in bin {bin}");
            }
        }
    }
}
