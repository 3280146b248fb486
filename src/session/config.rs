//! What can be set of a session, with the defaults that a phone call wants.
//!
//! Plain structs without builders: start from `Config::default()`, change what matters, [`Config::validate`] once at the
//! edge. The rooms inside rely on validated values and do not check again.

use std::time::Duration;

use crate::audio::codec::{Codec, Encoding};
use crate::audio::echo::EchoMode;
use crate::audio::frame::{PTIME, SampleRate};
use crate::audio::vad::Detector;
use crate::jitter::{self, Playout};
use crate::{Error, Result};

/// How one session buffers, paces, listens and lets itself be interrupted.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The packet time of the wire, both ways; 20 ms is what telephony uses. 10 to 60 ms, a multiple of 10; a codec that has
    /// no such frames (Opus has none of 30 and 50 ms) takes its next shorter ones.
    pub ptime: Duration,
    /// The codec in which the session answers; `None`: what the peer sends first.
    pub codec: Option<Codec>,
    /// The rate in which the session answers in signed linear; `None`: the codec's, or what the peer sends.
    pub output_rate: Option<SampleRate>,
    /// When packets of a network are played; audio of an ordered transport is heard at once.
    pub playout: Playout,
    /// How much agent audio is gathered before playout starts, at first; it is learned from there on.
    pub prebuffer: Duration,
    /// The most that underruns may raise the prebuffer to.
    pub prebuffer_max: Duration,
    /// How much heard audio waits for an agent that does not read; what comes beyond it is dropped and counted.
    pub input_buffer: Duration,
    /// How much agent audio may wait for playout, in bytes as held (16-bit samples at the wire's rate).
    pub output_limit_bytes: usize,
    /// Voice activity detection on what the caller says.
    pub vad: VadConfig,
    /// When the caller's speech counts as an interruption.
    pub barge_in: BargeInConfig,
    /// What is done about the agent's own voice when the line sends it back.
    pub echo: EchoConfig,
}

/// How the caller's speech is told from the line's noise.
#[derive(Clone, Debug, PartialEq)]
pub struct VadConfig {
    /// Whether there is detection at all; without it there are no speech events and no barge-in.
    pub enabled: bool,
    /// Which detector listens.
    pub detector: Detector,
    /// 0 (hears only clear speech) to 1 (hears the faintest); 0.5 is the measured default.
    pub sensitivity: f32,
    /// How much voiced audio makes an onset.
    pub min_speech: Duration,
    /// How long a pause ends the speech.
    pub hangover: Duration,
    /// How much audio before the first voiced sample still reaches an agent that asked for speech only.
    pub look_back: Duration,
}

/// When a caller who speaks while the agent speaks interrupts it.
#[derive(Clone, Debug, PartialEq)]
pub struct BargeInConfig {
    /// Whether the core interrupts by itself, without asking the agent. The agent can change it during the call.
    pub automatic: bool,
    /// How much voiced audio, louder than the agent's own echo, makes an interruption.
    pub min_speech: Duration,
    /// How long the agent cannot be interrupted, counted from its first frame on the wire.
    pub protection: Duration,
    /// How long after one interruption the next is not looked for.
    pub cooldown: Duration,
    /// Whether what the session sent raises the level that an interruption must have, so that line echo is none.
    pub echo_guard: bool,
}

/// How the echo of what the session sends is taken out of what it hears.
///
/// Every value is valid. Streams of 11.025 and 22.05 kHz have no canceller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoConfig {
    /// When echo is cancelled.
    pub mode: EchoMode,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ptime: PTIME,
            codec: None,
            output_rate: None,
            playout: jitter::Config::default().playout,
            prebuffer: Duration::from_millis(60),
            prebuffer_max: Duration::from_millis(400),
            input_buffer: Duration::from_secs(5),
            output_limit_bytes: 10 * 1024 * 1024,
            vad: VadConfig::default(),
            barge_in: BargeInConfig::default(),
            echo: EchoConfig::default(),
        }
    }
}

