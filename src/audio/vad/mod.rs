//! Says whether someone is speaking, frame by frame, and when speech began and ended.
//!
//! Barge-in, turn taking and the look-back of the first syllable all hang on one question asked 50 times a second.
//! [`Vad`] is that question; [`PhoneVad`] is the first stage that answers it (an energy gate over a tracked noise
//! floor, then a small network with a threshold that follows the noise); [`SpeechGate`] turns answers into edges.
//! What an edge means (an interruption, a turn) belongs to the session.

mod ear;
mod features;
mod floor;
mod model;
mod phone;
mod speech_gate;
mod weights;

#[doc(hidden)]
pub use ear::Ear;
#[doc(hidden)]
pub use features::{FEATURES, Features};
pub use floor::NoiseFloor;
pub use phone::PhoneVad;
pub use speech_gate::{Edge, SpeechGate};

use crate::audio::frame::SampleRate;

/// A voice activity detector: samples of 8 or 16 kHz in, a verdict out.
pub trait Vad: Send {
    /// Takes the next samples, any number of them (20 ms is usual), and returns the newest verdict.
    ///
    /// It never looks ahead and never allocates. Samples that do not fill the detector's own step wait inside for the
    /// next call; until the first step is full the verdict is [`Verdict::default`], and an empty slice repeats the
    /// last one.
    fn process(&mut self, samples: &[i16]) -> Verdict;

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
