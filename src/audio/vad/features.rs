//! What is heard in one step of 16 ms, relative to the background and the voice of this very call.
//!
//! The network's score is good at ranking and blind to the call: the same score means speech in a quiet room and
//! nothing at all on a noisy street. [`Features`] puts it beside what it usually is in this call, and beside how far
//! each band of the spectrum stands out of the band's own background. It decides nothing (see `model`).

use earshot::{DefaultPredictor, Predictor};

/// How many numbers describe a step.
pub const FEATURES: usize = 2 * BANDS + SCALARS;

/// earshot's network, and trackers over its bands and scores of one call; everything looks back only.
pub struct Features {
    network: DefaultPredictor,
    past: Past,
}

#[derive(Default)]
struct Past {
    steps: u8,
    /// Short-term level and background of each band, in nepers of power.
    level: [f32; BANDS],
    floor: [f32; BANDS],
    score: ScoreHistory,
    loudness: Loudness,
}

/// What a network has been saying, as log-odds.
#[derive(Default)]
pub(super) struct ScoreHistory {
    pub(super) short: f32,
    pub(super) middle: f32,
    pub(super) long: f32,
    /// What it says at its quietest third and at its surest quarter of the last seconds.
    pub(super) low: f32,
    pub(super) high: f32,
}

/// How loud the call is and has been, in nepers of power.
#[derive(Default)]
struct Loudness {
    level: f32,
    /// The voice: rises at once, sinks slowly.
    peak: f32,
    /// The quietest third of the last seconds.
    low: f32,
    /// Mean over the bands of how far they stand out, over 60 ms and over 1.6 s.
    short: f32,
    long: f32,
}

impl Features {
    /// Starts a call.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would hide the network inside")]
    pub fn new() -> Self {
        Self { network: DefaultPredictor::new(), past: Past::default() }
    }

    /// Takes raw log-mel energies as earshot hands them to a predictor whose `normalize` does nothing, with its
    /// scratch.
    ///
    /// The first three steps set the background.
    pub fn listen(&mut self, mel: &[f32], scratch: &mut [f32]) -> [f32; FEATURES] {
        let mut normal = [0.0; MEL * CONTEXT];
        normal.copy_from_slice(mel);
        // Steps before the first are all zero and have no scale.
        let steps = normal.chunks_exact_mut(MEL).filter(|step| step.iter().any(|&band| band != 0.0));
        steps.for_each(|step| self.network.normalize(step));
        let score = self.network.predict(&normal, scratch).clamp(1e-6, 1.0 - 1e-6);
        self.past.update(&mel[MEL * (CONTEXT - 1)..], (score / (1.0 - score)).ln())
    }

    /// Forgets the call.
    pub fn reset(&mut self) {
        self.network.reset();
        self.past = Past::default();
    }
}

impl Past {
    /// Takes the log-mel energies of a step, from the lowest band on, and the network's log-odds for it.
    fn update(&mut self, mel: &[f32], odds: f32) -> [f32; FEATURES] {
        let mut out = [0.0; FEATURES];
        let starting = self.steps < STARTING_STEPS;
        self.steps = self.steps.saturating_add(1);
        let (bands, scalars) = out.split_at_mut(2 * BANDS);
        let (mut total, mut sum, mut best) = (0.0, 0.0, 0.0_f32);
        for (band, pair) in mel.chunks_exact(2).take(BANDS).enumerate() {
            let power = pair[0].exp() + pair[1].exp();
            total += power;
            let now = (power + SILENCE).ln();
            let (level, floor) = (&mut self.level[band], &mut self.floor[band]);
            if starting {
                (*level, *floor) = (now, now);
            }
            *level += 0.35 * (now - *level);
            *floor = if *level < *floor { *floor + 0.3 * (*level - *floor) } else { (*floor + RISE).min(*level) };
            let above = (now - *floor).clamp(-2.0, 8.0);
            bands[band] = above / 3.0;
            bands[BANDS + band] = (*level - *floor).clamp(-2.0, 8.0) / 3.0;
            sum += above;
            best = best.max(*level - *floor);
        }
        let now = (total + 10.0 * SILENCE).ln();
        self.score.update(odds, starting);
        self.loudness.update(now, sum / BANDS as f32, starting);
        let (score, loudness) = (&self.score, &self.loudness);
        scalars.copy_from_slice(&[
            odds / 3.0,
            score.short / 3.0,
            score.middle / 3.0,
            score.long / 3.0,
            score.low / 3.0,
            (odds - score.low) / 3.0,
            score.high / 3.0,
            sum / BANDS as f32,
            loudness.short,
            loudness.long,
            best.min(12.0) / 3.0,
            (now - loudness.peak).clamp(-10.0, 2.0) / 3.0,
            (loudness.level - loudness.low).clamp(-6.0, 8.0) / 3.0,
        ]);
        out
    }
}

impl ScoreHistory {
    /// Takes what it says about the next step; while the call is `starting`, that is all that is known.
    pub(super) fn update(&mut self, odds: f32, starting: bool) {
        if starting {
            (self.short, self.middle, self.low, self.high) = (odds, odds, odds, odds);
        }
        self.short += 0.35 * (odds - self.short);
        self.middle += 0.1 * (odds - self.middle);
        self.long += 0.008 * (odds - self.long);
        self.low += if odds > self.low { 0.016 } else { -0.032 };
        self.high += if odds > self.high { 0.048 } else { -0.016 };
    }
}

impl Loudness {
    fn update(&mut self, now: f32, above: f32, starting: bool) {
        if starting {
            (self.level, self.peak, self.low) = (now, now, now);
        }
        self.level += 0.3 * (now - self.level);
        self.peak += if self.level > self.peak { 0.1 * (self.level - self.peak) } else { -0.005 };
        self.low += if now > self.low { 0.016 } else { -0.032 };
        self.short += 0.25 * (above - self.short);
        self.long += 0.01 * (above - self.long);
    }
}

/// earshot's mel bands a step, and the steps that its network sees.
const MEL: usize = 40;
const CONTEXT: usize = 3;
/// Bands that are looked at: pairs of the network's mel bands, up to 3.4 kHz.
const BANDS: usize = 16;
/// Numbers that describe the step as a whole.
const SCALARS: usize = 13;
/// Steps that set the background at once instead of moving it.
pub(super) const STARTING_STEPS: u8 = 3;
/// Power of a band that counts as digital silence.
const SILENCE: f32 = 1e-9;
/// How fast a band's background rises: 3 dB/s, in nepers of power per step.
const RISE: f32 = 0.0112;
