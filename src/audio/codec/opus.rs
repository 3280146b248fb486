//! Opus (RFC 6716): speech at any quality, and the one codec here that carries spare copies of what may get lost.
//!
//! libopus does the coding, through `audiopus`, which no other file knows. This one chooses the settings that suit a phone
//! call, refuses what libopus would misread, and keeps its promises: one channel, no allocation after `new()`, no panic
//! whatever the bytes. A packet is one frame: it says itself how long it is, so pieces of it are of no use. RTP's
//! payload format (RFC 7587) with its clock of 48 kHz is not this file's business.

use std::time::Duration;

use audiopus::coder::{Decoder, Encoder, GenericCtl};
use audiopus::{Application, Bandwidth, Bitrate, Channels, MutSignals, Signal, packet};

use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// How an [`OpusEncoder`] encodes.
///
/// The defaults suit a phone call over a network that loses packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpusOptions {
    /// Bits a second on average, 6,000 to 128,000; a packet's headers come on top. Wideband speech is good from 16,000 on;
    /// by default 32,000, as the spare copies take a share of it: at 24,000 they would cost half a point of PESQ without loss.
    pub bitrate: u32,
    /// Whether packets carry a coarser copy of the packet before (in-band FEC), for
    /// [`recover_into`](OpusDecoder::recover_into). On by default.
    pub fec: bool,
    /// The share of packets that is expected to get lost, in percent: more of it makes copies better, at the cost of
    /// everything else. 10 by default; at 0 there are no copies.
    pub packet_loss: u8,
    /// How much time encoding may take, 0 to 10. 5 by default, beyond which hearing finds little.
    pub complexity: u8,
    /// Whether silence is sent as a packet of a byte or two now and then (discontinuous transmission). Off by default.
    pub dtx: bool,
    /// Whether all packets have the same size (constant bit rate): it hides what is said from whoever counts the bytes of an
    /// encrypted call (RFC 6562), at some cost of quality. Off by default.
    pub cbr: bool,
    /// The highest sample rate that the far end plays (RFC 7587's `maxplaybackrate`): nothing is spent on frequencies above
    /// half of it. 48 kHz by default, which is no limit.
    pub max_playback_rate: SampleRate,
}

impl Default for OpusOptions {
    fn default() -> Self {
        Self {
            bitrate: 32_000,
            fec: true,
            packet_loss: 10,
            complexity: 5,
            dtx: false,
            cbr: false,
            max_playback_rate: SampleRate::HZ_48000,
        }
    }
}

impl OpusOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if a value lies outside of its range.
    pub fn validate(&self) -> Result<()> {
        if !(6_000..=128_000).contains(&self.bitrate) {
            return Err(Error::invalid(format!("opus bitrate {}, wanted 6000 to 128000 bit/s", self.bitrate)));
        }
        if self.packet_loss > 100 {
            return Err(Error::invalid(format!("opus packet loss {} %, wanted 0 to 100", self.packet_loss)));
        }
        if self.complexity > 10 {
            return Err(Error::invalid(format!("opus complexity {}, wanted 0 to 10", self.complexity)));
        }
        Ok(())
    }
}

/// Encodes frames of 2.5, 5, 10, 20, 40 or 60 ms, one packet each.
///
/// Copies of lost frames (FEC) need frames of at least 10 ms.
///
/// ```
/// use talkpath::audio::codec::opus::{OpusDecoder, OpusEncoder, OpusOptions};
/// use talkpath::audio::frame::SampleRate;
///
/// let packet = OpusEncoder::new(SampleRate::HZ_16000, OpusOptions::default())?.encode(&[0; 320])?;
/// assert!(packet.len() < 160);
/// assert_eq!(OpusDecoder::new(SampleRate::HZ_48000)?.decode(&packet)?.len(), 960);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: Encoder,
    rate: SampleRate,
}

