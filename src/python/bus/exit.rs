//! The end of the interpreter: nobody may be inside when it comes.
//!
//! A thread that attaches to an ending interpreter is ended by CPython (3.11 to 3.13) with `pthread_exit`, which must not
//! unwind through Rust. So whoever waits detached, or runs Python from here, is counted; `atexit` shows everyone out, and
//! nobody comes in after. Plain publishing goes on: it neither lets go of the interpreter nor takes it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

static IS_CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static LAST_OUT: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// Being inside; ends when dropped.
pub(super) struct Stay(());

impl Stay {
    /// Comes in; None once the interpreter is ending.
    pub(super) fn enter() -> Option<Self> {
        INSIDE.fetch_add(1, SeqCst);
        let stay = Self(());
        (!IS_CLOSED.load(SeqCst)).then_some(stay)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if INSIDE.fetch_sub(1, SeqCst) == 1 && IS_CLOSED.load(SeqCst) {
            let _lock = LAST_OUT.0.lock().unwrap_or_else(PoisonError::into_inner);
            LAST_OUT.1.notify_all();
        }
    }
}

/// Lets nobody in any more, and waits up to a second for those inside: for `atexit`.
#[pyfunction(name = "_bus_leave")]
pub(super) fn bus_leave(py: Python<'_>) {
    IS_CLOSED.store(true, SeqCst);
    py.detach(|| {
        let lock = LAST_OUT.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = LAST_OUT.1.wait_timeout_while(lock, PATIENCE, |()| INSIDE.load(SeqCst) > 0);
    });
}

/// How long a callback may take at the end; one that takes longer is run over.
const PATIENCE: Duration = Duration::from_secs(1);
