//! `TalkpathOpusOptions`: how Opus is encoded; and what an Opus packet holds.

use std::mem::offset_of;

use super::check::{self, Out};
use super::codec::TalkpathEncoder;
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::audio::codec::Encoder;
use crate::audio::codec::opus::{self, OpusOptions};

/// How Opus is encoded.
///
/// Have [`talkpath_opus_options_default`] fill it in, and change what matters.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathOpusOptions {
    /// The size of this structure, as the program knows it.
    pub size: usize,
    /// Bits a second on average, 6,000 to 128,000.
    pub bitrate: u32,
    /// The share of packets that is expected to get lost, in percent; it decides how good the copies of `fec` are.
    pub packet_loss: u32,
    /// How much time encoding may take, 0 to 10.
    pub complexity: u32,
    /// The highest sample rate that the far end plays (RFC 7587's `maxplaybackrate`).
    pub max_playback_rate_hz: u32,
    /// Whether packets carry a coarser copy of the packet before (in-band FEC).
    pub fec: bool,
    /// Whether silence is sent as a packet of a byte or two now and then.
    pub dtx: bool,
    /// Whether all packets have the same size.
    pub cbr: bool,
}

/// Fills in what suits a phone call over a network that loses packets.
///
/// `size` is `sizeof(TalkpathOpusOptions)`.
///
/// # Safety
/// `options` must be writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_opus_options_default(
    options: *mut TalkpathOpusOptions,
    size: usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let out = unsafe { check::slice_mut("options", options.cast::<u8>(), size) }?;
        check_size("size", size)?;
        let n = size.min(size_of::<TalkpathOpusOptions>());
        let defaults = defaults(n);
        // SAFETY: `out` has `size` bytes, of which `n` are written; `defaults` is as long; they do not overlap.
        unsafe { std::ptr::copy_nonoverlapping((&raw const defaults).cast::<u8>(), out.as_mut_ptr(), n) };
        Ok(())
    })
}

/// Makes an encoder of Opus and hands it over in `encoder`. Free it by [`talkpath_encoder_free`](super::codec::talkpath_encoder_free).
///
/// `rate_hz` is that of the samples: 8,000, 12,000, 16,000, 24,000 or 48,000; `options` may be NULL: the defaults, as of
/// [`talkpath_encoder_new`](super::codec::talkpath_encoder_new).
///
/// # Safety
/// `options` must be readable for the size that it says it has, or NULL; `encoder` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_opus_encoder_new(
    rate_hz: u32,
    options: *const TalkpathOpusOptions,
    encoder: *mut *mut TalkpathEncoder,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (options, encoder) = unsafe { (options_of(options)?, Out::new("encoder", encoder)?) };
        encoder.give(TalkpathEncoder(Encoder::new_opus(check::rate(rate_hz)?, options)?));
        Ok(())
    })
}

/// Writes how many samples at `rate_hz` an Opus packet of `len` bytes decodes to, by its header. Real-time safe, from any
/// thread.
///
/// # Safety
/// `packet` must be readable for `len` bytes, `samples` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_opus_packet_samples(
    packet: *const u8,
    len: usize,
    rate_hz: u32,
    samples: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (packet, samples) = unsafe { (check::slice("packet", packet, len)?, Out::new("samples", samples)?) };
        samples.set(opus::samples_in(packet, check::rate(rate_hz)?)?);
        Ok(())
    })
}

/// Reads what C has set; NULL is the default.
///
/// # Safety
/// `options` must be readable for the size that it says it has, or be NULL.
unsafe fn options_of(options: *const TalkpathOpusOptions) -> check::Result<OpusOptions> {
    if options.is_null() {
        return Ok(OpusOptions::default());
    }
    // SAFETY: the size comes first, and is readable as the caller promises.
    let size = unsafe { options.cast::<usize>().read() };
    check_size("options.size", size)?;
    let n = size.min(size_of::<TalkpathOpusOptions>());
    let mut known = defaults(n);
    // SAFETY: `options` is readable for `size` bytes as the caller promises, `known` is as long as what is copied.
    unsafe { std::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), n) };
    let small = |name, number: u32, most| {
        u8::try_from(number).map_err(|_| Error::invalid(format!("{name} of {number}, wanted 0 to {most}")))
    };
    Ok(OpusOptions {
        bitrate: known.bitrate,
        fec: known.fec,
        packet_loss: small("packet_loss", known.packet_loss, 100)?,
        complexity: small("complexity", known.complexity, 10)?,
        dtx: known.dtx,
        cbr: known.cbr,
        max_playback_rate: check::rate(known.max_playback_rate_hz)?,
    })
}

fn check_size(name: &str, size: usize) -> check::Result<()> {
    if size < OLDEST {
        let wanted = size_of::<TalkpathOpusOptions>();
        return Err(Error::invalid(format!("{name} of {size}, wanted sizeof(TalkpathOpusOptions), {wanted}")).into());
    }
    Ok(())
}

fn defaults(size: usize) -> TalkpathOpusOptions {
    let OpusOptions { bitrate, fec, packet_loss, complexity, dtx, cbr, max_playback_rate } = OpusOptions::default();
    TalkpathOpusOptions {
        size,
        bitrate,
        packet_loss: packet_loss.into(),
        complexity: complexity.into(),
        max_playback_rate_hz: max_playback_rate.hz(),
        fec,
        dtx,
        cbr,
    }
}

/// How much of the structure the first version of the library had.
const OLDEST: usize = offset_of!(TalkpathOpusOptions, cbr) + size_of::<bool>();
