//! The first-stage detector: an energy gate, then earshot's network judged against the noise of the call.
//!
//! earshot ranks frames well, but its fixed threshold takes most noise for speech. [`PhoneVad`] puts its parts
//! together: `ear` cuts steps and gates them, `model` weighs the network's score against what it usually is in this
//! call, and here the threshold is applied. Edges are [`SpeechGate`](super::SpeechGate)'s.

use super::ear::{Ear, Heard};
use super::model::Model;
use super::{Vad, Verdict};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// Voice activity for phone calls at 8 or 16 kHz: an energy gate, then a network that knows the noise of the call.
///
/// It works in steps of 16 ms and needs 11 KiB, 8 of them earshot's own. The score is calibrated: 0.5, the default
/// threshold, means the same on a quiet and on a noisy line. While nothing is louder than a quiet line's background,
/// the network does not run; when something is, it first hears the 32 ms before, so that no first syllable is lost to
/// the gate.
pub struct PhoneVad {
    threshold: f32,
    ear: Ear<Model>,
    last: Verdict,
}

impl PhoneVad {
    /// Makes a detector for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate) -> Result<Self> {
        Ok(Self { threshold: 0.5, ear: Ear::new(rate, Model::new())?, last: Verdict::default() })
    }

    /// Sets how readily sound counts as speech: 0 is hardly ever, 0.5 the default, 1 at the slightest sign.
    ///
    /// The threshold becomes `1 - sensitivity`, kept within 0.01 to 0.99, from the next step on.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `sensitivity` is not within 0 to 1.
    pub fn set_sensitivity(&mut self, sensitivity: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&sensitivity) {
            return Err(Error::invalid(format!("sensitivity {sensitivity}, wanted 0 to 1")));
        }
        self.threshold = (1.0 - sensitivity).clamp(0.01, 0.99);
        Ok(())
    }
}

impl Vad for PhoneVad {
    fn process(&mut self, samples: &[i16]) -> Verdict {
        if let Some(Heard { score, level_dbfs, noise_dbfs }) = self.ear.hear(samples) {
            let threshold = self.threshold;
            self.last = Verdict { speech: score >= threshold, score, threshold, level_dbfs, noise_dbfs };
        }
        self.last
    }

    fn reset(&mut self) {
        self.ear.reset();
        self.last = Verdict::default();
    }

    fn rate(&self) -> SampleRate {
        self.ear.rate
    }
}
