//! `talkpath.Encoder`: one stream of audio on its way to the wire, in any codec.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::with_samples;
use super::error::guard;
use super::lock;
use crate::Error;
use crate::audio::codec::opus::OpusOptions;
use crate::audio::codec::{self, Codec};
use crate::audio::frame::SampleRate;

/// Encodes one stream of 16-bit mono audio, chunk by chunk.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Encoder {
    codec: Codec,
    inner: Mutex<codec::Encoder>,
}

#[pymethods]
impl Encoder {
    /// Makes the encoder of a new stream in "slin", "slin_be", "ulaw", "alaw", "g722" (16 kHz) or "opus" (8, 12, 16, 24 or
    /// 48 kHz); the other options are Opus' own.
    #[new]
    #[pyo3(signature = (
        codec, rate, *, bitrate = None, fec = None, packet_loss = None, complexity = None, dtx = None, cbr = None,
        max_playback_rate = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword in Python")]
    fn new(
        codec: &str,
        rate: u32,
        bitrate: Option<u32>,
        fec: Option<bool>,
        packet_loss: Option<u8>,
        complexity: Option<u8>,
        dtx: Option<bool>,
        cbr: Option<bool>,
        max_playback_rate: Option<u32>,
    ) -> PyResult<Self> {
        let rate = SampleRate::new(rate)?;
        let codec = Codec::from_name(codec, rate)?;
        let given = [
            ("bitrate", bitrate.is_some()),
            ("fec", fec.is_some()),
            ("packet_loss", packet_loss.is_some()),
            ("complexity", complexity.is_some()),
            ("dtx", dtx.is_some()),
            ("cbr", cbr.is_some()),
            ("max_playback_rate", max_playback_rate.is_some()),
        ];
        let inner = if let Codec::Opus { rate } = codec {
            let default = OpusOptions::default();
            let options = OpusOptions {
                bitrate: bitrate.unwrap_or(default.bitrate),
                fec: fec.unwrap_or(default.fec),
                packet_loss: packet_loss.unwrap_or(default.packet_loss),
                complexity: complexity.unwrap_or(default.complexity),
                dtx: dtx.unwrap_or(default.dtx),
                cbr: cbr.unwrap_or(default.cbr),
                max_playback_rate: max_playback_rate.map_or(Ok(default.max_playback_rate), SampleRate::new)?,
            };
            codec::Encoder::new_opus(rate, options)?
        } else if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(Error::invalid(format!("{name} for {}, wanted it for opus alone", codec.name())).into());
        } else {
            codec::Encoder::new(codec)
        };
        Ok(Self { codec, inner: Mutex::new(inner) })
    }

    /// Encodes the stream's next samples (bytes-like PCM or a buffer of 16-bit integers): of Opus one frame of 2.5, 5, 10,
    /// 20, 40 or 60 ms, which gives one packet; of G.722 an even count; of the others any.
    fn encode<'py>(&self, samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = samples.py();
        with_samples(samples, |samples, constant| {
            let mut inner = lock(py, &self.inner);
            let inner = &mut *inner;
            let cost = cost(self.codec, size_of_val(samples));
            let bytes = guard(|| Ok(constant.run(py, cost, || inner.encode(samples))?))?;
            Ok(PyBytes::new(py, &bytes))
        })
    }

    /// Begins a new stream with the same options.
    fn reset(&self, py: Python<'_>) {
        lock(py, &self.inner).reset();
    }

    /// The codec's name.
    #[getter]
    fn codec(&self) -> &'static str {
        self.codec.name()
    }

    /// Samples a second.
    #[getter]
    fn rate(&self) -> u32 {
        self.codec.rate().hz()
    }

    fn __repr__(&self) -> String {
        format!("<talkpath.Encoder {}>", self.codec)
    }
}

/// What work on `bytes` bytes of PCM compares to, in bytes that are merely converted: a frame of Opus is worth a switch to
/// another Python thread.
pub(super) fn cost(codec: Codec, bytes: usize) -> usize {
    match codec {
        Codec::Opus { .. } => usize::MAX,
        _ => bytes,
    }
}
