//! `talkpath.Decoder`: one stream of audio from the wire, in any codec, with what it can do about losses.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::{new_pcm, with_bytes, with_samples};
use super::encoder::cost;
use super::error::guard;
use super::lock;
use crate::audio::codec::{self, Codec};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// Decodes one stream to 16-bit mono audio, packet by packet, in order.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct Decoder {
    codec: Codec,
    inner: Mutex<codec::Decoder>,
}

#[pymethods]
impl Decoder {
    /// Makes the decoder of a new stream in "slin", "slin_be", "ulaw", "alaw", "g722" (16 kHz) or "opus" (to 8, 12, 16, 24 or
    /// 48 kHz).
    #[new]
    fn new(codec: &str, rate: u32) -> PyResult<Self> {
        let codec = Codec::from_name(codec, SampleRate::new(rate)?)?;
        Ok(Self { codec, inner: Mutex::new(codec::Decoder::new(codec)) })
    }

    /// Decodes the stream's next bytes, of Opus one packet, to PCM: bytes, 16-bit little-endian.
    fn decode<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = data.py();
        with_bytes(data, |bytes, constant| {
            let samples = self.codec.samples_in(bytes)?;
            let mut inner = lock(py, &self.inner);
            let inner = &mut *inner;
            new_pcm(py, samples, |out| {
                let cost = cost(self.codec, size_of_val(out));
                guard(|| Ok(constant.run(py, cost, || inner.decode_into(bytes, out)).map(drop)?))
            })
        })
    }

    /// Makes up PCM for `samples` lost samples, in steps of 2.5 ms; None if the codec leaves that to others: all but Opus.
    fn conceal<'py>(&self, py: Python<'py>, samples: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.make_up(py, samples, |decoder, out| decoder.conceal_into(out.len(), out))
    }

    /// Decodes what `packet`, the one after a lost one of `samples` samples, holds of that (in-band FEC of Opus); None if it
    /// holds nothing. Decode `packet` itself afterwards.
    fn recover<'py>(&self, packet: &Bound<'py, PyAny>, samples: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = packet.py();
        with_bytes(packet, |packet, _| {
            self.make_up(py, samples, |decoder, out| decoder.recover_into(packet, out.len(), out))
        })
    }

    /// Tells the decoder what was played in the place of something lost: G.722 then goes on from there.
    fn resync(&self, concealed: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = concealed.py();
        with_samples(concealed, |concealed, _| {
            lock(py, &self.inner).resync(concealed);
            Ok(())
        })
    }

    /// Begins a new stream.
    fn reset(&self, py: Python<'_>) {
        lock(py, &self.inner).reset();
    }

    /// Whether packets must be decoded in order, once each.
    #[getter]
    fn is_stateful(&self) -> bool {
        self.codec.is_stateful()
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
        format!("<talkpath.Decoder {}>", self.codec)
    }
}

impl Decoder {
    fn make_up<'py>(
        &self,
        py: Python<'py>,
        samples: usize,
        make: impl FnOnce(&mut codec::Decoder, &mut [i16]) -> Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut out = vec![0; self.sane(samples)?];
        let made = guard(|| Ok(make(&mut lock(py, &self.inner), &mut out)))?;
        made.map(|made| {
            new_pcm(py, made, |pcm| {
                pcm.copy_from_slice(&out[..made]);
                Ok(())
            })
        })
        .transpose()
    }

    /// Refuses lengths that no gap in a call has, before there is memory for them.
    fn sane(&self, samples: usize) -> Result<usize> {
        let most = self.codec.rate().hz() as usize * 10;
        if samples > most {
            return Err(Error::invalid(format!("{samples} lost samples, wanted at most 10 s: {most}")));
        }
        Ok(samples)
    }
}
