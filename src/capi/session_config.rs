//! `TalkpathSessionConfig`: how a session buffers, listens and lets itself be interrupted, as C sets it.

use std::mem::offset_of;
use std::time::Duration;

use super::check;
use super::codec::{codec_of, number_of};
use super::jitter::{
    TALKPATH_PLAYOUT_ADAPTIVE, TALKPATH_PLAYOUT_ASAP, TALKPATH_PLAYOUT_FIXED, TalkpathPlayout, playout_of,
};
use super::status::{TalkpathStatus, guard};
use super::vad::{TALKPATH_VAD_NONE, detector_of, number_of_detector};
use crate::Error;
use crate::audio::echo::EchoMode;
use crate::audio::vad::Detector;
use crate::jitter::Playout;
use crate::session::{BargeInConfig, Config, EchoConfig, VadConfig};

/// Echo is cancelled once the line has shown some; where there is none it costs nearly nothing.
pub const TALKPATH_ECHO_AUTO: i32 = 0;
/// Echo is cancelled from the first sign of some on, and for good: for lines that are known to have it.
pub const TALKPATH_ECHO_ON: i32 = 1;
/// Echo is not cancelled.
pub const TALKPATH_ECHO_OFF: i32 = 2;

/// How one session buffers, paces, listens and lets itself be interrupted.
///
/// Have [`talkpath_session_config_default`] fill it in, and change what matters.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathSessionConfig {
    /// The size of this structure, as the program knows it.
    pub size: usize,
    /// The packet time of the wire: 10 to 60 ms in steps of 10.
    pub ptime_ms: u32,
    /// The codec to answer in, one of `TALKPATH_CODEC_…`; -1: the one that the far end sends.
    pub codec: i32,
    /// The rate of that codec; with codec -1, the rate to answer in signed linear in, or 0: the far end's.
    pub rate_hz: u32,
    /// When packets of a network are played.
    pub playout: TalkpathPlayout,
    /// How much agent audio is gathered before playout starts, at first.
    pub prebuffer_ms: u32,
    /// The most that underruns may raise it to.
    pub prebuffer_max_ms: u32,
    /// How much heard audio waits for an agent that does not read.
    pub input_buffer_ms: u32,
    /// How much agent audio may wait for playout, in bytes.
    pub output_limit_bytes: usize,
    /// Which detector listens, one of `TALKPATH_VAD_…`; without one there are no speech events and no barge-in.
    pub vad: i32,
    /// 0, hears only clear speech, to 1, hears the faintest.
    pub vad_sensitivity: f32,
    /// How much voice makes an onset.
    pub vad_min_speech_ms: u32,
    /// How long a pause ends speech.
    pub vad_hangover_ms: u32,
    /// How much audio before an onset still reaches an agent that asked for speech only.
    pub vad_look_back_ms: u32,
    /// Whether the core interrupts the agent when the caller speaks.
    pub barge_in: bool,
    /// How much voice, louder than the agent's echo, makes an interruption.
    pub barge_in_min_speech_ms: u32,
    /// How long the agent cannot be interrupted after its first frame.
    pub barge_in_protection_ms: u32,
    /// How long after an interruption none follows.
    pub barge_in_cooldown_ms: u32,
    /// Whether the agent's own echo raises the level that an interruption needs.
    pub echo_guard: bool,
    /// When the agent's own echo is cancelled, one of `TALKPATH_ECHO_…`.
    pub echo_canceller: i32,
}

/// Fills in what a phone call wants.
///
/// `size` is `sizeof(TalkpathSessionConfig)`.
///
/// # Safety
/// `config` must be writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_config_default(
    config: *mut TalkpathSessionConfig,
    size: usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let out = unsafe { check::slice_mut("config", config.cast::<u8>(), size) }?;
        check_size("size", size)?;
        let defaults = defaults(size.min(size_of::<TalkpathSessionConfig>()));
        let n = size.min(size_of::<TalkpathSessionConfig>());
        // SAFETY: `out` has `size` bytes, of which `n` are written; `defaults` is as long; they do not overlap.
        unsafe { std::ptr::copy_nonoverlapping((&raw const defaults).cast::<u8>(), out.as_mut_ptr(), n) };
        Ok(())
    })
}

/// Reads what C has set; NULL is the default.
///
/// # Safety
/// `config` must be readable for the size that it says it has, or be NULL.
pub(super) unsafe fn config_of(config: *const TalkpathSessionConfig) -> check::Result<Config> {
    if config.is_null() {
        return Ok(Config::default());
    }
    // SAFETY: the size comes first, and is readable as the caller promises.
    let size = unsafe { config.cast::<usize>().read() };
    check_size("config.size", size)?;
    let mut known = defaults(size);
    let n = size.min(size_of::<TalkpathSessionConfig>());
    // SAFETY: `config` is readable for `size` bytes as the caller promises, `known` is as long as what is copied.
    unsafe { std::ptr::copy_nonoverlapping(config.cast::<u8>(), (&raw mut known).cast::<u8>(), n) };
    from_c(&known)
}

