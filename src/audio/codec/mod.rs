//! Wire encodings of 16-bit mono samples: bytes in, samples out, and back.
//!
//! This is where bytes end and samples begin: the rest of [`audio`](crate::audio) never sees a byte order or a
//! companding law. An [`Encoding`] is stateless, so a payload may be cut at any sample; a [`Codec`] may have a state, which
//! an [`Encoder`] and a [`Decoder`] hold for one stream each. Packets and their headers are not its business.
//!
//! ```
//! use talkpath::audio::codec::Encoding;
//!
//! let payload = Encoding::Ulaw.encode(&[0, 1_000, -1_000]);
//! assert_eq!(payload, [0xff, 0xce, 0x4e]);
//! assert_eq!(Encoding::Ulaw.decode(&payload)?, [0, 988, -988]);
//! # Ok::<(), talkpath::Error>(())
//! ```

pub mod g711;
pub mod g722;
pub mod opus;
pub mod slin;

#[cfg(target_arch = "x86_64")]
mod g711_avx2;
#[cfg(all(target_arch = "x86_64", talkpath_avx512))]
mod g711_avx512;
#[cfg(any(target_arch = "x86_64", test))]
mod g711_factors;

mod format;
mod g722_band;
mod stream;

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

pub use format::Codec;
pub use stream::{Decoder, Encoder};

/// A wire encoding of 16-bit mono samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Signed linear, 16-bit little-endian: AudioSocket's audio, and what most speech services call `linear16`.
    Slin,
    /// Signed linear, 16-bit big-endian: RTP's `L16` (RFC 3551, section 4.5.11).
    SlinBe,
    /// G.711 mu-law, RTP's `PCMU`: bit-exact with CPython's `audioop`.
    Ulaw,
    /// G.711 A-law, RTP's `PCMA`: bit-exact with CPython's `audioop`.
    Alaw,
}

impl Encoding {
    /// All encodings, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Slin, Self::SlinBe, Self::Ulaw, Self::Alaw];

