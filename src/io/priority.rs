//! Asks the system to run a media thread before others.
//!
//! A frame that is due must not wait for a busy agent on the same processor. Whether the system grants that depends on
//! its limits (`RLIMIT_RTPRIO`, `RLIMIT_NICE`, `CAP_SYS_NICE`), so a refusal is no error: the thread runs as it is, and
//! says what it got. Neither libstd nor nix has these calls.
#![allow(unsafe_code)]

use std::fmt;

/// What a thread got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The ordinary share.
    #[default]
    Normal,
    /// A greater share than other threads (nice −10).
    Raised,
    /// Before all ordinary threads (`SCHED_FIFO`).
    RealTime,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Raised => "raised",
            Self::RealTime => "real time",
        })
    }
}

/// Raises the calling thread as far as the system lets it, and says how far that was. Its children start as ordinary.
pub(crate) fn raise_this_thread() -> Priority {
    let param = libc::sched_param { sched_priority: REAL_TIME_PRIORITY };
    // SAFETY: 0 names the calling thread, and `param` is a whole `sched_param` that the call only reads.
    let refused = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &param) };
    if refused == 0 {
        return Priority::RealTime;
    }
    // SAFETY: no pointers; on Linux 0 names the calling thread, not the process.
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, RAISED_NICE) };
    if refused == 0 { Priority::Raised } else { Priority::Normal }
}

/// Above other programs' ordinary real-time threads' lowest step, far below the kernel's own.
const REAL_TIME_PRIORITY: i32 = 10;
const RAISED_NICE: i32 = -10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_gives_the_same() {
        let (first, second) = std::thread::spawn(|| (raise_this_thread(), raise_this_thread())).join().unwrap();
        assert_eq!(first, second);
    }
}