impl Default for VadConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            detector: Detector::default(),
            sensitivity: 0.5,
            min_speech: Duration::from_millis(60),
            hangover: Duration::from_millis(300),
            look_back: Duration::from_millis(200),
        }
    }
}

impl Default for BargeInConfig {
    fn default() -> Self {
        Self {
            automatic: true,
            min_speech: Duration::from_millis(60),
            protection: Duration::from_millis(200),
            cooldown: Duration::from_millis(500),
            echo_guard: true,
        }
    }
}

/// What a transport's far end can do; set by the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarEnd {
    /// It queues what it is sent, and confirms what it has played.
    pub acks: bool,
    /// It takes keys by the transport's own means; without them they are played as tones.
    pub takes_dtmf: bool,
}

impl Config {
    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the first value out of its range.
    pub fn validate(&self) -> Result<()> {
        if ![10, 20, 30, 40, 50, 60].map(Duration::from_millis).contains(&self.ptime) {
            return Err(Error::invalid(format!("ptime of {:?}, wanted 10 to 60 ms in steps of 10", self.ptime)));
        }
        jitter::Config { codec: self.expected_codec(), playout: self.playout }.validate()?;
        within("prebuffer", self.prebuffer, Duration::ZERO, self.prebuffer_max)?;
        within("prebuffer_max", self.prebuffer_max, self.prebuffer, Duration::from_secs(5))?;
        within("input_buffer", self.input_buffer, Duration::from_millis(100), Duration::from_secs(600))?;
        if !(MIN_OUTPUT_BYTES..=MAX_OUTPUT_BYTES).contains(&self.output_limit_bytes) {
            return Err(Error::invalid(format!(
                "output limit of {} bytes, wanted {MIN_OUTPUT_BYTES} to {MAX_OUTPUT_BYTES}",
                self.output_limit_bytes
            )));
        }
        self.vad.detector.check()?;
        if !(0.0..=1.0).contains(&self.vad.sensitivity) {
            return Err(Error::invalid(format!("vad sensitivity of {}, wanted 0 to 1", self.vad.sensitivity)));
        }
        let second = Duration::from_secs(1);
        within("vad min_speech", self.vad.min_speech, Duration::ZERO, second)?;
        within("vad hangover", self.vad.hangover, Duration::from_millis(20), 10 * second)?;
        within("vad look_back", self.vad.look_back, Duration::ZERO, 2 * second)?;
        within("barge-in min_speech", self.barge_in.min_speech, Duration::ZERO, 5 * second)?;
        within("barge-in protection", self.barge_in.protection, Duration::ZERO, 60 * second)?;
        within("barge-in cooldown", self.barge_in.cooldown, Duration::ZERO, 60 * second)
    }
}

impl Config {
    /// What the peer is taken to send before anything has come.
    pub(super) fn expected_codec(&self) -> Codec {
        self.codec.unwrap_or(Codec::slin(SampleRate::HZ_8000))
    }

    /// What a peer that sends `codec` is answered in.
    pub(super) fn answer_to(&self, codec: Codec) -> Codec {
        match self.codec.unwrap_or(codec) {
            Codec::Plain { encoding: encoding @ (Encoding::Slin | Encoding::SlinBe), rate } => {
                Codec::Plain { encoding, rate: self.output_rate.unwrap_or(rate) }
            }
            codec => codec,
        }
    }
}

fn within(what: &str, got: Duration, min: Duration, max: Duration) -> Result<()> {
    if (min..=max).contains(&got) {
        Ok(())
    } else {
        Err(Error::invalid(format!("{what} of {got:?}, wanted {min:?} to {max:?}")))
    }
}

const MIN_OUTPUT_BYTES: usize = 4 * 1024;
const MAX_OUTPUT_BYTES: usize = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let config = Config { ptime: Duration::from_millis(15), ..Config::default() };
        assert!(config.validate().unwrap_err().to_string().contains("15ms"));
        let config = Config { output_limit_bytes: 0, ..Config::default() };
        assert!(config.validate().unwrap_err().to_string().contains("0 bytes"));
    }
}
