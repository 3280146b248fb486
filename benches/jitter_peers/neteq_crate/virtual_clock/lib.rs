//! Stands in for the crate `web-time`: an `Instant` that moves when it is told to, and not by itself.
//!
//! The `neteq` crate measures arrivals with it. A harness that plays a call in a hundredth of its time would be
//! misunderstood; with this it is judged on the packets' own times.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

pub use std::time::Duration;

static NOW_US: AtomicU64 = AtomicU64::new(0);

/// Moves the time to so many microseconds; never back.
pub fn move_to(us: u64) {
    NOW_US.fetch_max(us, Ordering::Relaxed);
}

/// A point of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The time now.
    pub fn now() -> Self {
        Self(Duration::from_micros(NOW_US.load(Ordering::Relaxed)))
    }

    /// How long ago it was.
    pub fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    /// A later time, if there is one.
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// How long after `earlier` it is; zero if it is before.
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0 + rhs)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.duration_since(rhs)
    }
}
