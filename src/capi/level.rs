//! `TalkpathLevel`: how loud audio is.

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::audio::level::Level;

/// How loud audio is, in dB of full scale; silence is -96.3.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TalkpathLevel {
    /// Root mean square; a full-scale square wave is 0.
    pub rms_dbfs: f32,
    /// The greatest sample.
    pub peak_dbfs: f32,
}

/// Measures how loud `len` samples are. Real-time safe, from any thread.
///
/// # Safety
/// `samples` must be readable for `len` samples, `level` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_level_measure(
    samples: *const i16,
    len: usize,
    level: *mut TalkpathLevel,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (samples, level) = unsafe { (check::slice("samples", samples, len)?, Out::new("level", level)?) };
        let measured = Level::measure(samples);
        level.set(TalkpathLevel { rms_dbfs: measured.rms_dbfs(), peak_dbfs: measured.peak_dbfs() });
        Ok(())
    })
}
