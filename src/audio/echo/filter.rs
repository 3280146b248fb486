//! The adaptive filter: what of the line is an echo of what was sent, block by block of 10 ms.
//!
//! A partitioned-block frequency-domain Kalman filter (G. Enzner and P. Vary, *Frequency-domain adaptive Kalman filter
//! for acoustic echo control in hands-free telephones*, Signal Processing 86, 2006; in partitions: F. Kuech, E. Mabande
//! and G. Enzner, *State-space architecture of the partitioned-block-based acoustic echo controller*, ICASSP 2014). Each
//! bin of each partition keeps, beside its weight, how unsure it is of it; the step is what this uncertainty is worth
//! beside the caller's voice and the noise. So double talk needs no detector: a caller makes the step small in the bins
//! that he uses, at once. The window is 2.5 to 3 blocks long, and each partition spans two blocks.
//!
//! Where the echo lies in time is found elsewhere; here it is within the taps, or there is none.

use super::fft::Fft;

/// The filter of one call.
#[derive(Debug)]
pub(super) struct Filter {
    fft: &'static Fft,
    /// Samples of a window; of a block; taps of a partition.
    window: usize,
    block: usize,
    taps: usize,
    bins: usize,
    partitions: usize,
    /// Blocks from one partition to the next.
    hop: usize,
    /// Spectra of what was sent, one a block, newest at `newest`: real, then imaginary parts.
    sent: Vec<f32>,
    slots: usize,
    newest: usize,
    /// Whether what was sent in a slot is nothing, and whether it is too quiet to learn from.
    is_silent: Vec<bool>,
    is_quiet: Vec<bool>,
    /// Spectra of the impulse response, one a partition: real, then imaginary parts.
    weights: Vec<f32>,
    /// The variance of each weight.
    unsure: Vec<f32>,
    /// The power of what is no echo: the caller and the noise.
    near: Vec<f32>,
    near_slow: Vec<f32>,
    /// Which partition is next to be brought back to its length.
    constrained: usize,
    work: Work,
}

#[derive(Debug)]
struct Work {
    time: Vec<f32>,
    scratch: Vec<f32>,
    re: Vec<f32>,
    im: Vec<f32>,
    total: Vec<f32>,
}

/// What a block was made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Powers {
    /// Mean square of what was heard.
    pub(super) heard: f32,
    /// Mean square of the echo in it, as the filter believes.
    pub(super) echo: f32,
    /// Mean square of what is left.
    pub(super) left: f32,
    /// How many blocks these are the sums of.
    pub(super) blocks: f32,
}

impl Powers {
    pub(super) fn add(&mut self, other: Self) {
        self.heard += other.heard;
        self.echo += other.echo;
        self.left += other.left;
        self.blocks += other.blocks;
    }
}

impl Filter {
    /// Makes a filter for blocks of `block` samples that spans at least `tail` samples.
    pub(super) fn new(block: usize, tail: usize) -> Self {
        let window = (5 * block / 2).next_power_of_two();
        let hop = (window - block) / block;
        let taps = hop * block;
        let partitions = tail.div_ceil(taps);
        let slots = hop * (partitions - 1) + 1;
        let bins = Fft::bins(window);
        let work = Work {
            time: vec![0.0; window],
            scratch: vec![0.0; window],
            re: vec![0.0; bins],
            im: vec![0.0; bins],
            total: vec![0.0; bins],
        };
        let mut filter = Self {
            fft: Fft::of(window),
            window,
            block,
            taps,
            bins,
            partitions,
            hop,
            sent: vec![0.0; slots * 2 * bins],
            slots,
            newest: 0,
            is_silent: vec![true; slots],
            is_quiet: vec![true; slots],
            weights: vec![0.0; partitions * 2 * bins],
            unsure: vec![0.0; partitions * bins],
            near: vec![0.0; bins],
            near_slow: vec![0.0; bins],
            constrained: 0,
            work,
        };
        filter.forget_path();
        filter
    }

