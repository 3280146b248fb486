//! `TalkpathEncoder` and `TalkpathDecoder`: one direction of an audio stream, whatever its codec.

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::audio::codec::{Codec, Decoder, Encoder, Encoding};

/// Signed linear, 16 bits, little-endian.
pub const TALKPATH_CODEC_SLIN: i32 = 0;
/// Signed linear, 16 bits, big-endian: RTP's `L16`.
pub const TALKPATH_CODEC_SLIN_BE: i32 = 1;
/// G.711 mu-law.
pub const TALKPATH_CODEC_ULAW: i32 = 2;
/// G.711 A-law.
pub const TALKPATH_CODEC_ALAW: i32 = 3;
/// G.722 at 64 kbit/s; its rate is 16,000 Hz.
pub const TALKPATH_CODEC_G722: i32 = 4;
/// Opus; its rate is 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
pub const TALKPATH_CODEC_OPUS: i32 = 5;

/// Encodes one stream of mono audio.
pub struct TalkpathEncoder(pub(super) Encoder);

/// Decodes one stream of mono audio.
pub struct TalkpathDecoder(Decoder);

/// Makes an encoder and hands it over in `encoder`. Free it by [`talkpath_encoder_free`].
///
/// `codec` is one of `TALKPATH_CODEC_…`.
///
/// # Safety
/// `encoder` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_encoder_new(
    codec: i32,
    rate_hz: u32,
    encoder: *mut *mut TalkpathEncoder,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let encoder = unsafe { Out::new("encoder", encoder) }?;
        encoder.give(TalkpathEncoder(Encoder::new(codec_of(codec, rate_hz)?)));
        Ok(())
    })
}

/// Encodes the stream's next `len` samples into `out`. Real-time safe.
///
/// `out_len` is the room in `out`, in bytes: 2 a sample of slin, 1 of G.711, half a byte of G.722, 1,276 for each 20 ms of
/// Opus. `written` gets how many were written.
///
/// # Safety
/// `encoder` must come from [`talkpath_encoder_new`], and no other call may be using it; `samples` must be readable for
/// `len` samples, `out` writable for `out_len` bytes, `written` writable; `samples` and `out` must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_encoder_encode(
    encoder: *mut TalkpathEncoder,
    samples: *const i16,
    len: usize,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (encoder, samples, out, written) = unsafe {
            (
                &mut check::object_mut("encoder", encoder)?.0,
                check::slice("samples", samples, len)?,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        check::room("out_len", out.len(), encoder.codec().bytes_for(samples.len()))?;
        written.set(encoder.encode_into(samples, out)?);
        Ok(())
    })
}

/// Begins a new stream of the same codec.
///
/// # Safety
/// `encoder` must come from [`talkpath_encoder_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_encoder_reset(encoder: *mut TalkpathEncoder) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("encoder", encoder) }?.0.reset();
        Ok(())
    })
}

/// Frees an encoder; NULL is nothing to free.
///
/// # Safety
/// `encoder` must come from [`talkpath_encoder_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_encoder_free(encoder: *mut TalkpathEncoder) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(encoder) };
        Ok(())
    });
}

/// Makes a decoder and hands it over in `decoder`; codecs are those of [`talkpath_encoder_new`]. Free it by
/// [`talkpath_decoder_free`].
///
/// # Safety
/// `decoder` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_new(
    codec: i32,
    rate_hz: u32,
    decoder: *mut *mut TalkpathDecoder,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let decoder = unsafe { Out::new("decoder", decoder) }?;
        decoder.give(TalkpathDecoder(Decoder::new(codec_of(codec, rate_hz)?)));
        Ok(())
    })
}

/// Decodes the stream's next `len` bytes, one packet of them, into `out`. Real-time safe.
///
/// `out_len` is the room in `out`, in samples. `written` gets how many were written.
///
/// # Safety
/// `decoder` must come from [`talkpath_decoder_new`], and no other call may be using it; `bytes` must be readable for `len`
/// bytes, `out` writable for `out_len` samples, `written` writable; `bytes` and `out` must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_decode(
    decoder: *mut TalkpathDecoder,
    bytes: *const u8,
    len: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (decoder, bytes, out, written) = unsafe {
            (
                &mut check::object_mut("decoder", decoder)?.0,
                check::slice("bytes", bytes, len)?,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        check::room("out_len", out.len(), decoder.codec().samples_in(bytes)?)?;
        written.set(decoder.decode_into(bytes, out)?);
        Ok(())
    })
}

