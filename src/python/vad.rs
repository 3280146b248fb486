//! `talkpath.Vad`: the core's voice activity detector, on its own.

use std::sync::Mutex;

use pyo3::prelude::*;

use super::buffer::with_samples;
use super::error::guard;
use super::lock;
use crate::audio::frame::SampleRate;
use crate::audio::vad::{self, Detector, Verdict};

/// Says whether someone is speaking, at 8 or 16 kHz.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Vad {
    vad: Mutex<Box<dyn vad::Vad>>,
    detector: Detector,
    rate: SampleRate,
}

#[pymethods]
impl Vad {
    /// Makes a detector for samples at `rate`; `sensitivity` goes from 0 (hardly ever) to 1 (at the slightest sign).
    ///
    /// `detector` is `phone` or, better and dearer, `silero`.
    #[new]
    #[pyo3(signature = (rate, *, detector = "phone", sensitivity = 0.5))]
    fn new(rate: u32, detector: &str, sensitivity: f32) -> PyResult<Self> {
        let (rate, detector) = (SampleRate::new(rate)?, detector.parse::<Detector>()?);
        let mut vad = detector.make(rate)?;
        vad.set_sensitivity(sensitivity)?;
        Ok(Self { vad: Mutex::new(vad), detector, rate })
    }

    /// Takes the next samples, any number of them, and answers with the newest verdict.
    fn process(&self, samples: &Bound<'_, PyAny>) -> PyResult<VadVerdict> {
        let py = samples.py();
        with_samples(samples, |samples, _| guard(|| Ok(VadVerdict { verdict: lock(py, &self.vad).process(samples) })))
    }

    /// Forgets what was heard so far; settings stay.
    fn reset(&self, py: Python<'_>) {
        lock(py, &self.vad).reset();
    }

    /// Which detector it is: `phone` or `silero`.
    #[getter]
    fn detector(&self) -> &'static str {
        self.detector.name()
    }

    /// Samples a second of what `process` takes.
    #[getter]
    fn rate(&self) -> u32 {
        self.rate.hz()
    }
}

/// What a `Vad` thinks of the newest audio.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct VadVerdict {
    verdict: Verdict,
}

#[pymethods]
impl VadVerdict {
    /// Whether it is speech.
    #[getter]
    fn speech(&self) -> bool {
        self.verdict.speech
    }

    /// How much it looks like speech, 0 to 1.
    #[getter]
    fn score(&self) -> f32 {
        self.verdict.score
    }

    /// The score from which on it counts as speech, 0 to 1.
    #[getter]
    fn threshold(&self) -> f32 {
        self.verdict.threshold
    }

    /// Level of the newest step in dB below full scale.
    #[getter]
    fn level_dbfs(&self) -> f32 {
        self.verdict.level_dbfs
    }

    /// Level of the background in dB below full scale.
    #[getter]
    fn noise_dbfs(&self) -> f32 {
        self.verdict.noise_dbfs
    }

    fn __bool__(&self) -> bool {
        self.verdict.speech
    }

    fn __repr__(&self) -> String {
        let Verdict { speech, score, level_dbfs, .. } = self.verdict;
        let speech = if speech { "True" } else { "False" };
        format!("<talkpath.VadVerdict speech={speech} score={score:.2} level_dbfs={level_dbfs:.1}>")
    }
}