impl OpusEncoder {
    /// Makes an encoder of samples at `rate`: 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for another rate, or for options that
    /// [`validate`](OpusOptions::validate) refuses.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new(rate: SampleRate, options: OpusOptions) -> Result<Self> {
        let hz = opus_rate(rate)?;
        options.validate()?;
        let mut encoder = Encoder::new(hz, Channels::Mono, Application::Voip).expect("memory for an opus encoder");
        encoder
            .set_bitrate(Bitrate::BitsPerSecond(options.bitrate as i32))
            .and_then(|()| encoder.set_complexity(options.complexity))
            .and_then(|()| encoder.set_inband_fec(options.fec))
            .and_then(|()| encoder.set_packet_loss_perc(options.packet_loss))
            // Copies exist in the speech mode alone: music on hold must not end it.
            .and_then(|()| encoder.set_signal(Signal::Voice))
            .and_then(|()| encoder.set_dtx(options.dtx))
            .and_then(|()| encoder.set_vbr(!options.cbr))
            .and_then(|()| encoder.set_max_bandwidth(bandwidth_of(options.max_playback_rate)))
            .map_err(|error| Error::invalid(format!("opus options {options:?}: {error}")))?;
        Ok(Self { encoder, rate })
    }

    /// Encodes one frame into `out` and returns how many bytes were written; never allocates.
    ///
    /// `out` must have room for [`max_packet_bytes`], of which a packet takes a small share. What lies in it beyond the
    /// packet is undefined.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `samples` is no frame that Opus knows, or `out` has not
    /// the room; `out` and the state are then untouched.
    pub fn encode_into(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize> {
        if frame_samples(self.rate, self.rate.duration_of(samples.len() as u64)) != samples.len() || samples.is_empty()
        {
            return Err(Error::invalid(format!(
                "{} samples at {} to encode as opus, wanted 2.5, 5, 10, 20, 40 or 60 ms",
                samples.len(),
                self.rate
            )));
        }
        let bytes = max_packet_bytes(self.rate, samples.len());
        let Some(room) = out.get_mut(..bytes) else {
            return Err(Error::invalid(format!("room for {} encoded bytes, wanted {bytes}", out.len())));
        };
        self.encoder.encode(samples, room).map_err(|error| Error::invalid(format!("opus encoder: {error}")))
    }

    /// Encodes one frame into a new vector; [`encode_into`](Self::encode_into) is the one for the media path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `samples` is no frame that Opus knows; the state is then
    /// untouched.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        let mut out = vec![0; max_packet_bytes(self.rate, samples.len())];
        let bytes = self.encode_into(samples, &mut out)?;
        out.truncate(bytes);
        Ok(out)
    }

    /// Forgets all samples, and keeps the options: the next frame begins a new stream.
    pub fn reset(&mut self) {
        // Cannot fail: it only clears memory.
        let _ = self.encoder.reset_state();
    }

    /// The rate of the samples.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }
}

/// Decodes packets of 2.5 to 120 ms, and makes up for those that got lost.
///
/// Packets of stereo come out as one channel, those of any bandwidth at the decoder's rate.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: Decoder,
    rate: SampleRate,
}

