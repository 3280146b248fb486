//! `talkpath.level`: how loud a block of samples is.

use pyo3::prelude::*;

use super::buffer::with_samples;
use super::error::guard;
use crate::audio;

/// The level of a block of samples.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Level {
    level: audio::level::Level,
}

/// Measures samples: bytes-like PCM (16-bit little-endian) or a buffer of 16-bit integers.
#[pyfunction]
#[pyo3(signature = (samples))]
pub(super) fn level(samples: &Bound<'_, PyAny>) -> PyResult<Level> {
    let py = samples.py();
    with_samples(samples, |samples, constant| {
        let measure = || audio::level::Level::measure(samples);
        guard(|| Ok(Level { level: constant.run(py, size_of_val(samples), measure) }))
    })
}

#[pymethods]
impl Level {
    /// The root mean square, in sample units: 32,768 is full scale.
    #[getter]
    fn rms(&self) -> f32 {
        self.level.rms
    }

    /// The largest magnitude: 0 to 32,768.
    #[getter]
    fn peak(&self) -> u16 {
        self.level.peak
    }

    /// The mean sample: how far the signal sits off zero.
    #[getter]
    fn dc(&self) -> f32 {
        self.level.dc
    }

    /// The root mean square in dB below full scale; about -96.3 for silence.
    #[getter]
    fn rms_dbfs(&self) -> f32 {
        self.level.rms_dbfs()
    }

    /// The peak in dB below full scale; about -96.3 for silence.
    #[getter]
    fn peak_dbfs(&self) -> f32 {
        self.level.peak_dbfs()
    }

    fn __repr__(&self) -> String {
        format!(
            "<talkpath.Level rms_dbfs={:.1} peak_dbfs={:.1} dc={:.1}>",
            self.rms_dbfs(),
            self.peak_dbfs(),
            self.level.dc
        )
    }
}
