//! `_talkpath.BusSubscription`: a subscription as Python reads it, event by event or in batches.
//!
//! `talkpath.bus.Subscription` is made of it, and owns the waiting. A batch is taken from the queue at once and handed out
//! event by event without a turn of the loop.

use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::vec::IntoIter;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::event::delivered;
use super::exit::Stay;
use super::loop_bell::LoopBell;
use super::{Bus, SLICE, is_on_loop, iterator};
use crate::python::{duration_ms, lock};
use crate::system::bus::{Delivery, Filter, Options, Pattern, Subscription};
use crate::system::clock::Clock;

/// A subscription, and what of it is being handed out.
#[pyclass(frozen, subclass, module = "talkpath._talkpath")]
pub(super) struct BusSubscription {
    reading: Arc<Reading>,
}

/// A subscription, and the batch that is being handed out.
pub(super) struct Reading {
    subscription: Subscription,
    batch: Mutex<IntoIter<Delivery>>,
    /// How many of the batch are left; changed under its lock, looked at without.
    left: AtomicUsize,
}

impl Reading {
    /// The next event of the batch.
    pub(super) fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut batch = lock(py, &self.batch);
        let next = batch.next();
        self.left.store(batch.len(), Relaxed);
        drop(batch);
        next.map(|delivery| delivered(py, delivery)).transpose()
    }

    /// Whether the batch has been handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.left.load(Relaxed) == 0
    }

    /// Takes the next batch over; false if there is nothing, and then the bell rings when there is.
    fn refill(&self, py: Python<'_>) -> bool {
        let mut batch = lock(py, &self.batch);
        if batch.len() == 0 {
            let mut taken = Vec::with_capacity(BATCH);
            self.subscription.drain_on(BATCH, &mut taken);
            *batch = taken.into_iter();
            self.left.store(batch.len(), Relaxed);
        }
        batch.len() > 0
    }

    fn list<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Bound<'py, PyList>> {
        let mut batch = lock(py, &self.batch);
        let mut taken: Vec<Delivery> = batch.by_ref().take(max).collect();
        self.left.store(batch.len(), Relaxed);
        drop(batch);
        if taken.is_empty() {
            self.subscription.drain_on(max, &mut taken);
        }
        let items: Vec<_> = taken.into_iter().map(|delivery| delivered(py, delivery)).collect::<PyResult<_>>()?;
        PyList::new(py, items)
    }

    /// Waits for something to read, without the interpreter; false if there was nothing in time or ever.
    fn wait(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<bool> {
        if is_on_loop(py)? {
            return Err(PyRuntimeError::new_err("the event loop must not wait, wanted `async for`"));
        }
        let timeout = timeout_s.map(|seconds| duration_ms("timeout", seconds * 1e3)).transpose()?;
        let deadline = timeout.map(|timeout| Clock::now() + timeout);
        loop {
            let left = deadline.map_or(SLICE, Clock::until).min(SLICE);
            let Some(stay) = Stay::enter() else { return Ok(false) };
            let has_news = py.detach(|| self.subscription.wait(Some(left)))?;
            drop(stay);
            py.check_signals()?;
            if has_news || left < SLICE {
                return Ok(has_news);
            }
        }
    }
}

#[pymethods]
impl BusSubscription {
    #[new]
    #[pyo3(signature = (bus, session, kind, *, literal = false, policy = "drop_oldest", capacity = None, capacity_bytes = None, name = None))]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn new(
        bus: &Bus,
        session: &str,
        kind: &str,
        literal: bool,
        policy: &str,
        capacity: Option<usize>,
        capacity_bytes: Option<usize>,
        name: Option<String>,
    ) -> PyResult<Self> {
        let subscription = subscribe(bus, session, kind, literal, policy, capacity, capacity_bytes, name)?;
        let reading = Arc::new(Reading { subscription, batch: Mutex::default(), left: AtomicUsize::new(0) });
        Ok(Self { reading })
    }

    fn __aiter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        iterator::new(slf.as_any(), &slf.get().reading)
    }

    /// A coroutine for the next event.
    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0(intern!(slf.py(), "_next"))
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next event, for a thread, which waits for it.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        loop {
            if let Some(event) = self.reading.take(py)? {
                return Ok(Some(event));
            }
            if !self.reading.refill(py) && (self.reading.subscription.is_over() || !self.reading.wait(py, None)?) {
                return Ok(None);
            }
        }
    }

    /// The next event if it has been taken over.
    fn _take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.reading.take(py)
    }

    /// Takes the next batch over; false if there is nothing: then the loop's bell rings once there is.
    fn _refill(&self, py: Python<'_>) -> bool {
        self.reading.refill(py)
    }

    /// Has the loop's bell ring with `token` when there is something to read.
    fn _bind(&self, bell: &LoopBell, token: u64) -> PyResult<()> {
        Ok(self.reading.subscription.set_wake(bell.rope(token))?)
    }

    /// All that waits, at most `max_events`, without waiting.
    #[pyo3(signature = (max_events = 1_024))]
    fn drain<'py>(&self, py: Python<'py>, max_events: usize) -> PyResult<Bound<'py, PyList>> {
        self.reading.list(py, max_events)
    }

    /// All that waits, at most `max_events`, for a thread: it waits up to `timeout` seconds (None: for ever) for the first.
    #[pyo3(signature = (max_events = 1_024, timeout = None))]
    fn read<'py>(&self, py: Python<'py>, max_events: usize, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        let list = self.reading.list(py, max_events)?;
        if list.is_empty() && self.reading.wait(py, timeout)? {
            return self.reading.list(py, max_events);
        }
        Ok(list)
    }

    /// The descriptor that is readable while there is something to drain.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.reading.subscription.fd()?.as_raw_fd())
    }

    /// Ends it: nothing more comes, and what was not read is dropped.
    fn close(&self, py: Python<'_>) {
        let mut batch = lock(py, &self.reading.batch);
        let dropped = std::mem::take(&mut *batch);
        self.reading.left.store(0, Relaxed);
        drop(batch);
        drop(dropped);
        self.reading.subscription.close();
    }

    /// Whether nothing will ever come any more.
    #[getter]
    fn closed(&self) -> bool {
        self.reading.is_empty() && self.reading.subscription.is_over()
    }

    /// What it has seen: waiting, waiting_bytes, dropped, conflated.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.reading.subscription.stats();
        let dict = PyDict::new(py);
        dict.set_item("waiting", stats.waiting + lock(py, &self.reading.batch).len())?;
        dict.set_item("waiting_bytes", stats.waiting_bytes)?;
        dict.set_item("dropped", stats.dropped)?;
        dict.set_item("conflated", stats.conflated)?;
        Ok(dict)
    }
}

/// Subscribes with what Python says.
#[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
pub(super) fn subscribe(
    bus: &Bus,
    session: &str,
    kind: &str,
    literal: bool,
    policy: &str,
    capacity: Option<usize>,
    capacity_bytes: Option<usize>,
    name: Option<String>,
) -> crate::Result<Subscription> {
    let defaults = Options::default();
    let options = Options {
        policy: policy.parse()?,
        capacity: capacity.unwrap_or(defaults.capacity),
        capacity_bytes: capacity_bytes.unwrap_or(defaults.capacity_bytes),
        name: name.unwrap_or(defaults.name),
    };
    let session = if literal { Pattern::exact(session) } else { session.parse()? };
    bus.core().subscribe(Filter { session, kind: kind.parse()? }, options)
}

/// How many events are taken over at once; then the loop has a turn.
const BATCH: usize = 256;
