//! `TalkpathResampler`: changes the sample rate of a stream.

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::audio::resample::{Quality, Resampler};

/// Changes the sample rate of a stream of mono audio, chunk by chunk and without drift.
pub struct TalkpathResampler(Resampler);

/// Quality `phone` of [`talkpath_resampler_new`]: 2.5 ms of delay with 8 kHz on one side.
pub const TALKPATH_QUALITY_PHONE: i32 = 0;
/// Quality `studio` of [`talkpath_resampler_new`]: sharper, 4.5 ms of delay.
pub const TALKPATH_QUALITY_STUDIO: i32 = 1;

/// Makes a resampler from one rate in Hz to another, 8,000 to 192,000 each, and hands it over in `resampler`.
///
/// `quality` is `TALKPATH_QUALITY_PHONE` or `TALKPATH_QUALITY_STUDIO`. Free it by [`talkpath_resampler_free`].
///
/// # Safety
/// `resampler` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_resampler_new(
    from_hz: u32,
    to_hz: u32,
    quality: i32,
    resampler: *mut *mut TalkpathResampler,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let resampler = unsafe { Out::new("resampler", resampler) }?;
        let quality = match quality {
            TALKPATH_QUALITY_PHONE => Quality::Phone,
            TALKPATH_QUALITY_STUDIO => Quality::Studio,
            other => return Err(Error::invalid(format!("quality {other}, wanted 0 (phone) or 1 (studio)")).into()),
        };
        let (from, to) = (check::rate(from_hz)?, check::rate(to_hz)?);
        resampler.give(TalkpathResampler(Resampler::with_quality(from, to, quality)));
        Ok(())
    })
}

/// Takes the stream's next `len` samples and writes what they become to `out`.
///
/// `out_len` is the room in `out`, in samples; [`talkpath_resampler_output_len`] says how much is needed. Chunks may be of
/// any length. Real-time safe.
///
/// # Safety
/// `resampler` must come from [`talkpath_resampler_new`] and be used by one thread at a time, `input` readable for `len`
/// samples, `out` writable for `out_len` samples, `written` writable; `input` and `out` must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_resampler_process(
    resampler: *mut TalkpathResampler,
    input: *const i16,
    len: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (resampler, input, out, written) = unsafe {
            (
                &mut check::object_mut("resampler", resampler)?.0,
                check::slice("input", input, len)?,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        check::room("out_len", out.len(), resampler.output_len(input.len()))?;
        written.set(resampler.process_into(input, out)?);
        Ok(())
    })
}

/// Says how many samples the next `len` samples become. Real-time safe.
///
/// # Safety
/// `resampler` must come from [`talkpath_resampler_new`], and no other call may be using it; `samples` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_resampler_output_len(
    resampler: *const TalkpathResampler,
    len: usize,
    samples: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (resampler, samples) =
            unsafe { (&check::object("resampler", resampler)?.0, Out::new("samples", samples)?) };
        samples.set(resampler.output_len(len));
        Ok(())
    })
}

/// Begins a new stream. Real-time safe.
///
/// # Safety
/// `resampler` must come from [`talkpath_resampler_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_resampler_reset(resampler: *mut TalkpathResampler) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("resampler", resampler) }?.0.reset();
        Ok(())
    })
}

/// Frees a resampler; NULL is nothing to free.
///
/// # Safety
/// `resampler` must come from [`talkpath_resampler_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_resampler_free(resampler: *mut TalkpathResampler) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(resampler) };
        Ok(())
    });
}
