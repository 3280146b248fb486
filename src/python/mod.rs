//! The Python extension module `talkpath._talkpath`: convert, let go of the interpreter, call, convert. One file a type.
//!
//! The package `talkpath` (in `python/talkpath/`) is what users import; it owns policy (asyncio, staleness, logging)
//! and this room only carries values across. No rule about audio lives here.

mod audioop;
mod audit;
mod buffer;
mod bus;
mod call;
mod caller;
mod codec;
mod decoder;
mod encoder;
mod error;
mod frame;
mod jitter;
mod level;
mod nats;
mod network;
mod process;
mod resampler;
mod secret;
mod server;
mod speech;
mod tap;
mod vad;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;

use crate::{Error, Result};

#[pymodule(gil_used = false)]
fn _talkpath(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<frame::Frame>()?;
    module.add_class::<decoder::Decoder>()?;
    module.add_class::<encoder::Encoder>()?;
    module.add_class::<resampler::Resampler>()?;
    module.add_class::<vad::Vad>()?;
    module.add_class::<vad::VadVerdict>()?;
    module.add_class::<level::Level>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<caller::Caller>()?;
    module.add_class::<jitter::JitterBuffer>()?;
    module.add_class::<nats::NatsBridge>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<server::Target>()?;
    module.add_function(wrap_pyfunction!(server::resolve_listen, module)?)?;
    module.add_function(wrap_pyfunction!(codec::encode, module)?)?;
    module.add_function(wrap_pyfunction!(codec::decode, module)?)?;
    module.add_function(wrap_pyfunction!(codec::decode_with_kernel, module)?)?;
    module.add_function(wrap_pyfunction!(level::level, module)?)?;
    module.add_function(wrap_pyfunction!(resampler::resample_whole, module)?)?;
    audit::register(module)?;
    audioop::register(module)?;
    secret::register(module)?;
    bus::register(module)?;
    process::register(module)?;
    Ok(())
}

/// Locks what one Python object owns, letting other Python threads run while it waits: the holder may need them to.
///
/// A panic in an earlier call does not make the object unusable.
fn lock<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
    mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn duration_ms(name: &str, value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value / 1e3)
        .map_err(|_| Error::invalid(format!("{name} of {value}, wanted a number of milliseconds of at least 0")))
}