fn check_size(name: &str, size: usize) -> check::Result<()> {
    if size < OLDEST {
        let wanted = size_of::<TalkpathSessionConfig>();
        return Err(Error::invalid(format!("{name} of {size}, wanted sizeof(TalkpathSessionConfig), {wanted}")).into());
    }
    Ok(())
}

fn defaults(size: usize) -> TalkpathSessionConfig {
    let Config { ptime, codec, output_rate, playout, prebuffer, prebuffer_max, input_buffer, .. } = Config::default();
    let Config { output_limit_bytes, vad, barge_in, echo, .. } = Config::default();
    let ms = |duration: Duration| duration.as_millis() as u32;
    let playout = match playout {
        Playout::Adaptive { min, max } => {
            TalkpathPlayout { mode: TALKPATH_PLAYOUT_ADAPTIVE, min_ms: ms(min), max_ms: ms(max) }
        }
        Playout::Fixed(delay) => TalkpathPlayout { mode: TALKPATH_PLAYOUT_FIXED, min_ms: 0, max_ms: ms(delay) },
        Playout::Asap { wait } => TalkpathPlayout { mode: TALKPATH_PLAYOUT_ASAP, min_ms: 0, max_ms: ms(wait) },
    };
    TalkpathSessionConfig {
        size,
        ptime_ms: ms(ptime),
        codec: codec.map_or(AS_HEARD, number_of),
        rate_hz: output_rate.map_or(0, |rate| rate.hz()),
        playout,
        prebuffer_ms: ms(prebuffer),
        prebuffer_max_ms: ms(prebuffer_max),
        input_buffer_ms: ms(input_buffer),
        output_limit_bytes,
        vad: if vad.enabled { number_of_detector(vad.detector) } else { TALKPATH_VAD_NONE },
        vad_sensitivity: vad.sensitivity,
        vad_min_speech_ms: ms(vad.min_speech),
        vad_hangover_ms: ms(vad.hangover),
        vad_look_back_ms: ms(vad.look_back),
        barge_in: barge_in.automatic,
        barge_in_min_speech_ms: ms(barge_in.min_speech),
        barge_in_protection_ms: ms(barge_in.protection),
        barge_in_cooldown_ms: ms(barge_in.cooldown),
        echo_guard: barge_in.echo_guard,
        echo_canceller: match echo.mode {
            EchoMode::Auto => TALKPATH_ECHO_AUTO,
            EchoMode::On => TALKPATH_ECHO_ON,
            EchoMode::Off => TALKPATH_ECHO_OFF,
        },
    }
}

fn from_c(config: &TalkpathSessionConfig) -> check::Result<Config> {
    let ms = |ms: u32| Duration::from_millis(ms.into());
    let answers = config.codec != AS_HEARD;
    let codec = answers.then(|| codec_of(config.codec, config.rate_hz)).transpose()?;
    let output_rate = (!answers && config.rate_hz != 0).then(|| check::rate(config.rate_hz)).transpose()?;
    let config = Config {
        ptime: ms(config.ptime_ms),
        codec,
        output_rate,
        playout: playout_of(&config.playout)?,
        prebuffer: ms(config.prebuffer_ms),
        prebuffer_max: ms(config.prebuffer_max_ms),
        input_buffer: ms(config.input_buffer_ms),
        output_limit_bytes: config.output_limit_bytes,
        vad: VadConfig {
            enabled: config.vad != TALKPATH_VAD_NONE,
            detector: if config.vad == TALKPATH_VAD_NONE { Detector::default() } else { detector_of(config.vad)? },
            sensitivity: config.vad_sensitivity,
            min_speech: ms(config.vad_min_speech_ms),
            hangover: ms(config.vad_hangover_ms),
            look_back: ms(config.vad_look_back_ms),
        },
        barge_in: BargeInConfig {
            automatic: config.barge_in,
            min_speech: ms(config.barge_in_min_speech_ms),
            protection: ms(config.barge_in_protection_ms),
            cooldown: ms(config.barge_in_cooldown_ms),
            echo_guard: config.echo_guard,
        },
        echo: EchoConfig { mode: echo_mode_of(config.echo_canceller)? },
    };
    config.validate()?;
    Ok(config)
}

fn echo_mode_of(number: i32) -> check::Result<EchoMode> {
    match number {
        TALKPATH_ECHO_AUTO => Ok(EchoMode::Auto),
        TALKPATH_ECHO_ON => Ok(EchoMode::On),
        TALKPATH_ECHO_OFF => Ok(EchoMode::Off),
        other => Err(Error::invalid(format!("echo_canceller {other}, wanted one of TALKPATH_ECHO_… (0 to 2)")).into()),
    }
}

/// The codec that says: as the far end.
const AS_HEARD: i32 = -1;
/// How much of the structure the first version of the library had.
const OLDEST: usize = offset_of!(TalkpathSessionConfig, echo_canceller) + size_of::<i32>();
