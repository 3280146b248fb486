//! The Fourier transform of real blocks whose length is a power of two.
//!
//! Echo cancellation works on spectra of 256 to 4,096 samples, several a frame and call, and needs neither other lengths
//! nor a planner; that is why this is 150 lines here and not a crate. Stockham's form with radix 4: no bit reversal, and
//! real and imaginary parts apart, so that the compiler vectorises the inner loops. Tables are computed once a length in
//! a process, and shared. It decides nothing about scaling by the caller: [`Fft::inverse`] undoes [`Fft::forward`].

use std::f64::consts::TAU;
use std::sync::OnceLock;

/// Transforms of one length.
#[derive(Debug)]
pub(super) struct Fft {
    /// Real samples of a block.
    len: usize,
    stages: Vec<Stage>,
    /// e^(-2 pi i k / len) for k up to half of `len / 2`.
    unpack: Vec<(f32, f32)>,
}

#[derive(Debug)]
struct Stage {
    radix: usize,
    /// How many butterflies with twiddles of their own.
    groups: usize,
    /// How many in a row share their twiddles.
    stride: usize,
    /// First, second and third power, for each group.
    twiddles: Vec<[(f32, f32); 3]>,
}

impl Fft {
    /// The transform of blocks of `len` real samples: a power of two from 64 to 16,384.
    pub(super) fn of(len: usize) -> &'static Self {
        static TABLES: [OnceLock<Fft>; 9] = [const { OnceLock::new() }; 9];
        debug_assert!(len.is_power_of_two() && (64..=16_384).contains(&len));
        TABLES[len.trailing_zeros() as usize - 6].get_or_init(|| Self::new(len))
    }

    fn new(len: usize) -> Self {
        let half = len / 2;
        let mut stages = Vec::new();
        let (mut n, mut stride) = (half, 1);
        while n > 1 {
            let radix = if n >= 4 { 4 } else { 2 };
            let groups = n / radix;
            let twiddles = (0..groups).map(|p| [1, 2, 3].map(|power| turn(power * p, n))).collect();
            stages.push(Stage { radix, groups, stride, twiddles });
            n /= radix;
            stride *= radix;
        }
        Self { len, stages, unpack: (0..=half / 2).map(|k| turn(k, len)).collect() }
    }

    /// How many bins a spectrum has: from 0 Hz up to half the rate, both included.
    pub(super) const fn bins(len: usize) -> usize {
        len / 2 + 1
    }

    /// Transforms `time` into `re` and `im`; `scratch` is as long as `time`, both others have [`Fft::bins`] elements.
    pub(super) fn forward(&self, time: &[f32], re: &mut [f32], im: &mut [f32], scratch: &mut [f32]) {
        let half = self.len / 2;
        for (k, pair) in time.chunks_exact(2).enumerate() {
            re[k] = pair[0];
            im[k] = pair[1];
        }
        self.complex(re, im, scratch);
        let (first_re, first_im) = (re[0], im[0]);
        re[0] = first_re + first_im;
        im[0] = 0.0;
        re[half] = first_re - first_im;
        im[half] = 0.0;
        for (k, &(cos, sin)) in self.unpack.iter().enumerate().skip(1) {
            let j = half - k;
            let (even_re, even_im) = (0.5 * (re[k] + re[j]), 0.5 * (im[k] - im[j]));
            let (odd_re, odd_im) = (0.5 * (im[k] + im[j]), 0.5 * (re[j] - re[k]));
            let (turned_re, turned_im) = (odd_re * cos - odd_im * sin, odd_re * sin + odd_im * cos);
            re[k] = even_re + turned_re;
            im[k] = even_im + turned_im;
            re[j] = even_re - turned_re;
            im[j] = turned_im - even_im;
        }
    }

    /// Transforms a spectrum back into `time`, and leaves garbage in `re` and `im`.
    pub(super) fn inverse(&self, re: &mut [f32], im: &mut [f32], time: &mut [f32], scratch: &mut [f32]) {
        let half = self.len / 2;
        let (first, last) = (re[0], re[half]);
        re[0] = 0.5 * (first + last);
        im[0] = 0.5 * (first - last);
        for (k, &(cos, sin)) in self.unpack.iter().enumerate().skip(1) {
            let j = half - k;
            let (even_re, even_im) = (0.5 * (re[k] + re[j]), 0.5 * (im[k] - im[j]));
            let (turned_re, turned_im) = (0.5 * (re[k] - re[j]), 0.5 * (im[k] + im[j]));
            let (odd_re, odd_im) = (turned_re * cos + turned_im * sin, turned_im * cos - turned_re * sin);
            re[k] = even_re - odd_im;
            im[k] = even_im + odd_re;
            re[j] = even_re + odd_im;
            im[j] = odd_re - even_im;
        }
        // The inverse is the forward transform with both parts exchanged.
        self.complex(im, re, scratch);
        let scale = 1.0 / half as f32;
        for (pair, (&re, &im)) in time.chunks_exact_mut(2).zip(re.iter().zip(im.iter())) {
            pair[0] = re * scale;
            pair[1] = im * scale;
        }
    }

    /// Transforms half as many complex values in place.
    fn complex(&self, re: &mut [f32], im: &mut [f32], scratch: &mut [f32]) {
        let half = self.len / 2;
        let (other_re, other_im) = scratch[..self.len].split_at_mut(half);
        let (mut from_re, mut from_im) = (&mut re[..half], &mut im[..half]);
        let (mut to_re, mut to_im) = (other_re, other_im);
        for stage in &self.stages {
            if stage.radix == 4 {
                stage.by_four(from_re, from_im, to_re, to_im);
            } else {
                stage.by_two(from_re, from_im, to_re, to_im);
            }
            std::mem::swap(&mut from_re, &mut to_re);
            std::mem::swap(&mut from_im, &mut to_im);
        }
        if self.stages.len() % 2 == 1 {
            to_re.copy_from_slice(from_re);
            to_im.copy_from_slice(from_im);
        }
    }
}

