//! The one place that reads the time, and sleeps.
//!
//! Everything else in the crate is told what time it is. Deadlines are absolute: a thread that oversleeps one wakes all
//! the sooner for the next, so that lateness never adds up.
#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use crate::Timestamp;

/// The system's monotonic clock (`CLOCK_MONOTONIC`): the same scale in every process of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Clock {
    /// The time now.
    #[must_use]
    pub fn now() -> Timestamp {
        Timestamp::from_micros(read(ClockId::CLOCK_MONOTONIC).as_micros() as u64)
    }

    /// Sleeps until `deadline`; not at all if it has passed.
    pub fn sleep_until(deadline: Timestamp) {
        let wake = TimeSpec::microseconds(i64::try_from(deadline.as_micros()).unwrap_or(i64::MAX));
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        while let Err(Errno::EINTR) = clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &wake) {}
    }

    /// How much processor time the calling thread has used.
    #[must_use]
    pub fn thread_cpu_time() -> Duration {
        read(ClockId::CLOCK_THREAD_CPUTIME_ID)
    }
}

/// Both clocks exist on every Linux, so that a failure cannot happen; it reads as zero.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_kept_and_a_past_one_does_not_wait() {
        let deadline = Clock::now() + Duration::from_millis(3);
        Clock::sleep_until(deadline);
        let woke = Clock::now();
        assert!(woke >= deadline);
        Clock::sleep_until(Timestamp::ZERO);
        assert!(Clock::now() >= woke);
    }
}
