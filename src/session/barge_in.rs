//! Decides when a caller who speaks while the agent speaks interrupts it.
//!
//! The detector says what is voiced; this says what of it is the caller and not the agent's own voice, come back from an
//! analogue line or a speaker-phone: what the echo canceller says, or, as long as it knows no echo or not well enough,
//! [`EchoGuard`] by level. And it says when an interruption is wanted: not in the agent's first moments
//! (its own first words may cross with the caller's last), not twice in a row, and not for a click.

use std::time::Duration;

use super::config::BargeInConfig;
use crate::Timestamp;
use crate::audio::echo::Share;
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
    /// The level on the line, echo included.
    pub(super) line_dbfs: f32,
    /// What the echo canceller makes of it.
    pub(super) share: Share,
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
        let above_echo = self.guard.heard(heard.line_dbfs, heard.duration);
        let above_echo = match heard.share {
            Share::Clear | Share::Unsure => above_echo,
            Share::Caller => true,
            Share::Echo => false,
        };
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
/// What comes back of what was sent is at most as loud as the loudest of it, less what the line takes away. That loss is
/// learned. Whatever was heard in the last half second bounds the echo of what was sent before that: a line that
/// stayed quiet so long has none, and then the faintest caller counts. What is a little louder than the echo so far is
/// echo, too; what is much louder is a caller.
#[derive(Debug)]
struct EchoGuard {
    /// Levels of the last frames that were sent and heard, in dB of full scale.
    sent: Levels,
    heard: Levels,
    /// What was heard since the last entry of `heard`.
    loudest: f32,
    length: Duration,
    /// The gain of the echo path, in dB; negative.
    gain_db: f32,
}

impl EchoGuard {
    fn new() -> Self {
        Self {
            sent: Levels::new(),
            heard: Levels::new(),
            loudest: SILENCE_DBFS,
            length: Duration::ZERO,
            gain_db: FIRST_GAIN_DB,
        }
    }

    fn sent(&mut self, level_dbfs: f32) {
        self.sent.push(level_dbfs);
    }

    /// Whether what was heard is louder than echo can be.
    fn heard(&mut self, level_dbfs: f32, duration: Duration) -> bool {
        self.loudest = self.loudest.max(level_dbfs);
        self.length += duration;
        if self.length >= FRAME {
            self.heard.push(std::mem::replace(&mut self.loudest, SILENCE_DBFS));
            self.length = Duration::ZERO;
        }
        let sent = self.sent.loudest();
        if sent < ACTIVE_DBFS {
            return true;
        }
        let gain = level_dbfs - sent;
        let above = gain > self.gain_db + MARGIN_DB;
        if !above {
            self.gain_db = self.gain_db.max(gain.min(MAX_GAIN_DB));
        }
        let answered = self.sent.loudest_of_oldest(ANSWERED_FRAMES);
        if answered >= ACTIVE_DBFS {
            let bound = self.heard.loudest().max(level_dbfs) - answered;
            self.gain_db = self.gain_db.min(bound).max(MIN_GAIN_DB);
        }
        above
    }
}

/// The levels of the last half second.
#[derive(Debug)]
struct Levels {
    ring: [f32; HALF_SECOND],
    next: usize,
}

impl Levels {
    fn new() -> Self {
        Self { ring: [SILENCE_DBFS; HALF_SECOND], next: 0 }
    }

    fn push(&mut self, level_dbfs: f32) {
        self.ring[self.next] = level_dbfs;
        self.next = (self.next + 1) % HALF_SECOND;
    }

    fn loudest(&self) -> f32 {
        self.ring.iter().copied().fold(SILENCE_DBFS, f32::max)
    }

    fn loudest_of_oldest(&self, frames: usize) -> f32 {
        let oldest = (0..frames).map(|n| self.ring[(self.next + n) % HALF_SECOND]);
        oldest.fold(SILENCE_DBFS, f32::max)
    }
}

/// A pause that ends the speech that an interruption is made of.
const PAUSE: Duration = Duration::from_millis(120);
/// The usual packet time, in which levels are kept.
const FRAME: Duration = Duration::from_millis(20);
const HALF_SECOND: usize = 25;
/// Of the last half second, what was sent in the first tenth has been answered by now: no line takes over 400 ms.
const ANSWERED_FRAMES: usize = 5;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a call of 20 ms frames: (sent level, heard level, voiced); answers the times of interruptions in ms.
    fn run(config: BargeInConfig, frames: impl IntoIterator<Item = (f32, f32, bool)>) -> Vec<u64> {
        let mut barge_in = BargeIn::new(config);
        let mut now = Timestamp::ZERO;
        let mut speaking: Option<Timestamp> = None;
        let mut times = Vec::new();
        for (sent, line_dbfs, voiced) in frames {
            barge_in.sent(sent);
            let heard = Heard { voiced, score: 0.7, line_dbfs, share: Share::Clear, duration: FRAME };
            speaking = if sent > ACTIVE_DBFS { speaking.or(Some(now)) } else { None };
            if barge_in.heard(heard, speaking, now) {
                times.push(now.as_millis());
            }
            now = now + FRAME;
        }
        times
    }

    #[test]
    fn the_agents_own_echo_does_not_interrupt() {
        // Speech-like ups and downs, back at -15 dB, voiced for the detector all the time.
        let sent: Vec<f32> = (0..3000).map(|n| -18.0 - 12.0 * ((n as f32 * 0.37 + 0.8).sin().abs())).collect();
        for delay in [2, 9, 18] {
            let frames = (0..3000).map(|n| (sent[n], if n >= delay { sent[n - delay] - 15.0 } else { -70.0 }, true));
            assert_eq!(run(BargeInConfig::default(), frames), Vec::<u64>::new(), "after {delay} frames");
        }
    }

    #[test]
    fn on_a_line_that_has_shown_no_echo_the_faintest_caller_counts() {
        let frames = (0..100).map(|n| (-18.0, if n >= 50 { -58.0 } else { -75.0 }, n >= 50));
        let times = run(BargeInConfig::default(), frames);
        assert_eq!(times.first(), Some(&1040), "{times:?}");
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