    /// Samples of what was sent that [`sent`](Self::sent) wants.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Blocks of what was sent that it looks back on.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Samples of the impulse response that it models.
    pub(super) fn span(&self) -> usize {
        self.partitions * self.taps
    }

    /// Forgets the echo path.
    pub(super) fn forget_path(&mut self) {
        self.weights.fill(0.0);
        for (p, unsure) in self.unsure.chunks_exact_mut(self.bins).enumerate() {
            unsure.fill(FIRST_VARIANCE * FIRST_DECAY.powi(p as i32));
        }
        self.near.fill(0.0);
        self.near_slow.fill(0.0);
    }

    /// Takes what was sent: the window that ends with the present block.
    pub(super) fn sent(&mut self, window: &[f32]) {
        self.newest = (self.newest + 1) % self.slots;
        let silent = window.iter().all(|&sample| sample == 0.0);
        self.is_silent[self.newest] = silent;
        self.is_quiet[self.newest] = mean_square(window) < LEAST_LEARNT;
        let slot = &mut self.sent[self.newest * 2 * self.bins..][..2 * self.bins];
        if silent {
            slot.fill(0.0);
        } else {
            let (re, im) = slot.split_at_mut(self.bins);
            self.fft.forward(window, re, im, &mut self.work.scratch);
        }
    }

