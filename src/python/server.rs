//! `_talkpath.Server`: a server of any transport and the file descriptor by which it wakes an event loop.
//!
//! `talkpath.Server` is made of it: which handler gets a call, and what happens when it fails, is decided there.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::bus::Bus;
use super::call::Call;
use super::error::guard;
use super::tap::Tap;
use super::{duration_ms, milliseconds};
use crate::audio::codec::Codec;
use crate::audio::frame::SampleRate;
use crate::io::log::LogLevel;
use crate::io::notify::Notifier;
use crate::io::server::{self, Listen, ServerConfig};
use crate::session::VadConfig;

/// A running server.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct Server {
    server: Arc<server::Server>,
    /// What takes events to the bus, if there is one.
    tap: Option<Tap>,
    notifier: Arc<Notifier>,
    listen: Listen,
}

#[pymethods]
impl Server {
    /// Listens on `listen` (such as audiosocket://host:port), or nowhere if it is None, and starts the threads; `options` are those of `talkpath.server.Options`.
    #[new]
    #[pyo3(signature = (listen, bus = None, **options))]
    fn new(
        py: Python<'_>,
        listen: Option<&str>,
        bus: Option<&Bus>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let listen = py.detach(|| listen.map_or(Ok(Listen::Nowhere), Listen::resolve))?;
        let mut config = ServerConfig { listen, ..ServerConfig::default() };
        for (name, value) in options.into_iter().flatten() {
            set_option(&mut config, name.extract()?, &value)?;
        }
        let notifier = Arc::new(Notifier::new()?);
        let listen = config.listen.clone();
        // With a bus, what is new goes by the tap, and from there to the loop.
        let bell = if bus.is_some() { Arc::new(Notifier::new()?) } else { Arc::clone(&notifier) };
        let server = guard(|| Ok(Arc::new(server::Server::bind(config, Arc::clone(&bell))?)))?;
        let start = |bus: &Bus| Tap::start(Arc::clone(&server), bus.core().clone(), bell, Arc::clone(&notifier));
        let tap = bus.map(start).transpose()?;
        Ok(Self { server, tap, notifier, listen })
    }

    /// Where it listens: host:port, and for RTP all of `rtp://host:first-last`, for which callers choose ports.
    #[getter]
    fn address(&self) -> String {
        let local = self.server.local_addr();
        match &self.listen {
            Listen::Rtp(range) if range.first < range.last => self.listen.to_string(),
            Listen::Rtp(_) => format!("rtp://{local}"),
            _ => local.to_string(),
        }
    }

    /// Keeps a port for the call with this id for `within_s` seconds; host:port.
    fn expect(&self, py: Python<'_>, call_id: &str, within_s: f64) -> PyResult<String> {
        let id = call_id.parse()?;
        let within = duration_ms("within_s", within_s * 1e3)?;
        guard(|| Ok(py.detach(|| self.server.expect(id, within))?.to_string()))
    }

    /// The descriptor that becomes readable when `poll` has something.
    fn fileno(&self) -> i32 {
        self.notifier.as_raw_fd()
    }

    /// Calls out, and returns the attempt's number; `poll` tells the outcome.
    fn connect(&self, target: &Target) -> PyResult<u64> {
        Ok(self.server.connect(target.0.clone())?)
    }

    /// All that is new: calls that began, keys of calls with news, log records as (logger, level, message), and outcomes of
    /// attempts to call out as (attempt, the call's id or an exception).
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.notifier.take();
        let calls = PyList::empty(py);
        let mut keys = Vec::new();
        if let Some(tap) = &self.tap {
            let (begun, ready) = tap.take();
            for call in begun {
                calls.append(Bound::new(py, call)?)?;
            }
            keys = ready;
        } else {
            while let Some(call) = self.server.accept() {
                calls.append(Bound::new(py, Call::new(call, None))?)?;
            }
            self.server.poll_ready(&mut keys);
        }
        let mut records = Vec::new();
        while let Some(record) = self.server.poll_log() {
            records.push((record.target, level_number(record.level), record.to_string()));
        }
        let outcomes = PyList::empty(py);
        while let Some((attempt, outcome)) = self.server.poll_outcome() {
            match outcome {
                Ok(id) => outcomes.append((attempt, id.to_string()))?,
                Err(error) => outcomes.append((attempt, PyErr::from(error).into_value(py)))?,
            }
        }
        (calls, keys, records, outcomes).into_pyobject(py)
    }

    /// Takes no more calls; ends each that runs when its agent's audio is played, and the rest after `grace_s` seconds.
    fn stop(&self, grace_s: f64) -> PyResult<()> {
        self.server.stop(duration_ms("grace_s", grace_s * 1e3)?);
        Ok(())
    }

    /// Whether all calls have ended after a stop.
    fn is_stopped(&self) -> bool {
        self.server.is_stopped()
    }

    /// The server's counters now.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.server.stats();
        let dict = PyDict::new(py);
        dict.set_item("calls", stats.calls)?;
        dict.set_item("pending", stats.pending)?;
        dict.set_item("calls_began", stats.calls_began)?;
        dict.set_item("calls_refused", stats.calls_refused)?;
        dict.set_item("connections_rejected", stats.connections_rejected)?;
        dict.set_item("frames_sent", stats.frames_sent)?;
        dict.set_item("frames_dropped", stats.frames_dropped)?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            dict.set_item(format!("lateness_{name}_ms"), milliseconds(stats.lateness.quantile(quantile)))?;
        }
        dict.set_item("lateness_max_ms", milliseconds(stats.lateness.max()))?;
        dict.set_item("media_cpu_s", stats.media_cpu.as_secs_f64())?;
        dict.set_item("priority", stats.priority.to_string())?;
        Ok(dict)
    }
}

