//! G.722: 16 kHz speech in 64 kbit/s, one byte for two samples.
//!
//! The wideband codec that nearly every desk phone has; RTP's `G722`. Two quadrature mirror filters split the band at
//! 4 kHz; the lower half is coded with six bits a sample, the upper one with two, each as the difference from what an
//! adaptive predictor expects (`g722_band`). A coder keeps state from byte to byte: packets must come in order, and
//! [`reset`](G722Decoder::reset) belongs to the start of a stream, not to a lost packet.
//!
//! Written from ITU-T G.722, whose names are given beside ours; it is the 64 kbit/s mode alone, the one that RTP has a
//! payload type for. Decoding gives spandsp's and ffmpeg's samples, bit for bit; what is too loud for 16 bits is limited,
//! as in ffmpeg, where spandsp lets it wrap round. Encoding gives spandsp's bytes, but likewise limits what overflows.
//! Concealing what got lost (but see [`resync`](G722Decoder::resync)) and the 8 kHz clock that RTP counts G.722 by are not this file's business.

use super::g722_band::{HighBand, LowBand};
use crate::audio::frame::SampleRate;
use crate::audio::pitch;
use crate::{Error, Result};

/// Encodes 16 kHz samples, two a byte.
///
/// ```
/// use talkpath::audio::codec::g722::{G722Decoder, G722Encoder};
///
/// let bytes = G722Encoder::new().encode(&[0; 320])?;
/// assert_eq!(bytes.len(), 160);
/// assert_eq!(G722Decoder::new().decode(&bytes).len(), 320);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct G722Encoder {
    low: LowBand,
    high: HighBand,
    /// The latest samples of even and of odd number, which the next ones are filtered with.
    even: [i16; HISTORY],
    odd: [i16; HISTORY],
}

impl G722Encoder {
    /// Makes an encoder in the state that the recommendation starts from.
    #[must_use]
    pub fn new() -> Self {
        Self { low: LowBand::NEW, high: HighBand::NEW, even: [0; HISTORY], odd: [0; HISTORY] }
    }

    /// Encodes `samples` into `out` and returns how many bytes were written, one for two samples; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `samples` has an odd length or `out` has not the room;
    /// `out` and the state are then untouched.
    pub fn encode_into(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize> {
        let bytes = bytes_for(samples.len())?;
        let Some(out) = out.get_mut(..bytes) else {
            return Err(Error::invalid(format!("room for {} encoded bytes, wanted {bytes}", out.len())));
        };
        self.encode_exact(samples, out);
        Ok(bytes)
    }

    /// Encodes `samples` into a new vector; [`encode_into`](Self::encode_into) is the one for the media path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `samples` has an odd length; the state is then
    /// untouched.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        let mut out = vec![0; bytes_for(samples.len())?];
        self.encode_exact(samples, &mut out);
        Ok(out)
    }

    /// Forgets all samples: the next one begins a new stream.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Encodes into a slice of exactly the right length.
    fn encode_exact(&mut self, samples: &[i16], out: &mut [u8]) {
        for (samples, out) in samples.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)) {
            let (low, high) = self.split(samples);
            // Copies, so that the compiler may hold them in registers.
            let (mut low_band, mut high_band) = (self.low, self.high);
            for ((byte, &low), &high) in out.iter_mut().zip(&low).zip(&high) {
                *byte = high_band.encode(high) << 6 | low_band.encode(low);
            }
            (self.low, self.high) = (low_band, high_band);
        }
    }

    /// Splits at most two blocks of samples into the lower and the upper half of the band, one value each for two
    /// samples (the transmit quadrature mirror filters).
    fn split(&mut self, samples: &[i16]) -> ([i16; BLOCK], [i16; BLOCK]) {
        let pairs = samples.as_chunks::<2>().0;
        let (mut even, mut odd) = ([0; HISTORY + BLOCK], [0; HISTORY + BLOCK]);
        even[..HISTORY].copy_from_slice(&self.even);
        odd[..HISTORY].copy_from_slice(&self.odd);
        for ((even, odd), pair) in even[HISTORY..].iter_mut().zip(&mut odd[HISTORY..]).zip(pairs) {
            [*even, *odd] = *pair;
        }
        self.even.copy_from_slice(&even[pairs.len()..][..HISTORY]);
        self.odd.copy_from_slice(&odd[pairs.len()..][..HISTORY]);

        halves(&even, &odd, pairs.len())
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Decodes bytes to 16 kHz samples, two a byte.
///
/// Any bytes are G.722: there is nothing to be refused.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    low: LowBand,
    high: HighBand,
    /// The latest sums and differences of the two halves of the band.
    sum: [i16; HISTORY],
    difference: [i16; HISTORY],
    /// How many samples of a gap it has been told of since the latest byte.
    concealed: usize,
}