impl OpusDecoder {
    /// Makes a decoder to samples at `rate`: 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for another rate.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new(rate: SampleRate) -> Result<Self> {
        let decoder = Decoder::new(opus_rate(rate)?, Channels::Mono).expect("memory for an opus decoder");
        Ok(Self { decoder, rate })
    }

    /// Decodes one packet into `out` and returns how many samples were written; never allocates.
    ///
    /// What lies in `out` beyond them is left as it was.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the packet is malformed or `out` has not the room; `out`
    /// and the state are then untouched.
    pub fn decode_into(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize> {
        let samples = samples_in(packet, self.rate)?;
        let Some(room) = out.get_mut(..samples) else {
            return Err(Error::invalid(format!("room for {} decoded samples, wanted {samples}", out.len())));
        };
        self.decode_raw(Some(packet), room, false).map_err(|error| malformed(packet, error))
    }

    /// Decodes one packet into a new vector; [`decode_into`](Self::decode_into) is the one for the media path.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the packet is malformed; the state is then untouched.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<i16>> {
        let mut out = vec![0; samples_in(packet, self.rate)?];
        self.decode_into(packet, &mut out)?;
        Ok(out)
    }

    /// Makes up `samples` samples for a lost packet, into `out`, and returns how many were written; never allocates.
    ///
    /// It makes them in steps of 2.5 ms, so that less than that may be missing at the end; at most `out.len()` are written.
    /// It fades out as the gap goes on. What lies in `out` beyond them is left as it was.
    pub fn conceal_into(&mut self, samples: usize, out: &mut [i16]) -> usize {
        let step = self.rate.hz() as usize / 400;
        let samples = samples.min(out.len()) / step * step;
        for piece in out[..samples].chunks_mut(CONCEALED_STEPS * step) {
            // Whole steps are all that it asks for.
            if self.decode_raw(None, piece, false).is_err() {
                piece.fill(0);
            }
        }
        samples
    }

    /// Decodes what `next`, the packet after a lost one of `samples` samples, holds of it (in-band FEC), into `out`; returns
    /// how many were written, or `None` if it holds nothing of it; never allocates.
    ///
    /// If more got lost than a packet holds, the beginning is [concealed](Self::conceal_into). `None` also if `next` is
    /// malformed, if less got lost than a packet holds, or if `out` has not the room.
    pub fn recover_into(&mut self, next: &[u8], samples: usize, out: &mut [i16]) -> Option<usize> {
        if !holds_copy(next) {
            return None;
        }
        let copied = packet::samples_per_frame(next.try_into().ok()?, opus_rate(self.rate).ok()?).ok()?;
        let before = samples.checked_sub(copied)?;
        let out = out.get_mut(..samples)?;
        let concealed = self.conceal_into(before, out);
        self.decode_raw(Some(next), &mut out[concealed..concealed + copied], true).ok().map(|copied| concealed + copied)
    }

    /// Forgets all packets: the next one begins a new stream.
    pub fn reset(&mut self) {
        // Cannot fail: it only clears memory.
        let _ = self.decoder.reset_state();
    }

    /// The rate of the samples.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Fills `out` from a packet, from the copy in one (`fec`), or from nothing.
    fn decode_raw(&mut self, packet: Option<&[u8]>, out: &mut [i16], fec: bool) -> audiopus::Result<usize> {
        let packet = packet.map(packet::Packet::try_from).transpose()?;
        self.decoder.decode(packet, MutSignals::try_from(out)?, fec)
    }
}

/// How many samples at `rate` a packet decodes to, by its header.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the packet is empty, malformed or longer than 120 ms, or for a
/// rate that Opus does not have.
pub fn samples_in(packet: &[u8], rate: SampleRate) -> Result<usize> {
    let hz = opus_rate(rate)?;
    packet::Packet::try_from(packet)
        .and_then(|packet| packet::nb_samples(packet, hz))
        .map_err(|error| malformed(packet, error))
}

/// The same, without a text that says what is wrong.
pub(super) fn checked_samples_in(packet: &[u8], rate: SampleRate) -> Option<usize> {
    let hz = audiopus::SampleRate::try_from(rate.hz() as i32).ok()?;
    packet::Packet::try_from(packet).and_then(|packet| packet::nb_samples(packet, hz)).ok()
}

/// The most bytes that a packet of `samples` samples at `rate` can have: 1,276 for each 20 ms.
#[must_use]
pub const fn max_packet_bytes(rate: SampleRate, samples: usize) -> usize {
    samples.div_ceil(rate.frame_len()) * MAX_FRAME_BYTES
}

