//! Tells which process this is, without a system call: what a forked child inherited must not be used in it.
//!
//! A lock that another thread held at the fork stays locked in the child for ever, and descriptors are shared with the
//! parent. So whatever has locks or descriptors remembers the process that made it, and looks before it touches them.
#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

unsafe extern "C" {
    safe fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> i32;
}

/// How many forks lie between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The process in which something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The process that runs this.
    pub(crate) fn current() -> Self {
        static WATCH: Once = Once::new();
        // It fails only without memory; then forks go unnoticed, as they would without it.
        WATCH.call_once(|| {
            let _ = pthread_atfork(None, None, Some(count_fork));
        });
        Self(GENERATION.load(Relaxed))
    }

    /// Whether it is still the one that runs this.
    pub(crate) fn is_current(self) -> bool {
        self.0 == GENERATION.load(Relaxed)
    }
}

/// Runs in the child before anything else does; an atomic is all that it may touch.
extern "C" fn count_fork() {
    GENERATION.fetch_add(1, Relaxed);
}
