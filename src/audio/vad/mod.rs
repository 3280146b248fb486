//! Says whether someone is speaking, frame by frame, and when speech began and ended.
//!
//! Barge-in, turn taking and the look-back of the first syllable all hang on one question asked 50 times a second.
//! [`Vad`] is that question; [`PhoneVad`] is the first stage that answers it (an energy gate over a tracked noise
//! floor, then a small network with a threshold that follows the noise), `SileroVad` (feature `silero`) adds a larger
//! network to it, [`Detector`] chooses; [`SpeechGate`] turns answers into edges.
//! What an edge means (an interruption, a turn) belongs to the session.

mod detector;
mod ear;
mod features;
mod floor;
mod model;
mod phone;
#[cfg(feature = "silero")]
mod silero;
mod speech_gate;
mod verdicts;
mod weights;

pub use detector::Detector;
#[doc(hidden)]
pub use ear::{Ear, Listener, WIDE_STEP};
#[doc(hidden)]
pub use features::{FEATURES, Features};
pub use floor::NoiseFloor;
pub use phone::PhoneVad;
#[cfg(feature = "silero")]
pub use silero::SileroVad;
#[cfg(feature = "silero")]
#[doc(hidden)]
pub use silero::{OPINIONS, Opinions, Silero, WINDOW as SILERO_WINDOW};
pub use speech_gate::{Edge, SpeechGate};

use crate::Result;
use crate::audio::frame::SampleRate;

/// A voice activity detector: samples of 8 or 16 kHz in, a verdict out.
pub trait Vad: Send {
    /// Takes the next samples, any number of them (20 ms is usual), and returns the newest verdict.
    ///
    /// It never looks ahead and never allocates. Samples that do not fill the detector's own step wait inside for the
    /// next call; until the first step is full the verdict is [`Verdict::default`], and an empty slice repeats the
    /// last one.
    fn process(&mut self, samples: &[i16]) -> Verdict;

    /// Sets how readily sound counts as speech: 0 is hardly ever, 0.5 the default, 1 at the slightest sign.
    ///
    /// The threshold becomes `1 - sensitivity`, kept within 0.01 to 0.99, from the next step on.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `sensitivity` is not within 0 to 1.
    fn set_sensitivity(&mut self, sensitivity: f32) -> Result<()>;

    /// Forgets the call so far, as if the detector were new; settings stay.
    fn reset(&mut self);

    /// The rate of the samples that [`process`](Vad::process) takes.
    fn rate(&self) -> SampleRate;
}

/// What a detector thinks of the newest audio it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Whether it is speech: `score >= threshold`.
    pub speech: bool,
    /// How much it looks like speech, 0 to 1.
    pub score: f32,
    /// The score from which on it counts as speech, 0 to 1.
    pub threshold: f32,
    /// Level of the newest step in dB below full scale, without DC (a full-scale square wave is 0); at least −96.3.
    pub level_dbfs: f32,
    /// Level of the background in dB below full scale.
    pub noise_dbfs: f32,
}
