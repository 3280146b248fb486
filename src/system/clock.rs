//! The one place of this room that reads the time.
//!
//! Events carry the time of day, waits have deadlines. The media clock is `io`'s own.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::Timestamp;

/// The system's clocks, as events and waits need them.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Clock {
    /// The time on the monotonic clock (`CLOCK_MONOTONIC`), for deadlines.
    #[must_use]
    pub fn now() -> Timestamp {
        Timestamp::from_micros(read(ClockId::CLOCK_MONOTONIC).as_micros() as u64)
    }

    /// The time of day, in microseconds since 1970 (`CLOCK_REALTIME`); it can be set back.
    #[must_use]
    pub fn unix_us() -> u64 {
        read(ClockId::CLOCK_REALTIME).as_micros() as u64
    }

    /// How long it is until `deadline`; zero once it has passed.
    #[must_use]
    pub fn until(deadline: Timestamp) -> Duration {
        deadline.since(Self::now())
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
    fn deadlines_come_nearer_and_days_are_counted_from_1970() {
        let deadline = Clock::now() + Duration::from_secs(60);
        let first = Clock::until(deadline);
        assert!(first <= Duration::from_secs(60) && Clock::until(deadline) <= first);
        assert_eq!(Clock::until(Timestamp::ZERO), Duration::ZERO);
        assert!(Clock::unix_us() > 1_700_000_000_000_000);
    }
}