/// Where a channel waits to be connected to, looked up.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct Target(server::Target);

#[pymethods]
impl Target {
    #[new]
    fn new(py: Python<'_>, url: &str) -> PyResult<Self> {
        Ok(Self(py.detach(|| server::Target::resolve(url))?))
    }
}

/// Checks a listen address, and looks its name up.
#[pyfunction]
pub(super) fn resolve_listen(py: Python<'_>, listen: &str) -> PyResult<String> {
    Ok(py.detach(|| Listen::resolve(listen))?.to_url())
}

fn set_option(config: &mut ServerConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let ms = || -> PyResult<Duration> { Ok(duration_ms(name, value.extract()?)?) };
    let seconds = || -> PyResult<Duration> { Ok(duration_ms(name, value.extract::<f64>()? * 1e3)?) };
    let session = &mut config.session;
    match name {
        "max_calls" => config.max_calls = value.extract()?,
        "max_pending" => config.max_pending = value.extract()?,
        "payload_types" => {
            for (number, format) in value.extract::<BTreeMap<u8, Option<String>>>()? {
                let types = std::mem::take(&mut config.payload_types);
                config.payload_types = match format {
                    Some(format) => types.with(number, format.parse()?)?,
                    None => types.without(number),
                };
            }
        }
        "handshake_timeout_s" => config.handshake_timeout = seconds()?,
        "idle_timeout_s" => config.idle_timeout = seconds()?,
        "media_threads" => config.media_threads = value.extract()?,
        "realtime_priority" => config.realtime_priority = value.extract()?,
        "ptime_ms" => session.ptime = ms()?,
        "codec" => session.codec = Some(codec(value.extract()?)?),
        "playout" => session.playout = value.extract::<String>()?.parse()?,
        "output_rate" => session.output_rate = optional_rate(value)?,
        "prebuffer_ms" => session.prebuffer = ms()?,
        "prebuffer_max_ms" => session.prebuffer_max = ms()?,
        "input_buffer_ms" => session.input_buffer = ms()?,
        "output_limit_bytes" => session.output_limit_bytes = value.extract()?,
        "vad" => set_vad(&mut session.vad, value)?,
        "vad_sensitivity" => session.vad.sensitivity = value.extract()?,
        "vad_min_speech_ms" => session.vad.min_speech = ms()?,
        "vad_hangover_ms" => session.vad.hangover = ms()?,
        "vad_look_back_ms" => session.vad.look_back = ms()?,
        "barge_in" => session.barge_in.automatic = value.extract()?,
        "barge_in_min_speech_ms" => session.barge_in.min_speech = ms()?,
        "barge_in_protection_ms" => session.barge_in.protection = ms()?,
        "barge_in_cooldown_ms" => session.barge_in.cooldown = ms()?,
        "echo_guard" => session.barge_in.echo_guard = value.extract()?,
        "echo_canceller" => session.echo.mode = value.extract::<String>()?.parse()?,
        other => {
            return Err(PyTypeError::new_err(format!("option {other:?}, wanted one of talkpath.server.Options")));
        }
    }
    Ok(())
}

/// The codec of this name, at the rate at which it mostly runs.
fn codec(name: &str) -> crate::Result<Codec> {
    let rate = match name {
        "g722" => SampleRate::HZ_16000,
        "opus" => SampleRate::HZ_24000,
        _ => SampleRate::HZ_8000,
    };
    Codec::from_name(name, rate)
}

/// Takes a detector's name, or whether the default one listens.
fn set_vad(vad: &mut VadConfig, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(name) = value.extract::<&str>() {
        vad.detector = name.parse()?;
        vad.enabled = true;
    } else {
        vad.enabled = value.extract()?;
    }
    Ok(())
}

fn optional_rate(value: &Bound<'_, PyAny>) -> PyResult<Option<SampleRate>> {
    let hz: Option<u32> = value.extract()?;
    Ok(hz.map(SampleRate::new).transpose()?)
}

/// The number that Python's `logging` gives a level.
fn level_number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 10,
        LogLevel::Info => 20,
        LogLevel::Warning => 30,
        LogLevel::Error => 40,
    }
}