impl G722Decoder {
    /// Makes a decoder in the state that the recommendation starts from.
    #[must_use]
    pub fn new() -> Self {
        Self { low: LowBand::NEW, high: HighBand::NEW, sum: [0; HISTORY], difference: [0; HISTORY], concealed: 0 }
    }

    /// Decodes `bytes` into `out` and returns how many samples were written, two a byte; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `out` has not the room; it and the state are then
    /// untouched.
    pub fn decode_into(&mut self, bytes: &[u8], out: &mut [i16]) -> Result<usize> {
        let samples = bytes.len() * 2;
        let Some(out) = out.get_mut(..samples) else {
            return Err(Error::invalid(format!("room for {} decoded samples, wanted {samples}", out.len())));
        };
        self.decode_exact(bytes, out);
        Ok(samples)
    }

    /// Decodes `bytes` into a new vector; [`decode_into`](Self::decode_into) is the one for the media path.
    #[must_use]
    pub fn decode(&mut self, bytes: &[u8]) -> Vec<i16> {
        let mut out = vec![0; bytes.len() * 2];
        self.decode_exact(bytes, &mut out);
        out
    }

    /// Tells the decoder what was played in the place of lost bytes, two samples a byte; never allocates.
    ///
    /// The encoder at the other end has gone on while bytes were lost, and what follows builds upon what this decoder has
    /// not seen. `concealed` is the best guess of it: coding it here moves the predictors, the steps and the filters to
    /// about where the encoder's are. A gap may be told of as a whole or in stretches, one after the other. The last
    /// sample of an odd count is left out. Of a gap of more than 60 ms the rest is put through the filters only: by then a
    /// concealment fades, which the encoder does not.
    pub fn resync(&mut self, concealed: &[i16]) {
        let after = continuation(concealed);
        let played = concealed.as_chunks::<2>().0;
        for start in (0..played.len()).step_by(BLOCK) {
            // What the encoder splits off is heard 22 samples later: its filters run ahead of what is played by all of
            // their history.
            let (mut even, mut odd) = ([0; HISTORY + BLOCK], [0; HISTORY + BLOCK]);
            let ahead = played[start..].iter().chain(after.as_chunks().0);
            for ((even, odd), pair) in even.iter_mut().zip(&mut odd).zip(ahead) {
                [*even, *odd] = *pair;
            }
            let count = BLOCK.min(played.len() - start);
            let (low, high) = halves(&even, &odd, count);
            let believed = RESYNCED.saturating_sub(self.concealed).min(2 * count) / 2;
            for (&low, &high) in low.iter().zip(&high).take(believed) {
                self.low.encode(low);
                self.high.encode(high);
            }
            self.concealed += 2 * count;
            let (mut sum, mut difference) = ([0; HISTORY + BLOCK], [0; HISTORY + BLOCK]);
            sum[..HISTORY].copy_from_slice(&self.sum);
            difference[..HISTORY].copy_from_slice(&self.difference);
            for (((sum, difference), low), high) in
                sum[HISTORY..].iter_mut().zip(&mut difference[HISTORY..]).zip(low).zip(high)
            {
                *sum = low + high;
                *difference = low - high;
            }
            self.sum.copy_from_slice(&sum[count..][..HISTORY]);
            self.difference.copy_from_slice(&difference[count..][..HISTORY]);
        }
    }

