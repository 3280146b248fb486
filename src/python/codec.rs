//! `talkpath.encode` and `talkpath.decode`: wire encodings for whole byte strings.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::{new_bytes, new_pcm, with_bytes, with_samples};
use super::error::guard;
use crate::audio::codec::Encoding;
use crate::audio::codec::g711::Kernel;
use crate::{Error, Result};

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

/// Decodes G.711 as [`decode`] does, on the kernel of that name: private, for tests and benchmarks.
#[pyfunction]
#[pyo3(name = "_decode_with_kernel", signature = (data, encoding, kernel))]
pub(super) fn decode_with_kernel<'py>(
    data: &Bound<'py, PyAny>,
    encoding: &str,
    kernel: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let Some(kernel) = Kernel::available().find(|available| available.name() == kernel) else {
        return Err(Error::invalid(format!("kernel {kernel:?}, wanted one that this CPU runs")).into());
    };
    let decode = match named(encoding)? {
        Encoding::Ulaw => Kernel::decode_ulaw,
        Encoding::Alaw => Kernel::decode_alaw,
        other => return Err(Error::invalid(format!("encoding {other}, wanted ulaw or alaw")).into()),
    };
    let py = data.py();
    with_bytes(data, |bytes, constant| {
        new_pcm(py, bytes.len(), |out| {
            guard(|| {
                constant.run(py, bytes.len(), || decode(kernel, bytes, out));
                Ok(())
            })
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