    /// Whether nothing was sent that could come back now.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.iter().all(|&silent| silent)
    }

    /// Takes the echo out of a block, and learns from what is left.
    pub(super) fn cancel(&mut self, block: &mut [f32]) -> Powers {
        let heard = mean_square(block);
        if self.is_silent() {
            return Powers { heard, echo: 0.0, left: heard, blocks: 1.0 };
        }
        let echo = self.subtract_echo(block);
        let left = mean_square(block);
        self.learn(block);
        self.constrain();
        Powers { heard, echo, left, blocks: 1.0 }
    }

    /// Leaves in `block` what the filter does not believe to be echo; answers the power of the rest.
    fn subtract_echo(&mut self, block: &mut [f32]) -> f32 {
        let Work { time, scratch, re, im, .. } = &mut self.work;
        re.fill(0.0);
        im.fill(0.0);
        for p in 0..self.partitions {
            let slot = (self.newest + self.slots - p * self.hop) % self.slots;
            if self.is_silent[slot] {
                continue;
            }
            let (x_re, x_im) = self.sent[slot * 2 * self.bins..][..2 * self.bins].split_at(self.bins);
            let (w_re, w_im) = self.weights[p * 2 * self.bins..][..2 * self.bins].split_at(self.bins);
            let inputs = x_re.iter().zip(x_im).zip(w_re.iter().zip(w_im));
            for ((re, im), ((x_re, x_im), (w_re, w_im))) in re.iter_mut().zip(im.iter_mut()).zip(inputs) {
                *re += x_re * w_re - x_im * w_im;
                *im += x_re * w_im + x_im * w_re;
            }
        }
        self.fft.inverse(re, im, time, scratch);
        let echo = &time[self.window - self.block..];
        for (sample, echo) in block.iter_mut().zip(echo) {
            *sample -= echo;
        }
        mean_square(echo)
    }

    /// Corrects weights and variances by what is left.
    fn learn(&mut self, left: &[f32]) {
        let share = self.block as f32 / self.window as f32;
        let Work { time, scratch, re, im, total } = &mut self.work;
        time[..self.window - self.block].fill(0.0);
        time[self.window - self.block..].copy_from_slice(left);
        self.fft.forward(time, re, im, scratch);
        total.fill(0.0);
        for p in 0..self.partitions {
            let slot = (self.newest + self.slots - p * self.hop) % self.slots;
            if self.is_silent[slot] {
                continue;
            }
            let (x_re, x_im) = self.sent[slot * 2 * self.bins..][..2 * self.bins].split_at(self.bins);
            let unsure = &self.unsure[p * self.bins..][..self.bins];
            for ((total, unsure), (x_re, x_im)) in total.iter_mut().zip(unsure).zip(x_re.iter().zip(x_im)) {
                *total += unsure * (x_re * x_re + x_im * x_im);
            }
        }
        // What the filter's doubt explains is no caller.
        let power = re.iter().zip(im.iter()).map(|(re, im)| re * re + im * im).sum::<f32>() / self.bins as f32;
        let floor = NOISE_POWER * self.block as f32 + LEAKED * power;
        for (((total, near), slow), (re, im)) in
            total.iter_mut().zip(&mut self.near).zip(&mut self.near_slow).zip(re.iter().zip(im.iter()))
        {
            let power = re * re + im * im;
            let caller = (power - share * *total).max(power * LEAST_NEAR);
            *near += NEAR_RATE * (caller - *near);
            *slow += NEAR_SLOW_RATE * (caller - *slow);
            let noise = near.max(*slow).max(floor);
            *total = share / (share * *total + noise);
        }
        let keep = PERSISTENCE * PERSISTENCE;
        for p in 0..self.partitions {
            let slot = (self.newest + self.slots - p * self.hop) % self.slots;
            if self.is_quiet[slot] {
                continue;
            }
            let (x_re, x_im) = self.sent[slot * 2 * self.bins..][..2 * self.bins].split_at(self.bins);
            let (w_re, w_im) = self.weights[p * 2 * self.bins..][..2 * self.bins].split_at_mut(self.bins);
            let unsure = &mut self.unsure[p * self.bins..][..self.bins];
            for k in 0..self.bins {
                let step = unsure[k] * total[k];
                w_re[k] += step * (x_re[k] * re[k] + x_im[k] * im[k]);
                w_im[k] += step * (x_re[k] * im[k] - x_im[k] * re[k]);
                let known = share * step * (x_re[k] * x_re[k] + x_im[k] * x_im[k]);
                let power = w_re[k] * w_re[k] + w_im[k] * w_im[k];
                unsure[k] = keep * (1.0 - known) * unsure[k] + (1.0 - keep) * power;
            }
        }
    }

    /// Brings a partition back to the length that it stands for; circular convolution bends the ends.
    fn constrain(&mut self) {
        let Work { time, scratch, re, im, .. } = &mut self.work;
        for _ in 0..CONSTRAINED_AT_ONCE.min(self.partitions) {
            self.constrained = (self.constrained + 1) % self.partitions;
            let (w_re, w_im) =
                self.weights[self.constrained * 2 * self.bins..][..2 * self.bins].split_at_mut(self.bins);
            re.copy_from_slice(w_re);
            im.copy_from_slice(w_im);
            self.fft.inverse(re, im, time, scratch);
            time[self.taps..].fill(0.0);
            self.fft.forward(time, w_re, w_im, scratch);
        }
    }
}

fn mean_square(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}

/// The variance of a weight of the first partition before anything is known, and how it falls from one to the next.
const FIRST_VARIANCE: f32 = 0.2;
const FIRST_DECAY: f32 = 0.7;
/// How much of a weight is kept from block to block; the rest is what the path may change.
const PERSISTENCE: f32 = 0.9999;
/// How fast the caller's power is followed.
const NEAR_RATE: f32 = 0.5;
const NEAR_SLOW_RATE: f32 = 0.05;
/// The share of a bin that is not believed to be the filter's own fault, at least.
const LEAST_NEAR: f32 = 0.3;
/// The mean square of the quietest that is learnt from: -55 dBFS. The echo of less drowns in the steps of mu-law.
const LEAST_LEARNT: f32 = 3.4e3;
/// The power of the least noise that a line is taken to have: -78 dBFS.
const NOISE_POWER: f32 = 16.0;
/// What of the mean power of the bins is in every one of them, since blocks have edges: -20 dB.
const LEAKED: f32 = 0.01;
/// How many partitions are brought back to their length each block.
const CONSTRAINED_AT_ONCE: usize = 8;
