//! The judge: earshot's network, and a small one over its score and the call's own background.
//!
//! earshot computes a spectrum, mel bands and a score for every 16 ms and takes any "predictor" for the last part.
//! [`Model`] is one: it asks earshot's own, adds [`Features`] from the very same bands, and lets two small layers say
//! how likely speech is, so that 0.5 means the same on a quiet and on a noisy line. The spectrum is paid for once.

use earshot::Predictor;

use super::features::{FEATURES, Features};
use super::weights::{HIDDEN, HIDDEN_BIAS, INPUT, INPUT_BIAS, OUTPUT, OUTPUT_BIAS};

/// earshot's predictor with the call's context on top.
pub(super) struct Model {
    features: Features,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { features: Features::new() }
    }
}

// The trait is public but unstable, which is why Cargo.toml pins earshot's exact version.
impl Predictor for Model {
    fn reset(&mut self) {
        self.features.reset();
    }

    /// Leaves the bands as they are: they are needed raw, and `predict` normalises its own copy.
    fn normalize(&self, _features: &mut [f32]) {}

    fn predict(&mut self, mel: &[f32], scratch: &mut [f32]) -> f32 {
        sigmoid(log_odds(&self.features.listen(mel, scratch)))
    }
}

/// The small network: log-odds of speech.
fn log_odds(features: &[f32; FEATURES]) -> f32 {
    let first = rectified(features, &INPUT, &INPUT_BIAS);
    let second = rectified(&first, &HIDDEN, &HIDDEN_BIAS);
    OUTPUT_BIAS + second.iter().zip(&OUTPUT).map(|(x, w)| x * w).sum::<f32>()
}

/// A dense layer and its rectifier, one row of weights an input, so that the inner loop runs over outputs.
pub(super) fn rectified<const IN: usize, const OUT: usize>(
    input: &[f32; IN],
    weights: &[[f32; OUT]; IN],
    bias: &[f32; OUT],
) -> [f32; OUT] {
    let mut out = *bias;
    for (x, row) in input.iter().zip(weights) {
        for (sum, weight) in out.iter_mut().zip(row) {
            *sum += x * weight;
        }
    }
    out.map(|sum| sum.max(0.0))
}

pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
