//! What a frame is: a sample rate and a packet time that fit together.
//!
//! Telephony counts audio in frames of one packet time (ptime, nearly always 20 ms). [`SampleRate`] is a rate that
//! talkpath can carry, checked once at the edge, so that the rooms inside need not check again.

use std::fmt;
use std::time::Duration;

use crate::{Error, Result};

/// The packet time of every transport unless it says otherwise: 20 ms.
pub const PTIME: Duration = Duration::from_millis(20);

/// A sample rate in Hz that talkpath can carry: 8,000 to 192,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(u32);

impl SampleRate {
    /// 8 kHz: narrowband, the rate of G.711.
    pub const HZ_8000: Self = Self(8_000);
    /// 16 kHz: wideband, what most speech models want.
    pub const HZ_16000: Self = Self(16_000);
    /// 24 kHz: what realtime speech providers send.
    pub const HZ_24000: Self = Self(24_000);
    /// 48 kHz: full band, the rate of Opus and of sound cards.
    pub const HZ_48000: Self = Self(48_000);

    /// The rates that talkpath carries, in Hz: those of Asterisk's slin formats, and 22.05 kHz for text-to-speech.
    pub const ALL: [u32; 11] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];

    /// Checks a rate in Hz.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `hz` is not one of [`SampleRate::ALL`].
    pub fn new(hz: u32) -> Result<Self> {
        if Self::ALL.contains(&hz) {
            Ok(Self(hz))
        } else {
            Err(Error::invalid(format!("sample rate {hz} Hz, wanted one of {:?}", Self::ALL)))
        }
    }

    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// How many samples make 20 ms, rounded down (11.025 and 22.05 kHz do not divide; 44.1 kHz does: 882).
    #[must_use]
    pub const fn frame_len(self) -> usize {
        (self.0 / 50) as usize
    }

    /// How many samples make `duration`, rounded down.
    #[must_use]
    pub const fn samples_in(self, duration: Duration) -> usize {
        (self.0 as u128 * duration.as_micros() / 1_000_000) as usize
    }

    /// How long `samples` last, to the microsecond, rounded down.
    #[must_use]
    pub const fn duration_of(self, samples: u64) -> Duration {
        Duration::from_micros((samples as u128 * 1_000_000 / self.0 as u128) as u64)
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_durations_agree() {
        let rate = SampleRate::HZ_8000;
        assert_eq!(rate.frame_len(), 160);
        assert_eq!(rate.samples_in(Duration::from_millis(5)), 40);
        assert_eq!(rate.duration_of(40), Duration::from_millis(5));
        assert_eq!(SampleRate::new(44_100).unwrap().frame_len(), 882);
    }

    #[test]
    fn an_unknown_rate_is_named() {
        let error = SampleRate::new(8_001).unwrap_err();
        assert!(error.to_string().contains("8001 Hz"), "{error}");
    }
}
