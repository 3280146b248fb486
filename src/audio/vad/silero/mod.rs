//! The second-stage detector: Silero's network is asked where the first stage is not sure that nobody speaks.
//!
//! Silero alone misses little and takes much noise for speech; the first stage knows the noise of the call. [`SileroVad`]
//! has both and a small judge between them: `opinions` gates Silero by the first stage and keeps what either has been
//! saying, `net` is Silero's network, and here the judge weighs them.

mod cell;
mod judge_weights;
mod layer;
#[cfg(target_arch = "x86_64")]
mod layer_avx2;
mod net;
mod opinions;
mod spectrum;
mod weights;

#[doc(hidden)]
pub use net::{Silero, WINDOW};
#[doc(hidden)]
pub use opinions::{OPINIONS, Opinions};

use super::ear::{Ear, Listener, WIDE_STEP};
use super::model::{rectified, sigmoid};
use super::verdicts::Verdicts;
use super::{Vad, Verdict};
use crate::Result;
use crate::audio::frame::SampleRate;
use judge_weights::{HIDDEN, HIDDEN_BIAS, INPUT, INPUT_BIAS, OUTPUT, OUTPUT_BIAS};

/// Voice activity for phone calls at 8 or 16 kHz, in two stages: what [`PhoneVad`](super::PhoneVad) hears, and Silero's
/// opinion where that may be speech.
///
/// In noise it misses about half of what the first stage misses, in twice the time while someone speaks; a quiet line costs
/// nothing more. It works in steps of 16 ms, Silero in windows of 32 ms that end where the gate opened; then Silero
/// also hears the 64 ms before. It needs 16 KiB a call, and 0.9 MB once a process, which the first detector reads.
/// The network is Silero VAD 6 (MIT), computed in single precision.
pub struct SileroVad(Verdicts<Judge>);

impl SileroVad {
    /// Makes a detector for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate) -> Result<Self> {
        Ok(Self(Verdicts::new(Ear::new(rate, Judge(Opinions::new()))?)))
    }
}

impl Vad for SileroVad {
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

/// Weighs what the two networks say, and have been saying in this call.
struct Judge(Opinions);

impl Listener for Judge {
    fn listen(&mut self, step: &[i16; WIDE_STEP]) -> f32 {
        let first = rectified(&self.0.hear(step), &INPUT, &INPUT_BIAS);
        let second = rectified(&first, &HIDDEN, &HIDDEN_BIAS);
        sigmoid(OUTPUT_BIAS + second.iter().zip(&OUTPUT).map(|(x, w)| x * w).sum::<f32>())
    }

    fn skip(&mut self) {
        self.0.skip();
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
