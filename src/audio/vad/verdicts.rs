//! Makes verdicts of what an ear hears: the threshold, and the newest answer until there is another.
//!
//! The detectors differ in what listens and agree in all that is here.

use super::Verdict;
use super::ear::{Ear, Heard, Listener};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// An ear and its threshold.
pub(super) struct Verdicts<L> {
    threshold: f32,
    ear: Ear<L>,
    last: Verdict,
}

impl<L: Listener> Verdicts<L> {
    pub(super) fn new(ear: Ear<L>) -> Self {
        Self { threshold: 0.5, ear, last: Verdict::default() }
    }

    pub(super) fn process(&mut self, samples: &[i16]) -> Verdict {
        if let Some(Heard { score, level_dbfs, noise_dbfs }) = self.ear.hear(samples) {
            let threshold = self.threshold;
            self.last = Verdict { speech: score >= threshold, score, threshold, level_dbfs, noise_dbfs };
        }
        self.last
    }

    pub(super) fn set_sensitivity(&mut self, sensitivity: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&sensitivity) {
            return Err(Error::invalid(format!("sensitivity {sensitivity}, wanted 0 to 1")));
        }
        self.threshold = (1.0 - sensitivity).clamp(0.01, 0.99);
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        self.ear.reset();
        self.last = Verdict::default();
    }

    pub(super) fn rate(&self) -> SampleRate {
        self.ear.rate
    }
}
