//! `_talkpath.BusListener`: callbacks, which are called on the thread that publishes.
//!
//! Whoever finds a listener's bell armed has it alone until it has drained everything, so a callback is never called twice
//! at once, and sees events in their order. A callback that publishes only queues: what it published is delivered after what
//! it was called with, to everyone. Events that no thread of Python published are delivered by a [`Courier`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::Bus;
use super::event::delivered;
use super::exit::Stay;
use super::object::data_of;
use super::subscription::subscribe;
use crate::python::lock;
use crate::system::bus::{Delivery, Subscription, Wake};

/// A callback that is called with each event.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct BusListener(Arc<Listener>);

struct Listener {
    subscription: Subscription,
    callback: Py<PyAny>,
    /// Called with type and data, as the event bus of old did; otherwise with the event.
    takes_pair: bool,
    /// Taken from the queue and not yet delivered; only who delivers touches it.
    batch: Mutex<VecDeque<Delivery>>,
    is_off: AtomicBool,
    courier: Arc<Courier>,
}

/// What rings when a listener has something to deliver. It holds the listener weakly, as the listener holds it.
struct Due(Weak<Listener>);

/// Delivers what no thread of Python has published, on a thread of its own, which begins with the first such event.
pub(super) struct Courier {
    state: Mutex<CourierState>,
    called: Condvar,
}

#[derive(Default)]
struct CourierState {
    due: VecDeque<Arc<Listener>>,
    runs: bool,
}

thread_local! {
    /// Whether this thread publishes for Python, and so serves the listeners that are due by it.
    static IS_INLINE: Cell<bool> = const { Cell::new(false) };
    /// The listeners that it has yet to serve.
    static DUE: RefCell<VecDeque<Arc<Listener>>> = const { RefCell::new(VecDeque::new()) };
}

/// Runs `publish`, and then the callbacks that are due by it; inside of another, they are left to that one.
pub(super) fn inline<T>(py: Python<'_>, publish: impl FnOnce() -> T) -> PyResult<T> {
    if IS_INLINE.replace(true) {
        return Ok(publish());
    }
    let published = publish();
    let served = serve(py);
    IS_INLINE.set(false);
    if served.is_err() {
        for listener in DUE.take() {
            listener.courier.call(&listener);
        }
    }
    served.map(|()| published)
}

fn serve(py: Python<'_>) -> PyResult<()> {
    let next = || DUE.with_borrow_mut(VecDeque::pop_front);
    let Some(mut listener) = next() else { return Ok(()) };
    // At the interpreter's end callbacks are over.
    let Some(_stay) = Stay::enter() else { return Ok(()) };
    loop {
        listener.serve(py, MAX_INLINE)?;
        match next() {
            Some(another) => listener = another,
            None => return Ok(()),
        }
    }
}

impl Listener {
    /// Delivers until nothing is left, or `most` events; the rest, also after an exception that is none of the callback's
    /// own, is for the courier.
    fn serve(self: &Arc<Self>, py: Python<'_>, most: usize) -> PyResult<()> {
        for _ in 0..most {
            let Some(delivery) = self.next(py) else { return Ok(()) };
            if self.is_off.load(Relaxed) {
                continue;
            }
            if let Err(error) = self.deliver(py, delivery) {
                if error.is_instance_of::<PyException>(py) {
                    self.report(py, error);
                } else {
                    self.courier.call(self);
                    return Err(error);
                }
            }
        }
        self.courier.call(self);
        Ok(())
    }

    fn next(&self, py: Python<'_>) -> Option<Delivery> {
        let mut batch = lock(py, &self.batch);
        if batch.is_empty() {
            let mut taken = Vec::new();
            self.subscription.drain_on(BATCH, &mut taken);
            batch.extend(taken);
        }
        batch.pop_front()
    }

