//! How well the filter knows the echo, and what that says of the piece just heard.
//!
//! In the pauses of the caller, what is left beside what was subtracted tells how much of an echo the filter leaves. What
//! is clearly more than that is the caller. No learning curve is assumed: a filter that knows little leaves much, and
//! then nothing is claimed.

use super::Share;
use super::filter::Powers;

/// What is known of one filter.
#[derive(Debug)]
pub(super) struct Trust {
    /// Of the last half second, with the newest weighing most.
    heard: f32,
    left: f32,
    /// What the filter leaves of an echo, as a share of its power: the least of late.
    leak: f32,
    /// The echo's power, held for the filter's delay in the detector.
    echo: f32,
    /// The loudest echo of the last half second.
    past_echo: f32,
    newest: Powers,
    /// For how many blocks there was no echo worth the name.
    idle: f32,
    /// How many pieces more were made worse than better.
    worse: u32,
}

impl Trust {
    pub(super) fn new() -> Self {
        Self {
            heard: 0.0,
            left: 0.0,
            leak: 1.0,
            echo: 0.0,
            past_echo: 0.0,
            newest: Powers::default(),
            idle: 0.0,
            worse: 0,
        }
    }

    /// Forgets what the filter has forgotten, but not how long it was of no use.
    pub(super) fn forget_path(&mut self) {
        *self = Self { idle: self.idle, ..Self::new() };
    }

    /// Takes the sums of a piece.
    pub(super) fn update(&mut self, sum: &Powers) {
        let Powers { heard, echo, left, blocks } = *sum;
        let (heard, echo, left) = (heard / blocks, echo / blocks, left / blocks);
        self.newest = Powers { heard, echo, left, blocks };
        self.heard += RATE * (heard - self.heard);
        self.left += RATE * (left - self.left);
        self.echo = echo.max(self.echo * HOLD);
        self.past_echo = echo.max(self.past_echo * PAST);
        let is_useful = echo > LEAST_ECHO && left < USEFUL * heard;
        self.idle = if is_useful { 0.0 } else { self.idle + blocks };
        if echo > LEAST_ECHO && left > WORSE * heard {
            self.worse += 1;
        } else if left < heard {
            self.worse = self.worse.saturating_sub(1);
        }
        if echo > LEAST_ECHO {
            let leak = left / echo;
            self.leak =
                if leak < self.leak { self.leak + DOWN * (leak - self.leak) } else { (self.leak * UP).min(1.0) };
        }
    }

    /// What the last piece is made of.
    pub(super) fn share(&self) -> Share {
        let Powers { heard, echo, left, .. } = self.newest;
        let remains =
            (self.echo * (self.leak * MARGIN).max(LEAST_LEAK)).max(self.past_echo * LINGERING).max(LEAST_ECHO);
        if self.leak > KNOWN {
            Share::Unsure
        } else if left > remains && heard > MORE * echo {
            Share::Caller
        } else {
            Share::Echo
        }
    }

    /// Whether it leaves so little that there is no need to look elsewhere.
    pub(super) fn is_good(&self) -> bool {
        self.left < 0.25 * self.heard
    }

    /// Whether the filter has found nothing to take out for long.
    pub(super) fn is_idle(&self) -> bool {
        self.idle >= IDLE_BLOCKS
    }

    /// Whether it adds more than it takes.
    pub(super) fn has_diverged(&self) -> bool {
        self.worse >= WORSE_PIECES
    }

    /// By how much the echo of late was lessened, in dB.
    pub(super) fn erle_db(&self) -> f32 {
        if self.left > 0.0 { 10.0 * (self.heard / self.left).max(1.0).log10() } else { 0.0 }
    }
}

/// How fast the powers of late follow, a piece.
const RATE: f32 = 0.05;
/// How much of the echo's power is believed to linger in what is left, and in the detector, from piece to piece.
const HOLD: f32 = 0.7;
/// The same over a longer time, and how much of that may linger in a room or a detector, or be sounds that the filter has not met yet: -15 dB.
const PAST: f32 = 0.98;
const LINGERING: f32 = 0.03;
/// How fast the leak follows down to what is seen, and how fast it is doubted.
const DOWN: f32 = 0.2;
const UP: f32 = 1.001;
/// By how much the leak may be exceeded by chance.
const MARGIN: f32 = 8.0;
/// A caller so much quieter than the echo is not told from it: -7 dB. Of the frames in which a caller 9 dB above the
/// echo speaks, 99 % are louder than that; of those with echo alone, 2 %.
const LEAST_LEAK: f32 = 0.2;
/// By how much a caller makes a piece louder than its echo, at least; a filter that is wrong for once takes out too much.
const MORE: f32 = 1.4;
/// A filter that leaves more is none to judge by.
const KNOWN: f32 = 0.1;
/// Mean square of the least echo that counts: -60 dBFS.
const LEAST_ECHO: f32 = 1.1e3;
/// A filter that never takes that much out of a piece for ten seconds of echo's time has nothing to do.
const USEFUL: f32 = 0.7;
const IDLE_BLOCKS: f32 = 1_000.0;
/// A piece that has become that much louder was made worse, and after so many the echo's path is another.
const WORSE: f32 = 4.0;
const WORSE_PIECES: u32 = 6;
