//! What the first stage and Silero say about a step, and have been saying; and the gate that spares Silero.
//!
//! Silero runs only while the first stage is not sure that nobody speaks, and for a while after. It remembers, so a
//! gap is one in its memory: it goes on from where it stopped, with the sound just before the gate opened. What the
//! opinions amount to is not decided here.

use earshot::Detector;

use super::net::{Silero, WINDOW};
use crate::audio::vad::ear::WIDE_STEP;
use crate::audio::vad::features::{STARTING_STEPS, ScoreHistory};
use crate::audio::vad::model::Model;

/// How many numbers describe what both stages say.
pub const OPINIONS: usize = 14;

/// The two stages over one call.
pub struct Opinions {
    first: Box<Detector<Model>>,
    silero: Silero,
    /// The newest steps that the first stage has heard without a gap, the newest last.
    recent: [[i16; WIDE_STEP]; RECENT],
    /// How many of them there are, and how many of those Silero has not heard.
    known: usize,
    unheard: usize,
    /// Steps for which Silero still listens.
    hold: u32,
    /// What Silero said last, as log-odds.
    said: f32,
    steps: u8,
    first_history: ScoreHistory,
    silero_history: ScoreHistory,
}

impl Opinions {
    /// Starts a call.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would hide the networks inside")]
    pub fn new() -> Self {
        Self {
            first: Box::new(Detector::new(Model::new())),
            silero: Silero::new(),
            recent: [[0; WIDE_STEP]; RECENT],
            known: 0,
            unheard: 0,
            hold: 0,
            said: ASLEEP,
            steps: 0,
            first_history: ScoreHistory::default(),
            silero_history: ScoreHistory::default(),
        }
    }

    /// Takes the next step of 16 ms at 16 kHz.
    pub fn hear(&mut self, step: &[i16; WIDE_STEP]) -> [f32; OPINIONS] {
        let score = self.first.predict_i16(step);
        self.recent.copy_within(1.., 0);
        self.recent[RECENT - 1] = *step;
        self.known = (self.known + 1).min(RECENT);
        self.unheard = (self.unheard + 1).min(self.known);
        self.hold = if score >= POSSIBLE { HOLD_STEPS } else { self.hold.saturating_sub(1) };
        if self.hold == 0 {
            self.said = ASLEEP;
        } else if self.unheard >= 2 {
            // The newest step ends a window, so that what woke Silero is heard at once.
            let begin = RECENT - self.unheard / 2 * 2;
            for pair in self.recent[begin..].as_chunks::<2>().0 {
                if let Ok(window) = <&[i16; WINDOW]>::try_from(pair.as_flattened()) {
                    self.said = log_odds(self.silero.hear(window));
                }
            }
            self.unheard = 0;
        }
        let starting = self.steps < STARTING_STEPS;
        self.steps = self.steps.saturating_add(1);
        let first = log_odds(score);
        self.first_history.update(first, starting);
        self.silero_history.update(self.said, starting);
        describe(first, &self.first_history, self.said, &self.silero_history)
    }

    /// Hears that there was nothing to hear before the next step.
    pub fn skip(&mut self) {
        (self.known, self.unheard) = (0, 0);
        (self.hold, self.said) = (0, ASLEEP);
    }

    /// Forgets the call.
    pub fn reset(&mut self) {
        self.skip();
        self.first.reset();
        self.silero.reset();
        self.steps = 0;
        self.first_history = ScoreHistory::default();
        self.silero_history = ScoreHistory::default();
    }
}

fn describe(first: f32, before: &ScoreHistory, silero: f32, silero_before: &ScoreHistory) -> [f32; OPINIONS] {
    [
        first,
        before.short,
        before.middle,
        before.long,
        before.low,
        before.high,
        first - before.low,
        silero,
        silero_before.short,
        silero_before.middle,
        silero_before.long,
        silero_before.low,
        silero_before.high,
        silero - silero_before.low,
    ]
    .map(|value| value / 3.0)
}

/// Log-odds of a score, within ±8.
fn log_odds(score: f32) -> f32 {
    (score.max(f32::MIN_POSITIVE) / (1.0 - score).max(f32::MIN_POSITIVE)).ln().clamp(-8.0, 8.0)
}

/// Steps that are kept for Silero to hear when it wakes: 64 ms and the step that woke it, and one to make it even.
const RECENT: usize = 6;
/// The first stage's score from which on Silero listens.
const POSSIBLE: f32 = 0.05;
/// How long Silero listens after the last such score: 192 ms, longer than the closure of a stop consonant.
const HOLD_STEPS: u32 = 12;
/// What stands for Silero's opinion while it does not listen: log-odds of a sure no.
const ASLEEP: f32 = -4.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded speech, each sample twice, after two seconds of noise.
    fn line() -> Vec<i16> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as i16 - 128
        };
        let file = include_bytes!("../../../../python/talkpath/data/interruption.wav");
        let speech = file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        let samples = std::iter::repeat_n(0, 16_000).chain(speech).flat_map(|sample| [sample; 2]);
        samples.map(|sample| sample.saturating_add(noise())).collect()
    }

    #[test]
    fn silero_sleeps_through_noise_and_hears_what_was_before_it_woke() {
        let line = line();
        let steps = line.as_chunks::<WIDE_STEP>().0;
        let mut opinions = Opinions::new();
        let mut said: Vec<f32> = steps[..120].iter().map(|step| opinions.hear(step)[7] * 3.0).collect();
        // A second and a half to know the noise by.
        assert!(said[90..].iter().all(|&said| said == ASLEEP), "{:?}", &said[90..]);
        opinions.silero.reset();
        said.extend(steps[120..].iter().map(|step| opinions.hear(step)[7] * 3.0));
        let woke = 120 + said[120..].iter().position(|&said| said != ASLEEP).expect("speech wakes it");
        let slept = woke + said[woke..].iter().position(|&said| said == ASLEEP).unwrap_or(steps.len() - woke);
        assert!(slept - woke > 40, "awake from {woke} to {slept}");
        // Waking, it hears three windows: the newest ends with the step that woke it.
        let mut silero = Silero::new();
        for (k, pair) in steps[woke - 5..slept].as_chunks::<2>().0.iter().enumerate() {
            let window = pair.as_flattened().try_into().expect("two steps are a window");
            let wanted = log_odds(silero.hear(window));
            if k >= 2 {
                let at = woke + 2 * (k - 2);
                assert!((said[at] - wanted).abs() < 1e-3, "{} is not {wanted} at {at}", said[at]);
            }
        }
    }

    #[test]
    fn a_gap_leaves_nothing_to_hear_from_before() {
        let line = line();
        let mut opinions = Opinions::new();
        for step in &line.as_chunks().0[..120] {
            opinions.hear(step);
        }
        assert_eq!(opinions.unheard, RECENT);
        opinions.skip();
        opinions.hear(&line.as_chunks().0[120]);
        assert_eq!(opinions.unheard, 1);
    }
}