    fn deliver(&self, py: Python<'_>, delivery: Delivery) -> PyResult<()> {
        match delivery {
            Delivery::Event(event) if self.takes_pair => {
                let data = data_of(py, &event.payload)?;
                self.callback.call1(py, (&*event.kind, data))?;
            }
            Delivery::Gap(gap) if self.takes_pair => {
                let session = gap.session.as_deref().unwrap_or("other sessions");
                report_by(py, "_report_gap", (&self.callback, session, gap.count));
            }
            delivery => {
                self.callback.call1(py, (delivered(py, delivery)?,))?;
            }
        }
        Ok(())
    }

    /// Logs what a callback raised: it concerns no one else.
    fn report(&self, py: Python<'_>, error: PyErr) {
        report_by(py, "_report_failure", (&self.callback, error.into_value(py)));
    }
}

fn report_by<'py>(py: Python<'py>, function: &str, arguments: impl pyo3::call::PyCallArgs<'py>) {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || Ok::<_, PyErr>(py.import("talkpath.bus")?.unbind()));
    let reported = module.and_then(|module| module.bind(py).getattr(function)?.call1(arguments));
    if let Err(error) = reported {
        error.write_unraisable(py, None);
    }
}

#[pymethods]
impl BusListener {
    #[new]
    #[pyo3(signature = (bus, session, kind, callback, *, literal = false, takes_pair = false, policy = "drop_oldest", capacity = None, capacity_bytes = None, name = None))]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn new(
        bus: &Bus,
        session: &str,
        kind: &str,
        callback: Py<PyAny>,
        literal: bool,
        takes_pair: bool,
        policy: &str,
        capacity: Option<usize>,
        capacity_bytes: Option<usize>,
        name: Option<String>,
    ) -> PyResult<Self> {
        let subscription = subscribe(bus, session, kind, literal, policy, capacity, capacity_bytes, name)?;
        let listener = Arc::new(Listener {
            subscription,
            callback,
            takes_pair,
            batch: Mutex::default(),
            is_off: AtomicBool::new(false),
            courier: Arc::clone(&bus.courier),
        });
        listener.subscription.set_wake(Arc::new(Due(Arc::downgrade(&listener))))?;
        Ok(Self(listener))
    }

    #[getter]
    fn callback(&self, py: Python<'_>) -> Py<PyAny> {
        self.0.callback.clone_ref(py)
    }

    /// Calls the callback no more, but for a call that is under way on another thread.
    fn close(&self) {
        self.0.is_off.store(true, Relaxed);
        self.0.subscription.close();
    }

    /// What it has seen: how many events were dropped because the callback was too slow.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.subscription.stats().dropped
    }
}

impl Wake for Due {
    fn wake(&self) {
        let Some(listener) = self.0.upgrade() else { return };
        if IS_INLINE.get() {
            DUE.with_borrow_mut(|due| due.push_back(listener));
        } else {
            listener.courier.call(&listener);
        }
    }
}

impl Courier {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), called: Condvar::new() }
    }

    /// Has a listener served by the courier's thread.
    fn call(self: &Arc<Self>, listener: &Arc<Listener>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.due.push_back(Arc::clone(listener));
        if !state.runs {
            let courier = Arc::clone(self);
            let thread = std::thread::Builder::new().name("talkpath-courier".into());
            // Where no thread can be had, the next event tries again.
            state.runs = thread.spawn(move || courier.run()).is_ok();
        }
        self.called.notify_one();
    }

    /// Serves listeners until there is none for a while; the next one has it begin anew.
    fn run(self: Arc<Self>) {
        loop {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.called.wait_timeout_while(state, LINGER, |state| state.due.is_empty());
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let Some(listener) = state.due.pop_front() else {
                state.runs = false;
                return;
            };
            drop(state);
            let Some(_stay) = Stay::enter() else { return };
            let served = Python::try_attach(|py| {
                if let Err(error) = listener.serve(py, MAX_INLINE) {
                    listener.report(py, error);
                }
            });
            if served.is_none() {
                return;
            }
        }
    }
}

/// How many events are taken from a listener's queue at once.
const BATCH: usize = 64;
/// How many events a publisher delivers at most before it goes on with its own work.
const MAX_INLINE: usize = 4_096;
/// How long the courier's thread waits for more.
const LINGER: std::time::Duration = std::time::Duration::from_secs(10);
