//! How a [`Playout`] is written: `adaptive`, `adaptive:20-200ms`, `fixed:60ms`, `asap:40ms`.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

use super::{Config, Playout};
use crate::{Error, Result};

impl Default for Playout {
    /// That of [`Config::default`].
    fn default() -> Self {
        Config::default().playout
    }
}

impl FromStr for Playout {
    type Err = Error;

    /// Reads `adaptive` or `adaptive:MIN-MAXms`, `fixed:DELAYms`, and `asap` or `asap:WAITms`, which waits 60 ms by default.
    ///
    /// Whether the times are in range is for [`Config::validate`] to say.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let wanted = "adaptive, adaptive:20-200ms, fixed:60ms, asap or asap:40ms, and the like";
            Error::invalid(format!("playout {text:?}, wanted {wanted}"))
        };
        let millis = |text: &str| {
            let ms: f64 = text.trim().parse().map_err(|_| wrong())?;
            Duration::try_from_secs_f64(ms / 1e3).map_err(|_| wrong())
        };
        let (kind, times) = text.split_once(':').map_or((text, None), |(kind, times)| (kind, Some(times)));
        let times = times.map(|times| times.trim().strip_suffix("ms").ok_or_else(wrong)).transpose()?;
        match (kind.trim(), times) {
            ("adaptive", None) => Ok(Self::default()),
            ("adaptive", Some(range)) => {
                let (min, max) = range.split_once('-').ok_or_else(wrong)?;
                Ok(Self::Adaptive { min: millis(min)?, max: millis(max)? })
            }
            ("fixed", Some(delay)) => Ok(Self::Fixed(millis(delay)?)),
            ("asap", wait) => Ok(Self::Asap { wait: wait.map_or(Ok(USUAL_WAIT), millis)? }),
            _ => Err(wrong()),
        }
    }
}

impl Display for Playout {
    /// Writes what [`from_str`](Self::from_str) reads.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let millis = |time: &Duration| time.as_micros() as f64 / 1e3;
        match self {
            Self::Adaptive { min, max } => write!(f, "adaptive:{}-{}ms", millis(min), millis(max)),
            Self::Fixed(delay) => write!(f, "fixed:{}ms", millis(delay)),
            Self::Asap { wait } => write!(f, "asap:{}ms", millis(wait)),
        }
    }
}

/// A late packet of a good network has come by then; speech recognition is not held up much longer.
const USUAL_WAIT: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, written) in [
            ("adaptive", "adaptive:0-400ms"),
            ("adaptive:20-200ms", "adaptive:20-200ms"),
            ("fixed: 62.5ms", "fixed:62.5ms"),
            ("asap", "asap:60ms"),
            ("asap:0ms", "asap:0ms"),
        ] {
            let playout: Playout = text.parse().unwrap();
            assert_eq!(playout.to_string(), written);
            assert_eq!(written.parse::<Playout>().unwrap(), playout);
        }
    }

    #[test]
    fn what_is_none_is_named() {
        for text in ["", "fast", "fixed", "fixed:60", "fixed:-1ms", "fixed:nanms", "adaptive:60ms", "adaptive:1-xms"] {
            let error = text.parse::<Playout>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("playout {text:?}, wanted adaptive")), "{error}");
        }
    }
}
