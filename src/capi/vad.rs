//! `TalkpathVad`: says whether someone is speaking.

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::audio::vad::{Detector, Vad};

/// No detection; only in [`TalkpathSessionConfig`](super::session_config::TalkpathSessionConfig).
pub const TALKPATH_VAD_NONE: i32 = 0;
/// A small network that knows the noise of the call: the cheapest that is good.
pub const TALKPATH_VAD_PHONE: i32 = 1;
/// The same, and Silero's network where that may be speech: the best.
pub const TALKPATH_VAD_SILERO: i32 = 2;

/// A voice activity detector for one stream of 8 or 16 kHz mono audio.
pub struct TalkpathVad(Box<dyn Vad>);

/// What a detector thinks of the newest audio it has seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TalkpathVadVerdict {
    /// Whether it is speech: the score has reached the threshold.
    pub speech: bool,
    /// How much it looks like speech, 0 to 1.
    pub score: f32,
    /// The score from which on it counts as speech, 0 to 1; it follows the noise.
    pub threshold: f32,
    /// Level of the newest step, in dB of full scale.
    pub level_dbfs: f32,
    /// Level of the background, in dB of full scale.
    pub noise_dbfs: f32,
}

/// Makes a detector for `rate_hz`, 8,000 or 16,000, and hands it over in `vad`. Free it by [`talkpath_vad_free`].
///
/// `detector` is `TALKPATH_VAD_PHONE` or `TALKPATH_VAD_SILERO`.
///
/// # Safety
/// `vad` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_vad_new(detector: i32, rate_hz: u32, vad: *mut *mut TalkpathVad) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let vad = unsafe { Out::new("vad", vad) }?;
        vad.give(TalkpathVad(detector_of(detector)?.make(check::rate(rate_hz)?)?));
        Ok(())
    })
}

/// Sets the sensitivity from here on: 0 hears only clear speech, 1 the faintest; 0.5 is the default.
///
/// # Safety
/// `vad` must come from [`talkpath_vad_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_vad_set_sensitivity(vad: *mut TalkpathVad, sensitivity: f32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("vad", vad) }?.0.set_sensitivity(sensitivity)?;
        Ok(())
    })
}

/// Takes the stream's next `len` samples, any number of them, and writes the newest verdict. Real-time safe.
///
/// # Safety
/// `vad` must come from [`talkpath_vad_new`], and no other call may be using it; `samples` must be readable for `len`
/// samples, `verdict` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_vad_process(
    vad: *mut TalkpathVad,
    samples: *const i16,
    len: usize,
    verdict: *mut TalkpathVadVerdict,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (vad, samples, verdict) = unsafe {
            (
                &mut check::object_mut("vad", vad)?.0,
                check::slice("samples", samples, len)?,
                Out::new("verdict", verdict)?,
            )
        };
        let newest = vad.process(samples);
        verdict.set(TalkpathVadVerdict {
            speech: newest.speech,
            score: newest.score,
            threshold: newest.threshold,
            level_dbfs: newest.level_dbfs,
            noise_dbfs: newest.noise_dbfs,
        });
        Ok(())
    })
}

/// Begins a new stream; the sensitivity stays. Real-time safe.
///
/// # Safety
/// `vad` must come from [`talkpath_vad_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_vad_reset(vad: *mut TalkpathVad) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("vad", vad) }?.0.reset();
        Ok(())
    })
}

/// Frees a detector; NULL is nothing to free.
///
/// # Safety
/// `vad` must come from [`talkpath_vad_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_vad_free(vad: *mut TalkpathVad) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(vad) };
        Ok(())
    });
}

/// The detector of a number.
pub(super) fn detector_of(number: i32) -> check::Result<Detector> {
    match number {
        TALKPATH_VAD_PHONE => Ok(Detector::Phone),
        TALKPATH_VAD_SILERO => Ok(Detector::Silero),
        other => Err(Error::invalid(format!("detector {other}, wanted one of TALKPATH_VAD_… (1 or 2)")).into()),
    }
}

/// The number of a detector.
pub(super) const fn number_of_detector(detector: Detector) -> i32 {
    match detector {
        Detector::Phone => TALKPATH_VAD_PHONE,
        Detector::Silero => TALKPATH_VAD_SILERO,
    }
}
