//! `talkpath.audioop`: CPython's removed module, function by function.
//!
//! Arguments are checked in CPython's order and by its types; the samples and the words of the errors are
//! [`audio::audioop`](crate::audio::audioop)'s. Every function is exported as `audioop_<name>`, since several bear the
//! names of Python's builtins.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::buffer::with_memory;
use super::error::guard;
use crate::audio::audioop::{self, AdpcmState, RateState, Width};

/// Adds all functions to the extension module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(audioop_add, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_adpcm2lin, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_alaw2lin, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_avg, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_avgpp, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_bias, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_byteswap, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_cross, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_findfactor, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_findfit, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_findmax, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_getsample, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_lin2adpcm, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_lin2alaw, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_lin2lin, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_lin2ulaw, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_max, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_maxpp, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_minmax, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_mul, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_ratecv, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_reverse, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_rms, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_tomono, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_tostereo, module)?)?;
    module.add_function(wrap_pyfunction!(audioop_ulaw2lin, module)?)?;
    Ok(())
}

/// Returns the largest magnitude.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_max(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<u32> {
    on(fragment, |data| audioop::max(data, Width::new(width)?))
}

/// Returns the smallest and the largest sample.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_minmax(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<(i32, i32)> {
    on(fragment, |data| audioop::minmax(data, Width::new(width)?))
}

/// Returns the mean.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_avg(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<i32> {
    on(fragment, |data| audioop::avg(data, Width::new(width)?))
}

/// Returns the root mean square.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_rms(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<u32> {
    on(fragment, |data| audioop::rms(data, Width::new(width)?))
}

/// Returns the mean difference between neighbouring extremes.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_avgpp(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<u32> {
    on(fragment, |data| audioop::avgpp(data, Width::new(width)?))
}

/// Returns the largest difference between neighbouring extremes.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_maxpp(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<u32> {
    on(fragment, |data| audioop::maxpp(data, Width::new(width)?))
}

/// Returns how often the sign changes.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_cross(fragment: &Bound<'_, PyAny>, width: i32) -> PyResult<isize> {
    on(fragment, |data| audioop::cross(data, Width::new(width)?))
}

/// Returns the sample at `index`.
#[pyfunction]
#[pyo3(signature = (fragment, width, index, /))]
fn audioop_getsample(fragment: &Bound<'_, PyAny>, width: i32, index: isize) -> PyResult<i32> {
    on(fragment, |data| audioop::getsample(data, Width::new(width)?, index))
}

/// Returns where the `length` samples with the most energy begin.
#[pyfunction]
#[pyo3(signature = (fragment, length, /))]
fn audioop_findmax(fragment: &Bound<'_, PyAny>, length: isize) -> PyResult<usize> {
    on(fragment, |data| audioop::findmax(data, length))
}

/// Turns the order of the samples around.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_reverse<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::reverse(data, Width::new(width)?)))
}

/// Turns the order of the bytes in every sample around.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_byteswap<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::byteswap(data, Width::new(width)?)))
}

/// Encodes samples as mu-law.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_lin2ulaw<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::lin2ulaw(data, Width::new(width)?)))
}

/// Decodes mu-law.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_ulaw2lin<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::ulaw2lin(data, Width::new(width)?)))
}

/// Encodes samples as A-law.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_lin2alaw<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::lin2alaw(data, Width::new(width)?)))
}

/// Decodes A-law.
#[pyfunction]
#[pyo3(signature = (fragment, width, /))]
fn audioop_alaw2lin<'py>(fragment: &Bound<'py, PyAny>, width: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::alaw2lin(data, Width::new(width)?)))
}

/// Multiplies every sample, rounding down and clamping.
#[pyfunction]
#[pyo3(signature = (fragment, width, factor, /))]
fn audioop_mul<'py>(fragment: &Bound<'py, PyAny>, width: i32, factor: f64) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::mul(data, Width::new(width)?, factor)))
}

/// Adds to every sample, wrapping around.
#[pyfunction]
#[pyo3(signature = (fragment, width, bias, /))]
fn audioop_bias<'py>(fragment: &Bound<'py, PyAny>, width: i32, bias: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::bias(data, Width::new(width)?, bias)))
}

/// Mixes two channels into one.
#[pyfunction]
#[pyo3(signature = (fragment, width, lfactor, rfactor, /))]
fn audioop_tomono<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    lfactor: f64,
    rfactor: f64,
) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::tomono(data, Width::new(width)?, lfactor, rfactor)))
}

/// Makes two channels of one.
#[pyfunction]
#[pyo3(signature = (fragment, width, lfactor, rfactor, /))]
fn audioop_tostereo<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    lfactor: f64,
    rfactor: f64,
) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::tostereo(data, Width::new(width)?, lfactor, rfactor)))
}

/// Converts samples from one width to another.
#[pyfunction]
#[pyo3(signature = (fragment, width, newwidth, /))]
fn audioop_lin2lin<'py>(fragment: &Bound<'py, PyAny>, width: i32, newwidth: i32) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment.py(), on(fragment, |data| audioop::lin2lin(data, Width::new(width)?, Width::new(newwidth)?)))
}

