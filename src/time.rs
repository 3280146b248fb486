//! A point in time, in whole microseconds, always passed in.
//!
//! The core owns no clock. Whoever drives it (the media clock in `io`, a test, a C program) says what time it is, on any
//! monotonic scale it likes; only differences matter. A test therefore runs an hour of a call in a second.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a monotonic scale, in microseconds since an origin that the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the scale.
    pub const ZERO: Self = Self(0);

    /// Makes a timestamp from microseconds since the origin.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Makes a timestamp from milliseconds since the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the origin, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0 + rhs.as_micros() as u64)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Goes back by `rhs`, but not past the origin.
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs.as_micros() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_never_go_below_zero() {
        let early = Timestamp::from_millis(5);
        let late = Timestamp::from_micros(7_500);
        assert_eq!(late.since(early), Duration::from_micros(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early - Duration::from_secs(1), Timestamp::ZERO);
        assert_eq!(early + Duration::from_micros(2_500), late);
    }
}
