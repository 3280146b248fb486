//! What a call's media is agreed as: which encoding, at which rate, and how large its frames are.
//!
//! A [`Codec`] is a name and some arithmetic, to be copied about; the state of a stream is
//! [`Encoder`](super::Encoder)'s and [`Decoder`](super::Decoder)'s.

use std::fmt;
use std::time::Duration;

use super::{Encoding, opus};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// What audio on the wire is: an encoding and a sample rate.
///
/// ```
/// use talkpath::audio::codec::{Codec, Decoder, Encoder};
/// use talkpath::audio::frame::{PTIME, SampleRate};
///
/// let codec = Codec::from_name("g722", SampleRate::HZ_16000)?;
/// let frame = vec![0; codec.samples_per_frame(PTIME)];
/// let payload = Encoder::new(codec).encode(&frame)?;
/// assert_eq!(payload.len(), codec.bytes_per_frame(PTIME));
/// assert_eq!(Decoder::new(codec).decode(&payload)?.len(), 320);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Samples one by one: G.711 or signed linear.
    Plain {
        /// How a sample is written.
        encoding: Encoding,
        /// How many there are in a second.
        rate: SampleRate,
    },
    /// G.722 at 64 kbit/s: 16 kHz, two samples a byte.
    G722,
    /// Opus, made by [`Codec::opus`]: packets of any size.
    #[non_exhaustive]
    Opus {
        /// The rate that samples are encoded at, or packets decoded to: packets do not tell, and fit any.
        rate: SampleRate,
    },
}

impl Codec {
    /// G.711 mu-law at 8 kHz, RTP's `PCMU`.
    pub const PCMU: Self = Self::Plain { encoding: Encoding::Ulaw, rate: SampleRate::HZ_8000 };
    /// G.711 A-law at 8 kHz, RTP's `PCMA`.
    pub const PCMA: Self = Self::Plain { encoding: Encoding::Alaw, rate: SampleRate::HZ_8000 };

    /// Signed linear in Asterisk's byte order at any rate: AudioSocket's audio.
    #[must_use]
    pub const fn slin(rate: SampleRate) -> Self {
        Self::Plain { encoding: Encoding::Slin, rate }
    }

    /// Opus with samples at `rate`: 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for another rate.
    pub fn opus(rate: SampleRate) -> Result<Self> {
        opus::opus_rate(rate).map(|_| Self::Opus { rate })
    }

    /// Finds a codec by the name of its encoding, as [`Encoding::from_name`] takes it, or by `g722` (also `G.722`) or `opus`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other name, for G.722 at another rate than
    /// 16 kHz, and for Opus at one that [`Codec::opus`] refuses.
    pub fn from_name(name: &str, rate: SampleRate) -> Result<Self> {
        if name.eq_ignore_ascii_case("opus") {
            return Self::opus(rate);
        }
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
        if !plain.eq_ignore_ascii_case("g722") {
            let unknown =
                |_| Error::invalid(format!("codec {name:?}, wanted one of slin, slin_be, ulaw, alaw, g722, opus"));
            return Ok(Self::Plain { encoding: Encoding::from_name(name).map_err(unknown)?, rate });
        }
        if rate != SampleRate::HZ_16000 {
            return Err(Error::invalid(format!("g722 at {rate}, wanted 16000 Hz")));
        }
        Ok(Self::G722)
    }

    /// How many samples `bytes` decode to; of Opus, by what the packet's header says.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if they end in the middle of a sample, or are no Opus packet.
    pub fn samples_in(self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain { encoding, .. } => encoding.samples_in(bytes),
            Self::G722 => Ok(bytes.len() * 2),
            Self::Opus { rate } => opus::samples_in(bytes, rate),
        }
    }

    /// The same, without a text that says what is wrong: nothing is allocated for a stranger's payload.
    pub(crate) fn checked_samples_in(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Plain { encoding, .. } => {
                let width = encoding.bytes_per_sample();
                bytes.len().is_multiple_of(width).then(|| bytes.len() / width)
            }
            Self::G722 => Some(bytes.len() * 2),
            Self::Opus { rate } => opus::checked_samples_in(bytes, rate),
        }
    }

    /// How many bytes `samples` samples encode to; of G.722, half a byte is rounded down, and of Opus, it is the room that a
    /// packet may need, of which it mostly takes a twentieth.
    #[must_use]
    pub const fn bytes_for(self, samples: usize) -> usize {
        match self {
            Self::Plain { encoding, .. } => samples * encoding.bytes_per_sample(),
            Self::G722 => samples / 2,
            Self::Opus { rate } => opus::max_packet_bytes(rate, samples),
        }
    }

    /// How many samples a frame of `ptime` has, rounded down to what can be encoded: Opus has frames of 2.5, 5, 10, 20, 40 and
    /// 60 ms.
    #[must_use]
    pub const fn samples_per_frame(self, ptime: Duration) -> usize {
        let samples = self.rate().samples_in(ptime);
        match self {
            Self::Plain { .. } => samples,
            Self::G722 => samples / 2 * 2,
            Self::Opus { rate } => opus::frame_samples(rate, ptime),
        }
    }

    /// The longest packet time of at most `limit` that can be encoded as one: of Opus 60, 40, 20 or 10 ms (or 5 or 2.5),
    /// otherwise `limit` itself.
    #[must_use]
    pub const fn ptime_within(self, limit: Duration) -> Duration {
        match self {
            Self::Plain { .. } | Self::G722 => limit,
            Self::Opus { rate } => rate.duration_of(self.samples_per_frame(limit) as u64),
        }
    }

    /// How many bytes a frame of `ptime` takes on the wire: 160 for 20 ms of G.711 and of G.722, at most 1,276 for those of
    /// Opus.
    #[must_use]
    pub const fn bytes_per_frame(self, ptime: Duration) -> usize {
        self.bytes_for(self.samples_per_frame(ptime))
    }

    /// Whether a packet decodes in the light of those before it, so that packets must be decoded in order, once each, and
    /// a lost one is felt beyond itself.
    #[must_use]
    pub const fn is_stateful(self) -> bool {
        match self {
            Self::Plain { .. } => false,
            Self::G722 | Self::Opus { .. } => true,
        }
    }

    /// The rate of the samples that go in and come out.
    #[must_use]
    pub const fn rate(self) -> SampleRate {
        match self {
            Self::Plain { rate, .. } | Self::Opus { rate } => rate,
            Self::G722 => SampleRate::HZ_16000,
        }
    }

    /// The rate that RTP's timestamps count in.
    ///
    /// It is [`rate`](Self::rate) but for G.722, to which an error in RFC 1890 gave 8 kHz, which RFC 3551 (section 4.5.2) had
    /// to keep, and for Opus, which counts in 48 kHz always (RFC 7587, section 4.1).
    #[must_use]
    pub const fn rtp_clock(self) -> SampleRate {
        match self {
            Self::Plain { rate, .. } => rate,
            Self::G722 => SampleRate::HZ_8000,
            Self::Opus { .. } => SampleRate::HZ_48000,
        }
    }

    /// The name in configuration and on the command line: `g722`, `opus`, or the encoding's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain { encoding, .. } => encoding.name(),
            Self::G722 => "g722",
            Self::Opus { .. } => "opus",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name(), self.rate())
    }
}
