//! `talkpath.testing.Network`: the core's seeded network model.

use std::sync::Mutex;

use pyo3::prelude::*;

use super::{duration_ms, lock, milliseconds};
use crate::Timestamp;
use crate::impair::{self, Impairment};

/// One direction of a network that loses, delays, swaps and doubles packets, the same ones for the same seed.
#[pyclass(frozen, module = "talkpath.testing")]
pub(super) struct Network {
    inner: Mutex<impair::Network>,
    impairment: Impairment,
}

#[pymethods]
impl Network {
    /// Makes a network of impairments such as "loss=5%,burst=2,jitter=40ms,reorder=1%,dup=0.5%,delay=20ms,seed=7".
    ///
    /// What is left out does nothing; `drift=100ppm` is how much longer the sender's second is than the receiver's.
    #[new]
    #[pyo3(signature = (impair = ""))]
    fn new(impair: &str) -> PyResult<Self> {
        let impairment: Impairment = impair.parse()?;
        let inner = Mutex::new(impair::Network::new(impairment.clone())?);
        Ok(Self { inner, impairment })
    }

    /// Sends a packet at `at_ms` and says when it arrives, in ms: never, once or twice. Packets are sent in order.
    fn send(&self, py: Python<'_>, at_ms: f64) -> PyResult<Vec<f64>> {
        let sent = Timestamp::ZERO + duration_ms("at_ms", at_ms)?;
        let arrivals = lock(py, &self.inner).send(sent);
        Ok(arrivals.map(|at| milliseconds(at.since(Timestamp::ZERO))).collect())
    }

    /// Sends `count` packets from 0 ms on, one every `ptime_ms`, and says of each when it arrives.
    #[pyo3(signature = (count, *, ptime_ms = 20.0))]
    fn send_all(&self, py: Python<'_>, count: u32, ptime_ms: f64) -> PyResult<Vec<Vec<f64>>> {
        let ptime = duration_ms("ptime_ms", ptime_ms)?;
        let mut inner = lock(py, &self.inner);
        let arrivals = |n| {
            let arrivals = inner.send(Timestamp::ZERO + ptime * n);
            arrivals.map(|at| milliseconds(at.since(Timestamp::ZERO))).collect()
        };
        Ok((0..count).map(arrivals).collect())
    }

    /// The impairments, as they are written.
    #[getter]
    fn impair(&self) -> String {
        self.impairment.to_string()
    }

    /// Whether all that it does is to take time, as a stream that keeps order and loses nothing (TCP) can.
    #[getter]
    fn only_delays(&self) -> bool {
        self.impairment.only_delays()
    }

    fn __repr__(&self) -> String {
        format!("talkpath.testing.Network({:?})", self.impairment.to_string())
    }
}
