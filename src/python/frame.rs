//! `talkpath.Frame`: what the caller said in one packet time, readable as a buffer without a copy.
//!
//! numpy, array, memoryview, wave and sockets all read it as it is; nothing here needs any of them. A frame owns its
//! samples and never changes.

use std::ffi::c_int;
use std::time::Duration;

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView};
use pyo3::{PyErr, ffi};

use super::buffer::{lend, new_pcm, with_samples};
use super::milliseconds;
use crate::audio::frame::SampleRate;

/// A stretch of the caller's audio: 16-bit mono samples, and what talkpath knows about them.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Frame {
    samples: Box<[i16]>,
    rate: SampleRate,
    position: Duration,
    lost: Duration,
    level_dbfs: f32,
    speech: bool,
}

impl Frame {
    pub(super) fn from_heard(
        samples: &[i16],
        rate: SampleRate,
        position: Duration,
        lost: Duration,
        level_dbfs: f32,
        speech: bool,
    ) -> Self {
        Self { samples: samples.into(), rate, position, lost, level_dbfs, speech }
    }
}

#[pymethods]
impl Frame {
    /// Makes a frame of `samples`: bytes-like PCM (16-bit little-endian) or a buffer of 16-bit integers.
    #[new]
    #[pyo3(signature = (samples, rate, *, position_ms = 0.0, speech = false, level_dbfs = -96.0, lost_ms = 0.0),
        text_signature = "(samples, rate, *, position_ms=0.0, speech=False, level_dbfs=-96.0, lost_ms=0.0)")]
    fn new(
        samples: &Bound<'_, PyAny>,
        rate: u32,
        position_ms: f64,
        speech: bool,
        level_dbfs: f32,
        lost_ms: f64,
    ) -> PyResult<Self> {
        let rate = SampleRate::new(rate)?;
        let position = super::duration_ms("position_ms", position_ms)?;
        let lost = super::duration_ms("lost_ms", lost_ms)?;
        with_samples(samples, |samples, _| Ok(Self::from_heard(samples, rate, position, lost, level_dbfs, speech)))
    }

    /// Samples a second.
    #[getter]
    fn rate(&self) -> u32 {
        self.rate.hz()
    }

    /// Milliseconds from the call's start to the first sample.
    #[getter]
    fn position_ms(&self) -> f64 {
        milliseconds(self.position)
    }

    /// Milliseconds that the samples last.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.samples.len() as f64 * 1e3 / f64::from(self.rate.hz())
    }

    /// Milliseconds of audio dropped just before this frame, because the agent did not read.
    #[getter]
    fn lost_ms(&self) -> f64 {
        milliseconds(self.lost)
    }

    /// Level in dB below full scale: 0 is a full-scale square wave, -96 silence.
    #[getter]
    fn level_dbfs(&self) -> f32 {
        self.level_dbfs
    }

    /// Whether the caller was speaking.
    #[getter]
    fn speech(&self) -> bool {
        self.speech
    }

    /// The samples as bytes, 16-bit little-endian.
    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        new_pcm(py, self.samples.len(), |out| {
            out.copy_from_slice(&self.samples);
            Ok(())
        })
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.bytes(py)
    }

    /// PEP 688's name for the buffer protocol, here also before Python 3.12.
    fn __buffer__<'py>(slf: &Bound<'py, Self>, _flags: c_int) -> PyResult<Bound<'py, PyMemoryView>> {
        PyMemoryView::from(slf.as_any())
    }

    fn __len__(&self) -> usize {
        self.samples.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "<talkpath.Frame {} samples at {} Hz, position_ms={}, speech={}>",
            self.samples.len(),
            self.rate.hz(),
            self.position_ms(),
            if self.speech { "True" } else { "False" }
        )
    }

    /// numpy's array interface, version 3: read-only, no copy.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", (self.samples.len(),))?;
        interface.set_item("typestr", if cfg!(target_endian = "little") { "<i2" } else { ">i2" })?;
        interface.set_item("data", (self.samples.as_ptr() as usize, true))?;
        Ok(interface)
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyErr::new::<PyBufferError, _>("no view to fill"));
        }
        let owner = slf.clone().into_any();
        // SAFETY: CPython hands over a valid view; a frozen frame's boxed samples stay where they are while it lives.
        unsafe { lend(owner, &slf.get().samples, view, flags) }
    }
}
