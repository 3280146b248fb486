//! `_talkpath.Bus`: the event bus as Python publishes to it.
//!
//! `talkpath.EventBus` is made of it. A publish is one call without a wait: only when a lossless subscriber has no room does
//! it let go of the interpreter. Callbacks run on the publishing thread once the event is in every queue, so that each of
//! them sees events in their order, whatever the others do.

mod callback;
mod event;
mod exit;
mod iterator;
mod loop_bell;
mod object;
mod subscription;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use super::duration_ms;
use crate::system::bus::{self, Limits, Wake};
use crate::system::clock::Clock;
use crate::{Error, ErrorKind};
use callback::Courier;
use exit::Stay;

/// Adds the bus's classes to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Bus>()?;
    module.add_class::<event::BusEvent>()?;
    module.add_class::<event::BusGap>()?;
    module.add_class::<callback::BusListener>()?;
    module.add_class::<loop_bell::LoopBell>()?;
    module.add_class::<subscription::BusSubscription>()?;
    module.add_function(wrap_pyfunction!(exit::bus_leave, module)?)?;
    Ok(())
}

/// An event bus.
#[pyclass(frozen, subclass, module = "talkpath._talkpath")]
pub(super) struct Bus {
    bus: bus::Bus,
    courier: Arc<Courier>,
}

impl Bus {
    /// The bus itself, for other parts of talkpath to publish to.
    pub(super) fn core(&self) -> &bus::Bus {
        &self.bus
    }

    /// Tries to publish once, and runs the callbacks that are due by it.
    fn try_publish(
        &self,
        py: Python<'_>,
        session: &str,
        kind: &str,
        data: &Bound<'_, PyAny>,
        wake: Option<&Arc<dyn Wake>>,
    ) -> PyResult<Option<u64>> {
        let payload = object::payload(data);
        let published = callback::inline(py, || match wake {
            None => self.bus.try_publish(session, kind, payload),
            Some(wake) => self.bus.try_publish_or_tell(session, kind, payload, wake),
        })?;
        match published {
            Ok(sequence) => Ok(Some(sequence)),
            Err(error) if error.kind() == ErrorKind::LimitExceeded => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for room, without the interpreter; a signal's handler can end it.
    fn publish_patiently(&self, py: Python<'_>, session: &str, kind: &str, data: &Bound<'_, PyAny>) -> PyResult<u64> {
        if is_on_loop(py)? {
            let message =
                "a lossless subscriber has no room, and the event loop must not wait, wanted `await bus.send(…)`";
            return Err(Error::new(ErrorKind::LimitExceeded, message).into());
        }
        let timeout = self.bus.limits().publish_timeout;
        let deadline = Clock::now() + timeout;
        let room = Arc::new(Room::default());
        let wake: Arc<dyn Wake> = Arc::clone(&room) as Arc<dyn Wake>;
        loop {
            if let Some(sequence) = self.try_publish(py, session, kind, data, Some(&wake))? {
                return Ok(sequence);
            }
            let left = Clock::until(deadline);
            if left.is_zero() {
                let message = format!("a lossless subscriber had no room within {timeout:?}, wanted it to read");
                return Err(Error::new(ErrorKind::Timeout, message).into());
            }
            // At the interpreter's end nobody reads any more, and an exception in a thread would only be noise.
            let Some(_stay) = Stay::enter() else { return Ok(0) };
            py.detach(|| room.wait(left.min(SLICE)));
            py.check_signals()?;
        }
    }
}

#[pymethods]
impl Bus {
    #[new]
    #[pyo3(signature = (*, sessions = None, publish_timeout_s = None, event_bytes = None))]
    fn new(sessions: Option<usize>, publish_timeout_s: Option<f64>, event_bytes: Option<usize>) -> PyResult<Self> {
        let defaults = Limits::default();
        let publish_timeout = match publish_timeout_s {
            Some(seconds) => duration_ms("publish_timeout_s", seconds * 1e3)?,
            None => defaults.publish_timeout,
        };
        let limits = Limits {
            sessions: sessions.unwrap_or(defaults.sessions),
            event_bytes: event_bytes.unwrap_or(defaults.event_bytes),
            publish_timeout,
        };
        Ok(Self { bus: bus::Bus::with_limits(limits), courier: Arc::new(Courier::new()) })
    }

    /// Publishes an event, and answers its number in its session; `data` goes to subscribers by reference.
    ///
    /// It waits for a lossless subscriber's room, up to the bus's publish_timeout_s; on an event loop, where it must not, it
    /// raises LimitExceeded instead: see EventBus.send. While the interpreter ends, what finds no room is lost: number 0.
    #[pyo3(signature = (session_id, event_type, data = None))]
    fn publish(
        &self,
        py: Python<'_>,
        session_id: &Bound<'_, PyString>,
        event_type: &Bound<'_, PyString>,
        data: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let (session, kind) = (session_id.to_str()?, event_type.to_str()?);
        let none = py.None().into_bound(py);
        let data = data.unwrap_or(&none);
        match self.try_publish(py, session, kind, data, None)? {
            Some(sequence) => Ok(sequence),
            None => self.publish_patiently(py, session, kind, data),
        }
    }

    /// Publishes an event if there is room now; otherwise None, and the bell's token 0 says when to try again.
    fn _send(
        &self,
        py: Python<'_>,
        session_id: &Bound<'_, PyString>,
        event_type: &Bound<'_, PyString>,
        data: &Bound<'_, PyAny>,
        bell: &loop_bell::LoopBell,
    ) -> PyResult<Option<u64>> {
        self.try_publish(py, session_id.to_str()?, event_type.to_str()?, data, Some(bell.room()))
    }

    /// Forgets a session that is over: its next event would be number 1 again.
    fn forget(&self, session_id: &str) -> PyResult<()> {
        Ok(self.bus.forget(session_id)?)
    }
}

/// Where a thread of Python waits for room.
#[derive(Default)]
struct Room {
    is_there: Mutex<bool>,
    told: Condvar,
}

impl Room {
    fn wait(&self, timeout: Duration) {
        let there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(there, timeout, |there| !*there);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Wake for Room {
    fn wake(&self) {
        *self.is_there.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }
}

/// Whether an event loop runs on this thread, which must then not wait.
fn is_on_loop(py: Python<'_>) -> PyResult<bool> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let running = RUNNING
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("asyncio.events")?.getattr("_get_running_loop")?.unbind()))?;
    Ok(!running.bind(py).call0()?.is_none())
}

/// How long a thread waits before it looks at signals, and at whether the interpreter is ending.
const SLICE: Duration = Duration::from_millis(50);
