//! `_talkpath.LoopBell`: wakes one event loop for all the subscriptions that are read on it, by one descriptor.

use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use super::exit::Stay;
use crate::io::notify::Notifier;
use crate::system::bus::Wake;

/// The bell of an event loop. It rings with tokens: each says which subscription has news, and 0 that there may be room.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct LoopBell {
    tower: Arc<Tower>,
    room: Arc<dyn Wake>,
}

/// What the threads that ring share with the loop that hears it.
struct Tower {
    notifier: Notifier,
    rung: Mutex<Vec<u64>>,
    /// A weak reference to the loop.
    event_loop: Py<PyAny>,
}

/// One subscription's rope.
struct Rope {
    tower: Arc<Tower>,
    token: u64,
}

impl LoopBell {
    /// What is told of room.
    pub(super) fn room(&self) -> &Arc<dyn Wake> {
        &self.room
    }

    /// What tells the loop of the subscription with this token.
    pub(super) fn rope(&self, token: u64) -> Arc<dyn Wake> {
        Arc::new(Rope { tower: Arc::clone(&self.tower), token })
    }
}

#[pymethods]
impl LoopBell {
    /// Makes the bell of the loop that `event_loop` is a weak reference to.
    #[new]
    fn new(event_loop: Py<PyAny>) -> PyResult<Self> {
        let tower = Arc::new(Tower { notifier: Notifier::new()?, rung: Mutex::default(), event_loop });
        Ok(Self { room: Arc::new(Rope { tower: Arc::clone(&tower), token: 0 }), tower })
    }

    /// The descriptor that is readable when the bell has rung.
    fn fileno(&self) -> i32 {
        self.tower.notifier.as_raw_fd()
    }

    /// The tokens with which it has rung since this was last asked.
    fn take(&self) -> Vec<u64> {
        self.tower.notifier.take();
        std::mem::take(&mut *self.tower.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for Rope {
    fn wake(&self) {
        let mut rung = self.tower.rung.lock().unwrap_or_else(PoisonError::into_inner);
        // A loop that does not run hears of each once, however often its publishers try.
        if !rung.contains(&self.token) {
            rung.push(self.token);
        }
        drop(rung);
        self.tower.notifier.notify();
    }

    fn is_gone(&self) -> bool {
        let Some(_stay) = Stay::enter() else { return true };
        let is_gone = |py: Python<'_>| -> PyResult<bool> {
            let event_loop = self.tower.event_loop.bind(py).call0()?;
            Ok(event_loop.is_none() || event_loop.call_method0("is_closed")?.is_truthy()?)
        };
        // A loop that cannot say is taken to be there: its publishers wait no longer than they may.
        Python::try_attach(is_gone).is_some_and(|asked| asked.unwrap_or(false))
    }
}