    /// Forgets all bytes: the next one begins a new stream.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Decodes into a slice of exactly the right length.
    fn decode_exact(&mut self, bytes: &[u8], out: &mut [i16]) {
        self.concealed = 0;
        for (bytes, out) in bytes.chunks(BLOCK).zip(out.chunks_mut(2 * BLOCK)) {
            let (mut sum, mut difference) = ([0; HISTORY + BLOCK], [0; HISTORY + BLOCK]);
            sum[..HISTORY].copy_from_slice(&self.sum);
            difference[..HISTORY].copy_from_slice(&self.difference);
            // Copies, so that the compiler may hold them in registers.
            let (mut low_band, mut high_band) = (self.low, self.high);
            for ((sum, difference), &byte) in sum[HISTORY..].iter_mut().zip(&mut difference[HISTORY..]).zip(bytes) {
                let low = low_band.decode(byte & 0x3f);
                let high = high_band.decode(byte >> 6);
                // Of 15 bits each, so neither overflows.
                *sum = low + high;
                *difference = low - high;
            }
            (self.low, self.high) = (low_band, high_band);
            self.sum.copy_from_slice(&sum[bytes.len()..][..HISTORY]);
            self.difference.copy_from_slice(&difference[bytes.len()..][..HISTORY]);

            // The receive quadrature mirror filters.
            for (i, pair) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let a = convolve(&difference, i, &QMF_REVERSED);
                let b = convolve(&sum, i, &QMF);
                *pair = [limit_16_bits(a >> 11), limit_16_bits(b >> 11)];
            }
        }
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The lower and the upper half of the band, `count` values of each, of samples of even and of odd number (the transmit
/// quadrature mirror filters).
#[inline(always)]
fn halves(even: &Values, odd: &Values, count: usize) -> ([i16; BLOCK], [i16; BLOCK]) {
    // Apart, so that each loop becomes one of vectors.
    let (mut even_sums, mut odd_sums) = ([0; BLOCK], [0; BLOCK]);
    for (i, sum) in even_sums[..count].iter_mut().enumerate() {
        *sum = convolve(even, i, &QMF);
    }
    for (i, sum) in odd_sums[..count].iter_mut().enumerate() {
        *sum = convolve(odd, i, &QMF_REVERSED);
    }
    let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
    for (((low, high), even), odd) in low.iter_mut().zip(&mut high).zip(even_sums).zip(odd_sums) {
        *low = limit_15_bits((odd + even) >> 14);
        *high = limit_15_bits((odd - even) >> 14);
    }
    (low, high)
}

/// What is likely to follow `samples`, for as long as the two filters need to look ahead: their latest pitch period anew.
fn continuation(samples: &[i16]) -> [i16; 2 * HISTORY] {
    let samples = &samples[samples.len().saturating_sub(LATEST)..];
    let mut latest = [0.0; LATEST];
    for (to, &from) in latest.iter_mut().zip(samples) {
        *to = f32::from(from);
    }
    let lag = pitch::find(&latest[..samples.len()], SampleRate::HZ_16000, PITCH_WINDOW).lag;
    let mut continuation = [0; 2 * HISTORY];
    // Too short a stretch has no period in it, and is followed by silence.
    if let Some(start) = samples.len().checked_sub(lag) {
        continuation.iter_mut().zip(&samples[start..]).for_each(|(to, &from)| *to = from);
    }
    continuation
}

/// How many bytes `samples` take.
fn bytes_for(samples: usize) -> Result<usize> {
    if !samples.is_multiple_of(2) {
        return Err(Error::invalid(format!("{samples} samples to encode as g722, wanted an even count")));
    }
    Ok(samples / 2)
}

/// Weighs the twelve values from `at` on.
#[inline(always)]
fn convolve(values: &Values, at: usize, weights: &[i16; TAPS]) -> i32 {
    values[at..at + TAPS].iter().zip(weights).map(|(&value, &weight)| i32::from(value) * i32::from(weight)).sum()
}

#[inline(always)]
fn limit_15_bits(value: i32) -> i16 {
    value.clamp(-0x4000, 0x3fff) as i16
}

#[inline(always)]
fn limit_16_bits(value: i32) -> i16 {
    value.clamp(-0x8000, 0x7fff) as i16
}

/// A block of values, and those before it that a filter needs.
type Values = [i16; HISTORY + BLOCK];

/// Bytes that are worked on at a time: a frame of 20 ms, so that the filters run over arrays.
const BLOCK: usize = 160;

/// Coefficients of each of the two filters that a quadrature mirror filter of 24 falls into.
const TAPS: usize = 12;

/// Values that each filter needs from before a block.
const HISTORY: usize = TAPS - 1;

/// Samples of a gap that the predictors are adapted to: 60 ms.
const RESYNCED: usize = 960;

/// Samples that a pitch period is looked for in: 30 ms, which hold the longest one.
const LATEST: usize = 480;

/// Samples that are compared with those one period earlier: 6 ms.
const PITCH_WINDOW: usize = 96;

/// The quadrature mirror filter's coefficients of even number (table 4 of the recommendation), in units of 2^-13.
const QMF: [i16; TAPS] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Those of odd number: the same, backwards.
const QMF_REVERSED: [i16; TAPS] = {
    let mut reversed = QMF;
    let mut i = 0;
    while i < TAPS {
        reversed[i] = QMF[TAPS - 1 - i];
        i += 1;
    }
    reversed
};