/// Makes up `samples` samples for a lost packet by the codec's own concealment. Real-time safe.
///
/// `TALKPATH_STATUS_EMPTY` if the codec has none (all but Opus): a jitter buffer conceals those.
///
/// # Safety
/// `decoder` must come from [`talkpath_decoder_new`], and no other call may be using it; `out` must be writable for `out_len`
/// samples, `written` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_conceal(
    decoder: *mut TalkpathDecoder,
    samples: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (decoder, out, written) = unsafe {
            (
                &mut check::object_mut("decoder", decoder)?.0,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        check::room("out_len", out.len(), samples)?;
        written.set(decoder.conceal_into(samples, out).ok_or(check::Failure::Empty)?);
        Ok(())
    })
}

/// Takes `samples` samples of a lost packet out of the packet that follows it, by in-band error correction.
///
/// `TALKPATH_STATUS_EMPTY` if that packet, or the codec, holds none. Decode the packet itself after this. Real-time safe.
///
/// # Safety
/// As for [`talkpath_decoder_decode`]; `next` must be readable for `next_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_recover(
    decoder: *mut TalkpathDecoder,
    next: *const u8,
    next_len: usize,
    samples: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (decoder, next, out, written) = unsafe {
            (
                &mut check::object_mut("decoder", decoder)?.0,
                check::slice("next", next, next_len)?,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        check::room("out_len", out.len(), samples)?;
        written.set(decoder.recover_into(next, samples, out).ok_or(check::Failure::Empty)?);
        Ok(())
    })
}

/// Begins a new stream of the same codec.
///
/// # Safety
/// `decoder` must come from [`talkpath_decoder_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_reset(decoder: *mut TalkpathDecoder) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("decoder", decoder) }?.0.reset();
        Ok(())
    })
}

/// Frees a decoder; NULL is nothing to free.
///
/// # Safety
/// `decoder` must come from [`talkpath_decoder_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_decoder_free(decoder: *mut TalkpathDecoder) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(decoder) };
        Ok(())
    });
}

/// The codec of a number and a rate.
pub(super) fn codec_of(number: i32, rate_hz: u32) -> check::Result<Codec> {
    let rate = check::rate(rate_hz)?;
    let plain = |encoding| Ok(Codec::Plain { encoding, rate });
    match number {
        TALKPATH_CODEC_SLIN => plain(Encoding::Slin),
        TALKPATH_CODEC_SLIN_BE => plain(Encoding::SlinBe),
        TALKPATH_CODEC_ULAW => plain(Encoding::Ulaw),
        TALKPATH_CODEC_ALAW => plain(Encoding::Alaw),
        TALKPATH_CODEC_G722 => Ok(Codec::from_name("g722", rate)?),
        TALKPATH_CODEC_OPUS => Ok(Codec::from_name("opus", rate)?),
        other => Err(Error::invalid(format!("codec {other}, wanted one of TALKPATH_CODEC_… (0 to 5)")).into()),
    }
}

/// The number of a codec.
pub(super) const fn number_of(codec: Codec) -> i32 {
    match codec {
        Codec::Plain { encoding: Encoding::Slin, .. } => TALKPATH_CODEC_SLIN,
        Codec::Plain { encoding: Encoding::SlinBe, .. } => TALKPATH_CODEC_SLIN_BE,
        Codec::Plain { encoding: Encoding::Ulaw, .. } => TALKPATH_CODEC_ULAW,
        Codec::Plain { encoding: Encoding::Alaw, .. } => TALKPATH_CODEC_ALAW,
        Codec::G722 => TALKPATH_CODEC_G722,
        Codec::Opus { .. } => TALKPATH_CODEC_OPUS,
    }
}