/// Adds two fragments, clamping.
#[pyfunction]
#[pyo3(signature = (fragment1, fragment2, width, /))]
fn audioop_add<'py>(
    fragment1: &Bound<'py, PyAny>,
    fragment2: &Bound<'py, PyAny>,
    width: i32,
) -> PyResult<Bound<'py, PyBytes>> {
    to_bytes(fragment1.py(), on_both(fragment1, fragment2, |a, b| audioop::add(a, b, Width::new(width)?)))
}

/// Returns where `reference` fits best in `fragment`, and the factor to multiply it by there.
#[pyfunction]
#[pyo3(signature = (fragment, reference, /))]
fn audioop_findfit(fragment: &Bound<'_, PyAny>, reference: &Bound<'_, PyAny>) -> PyResult<(usize, f64)> {
    on_both(fragment, reference, audioop::findfit)
}

/// Returns the factor that brings `reference` closest to `fragment`.
#[pyfunction]
#[pyo3(signature = (fragment, reference, /))]
fn audioop_findfactor(fragment: &Bound<'_, PyAny>, reference: &Bound<'_, PyAny>) -> PyResult<f64> {
    on_both(fragment, reference, audioop::findfactor)
}

type Adpcm<'py> = (Bound<'py, PyBytes>, (i32, i32));

/// Encodes samples as Intel/DVI ADPCM.
#[pyfunction]
#[pyo3(signature = (fragment, width, state, /))]
fn audioop_lin2adpcm<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    state: Option<&Bound<'py, PyAny>>,
) -> PyResult<Adpcm<'py>> {
    adpcm(fragment, width, state, audioop::lin2adpcm)
}

/// Decodes Intel/DVI ADPCM.
#[pyfunction]
#[pyo3(signature = (fragment, width, state, /))]
fn audioop_adpcm2lin<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    state: Option<&Bound<'py, PyAny>>,
) -> PyResult<Adpcm<'py>> {
    adpcm(fragment, width, state, audioop::adpcm2lin)
}

type Rate<'py> = (Bound<'py, PyBytes>, (i32, Bound<'py, PyTuple>));

/// Converts the rate by linear interpolation.
#[pyfunction]
#[pyo3(signature = (fragment, width, nchannels, inrate, outrate, state, weightA=1, weightB=0, /))]
#[allow(non_snake_case, clippy::too_many_arguments)] // CPython's names and its number of them.
fn audioop_ratecv<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    nchannels: i32,
    inrate: i32,
    outrate: i32,
    state: Option<&Bound<'py, PyAny>>,
    weightA: i32,
    weightB: i32,
) -> PyResult<Rate<'py>> {
    let py = fragment.py();
    let state = match state {
        None => None,
        Some(state) => {
            let (ahead, samples): (i32, Bound<'_, PyTuple>) = tuple(state)?.extract()?;
            let samples = samples.iter().map(|pair| pair.extract()).collect::<PyResult<_>>()?;
            Some(RateState { ahead, samples })
        }
    };
    let weights = (weightA, weightB);
    let (out, state) =
        on(fragment, |data| audioop::ratecv(data, Width::new(width)?, nchannels, (inrate, outrate), state, weights))?;
    Ok((PyBytes::new(py, &out), (state.ahead, PyTuple::new(py, state.samples)?)))
}

fn adpcm<'py>(
    fragment: &Bound<'py, PyAny>,
    width: i32,
    state: Option<&Bound<'py, PyAny>>,
    code: impl FnOnce(&[u8], Width, AdpcmState) -> audioop::Result<(Vec<u8>, AdpcmState)>,
) -> PyResult<Adpcm<'py>> {
    let state = match state {
        None => AdpcmState::default(),
        Some(state) => {
            let (predicted, index) = tuple(state)?.extract()?;
            AdpcmState::new(predicted, index)?
        }
    };
    let (out, state) = on(fragment, |data| code(data, Width::new(width)?, state))?;
    Ok((PyBytes::new(fragment.py(), &out), state.parts()))
}

fn tuple<'a, 'py>(state: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyTuple>> {
    state.cast::<PyTuple>().map_err(|_| PyTypeError::new_err("state must be a tuple or None"))
}

fn on<T>(fragment: &Bound<'_, PyAny>, answer: impl FnOnce(&[u8]) -> audioop::Result<T>) -> PyResult<T> {
    with_memory(fragment, |data| guard(|| Ok(answer(data)?)))
}

fn on_both<T>(
    fragment1: &Bound<'_, PyAny>,
    fragment2: &Bound<'_, PyAny>,
    answer: impl FnOnce(&[u8], &[u8]) -> audioop::Result<T>,
) -> PyResult<T> {
    with_memory(fragment1, |data1| with_memory(fragment2, |data2| guard(|| Ok(answer(data1, data2)?))))
}

fn to_bytes(py: Python<'_>, out: PyResult<Vec<u8>>) -> PyResult<Bound<'_, PyBytes>> {
    Ok(PyBytes::new(py, &out?))
}
