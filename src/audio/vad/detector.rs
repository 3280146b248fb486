//! Which detector listens: a choice that configuration can name, and that a build may lack.

use std::fmt;
use std::str::FromStr;

use super::{PhoneVad, Vad};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// The detectors there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detector {
    /// [`PhoneVad`]: one small network that knows the noise of the call. The cheapest that is good.
    #[default]
    Phone,
    /// `SileroVad`: the same, and Silero's network where that may be speech. The best; needs the feature `silero`.
    Silero,
}

impl Detector {
    /// Every detector, those that this build lacks too.
    pub const ALL: [Self; 2] = [Self::Phone, Self::Silero];

    /// Its name in configuration: `phone` or `silero`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Silero => "silero",
        }
    }

    /// Checks that this build has it.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the feature which is missing.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Silero if !cfg!(feature = "silero") => {
                Err(Error::invalid("detector silero, which this build lacks: wanted the Cargo feature silero"))
            }
            Self::Phone | Self::Silero => Ok(()),
        }
    }

    /// Makes one for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz, and as
    /// [`check`](Self::check) says.
    pub fn make(self, rate: SampleRate) -> Result<Box<dyn Vad>> {
        self.check()?;
        match self {
            #[cfg(feature = "silero")]
            Self::Silero => Ok(Box::new(super::SileroVad::new(rate)?)),
            _ => Ok(Box::new(PhoneVad::new(rate)?)),
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Detector {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|detector| detector.name() == name);
        known.ok_or_else(|| Error::invalid(format!("detector {name:?}, wanted phone or silero")))
    }
}
