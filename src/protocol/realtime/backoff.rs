//! When a lost connection is tried again: soon, then ever more rarely, and not for ever.

use std::time::Duration;

/// The waits between tries to connect again: half a second, doubled up to eight, five times; each cut by up to a half,
/// so that many callers who lost the same provider do not return as one.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Makes one that has not tried yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait before the next try; `None` after the last. `chance`, a random number from 0 to 1, says how much
    /// the wait is cut.
    pub fn next_wait(&mut self, chance: f64) -> Option<Duration> {
        if self.tries == MAX_TRIES {
            return None;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.tries).min(MAX_WAIT);
        self.tries += 1;
        Some(wait.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0))
    }

    /// Says that a connection holds: the next loss begins anew.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

const MAX_TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(8);
