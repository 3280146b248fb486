//! `talkpath.Resampler`: the core's streaming resampler, and `talkpath.resample` for a whole recording.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::{new_pcm, with_samples};
use super::error::guard;
use super::lock;
use crate::audio::frame::SampleRate;
use crate::audio::resample::{self, Quality};
use crate::{Error, Result};

/// Resamples 16-bit mono audio as it comes in: each chunk gives all its output at once.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Resampler {
    inner: Mutex<resample::Resampler>,
}

#[pymethods]
impl Resampler {
    /// Makes a resampler; `quality` is "phone" (2.5 ms late at 8 kHz) or "studio" (4.5 ms, flatter).
    #[new]
    #[pyo3(signature = (from_rate, to_rate, quality = "phone"))]
    fn new(from_rate: u32, to_rate: u32, quality: &str) -> PyResult<Self> {
        let (from, to) = (SampleRate::new(from_rate)?, SampleRate::new(to_rate)?);
        let inner = Mutex::new(resample::Resampler::with_quality(from, to, named(quality)?));
        Ok(Self { inner })
    }

    /// Resamples a chunk of any size: after n samples in total, n * to_rate / from_rate (rounded down) are out.
    fn process<'py>(&self, samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = samples.py();
        with_samples(samples, |samples, constant| {
            let mut inner = lock(py, &self.inner);
            let inner = &mut *inner;
            new_pcm(py, inner.output_len(samples.len()), |out| {
                guard(|| Ok(constant.run(py, size_of_val(samples), || inner.process_into(samples, out)).map(drop)?))
            })
        })
    }

    /// Gives out what the filter still holds, as if silence followed; afterwards the resampler is as new.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut inner = lock(py, &self.inner);
        let len = inner.delay_samples();
        new_pcm(py, len, |out| guard(|| Ok(inner.flush_into(out).map(drop)?)))
    }

    /// Forgets all audio: the resampler is as new.
    fn reset(&self, py: Python<'_>) {
        lock(py, &self.inner).reset();
    }

    /// Milliseconds by which the filter delays the audio.
    #[getter]
    fn delay_ms(&self, py: Python<'_>) -> f32 {
        lock(py, &self.inner).delay_ms()
    }

    /// Output samples by which the filter delays the audio: skip as many to align it.
    #[getter]
    fn delay_samples(&self, py: Python<'_>) -> usize {
        lock(py, &self.inner).delay_samples()
    }

    /// Samples a second of the input.
    #[getter(from_rate)]
    fn input_rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.inner).from_rate().hz()
    }

    /// Samples a second of the output.
    #[getter(to_rate)]
    fn output_rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.inner).to_rate().hz()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let inner = lock(py, &self.inner);
        format!("<talkpath.Resampler {} to {} Hz>", inner.from_rate().hz(), inner.to_rate().hz())
    }
}

/// Resamples a whole recording: each sample in its place, len * to_rate / from_rate (rounded down) of them.
#[pyfunction]
#[pyo3(name = "resample", signature = (samples, from_rate, to_rate, quality = "phone"))]
pub(super) fn resample_whole<'py>(
    samples: &Bound<'py, PyAny>,
    from_rate: u32,
    to_rate: u32,
    quality: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = samples.py();
    let (from, to) = (SampleRate::new(from_rate)?, SampleRate::new(to_rate)?);
    let mut resampler = resample::Resampler::with_quality(from, to, named(quality)?);
    with_samples(samples, |samples, constant| {
        let whole = constant.run(py, size_of_val(samples), || {
            let delay = resampler.delay_samples();
            let mut out = resampler.process(samples);
            out.extend(resampler.flush());
            out.drain(..delay);
            out
        });
        new_pcm(py, whole.len(), |out| {
            out.copy_from_slice(&whole);
            Ok(())
        })
    })
}

fn named(quality: &str) -> Result<Quality> {
    match quality {
        "phone" => Ok(Quality::Phone),
        "studio" => Ok(Quality::Studio),
        other => Err(Error::invalid(format!("quality {other:?}, wanted \"phone\" or \"studio\""))),
    }
}