    /// Finds an encoding by its name, or by one of the names that it goes by elsewhere.
    ///
    /// Letter case, `-`, `_` and `.` do not matter. Beside [`Encoding::name`] these are known: `linear16`, `slin16le`,
    /// `s16le`, `pcm16`, `pcm_s16le`; `l16`, `slin16be`, `s16be`, `pcm_s16be`; `pcmu`, `mulaw`, `u-law`, `mu-law`,
    /// `g711_ulaw`, `pcm_mulaw`; `pcma`, `a-law`, `g711_alaw`, `pcm_alaw`. `slin16` is not: to Asterisk it is a rate
    /// (16 kHz) as well.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        if let Some(encoding) = Self::ALL.into_iter().find(|encoding| encoding.name() == name) {
            return Ok(encoding);
        }
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
        match plain.to_ascii_lowercase().as_str() {
            "slin" | "slinle" | "slin16le" | "s16le" | "pcm16" | "pcm16le" | "pcms16le" | "linear16" | "l16le" => {
                Ok(Self::Slin)
            }
            "slinbe" | "slin16be" | "s16be" | "pcm16be" | "pcms16be" | "l16" | "l16be" => Ok(Self::SlinBe),
            "ulaw" | "mulaw" | "pcmu" | "g711u" | "g711ulaw" | "g711mulaw" | "pcmmulaw" => Ok(Self::Ulaw),
            "alaw" | "pcma" | "g711a" | "g711alaw" | "pcmalaw" => Ok(Self::Alaw),
            _ => Err(Error::invalid(format!("encoding {name:?}, wanted one of slin, slin_be, ulaw, alaw"))),
        }
    }

    /// Decodes `bytes` into `out` and returns how many samples were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample or `out` has
    /// not the room; `out` is then untouched.
    pub fn decode_into(self, bytes: &[u8], out: &mut [i16]) -> Result<usize> {
        let samples = self.samples_in(bytes)?;
        let Some(out) = out.get_mut(..samples) else {
            return Err(Error::invalid(format!("room for {} decoded samples, wanted {samples}", out.len())));
        };
        match self {
            Self::Slin => slin::decode_le(bytes, out),
            Self::SlinBe => slin::decode_be(bytes, out),
            Self::Ulaw => g711::Kernel::detect().decode_ulaw(bytes, out),
            Self::Alaw => g711::Kernel::detect().decode_alaw(bytes, out),
        }
        Ok(samples)
    }

    /// Encodes `samples` into `out` and returns how many bytes were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` has not the room; it is then untouched.
    pub fn encode_into(self, samples: &[i16], out: &mut [u8]) -> Result<usize> {
        let bytes = samples.len() * self.bytes_per_sample();
        let Some(out) = out.get_mut(..bytes) else {
            return Err(Error::invalid(format!("room for {} encoded bytes, wanted {bytes}", out.len())));
        };
        self.encode_exact(samples, out);
        Ok(bytes)
    }

    /// Decodes `bytes` into a new vector; [`Encoding::decode_into`] is the one for the media path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<i16>> {
        let mut out = vec![0; self.samples_in(bytes)?];
        self.decode_into(bytes, &mut out)?;
        Ok(out)
    }

    /// Encodes `samples` into a new vector; [`Encoding::encode_into`] is the one for the media path.
    #[must_use]
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        let mut out = vec![0; samples.len() * self.bytes_per_sample()];
        self.encode_exact(samples, &mut out);
        out
    }

    /// Decodes `bytes` into 16-bit little-endian bytes and returns how many were written; never allocates.
    ///
    /// For an edge that hands audio over as bytes, such as Python: it needs no aligned buffer.
    ///
    /// # Errors
    /// As [`Encoding::decode_into`], with room counted in bytes: two a sample.
    pub fn decode_to_slin(self, bytes: &[u8], out: &mut [u8]) -> Result<usize> {
        let needed = self.samples_in(bytes)? * Self::Slin.bytes_per_sample();
        let Some(out) = out.get_mut(..needed) else {
            return Err(Error::invalid(format!("room for {} decoded bytes, wanted {needed}", out.len())));
        };
        let mut block = [0; BLOCK];
        let payloads = bytes.chunks(BLOCK * self.bytes_per_sample());
        for (payload, out) in payloads.zip(out.chunks_mut(BLOCK * Self::Slin.bytes_per_sample())) {
            let samples = self.decode_into(payload, &mut block)?;
            slin::encode_le(&block[..samples], out);
        }
        Ok(needed)
    }

    /// Encodes 16-bit little-endian bytes into `out` and returns how many bytes were written; never allocates.
    ///
    /// The counterpart of [`Encoding::decode_to_slin`].
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `slin` has an odd length or `out` has not the room;
    /// `out` is then untouched.
    pub fn encode_from_slin(self, slin: &[u8], out: &mut [u8]) -> Result<usize> {
        let needed = Self::Slin.samples_in(slin)? * self.bytes_per_sample();
        let Some(out) = out.get_mut(..needed) else {
            return Err(Error::invalid(format!("room for {} encoded bytes, wanted {needed}", out.len())));
        };
        let mut block = [0; BLOCK];
        let payloads = slin.chunks(BLOCK * Self::Slin.bytes_per_sample());
        for (payload, out) in payloads.zip(out.chunks_mut(BLOCK * self.bytes_per_sample())) {
            let samples = &mut block[..payload.len() / 2];
            slin::decode_le(payload, samples);
            self.encode_exact(samples, out);
        }
        Ok(needed)
    }

    /// How many bytes one sample takes on the wire: 2, or 1 for G.711.
    #[must_use]
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Self::Slin | Self::SlinBe => 2,
            Self::Ulaw | Self::Alaw => 1,
        }
    }

    /// The name in configuration, on the command line and in Python: `slin`, `slin_be`, `ulaw` or `alaw`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slin => "slin",
            Self::SlinBe => "slin_be",
            Self::Ulaw => "ulaw",
            Self::Alaw => "alaw",
        }
    }

    /// The byte that digital silence consists of; sample 0 encodes to it in every encoding.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Slin | Self::SlinBe => 0,
            Self::Ulaw => 0xff,
            Self::Alaw => 0xd5,
        }
    }

    /// Counts the samples in `bytes`; a half one is an error.
    fn samples_in(self, bytes: &[u8]) -> Result<usize> {
        let width = self.bytes_per_sample();
        if !bytes.len().is_multiple_of(width) {
            return Err(Error::invalid(format!(
                "{} payload of {} bytes, wanted an even count",
                self.name(),
                bytes.len()
            )));
        }
        Ok(bytes.len() / width)
    }

    /// Encodes into a slice of exactly the right length.
    fn encode_exact(self, samples: &[i16], out: &mut [u8]) {
        match self {
            Self::Slin => slin::encode_le(samples, out),
            Self::SlinBe => slin::encode_be(samples, out),
            Self::Ulaw => g711::Kernel::detect().encode_ulaw(samples, out),
            Self::Alaw => g711::Kernel::detect().encode_alaw(samples, out),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name)
    }
}

/// Samples that go through the stack at a time between bytes and bytes: a multiple of every kernel's width, and small
/// enough to stay in the first-level cache.
const BLOCK: usize = 512;
