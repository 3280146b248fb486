//! Decides when a caller who speaks while the agent speaks interrupts it.
//!
//! The detector says what is voiced; this says what of it is the caller and not the agent's own voice, come back from an
//! analogue line or a speaker-phone ([`EchoGuard`]), and when an interruption is wanted: not in the agent's first moments
//! (its own first words may cross with the caller's last), not twice in a row, and not for a click.

use std::time::Duration;

use super::config::BargeInConfig;
use crate::Timestamp;
use crate::audio::vad::SpeechGate;

/// The state of one call's barge-in.
#[derive(Debug)]
pub(super) struct BargeIn {
    config: BargeInConfig,
    /// Finds speech in what is voiced and louder than echo.
    gate: SpeechGate,
    interrupted_at: Option<Timestamp>,
    guard: EchoGuard,
}

/// What was heard in one piece of audio.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) voiced: bool,
    /// The detector's score, 0 to 1.
    pub(super) score: f32,
    pub(super) level_dbfs: f32,
    pub(super) duration: Duration,
}

impl BargeIn {
    pub(super) fn new(config: BargeInConfig) -> Self {
        let gate = SpeechGate::new(config.min_speech, PAUSE);
        Self { config, gate, interrupted_at: None, guard: EchoGuard::new() }
    }

    /// Takes note of the level of a frame that was sent, silence too.
    pub(super) fn sent(&mut self, level_dbfs: f32) {
        self.guard.sent(level_dbfs);
    }

    /// Takes a piece of what was heard; true if it interrupts the agent, who has been speaking since `speaking_since`.
    pub(super) fn heard(&mut self, heard: Heard, speaking_since: Option<Timestamp>, now: Timestamp) -> bool {
        let above_echo = self.guard.heard(heard.level_dbfs, heard.duration);
        let is_caller = heard.voiced && (above_echo || !self.config.echo_guard);
        self.gate.update(is_caller, heard.score, heard.duration);
        let Some(since) = speaking_since else { return false };
        let protected = now.since(since) < self.config.protection;
        let cooling = self.interrupted_at.is_some_and(|at| now.since(at) < self.config.cooldown);
        if protected || cooling || !is_caller || !self.gate.in_speech() {
            return false;
        }
        self.gate.reset();
        self.interrupted_at = Some(now);
        true
    }
}

/// Tells the caller's voice from the agent's own echo by level.
///
/// What comes back of what was sent within the last half second is at most as loud as the loudest of it, less what the
/// line takes away. That loss is learned: quickly upwards, when what comes back is a little louder than was thought, as
/// echo is and a caller is not; slowly downwards, when it is quieter.
#[derive(Debug)]
struct EchoGuard {
    sent: [f32; SENT_FRAMES],
    next: usize,
    /// The gain of the echo path, in dB; negative.
    gain_db: f32,
}

impl EchoGuard {
    fn new() -> Self {
        Self { sent: [SILENCE_DBFS; SENT_FRAMES], next: 0, gain_db: FIRST_GAIN_DB }
    }

    fn sent(&mut self, level_dbfs: f32) {
        self.sent[self.next] = level_dbfs;
        self.next = (self.next + 1) % SENT_FRAMES;
    }

    /// Whether what was heard is louder than echo can be.
    fn heard(&mut self, level_dbfs: f32, duration: Duration) -> bool {
        let loudest = self.sent.iter().copied().fold(SILENCE_DBFS, f32::max);
        if loudest < ACTIVE_DBFS {
            return true;
        }
        let gain = level_dbfs - loudest;
        let above = gain > self.gain_db + MARGIN_DB;
        if gain > self.gain_db {
            if !above {
                self.gain_db = gain.min(MAX_GAIN_DB);
            }
        } else {
            let step = FALL_DB_PER_S * duration.as_secs_f32();
            self.gain_db = (self.gain_db - step).max(gain).max(MIN_GAIN_DB);
        }
        above
    }
}

/// A pause that ends the speech that an interruption is made of.
const PAUSE: Duration = Duration::from_millis(120);
/// Echo arrives within this many frames, half a second at 20 ms.
const SENT_FRAMES: usize = 25;
/// Below this nothing worth an echo was sent.
const ACTIVE_DBFS: f32 = -50.0;
const SILENCE_DBFS: f32 = -96.0;
/// What a line is believed to return before it has shown what it does.
const FIRST_GAIN_DB: f32 = -18.0;
/// An echo path that amplifies is none.
const MAX_GAIN_DB: f32 = -3.0;
const MIN_GAIN_DB: f32 = -60.0;
/// How much louder than the echo so far a caller is at least.
const MARGIN_DB: f32 = 6.0;
const FALL_DB_PER_S: f32 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// Runs a call of 20 ms frames: (sent level, heard level, voiced); answers the times of interruptions in ms.
    fn run(config: BargeInConfig, frames: impl IntoIterator<Item = (f32, f32, bool)>) -> Vec<u64> {
        let mut barge_in = BargeIn::new(config);
        let mut now = Timestamp::ZERO;
        let mut speaking: Option<Timestamp> = None;
        let mut times = Vec::new();
        for (sent, level_dbfs, voiced) in frames {
            barge_in.sent(sent);
            speaking = if sent > ACTIVE_DBFS { speaking.or(Some(now)) } else { None };
            if barge_in.heard(Heard { voiced, score: 0.7, level_dbfs, duration: FRAME }, speaking, now) {
                times.push(now.as_millis());
            }
            now = now + FRAME;
        }
        times
    }

    #[test]
    fn the_agents_own_echo_does_not_interrupt() {
        // Speech-like ups and downs, back at -15 dB after 180 ms, voiced for the detector all the time.
        let sent: Vec<f32> = (0..3000).map(|n| -18.0 - 12.0 * ((n as f32 * 0.37).sin().abs())).collect();
        let frames = (0..3000).map(|n| (sent[n], if n >= 9 { sent[n - 9] - 15.0 } else { -70.0 }, true));
        assert_eq!(run(BargeInConfig::default(), frames), Vec::<u64>::new());
    }

    #[test]
    fn a_caller_interrupts_on_a_clean_line_within_the_minimum_speech() {
        let frames = (0..200).map(|n| (-18.0, if n >= 100 { -28.0 } else { -70.0 }, n >= 100));
        let times = run(BargeInConfig::default(), frames);
        assert_eq!(times.first(), Some(&2040), "{times:?}");
    }

    #[test]
    fn a_caller_interrupts_through_echo() {
        let frames = (0..400).map(|n| (-20.0, if n >= 200 { -22.0 } else { -35.0 }, true));
        let times = run(BargeInConfig::default(), frames);
        assert_eq!(times.first(), Some(&4040), "{times:?}");
    }

    #[test]
    fn the_first_moments_are_protected() {
        let frames = (0..50).map(|n| (if n >= 10 { -18.0 } else { -96.0 }, -12.0, true));
        assert_eq!(run(BargeInConfig::default(), frames).first(), Some(&400));
    }

    #[test]
    fn a_click_does_not_interrupt() {
        let frames = (0..200).map(|n| (-18.0, -20.0, n % 20 == 0));
        assert!(run(BargeInConfig::default(), frames).is_empty());
    }

    #[test]
    fn one_interruption_cools_down_before_the_next() {
        let frames = (0..200).map(|_| (-18.0, -10.0, true));
        let times = run(BargeInConfig { protection: Duration::ZERO, ..Default::default() }, frames);
        assert!(times.len() > 1);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 500), "{times:?}");
    }
}
