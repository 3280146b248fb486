//! `talkpath.NatsBridge`: the core's bridge between event buses over NATS.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use super::bus::Bus;
use super::duration_ms;
use super::secret::SecretRef;
use crate::Error;
use crate::system::bus::{Filter, Pattern};
use crate::system::nats::{self, Credentials, JetStream, Mode, NatsOptions, NatsStats, Tls};

/// A bridge between a bus and NATS.
#[pyclass(frozen, subclass, module = "talkpath._talkpath")]
pub(super) struct NatsBridge {
    inner: nats::NatsBridge,
}

#[pymethods]
impl NatsBridge {
    #[new]
    #[pyo3(signature = (bus, servers, *, name = "talkpath", prefix = "talkpath", send = "*", receive = "*",
        session = "*", stream = None, durable = None, from_start = false, token = None, user = None, password = None,
        nkey = None, credentials = None, tls = false, root_certificates = None, client_certificate = None,
        capacity = None, capacity_bytes = None, max_backoff_s = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        bus: &Bus,
        servers: Vec<String>,
        name: &str,
        prefix: &str,
        send: Option<&str>,
        receive: Option<&str>,
        session: &str,
        stream: Option<String>,
        durable: Option<String>,
        from_start: bool,
        token: Option<PyRef<'_, SecretRef>>,
        user: Option<String>,
        password: Option<PyRef<'_, SecretRef>>,
        nkey: Option<PyRef<'_, SecretRef>>,
        credentials: Option<&Bound<'_, PyAny>>,
        tls: bool,
        root_certificates: Option<PathBuf>,
        client_certificate: Option<(PathBuf, PathBuf)>,
        capacity: Option<usize>,
        capacity_bytes: Option<usize>,
        max_backoff_s: Option<f64>,
    ) -> PyResult<Self> {
        let defaults = NatsOptions::default();
        let filter = |kind: Option<&str>| {
            let pattern = |text: &str| text.parse::<Pattern>();
            kind.map(|kind| Ok::<_, Error>(Filter { session: pattern(session)?, kind: pattern(kind)? })).transpose()
        };
        let secret = |it: PyRef<'_, SecretRef>| it.inner.clone();
        let mut whom = Vec::new();
        whom.extend(token.map(|token| Credentials::Token(secret(token))));
        whom.extend(nkey.map(|seed| Credentials::Nkey(secret(seed))));
        match (user, password) {
            (None, None) => {}
            (Some(name), Some(password)) => whom.push(Credentials::User { name, password: secret(password) }),
            _ => return Err(Error::invalid("a user without a password or the reverse, wanted both").into()),
        }
        if let Some(credentials) = credentials {
            whom.push(match credentials.cast::<SecretRef>() {
                Ok(contents) => Credentials::Contents(contents.get().inner.clone()),
                Err(_) => Credentials::File(credentials.extract()?),
            });
        }
        if whom.len() > 1 {
            let message = "more than one of token, user, nkey and credentials, wanted at most one";
            return Err(Error::invalid(message).into());
        }
        let mode = match (stream, durable) {
            (None, None) => Mode::Core,
            (Some(stream), durable) => {
                if durable.is_none() && receive.is_some() {
                    return Err(Error::invalid("a stream to receive from and no durable, wanted its name").into());
                }
                let durable = durable.unwrap_or_else(|| "unused".into());
                Mode::JetStream(JetStream { stream, durable, from_start })
            }
            (None, Some(_)) => return Err(Error::invalid("a durable without a stream, wanted both").into()),
        };
        let options = NatsOptions {
            servers,
            credentials: whom.pop().unwrap_or_default(),
            tls: Tls { required: tls, root_certificates, client_certificate },
            prefix: prefix.into(),
            name: name.into(),
            send: filter(send)?,
            receive: filter(receive)?,
            mode,
            capacity: capacity.unwrap_or(defaults.capacity),
            capacity_bytes: capacity_bytes.unwrap_or(defaults.capacity_bytes),
            max_backoff: max_backoff_s.map_or(Ok(defaults.max_backoff), |it| duration_ms("max_backoff_s", it * 1e3))?,
        };
        let bus = bus.core().clone();
        let inner = py.detach(|| nats::NatsBridge::start(&bus, options))?;
        Ok(Self { inner })
    }

    /// Waits until it is connected; a Timeout says why it is not.
    #[pyo3(signature = (timeout_s = 10.0))]
    fn wait_connected(&self, py: Python<'_>, timeout_s: f64) -> PyResult<()> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.inner.wait_connected(timeout))?)
    }

    /// Waits until everything that was published before has arrived at the server, or was dropped.
    #[pyo3(signature = (timeout_s = 10.0))]
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<()> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.inner.flush(timeout))?)
    }

    /// Sends what waits, for as long, and ends.
    #[pyo3(signature = (timeout_s = 5.0))]
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<()> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.inner.close(timeout))?)
    }

    /// What others know it by; see Event.origin.
    #[getter]
    fn origin(&self) -> &str {
        self.inner.origin()
    }

    /// The fields of talkpath.nats.Stats, in their order.
    #[allow(clippy::type_complexity, reason = "a tuple for a dataclass")]
    fn _stats(&self, py: Python<'_>) -> (bool, u64, Option<String>, u64, usize, u64, u64, u64, u64, u64) {
        let NatsStats {
            connected,
            connections,
            last_error,
            sent,
            waiting,
            dropped,
            too_long,
            received,
            repeated,
            missing,
            ..
        } = py.detach(|| self.inner.stats());
        (connected, connections, last_error, sent, waiting, dropped, too_long, received, repeated, missing)
    }
}

fn seconds(value: f64) -> crate::Result<Duration> {
    duration_ms("timeout_s", value * 1e3)
}