impl Stage {
    fn by_four(&self, from_re: &[f32], from_im: &[f32], to_re: &mut [f32], to_im: &mut [f32]) {
        let s = self.stride;
        let quarter = self.groups * s;
        let (a_re, b_re, c_re, d_re) = quarters(from_re, quarter);
        let (a_im, b_im, c_im, d_im) = quarters(from_im, quarter);
        let outs = to_re.chunks_exact_mut(4 * s).zip(to_im.chunks_exact_mut(4 * s));
        for ((p, [w1, w2, w3]), (out_re, out_im)) in self.twiddles.iter().enumerate().zip(outs) {
            let at = p * s..(p + 1) * s;
            let (a_re, b_re, c_re, d_re) = (&a_re[at.clone()], &b_re[at.clone()], &c_re[at.clone()], &d_re[at.clone()]);
            let (a_im, b_im, c_im, d_im) = (&a_im[at.clone()], &b_im[at.clone()], &c_im[at.clone()], &d_im[at]);
            let (y0_re, y1_re, y2_re, y3_re) = quarters_mut(out_re, s);
            let (y0_im, y1_im, y2_im, y3_im) = quarters_mut(out_im, s);
            for q in 0..s {
                let (sum_re, sum_im) = (a_re[q] + c_re[q], a_im[q] + c_im[q]);
                let (less_re, less_im) = (a_re[q] - c_re[q], a_im[q] - c_im[q]);
                let (with_re, with_im) = (b_re[q] + d_re[q], b_im[q] + d_im[q]);
                let (turn_re, turn_im) = (d_im[q] - b_im[q], b_re[q] - d_re[q]);
                y0_re[q] = sum_re + with_re;
                y0_im[q] = sum_im + with_im;
                let (re, im) = (less_re - turn_re, less_im - turn_im);
                y1_re[q] = re * w1.0 - im * w1.1;
                y1_im[q] = re * w1.1 + im * w1.0;
                let (re, im) = (sum_re - with_re, sum_im - with_im);
                y2_re[q] = re * w2.0 - im * w2.1;
                y2_im[q] = re * w2.1 + im * w2.0;
                let (re, im) = (less_re + turn_re, less_im + turn_im);
                y3_re[q] = re * w3.0 - im * w3.1;
                y3_im[q] = re * w3.1 + im * w3.0;
            }
        }
    }

    /// The last stage of an odd power of two: one group, whose twiddle is one.
    fn by_two(&self, from_re: &[f32], from_im: &[f32], to_re: &mut [f32], to_im: &mut [f32]) {
        let s = self.stride;
        for (from, to) in [(from_re, to_re), (from_im, to_im)] {
            let (a, b) = from.split_at(s);
            let (sum, less) = to.split_at_mut(s);
            for q in 0..s {
                sum[q] = a[q] + b[q];
                less[q] = a[q] - b[q];
            }
        }
    }
}

/// e^(-2 pi i k / n).
fn turn(k: usize, n: usize) -> (f32, f32) {
    let angle = -TAU * k as f64 / n as f64;
    (angle.cos() as f32, angle.sin() as f32)
}

fn quarters(all: &[f32], quarter: usize) -> (&[f32], &[f32], &[f32], &[f32]) {
    let (a, rest) = all.split_at(quarter);
    let (b, rest) = rest.split_at(quarter);
    let (c, d) = rest.split_at(quarter);
    (a, b, c, d)
}

fn quarters_mut(all: &mut [f32], quarter: usize) -> (&mut [f32], &mut [f32], &mut [f32], &mut [f32]) {
    let (a, rest) = all.split_at_mut(quarter);
    let (b, rest) = rest.split_at_mut(quarter);
    let (c, d) = rest.split_at_mut(quarter);
    (a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_spectrum_is_what_the_sum_says() {
        for len in [64, 128, 256, 512] {
            let time = noise(len);
            let bins = Fft::bins(len);
            let (mut re, mut im, mut scratch) = (vec![0.0; bins], vec![0.0; bins], vec![0.0; len]);
            Fft::of(len).forward(&time, &mut re, &mut im, &mut scratch);
            for k in 0..bins {
                let (mut want_re, mut want_im) = (0.0, 0.0);
                for (n, &x) in time.iter().enumerate() {
                    let angle = TAU * (k * n) as f64 / len as f64;
                    want_re += f64::from(x) * angle.cos();
                    want_im -= f64::from(x) * angle.sin();
                }
                assert!((f64::from(re[k]) - want_re).abs() < 1e-3, "{len}, bin {k}: {} {want_re}", re[k]);
                assert!((f64::from(im[k]) - want_im).abs() < 1e-3, "{len}, bin {k}: {} {want_im}", im[k]);
            }
        }
    }

    #[test]
    fn the_inverse_undoes() {
        for len in [64, 256, 1_024, 2_048, 4_096] {
            let time = noise(len);
            let bins = Fft::bins(len);
            let (mut re, mut im, mut scratch) = (vec![0.0; bins], vec![0.0; bins], vec![0.0; len]);
            let mut back = vec![0.0; len];
            Fft::of(len).forward(&time, &mut re, &mut im, &mut scratch);
            Fft::of(len).inverse(&mut re, &mut im, &mut back, &mut scratch);
            for (want, got) in time.iter().zip(&back) {
                assert!((want - got).abs() < 1e-5, "{len}: {got}, wanted {want}");
            }
        }
    }
}
