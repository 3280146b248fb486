//! What can be set of a jitter buffer, with the defaults that a phone call wants.

use std::time::Duration;

use crate::audio::codec::Codec;
use crate::{Error, Result};

/// How a jitter buffer trades delay for completeness.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the payloads are; frames are given out at its [`rate`](Codec::rate).
    pub codec: Codec,
    /// When packets are played.
    pub playout: Playout,
}

/// When packets are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Playout {
    /// As early as all but a few packets allow, followed as the network changes.
    Adaptive {
        /// The delay is never less, over that of the fastest packets.
        min: Duration,
        /// The delay is never much more; what comes later than that is discarded. 20 ms to 2 s.
        max: Duration,
    },
    /// This long after the fastest packets; what comes later is discarded. At most 2 s.
    Fixed(Duration),
    /// At once, for a listener without a playout clock, such as speech recognition.
    Asap {
        /// How long a gap is kept open for a late packet. At most 1 s.
        wait: Duration,
    },
}

impl Default for Config {
    /// G.711 mu-law, adaptive between nothing and 400 ms.
    fn default() -> Self {
        let playout = Playout::Adaptive { min: Duration::ZERO, max: Duration::from_millis(400) };
        Self { codec: Codec::PCMU, playout }
    }
}

impl Config {
    /// Checks that the values fit together.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), naming what was got and what was wanted.
    pub fn validate(&self) -> Result<()> {
        match self.playout {
            Playout::Adaptive { min, max } if min > max => {
                Err(Error::invalid(format!("least delay {min:?}, wanted at most the longest, {max:?}")))
            }
            Playout::Adaptive { max, .. } if !(SHORTEST_MAX..=LONGEST).contains(&max) => {
                Err(Error::invalid(format!("longest delay {max:?}, wanted {SHORTEST_MAX:?} to {LONGEST:?}")))
            }
            Playout::Fixed(delay) if delay > LONGEST => {
                Err(Error::invalid(format!("fixed delay {delay:?}, wanted at most {LONGEST:?}")))
            }
            Playout::Asap { wait } if wait > LONGEST_WAIT => {
                Err(Error::invalid(format!("wait {wait:?}, wanted at most {LONGEST_WAIT:?}")))
            }
            _ => Ok(()),
        }
    }

    /// The longest delay that the buffer must hold.
    pub(super) const fn longest(&self) -> Duration {
        match self.playout {
            Playout::Adaptive { max, .. } => max,
            Playout::Fixed(delay) => delay,
            Playout::Asap { .. } => LONGEST_WAIT,
        }
    }
}

const SHORTEST_MAX: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