/// How many samples the longest frame has that can be encoded and is not longer than `ptime`; 0 below 2.5 ms.
pub(super) const fn frame_samples(rate: SampleRate, ptime: Duration) -> usize {
    let mut i = FRAMES_US.len();
    while i > 0 {
        i -= 1;
        if FRAMES_US[i] <= ptime.as_micros() {
            return rate.samples_in(Duration::from_micros(FRAMES_US[i] as u64));
        }
    }
    0
}

/// The rate as libopus knows it.
pub(super) fn opus_rate(rate: SampleRate) -> Result<audiopus::SampleRate> {
    audiopus::SampleRate::try_from(rate.hz() as i32)
        .map_err(|_| Error::invalid(format!("opus at {rate}, wanted 8000, 12000, 16000, 24000 or 48000 Hz")))
}

/// The most that a listener at `rate` can hear.
fn bandwidth_of(rate: SampleRate) -> Bandwidth {
    match rate.hz() {
        0..=8_000 => Bandwidth::Narrowband,
        8_001..=12_000 => Bandwidth::Mediumband,
        12_001..=16_000 => Bandwidth::Wideband,
        16_001..=24_000 => Bandwidth::Superwideband,
        _ => Bandwidth::Fullband,
    }
}

/// Whether a packet holds a copy of the one before: the flag after those of voice activity (RFC 6716, section 4.2.3).
fn holds_copy(packet: &[u8]) -> bool {
    let (Some(&toc), Some(&flags)) = (packet.first(), first_frame(packet).and_then(<[u8]>::first)) else {
        return false;
    };
    // There is a flag of activity for each 20 ms, in the speech modes alone (section 3.1).
    let activity = match toc >> 3 {
        speech @ 0..=11 => [1, 1, 2, 3][usize::from(speech & 3)],
        12..=15 => 1,
        _ => return false,
    };
    let is_stereo = toc & 4 != 0;
    flags << activity & 0x80 != 0 || is_stereo && flags << (2 * activity + 1) & 0x80 != 0
}

/// The first of a packet's frames, if the packet is well-formed (RFC 6716, section 3.2).
fn first_frame(packet: &[u8]) -> Option<&[u8]> {
    let (&toc, rest) = packet.split_first()?;
    let (count, sizes_differ, mut rest) = match toc & 3 {
        0 => (1, false, rest),
        1 => (2, false, rest),
        2 => (2, true, rest),
        _ => {
            let (&header, mut rest) = rest.split_first()?;
            let mut padding = 0;
            let mut more = header & 0x40 != 0;
            while more {
                let (&bytes, after) = rest.split_first()?;
                (padding, rest) = (padding + usize::from(bytes.min(254)), after);
                more = bytes == 255;
            }
            (usize::from(header & 0x3f), header & 0x80 != 0, rest.get(..rest.len().checked_sub(padding)?)?)
        }
    };
    if count == 0 {
        return None;
    }
    if !sizes_differ {
        return rest.len().is_multiple_of(count).then(|| rest.get(..rest.len() / count))?;
    }
    let (mut first, mut all) = (None, 0);
    for _ in 1..count {
        let (&size, mut after) = rest.split_first()?;
        let mut size = usize::from(size);
        if size >= 252 {
            let (&fours, later) = after.split_first()?;
            (size, after) = (size + 4 * usize::from(fours), later);
        }
        (rest, all) = (after, all + size);
        first = first.or(Some(size));
    }
    rest.get(..all)?;
    rest.get(..first.unwrap_or(rest.len()))
}

fn malformed(packet: &[u8], error: audiopus::Error) -> Error {
    Error::invalid(format!("opus packet of {} bytes: {error}", packet.len()))
}

/// The frames that can be encoded, in µs.
const FRAMES_US: [u128; 6] = [2_500, 5_000, 10_000, 20_000, 40_000, 60_000];

/// The most bytes that 20 ms take: a frame of 1,275 and the byte before it.
const MAX_FRAME_BYTES: usize = 1_276;

/// How many steps of 2.5 ms libopus conceals at a time: 60 ms, as it keeps them on the stack.
const CONCEALED_STEPS: usize = 24;
