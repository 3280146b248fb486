//! One direction of an audio stream, whatever its codec: stateless encodings and G.722 behind one API.
//!
//! A call's media is agreed as a [`Codec`]: which encoding, at which rate. [`Encoder`] and [`Decoder`] are one end each of
//! a stream of it and hold what state it has. They know no packets: order, loss and packet time are the jitter buffer's
//! and the transport's business, which ask [`Codec::bytes_per_frame`].

use std::fmt;
use std::time::Duration;

use super::Encoding;
use super::g722::{G722Decoder, G722Encoder};
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
}

impl Codec {
    /// G.711 mu-law at 8 kHz, RTP's `PCMU`.
    pub const PCMU: Self = Self::Plain { encoding: Encoding::Ulaw, rate: SampleRate::HZ_8000 };
    /// G.711 A-law at 8 kHz, RTP's `PCMA`.
    pub const PCMA: Self = Self::Plain { encoding: Encoding::Alaw, rate: SampleRate::HZ_8000 };

    /// Finds a codec by the name of its encoding, as [`Encoding::from_name`] takes it, or by `g722` (also `G.722`).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other name, and for G.722 at another rate than
    /// 16 kHz.
    pub fn from_name(name: &str, rate: SampleRate) -> Result<Self> {
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
        if !plain.eq_ignore_ascii_case("g722") {
            let unknown = |_| Error::invalid(format!("codec {name:?}, wanted one of slin, slin_be, ulaw, alaw, g722"));
            return Ok(Self::Plain { encoding: Encoding::from_name(name).map_err(unknown)?, rate });
        }
        if rate != SampleRate::HZ_16000 {
            return Err(Error::invalid(format!("g722 at {rate}, wanted 16000 Hz")));
        }
        Ok(Self::G722)
    }

    /// How many samples `bytes` decode to.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if they end in the middle of a sample.
    pub fn samples_in(self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain { encoding, .. } => encoding.samples_in(bytes),
            Self::G722 => Ok(bytes.len() * 2),
        }
    }

    /// How many bytes `samples` samples encode to; of G.722, half a byte is rounded down.
    #[must_use]
    pub const fn bytes_for(self, samples: usize) -> usize {
        match self {
            Self::Plain { encoding, .. } => samples * encoding.bytes_per_sample(),
            Self::G722 => samples / 2,
        }
    }

    /// How many samples a frame of `ptime` has, rounded down to what can be encoded.
    #[must_use]
    pub const fn samples_per_frame(self, ptime: Duration) -> usize {
        let samples = self.rate().samples_in(ptime);
        match self {
            Self::Plain { .. } => samples,
            Self::G722 => samples / 2 * 2,
        }
    }

    /// How many bytes a frame of `ptime` takes on the wire: 160 for 20 ms of G.711 and of G.722.
    #[must_use]
    pub const fn bytes_per_frame(self, ptime: Duration) -> usize {
        self.bytes_for(self.samples_per_frame(ptime))
    }

    /// The rate of the samples that go in and come out.
    #[must_use]
    pub const fn rate(self) -> SampleRate {
        match self {
            Self::Plain { rate, .. } => rate,
            Self::G722 => SampleRate::HZ_16000,
        }
    }

    /// The rate that RTP's timestamps count in.
    ///
    /// It is [`rate`](Self::rate) but for G.722: an error in RFC 1890 gave that 8 kHz, and RFC 3551 (section 4.5.2) had
    /// to keep it.
    #[must_use]
    pub const fn rtp_clock(self) -> SampleRate {
        match self {
            Self::Plain { rate, .. } => rate,
            Self::G722 => SampleRate::HZ_8000,
        }
    }

    /// The name in configuration and on the command line: `g722`, or the encoding's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain { encoding, .. } => encoding.name(),
            Self::G722 => "g722",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name(), self.rate())
    }
}

/// Encodes one stream of audio.
#[derive(Clone, Debug)]
pub struct Encoder(State<G722Encoder>);

impl Encoder {
    /// Makes the encoder of a new stream.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self(match codec {
            Codec::Plain { encoding, rate } => State::Plain { encoding, rate },
            Codec::G722 => State::G722(G722Encoder::new()),
        })
    }

    /// Encodes the stream's next `samples` into `out` and returns how many bytes were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` has not the room, or G.722 is given an odd count
    /// of samples; `out` and the state are then untouched.
    pub fn encode_into(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.encode_into(samples, out),
            State::G722(encoder) => encoder.encode_into(samples, out),
        }
    }

    /// Encodes the stream's next `samples` into a new vector; [`encode_into`](Self::encode_into) is the one for the media
    /// path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if G.722 is given an odd count of samples; the state is then
    /// untouched.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        match &mut self.0 {
            State::Plain { encoding, .. } => Ok(encoding.encode(samples)),
            State::G722(encoder) => encoder.encode(samples),
        }
    }

    /// Begins a new stream of the same codec.
    pub fn reset(&mut self) {
        if let State::G722(encoder) = &mut self.0 {
            encoder.reset();
        }
    }

    /// What it encodes to.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.codec()
    }
}

/// Decodes one stream of audio, whose bytes must come in order.
#[derive(Clone, Debug)]
pub struct Decoder(State<G722Decoder>);

impl Decoder {
    /// Makes the decoder of a new stream.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self(match codec {
            Codec::Plain { encoding, rate } => State::Plain { encoding, rate },
            Codec::G722 => State::G722(G722Decoder::new()),
        })
    }

    /// Decodes the stream's next `bytes` into `out` and returns how many samples were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample or `out` has not
    /// the room; `out` and the state are then untouched.
    pub fn decode_into(&mut self, bytes: &[u8], out: &mut [i16]) -> Result<usize> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.decode_into(bytes, out),
            State::G722(decoder) => decoder.decode_into(bytes, out),
        }
    }

    /// Decodes the stream's next `bytes` into a new vector; [`decode_into`](Self::decode_into) is the one for the media
    /// path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Vec<i16>> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.decode(bytes),
            State::G722(decoder) => Ok(decoder.decode(bytes)),
        }
    }

    /// Begins a new stream of the same codec.
    pub fn reset(&mut self) {
        if let State::G722(decoder) = &mut self.0 {
            decoder.reset();
        }
    }

    /// What it decodes.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.codec()
    }
}

/// What a stream keeps: nothing, or one end of G.722.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a stream makes one, and a box would cost an allocation a call")]
enum State<T> {
    Plain { encoding: Encoding, rate: SampleRate },
    G722(T),
}

impl<T> State<T> {
    fn codec(&self) -> Codec {
        match *self {
            Self::Plain { encoding, rate } => Codec::Plain { encoding, rate },
            Self::G722(_) => Codec::G722,
        }
    }
}
