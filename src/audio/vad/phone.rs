//! The first-stage detector: an energy gate, then earshot's network judged against the noise of the call.
//!
//! earshot ranks frames well, but its fixed threshold takes most noise for speech. [`PhoneVad`] puts its parts
//! together: `ear` cuts steps and gates them, `model` weighs the network's score against what it usually is in this
//! call, and `verdicts` applies the threshold. Edges are [`SpeechGate`](super::SpeechGate)'s.

use earshot::Detector;

use super::ear::Ear;
use super::model::Model;
use super::verdicts::Verdicts;
use super::{Vad, Verdict};
use crate::Result;
use crate::audio::frame::SampleRate;

/// Voice activity for phone calls at 8 or 16 kHz: an energy gate, then a network that knows the noise of the call.
///
/// It works in steps of 16 ms and needs 11 KiB, 8 of them earshot's own. The score is calibrated: 0.5, the default
/// threshold, means the same on a quiet and on a noisy line. While nothing is louder than a quiet line's background,
/// the network does not run; when something is, it first hears the 32 ms before, so that no first syllable is lost to
/// the gate.
pub struct PhoneVad(Verdicts<Box<Detector<Model>>>);

impl PhoneVad {
    /// Makes a detector for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate) -> Result<Self> {
        Ok(Self(Verdicts::new(Ear::new(rate, Box::new(Detector::new(Model::new())))?)))
    }
}

impl Vad for PhoneVad {
    fn process(&mut self, samples: &[i16]) -> Verdict {
        self.0.process(samples)
    }

    fn set_sensitivity(&mut self, sensitivity: f32) -> Result<()> {
        self.0.set_sensitivity(sensitivity)
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn rate(&self) -> SampleRate {
        self.0.rate()
    }
}
