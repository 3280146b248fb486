//! One direction of an audio stream, whatever its codec: stateless encodings, G.722 and Opus behind one API.
//!
//! [`Encoder`] and [`Decoder`] are one end each of a stream of a [`Codec`] and hold what state it has. They know no
//! packets: order, loss and packet time are the jitter buffer's and the transport's business.

use super::g722::{G722Decoder, G722Encoder};
use super::opus::{OpusDecoder, OpusEncoder, OpusOptions};
use super::{Codec, Encoding};
use crate::Result;
use crate::audio::frame::SampleRate;

/// Encodes one stream of audio.
#[derive(Debug)]
pub struct Encoder(State<G722Encoder, OpusEncoder>);

impl Encoder {
    /// Makes the encoder of a new stream; of Opus, with the default [`OpusOptions`].
    ///
    /// # Panics
    /// If there is no memory for it.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self(match codec {
            Codec::Plain { encoding, rate } => State::Plain { encoding, rate },
            Codec::G722 => State::G722(G722Encoder::new()),
            Codec::Opus { rate } => State::Opus(
                OpusEncoder::new(rate, OpusOptions::default()).expect("a rate that Codec::opus has checked"),
            ),
        })
    }

    /// Makes the encoder of a new stream of Opus with samples at `rate`.
    ///
    /// # Errors
    /// As [`OpusEncoder::new`].
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new_opus(rate: SampleRate, options: OpusOptions) -> Result<Self> {
        Ok(Self(State::Opus(OpusEncoder::new(rate, options)?)))
    }

    /// Encodes the stream's next `samples` into `out` and returns how many bytes were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was, but for Opus, which uses all of the room that it asks for:
    /// [`Codec::bytes_for`] them.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` has not the room, G.722 is given an odd count
    /// of samples, or Opus a count that is no frame; `out` and the state are then untouched.
    pub fn encode_into(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.encode_into(samples, out),
            State::G722(encoder) => encoder.encode_into(samples, out),
            State::Opus(encoder) => encoder.encode_into(samples, out),
        }
    }

    /// Encodes the stream's next `samples` into a new vector; [`encode_into`](Self::encode_into) is the one for the media
    /// path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if G.722 is given an odd count of samples, or Opus a count that
    /// is no frame; the state is then untouched.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        match &mut self.0 {
            State::Plain { encoding, .. } => Ok(encoding.encode(samples)),
            State::G722(encoder) => encoder.encode(samples),
            State::Opus(encoder) => encoder.encode(samples),
        }
    }

    /// Begins a new stream of the same codec.
    pub fn reset(&mut self) {
        match &mut self.0 {
            State::Plain { .. } => {}
            State::G722(encoder) => encoder.reset(),
            State::Opus(encoder) => encoder.reset(),
        }
    }

    /// What it encodes to.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.codec(OpusEncoder::rate)
    }
}

/// Decodes one stream of audio, whose bytes must come in order.
///
/// A lost packet of a [stateful](Self::is_stateful) codec must be told of, as the packets after it build upon it: let
/// [`recover_into`](Self::recover_into) find it in the packet that follows, or [`conceal_into`](Self::conceal_into)
/// make something up; a codec that answers `None` to both leaves that to the caller, who then tells what he
/// played by [`resync`](Self::resync). None of them allocates.
#[derive(Debug)]
pub struct Decoder(State<G722Decoder, OpusDecoder>);

impl Decoder {
    /// Makes the decoder of a new stream.
    ///
    /// # Panics
    /// If there is no memory for it.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self(match codec {
            Codec::Plain { encoding, rate } => State::Plain { encoding, rate },
            Codec::G722 => State::G722(G722Decoder::new()),
            Codec::Opus { rate } => State::Opus(OpusDecoder::new(rate).expect("a rate that Codec::opus has checked")),
        })
    }

    /// Decodes the stream's next `bytes`, of Opus one packet, into `out` and returns how many samples were written; never
    /// allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample, is no Opus packet, or
    /// `out` has not the room; `out` and the state are then untouched.
    pub fn decode_into(&mut self, bytes: &[u8], out: &mut [i16]) -> Result<usize> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.decode_into(bytes, out),
            State::G722(decoder) => decoder.decode_into(bytes, out),
            State::Opus(decoder) => decoder.decode_into(bytes, out),
        }
    }

    /// Decodes the stream's next `bytes` into a new vector; [`decode_into`](Self::decode_into) is the one for the media
    /// path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `bytes` ends in the middle of a sample or is no Opus packet.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Vec<i16>> {
        match &mut self.0 {
            State::Plain { encoding, .. } => encoding.decode(bytes),
            State::G722(decoder) => Ok(decoder.decode(bytes)),
            State::Opus(decoder) => decoder.decode(bytes),
        }
    }

    /// Makes `samples` samples up for what was lost, by the codec's own concealment, into `out`; returns how many were
    /// written, or `None` if the codec has none (G.711, signed linear, G.722).
    ///
    /// At most `out.len()` are written, and of Opus whole steps of 2.5 ms. What lies in `out` beyond them is left as it was.
    pub fn conceal_into(&mut self, samples: usize, out: &mut [i16]) -> Option<usize> {
        match &mut self.0 {
            State::Plain { .. } | State::G722(_) => None,
            State::Opus(decoder) => Some(decoder.conceal_into(samples, out)),
        }
    }

    /// Decodes what `next`, the packet after a lost one, holds of the lost one (in-band FEC), into `out`; returns how many
    /// samples were written, or `None` if it holds nothing of it, or `out` has not the room.
    ///
    /// `samples` is the length of what was lost. `next` itself is then to be decoded as usual. What lies in `out` beyond them
    /// is left as it was.
    pub fn recover_into(&mut self, next: &[u8], samples: usize, out: &mut [i16]) -> Option<usize> {
        match &mut self.0 {
            State::Plain { .. } | State::G722(_) => None,
            State::Opus(decoder) => decoder.recover_into(next, samples, out),
        }
    }

    /// Tells the decoder what was played in the place of what was lost, so that it goes on from there.
    ///
    /// May be called for a gap as a whole or for one stretch of it after the other. It matters to G.722 alone, whose
    /// predictors are then where the encoder's are likely to be; a codec that conceals by itself knows already.
    pub fn resync(&mut self, concealed: &[i16]) {
        if let State::G722(decoder) = &mut self.0 {
            decoder.resync(concealed);
        }
    }

    /// Begins a new stream of the same codec.
    pub fn reset(&mut self) {
        match &mut self.0 {
            State::Plain { .. } => {}
            State::G722(decoder) => decoder.reset(),
            State::Opus(decoder) => decoder.reset(),
        }
    }

    /// Whether its packets must be decoded in order, once each; see [`Codec::is_stateful`].
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.codec().is_stateful()
    }

    /// What it decodes.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.codec(OpusDecoder::rate)
    }
}

/// What a stream keeps: nothing, or one end of G.722 or of Opus.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a stream makes one, and a box would cost an allocation a call")]
enum State<G722, Opus> {
    Plain { encoding: Encoding, rate: SampleRate },
    G722(G722),
    Opus(Opus),
}

impl<G722, Opus> State<G722, Opus> {
    fn codec(&self, opus_rate: impl Fn(&Opus) -> SampleRate) -> Codec {
        match self {
            &Self::Plain { encoding, rate } => Codec::Plain { encoding, rate },
            Self::G722(_) => Codec::G722,
            Self::Opus(opus) => Codec::Opus { rate: opus_rate(opus) },
        }
    }
}
