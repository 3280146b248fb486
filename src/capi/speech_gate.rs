//! `TalkpathSpeechGate`: turns verdicts into the edges of speech.

use std::time::Duration;

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use super::vad::TalkpathVadVerdict;
use crate::audio::vad::{Edge, SpeechGate};

/// No edge of [`talkpath_speech_gate_update`].
pub const TALKPATH_EDGE_NONE: i32 = 0;
/// Speech began, `ago_us` before the end of the frame.
pub const TALKPATH_EDGE_ONSET: i32 = 1;
/// Speech ended, `ago_us` before the end of the frame.
pub const TALKPATH_EDGE_OFFSET: i32 = 2;

/// Wants some speech before it says that speech began, and some quiet before it says that it ended.
pub struct TalkpathSpeechGate(SpeechGate);

/// Makes a gate and hands it over in `gate`. Free it by [`talkpath_speech_gate_free`].
///
/// `min_speech_ms` of voice make an onset (a session's default is 60), a pause of `hangover_ms` an offset (300).
///
/// # Safety
/// `gate` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_speech_gate_new(
    min_speech_ms: u32,
    hangover_ms: u32,
    gate: *mut *mut TalkpathSpeechGate,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let gate = unsafe { Out::new("gate", gate) }?;
        let ms = |ms: u32| Duration::from_millis(ms.into());
        gate.give(TalkpathSpeechGate(SpeechGate::new(ms(min_speech_ms), ms(hangover_ms))));
        Ok(())
    })
}

/// Takes the verdict on the next frame, which is `frame_us` long, 20 ms as a rule; `edge` gets the edge that it completes,
/// one of `TALKPATH_EDGE_…`, and `ago_us` how long before the end of the frame that was. Real-time safe.
///
/// # Safety
/// `gate` must come from [`talkpath_speech_gate_new`], and no other call may be using it; `verdict` must be readable,
/// `edge` and `ago_us` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_speech_gate_update(
    gate: *mut TalkpathSpeechGate,
    verdict: *const TalkpathVadVerdict,
    frame_us: u64,
    edge: *mut i32,
    ago_us: *mut u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (gate, verdict, edge, ago_us) = unsafe {
            (
                &mut check::object_mut("gate", gate)?.0,
                check::object("verdict", verdict)?,
                Out::new("edge", edge)?,
                Out::new("ago_us", ago_us)?,
            )
        };
        let (kind, ago) = match gate.update(verdict.speech, verdict.score, Duration::from_micros(frame_us)) {
            None => (TALKPATH_EDGE_NONE, Duration::ZERO),
            Some(Edge::Onset { ago }) => (TALKPATH_EDGE_ONSET, ago),
            Some(Edge::Offset { ago }) => (TALKPATH_EDGE_OFFSET, ago),
        };
        edge.set(kind);
        ago_us.set(check::micros(ago));
        Ok(())
    })
}

/// Forgets the present run of speech; no edge is told of it. Real-time safe.
///
/// # Safety
/// `gate` must come from [`talkpath_speech_gate_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_speech_gate_reset(gate: *mut TalkpathSpeechGate) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("gate", gate) }?.0.reset();
        Ok(())
    })
}

/// Frees a gate; NULL is nothing to free.
///
/// # Safety
/// `gate` must come from [`talkpath_speech_gate_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_speech_gate_free(gate: *mut TalkpathSpeechGate) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(gate) };
        Ok(())
    });
}
