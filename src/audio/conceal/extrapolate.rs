//! Continues a signal past its end: the last pitch period of its prediction residual, run through its own spectrum.
//!
//! Repeating the residual instead of the waveform keeps the sound of the vocal tract and joins without a step, since the
//! synthesis filter starts from the real samples. What is not periodic is continued by the residual in random order,
//! which keeps its level and colour but has no tone. Runs backwards as well: reverse what comes after the gap. When to
//! stop, fade or mix is the caller's business.

use super::super::frame::SampleRate;
use super::super::pitch::{self, Pitch, dot};

/// Where a continuation stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// The last outputs, newest last: the memory of the synthesis filter.
    memory: [f32; ORDER],
    position: usize,
    seed: u32,
}

/// One continuation, all of it allocated at once.
#[derive(Clone, Debug)]
pub(super) struct Extrapolator {
    rate: SampleRate,
    /// The prediction coefficients, for the newest sample first.
    prediction: [f32; ORDER],
    /// The residual at the end of the signal.
    residual: Vec<f32>,
    state: State,
    windowed: Vec<f32>,
    window: Vec<f32>,
    pitch: Pitch,
    /// How much of the excitation is periodic, 0 to 1.
    voicing: f32,
    /// How many samples of `residual` are real.
    residual_len: usize,
    /// The largest magnitude of the signal's end, which the continuation may not exceed by much.
    ceiling: f32,
}

impl Extrapolator {
    pub(super) fn new(rate: SampleRate) -> Self {
        let len = rate.frame_len() * ANALYSIS_FRAMES_X2 / 2;
        // Rises slowly and falls quickly, so that the newest speech counts most.
        let rise = len * 7 / 8;
        let window = (0..len).map(|n| {
            let phase = if n < rise {
                (n as f32 + 0.5) / rise as f32
            } else {
                (len as f32 - n as f32 - 0.5) / (len - rise) as f32
            };
            (phase * std::f32::consts::FRAC_PI_2).sin().powi(2)
        });
        Self {
            rate,
            prediction: [0.0; ORDER],
            residual: vec![0.0; rate.frame_len()],
            windowed: vec![0.0; len],
            window: window.collect(),
            pitch: Pitch { lag: pitch::lags(rate).1, strength: 0.0 },
            voicing: 0.0,
            residual_len: rate.frame_len(),
            state: State { memory: [0.0; ORDER], position: 0, seed: 0x1357_9bdf },
            ceiling: 0.0,
        }
    }

    /// Learns how `signal` ends; what [`fill`](Self::fill) gives follows its last sample.
    ///
    /// At least [`ORDER`] samples more than the residual holds are wanted; shorter signals are continued by silence.
    pub(super) fn start(&mut self, signal: &[f32]) {
        self.state.position = 0;
        self.ceiling = 0.0;
        if signal.len() < ORDER + self.rate.frame_len() / 2 {
            self.residual.fill(0.0);
            self.state.memory.fill(0.0);
            self.prediction.fill(0.0);
            return;
        }
        self.pitch = pitch::find(signal, self.rate, self.rate.frame_len());
        self.voicing = ((self.pitch.strength - UNVOICED) / (VOICED - UNVOICED)).clamp(0.0, 1.0);
        let len = self.window.len().min(signal.len());
        let skip = self.window.len() - len;
        let end = &signal[signal.len() - len..];
        for ((windowed, sample), weight) in self.windowed.iter_mut().zip(end).zip(&self.window[skip..]) {
            *windowed = sample * weight;
        }
        self.prediction = predict(&self.windowed[..len]);
        self.state.memory.copy_from_slice(&signal[signal.len() - ORDER..]);
        let len = self.residual.len().min(signal.len() - ORDER);
        let from = signal.len() - len;
        let skip = self.residual.len() - len;
        self.residual[..skip].fill(0.0);
        for (n, residual) in self.residual[skip..].iter_mut().enumerate() {
            let at = from + n;
            let predicted: f32 =
                self.prediction.iter().zip(signal[at - ORDER..at].iter().rev()).map(|(a, x)| a * x).sum();
            *residual = signal[at] - predicted;
        }
        self.residual.rotate_left(skip);
        self.residual[len..].fill(0.0);
        self.pitch.lag = self.pitch.lag.min(len).max(1);
        self.residual_len = len;
        self.ceiling = signal[signal.len() - len..].iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
    }

    /// Writes the samples that follow.
    pub(super) fn fill(&mut self, out: &mut [f32]) {
        let len = self.residual_len;
        let cycle = len - self.pitch.lag;
        let (tone, noise) = (self.voicing, (1.0 - self.voicing * self.voicing).sqrt());
        for sample in out {
            let periodic = self.residual[cycle + self.state.position % self.pitch.lag];
            self.state.seed = self.state.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = self.residual[(self.state.seed >> 8) as usize % len];
            self.state.position += 1;
            let excitation = tone * periodic + noise * random;
            let predicted: f32 = self.prediction.iter().zip(self.state.memory.iter().rev()).map(|(a, x)| a * x).sum();
            let next = (excitation + predicted).clamp(-1.2 * self.ceiling, 1.2 * self.ceiling);
            self.state.memory.copy_within(1.., 0);
            self.state.memory[ORDER - 1] = next;
            *sample = next;
        }
    }

    /// Where the continuation stands, to come back to by [`restore`](Self::restore).
    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn restore(&mut self, state: State) {
        self.state = state;
    }

    pub(super) const fn pitch(&self) -> Pitch {
        self.pitch
    }
}

/// Finds the coefficients that predict each sample from those before it, by Levinson and Durbin's recursion.
fn predict(windowed: &[f32]) -> [f32; ORDER] {
    let mut correlation = [0.0_f32; ORDER + 1];
    for (lag, value) in correlation.iter_mut().enumerate() {
        // The lag window widens narrow peaks by about 40 Hz, which keeps the synthesis filter from ringing.
        let spread = lag as f32 * LAG_WINDOW;
        *value = dot(&windowed[lag..], &windowed[..windowed.len() - lag]) * (-0.5 * spread * spread).exp();
    }
    let mut error = correlation[0].mul_add(NOISE_FLOOR, 1.0) + correlation[0];
    let mut prediction = [0.0_f32; ORDER];
    for order in 0..ORDER {
        let mut reflection = correlation[order + 1];
        for k in 0..order {
            reflection -= prediction[k] * correlation[order - k];
        }
        reflection /= error;
        let before = prediction;
        for k in 0..order {
            prediction[k] = before[k] - reflection * before[order - 1 - k];
        }
        prediction[order] = reflection;
        error *= 1.0 - reflection * reflection;
        if error <= 0.0 {
            break;
        }
    }
    prediction
}

/// How many samples each is predicted from.
pub(super) const ORDER: usize = 16;
/// How much speech the spectrum is taken from, in half frames.
const ANALYSIS_FRAMES_X2: usize = 3;
/// The strength of pitch below which nothing, and above which all, is taken as periodic.
const UNVOICED: f32 = 0.25;
const VOICED: f32 = 0.6;
const LAG_WINDOW: f32 = 2.0 * std::f32::consts::PI * 40.0 / 8_000.0;
/// White noise added before prediction: -40 dB.
const NOISE_FLOOR: f32 = 1e-4;
