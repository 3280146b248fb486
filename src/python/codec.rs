//! `talkpath.encode` and `talkpath.decode`: wire encodings for whole byte strings.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::{new_bytes, new_pcm, with_bytes, with_samples};
use super::error::guard;
use crate::Result;
use crate::audio::codec::Encoding;

/// Encodes samples (bytes-like PCM or a buffer of 16-bit integers) as "slin", "slin_be", "ulaw" or "alaw".
#[pyfunction]
#[pyo3(signature = (samples, encoding))]
pub(super) fn encode<'py>(samples: &Bound<'py, PyAny>, encoding: &str) -> PyResult<Bound<'py, PyBytes>> {
    let py = samples.py();
    let encoding = named(encoding)?;
    with_samples(samples, |samples, constant| {
        new_bytes(py, samples.len() * encoding.bytes_per_sample(), |out| {
            guard(|| Ok(constant.run(py, out.len(), || encoding.encode_into(samples, out)).map(drop)?))
        })
    })
}

/// Decodes bytes of "slin", "slin_be", "ulaw" or "alaw" to PCM: bytes, 16-bit little-endian.
#[pyfunction]
#[pyo3(signature = (data, encoding))]
pub(super) fn decode<'py>(data: &Bound<'py, PyAny>, encoding: &str) -> PyResult<Bound<'py, PyBytes>> {
    let py = data.py();
    let encoding = named(encoding)?;
    with_bytes(data, |bytes, constant| {
        // Half a sample at the end is refused by the core: give it no room to be lost in.
        let samples = bytes.len().div_ceil(encoding.bytes_per_sample());
        new_pcm(py, samples, |out| {
            guard(|| Ok(constant.run(py, bytes.len(), || encoding.decode_into(bytes, out)).map(drop)?))
        })
    })
}

/// Finds an encoding by name; the usual names without the copy that forgiving ones need.
pub(super) fn named(name: &str) -> Result<Encoding> {
    match Encoding::ALL.into_iter().find(|encoding| encoding.name() == name) {
        Some(encoding) => Ok(encoding),
        None => Encoding::from_name(name),
    }
}
