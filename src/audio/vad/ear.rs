//! What surrounds the network: steps of 16 ms at 16 kHz out of frames of any length, and a gate that spares it in quiet.
//!
//! While nothing is louder than a quiet line's background, the network does not run. When something is, it first hears
//! the 32 ms before, as much as it looks back, so that no first syllable is lost to the gate. What the network says about
//! a step, and what follows from that, is not decided here.

use earshot::{Detector, Predictor};

use super::NoiseFloor;
use crate::audio::frame::SampleRate;
use crate::audio::resample::Resampler;
use crate::{Error, Result};

/// Feeds earshot, with a predictor of choice, from samples of 8 or 16 kHz.
pub struct Ear<P> {
    pub(super) rate: SampleRate,
    detector: Box<Detector<P>>,
    gate: EnergyGate,
    upsampler: Resampler,
    /// The newest three steps at 16 kHz; the last one is being filled.
    recent: [i16; 3 * STEP],
    filled: usize,
}

/// The newest step.
pub struct Heard {
    /// What the predictor said; 0 while the gate is shut.
    pub score: f32,
    /// Level of the step in dB below full scale.
    pub level_dbfs: f32,
    /// Level of the background in dB below full scale.
    pub noise_dbfs: f32,
}

impl<P: Predictor> Ear<P> {
    /// Makes an ear for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate, predictor: P) -> Result<Self> {
        if rate != SampleRate::HZ_8000 && rate != SampleRate::HZ_16000 {
            return Err(Error::invalid(format!("voice activity at {rate}, wanted 8000 Hz or 16000 Hz")));
        }
        Ok(Self {
            rate,
            detector: Box::new(Detector::new(predictor)),
            gate: EnergyGate::new(),
            upsampler: Resampler::new(rate, SampleRate::HZ_16000),
            recent: [0; 3 * STEP],
            filled: 0,
        })
    }

    /// Takes samples, and returns what was heard in the newest step that they complete, if they complete one.
    pub fn hear(&mut self, samples: &[i16]) -> Option<Heard> {
        if self.rate == SampleRate::HZ_16000 {
            return self.push(samples);
        }
        let mut heard = None;
        let mut doubled = [0; 2 * CHUNK];
        for chunk in samples.chunks(CHUNK) {
            // There is always room: at most 2 * CHUNK come out of CHUNK.
            let written = self.upsampler.process_into(chunk, &mut doubled).unwrap_or(0);
            heard = self.push(&doubled[..written]).or(heard);
        }
        heard
    }

    /// Forgets the call.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.gate = EnergyGate::new();
        self.upsampler.reset();
        self.filled = 0;
    }

    fn push(&mut self, mut samples: &[i16]) -> Option<Heard> {
        let mut heard = None;
        while !samples.is_empty() {
            let newest = &mut self.recent[2 * STEP + self.filled..];
            let (now, later) = samples.split_at(samples.len().min(newest.len()));
            newest[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            if self.filled == STEP {
                heard = Some(self.step());
                self.recent.copy_within(STEP.., 0);
                self.filled = 0;
            }
        }
        heard
    }

    /// Hears the step that has just been filled.
    fn step(&mut self) -> Heard {
        let (before, newest) = self.recent.split_at(2 * STEP);
        let level_dbfs = level_dbfs(newest);
        let score = match self.gate.update(level_dbfs) {
            Gate::Shut => 0.0,
            Gate::Open { missed } => {
                for step in before[(2 - missed) * STEP..].chunks_exact(STEP) {
                    self.detector.predict_i16(step);
                }
                self.detector.predict_i16(newest)
            }
        };
        Heard { score, level_dbfs, noise_dbfs: self.gate.noise_dbfs }
    }
}

/// Lets through what may be speech: it opens at once and shuts late.
struct EnergyGate {
    floor: NoiseFloor,
    noise_dbfs: f32,
    /// Steps that the gate stays open without anything to hear.
    hold: u32,
    /// Steps since it was last open.
    shut: usize,
}

enum Gate {
    Shut,
    Open {
        /// How many of the two steps before have not been let through.
        missed: usize,
    },
}

impl EnergyGate {
    fn new() -> Self {
        Self { floor: NoiseFloor::new(STEP as f32 / 16_000.0), noise_dbfs: 0.0, hold: 0, shut: 0 }
    }

    fn update(&mut self, level_dbfs: f32) -> Gate {
        self.noise_dbfs = self.floor.update(level_dbfs);
        let open_above = (self.noise_dbfs + MARGIN_DB).clamp(QUIET_DBFS, LOUDEST_QUIET_DBFS);
        self.hold = if level_dbfs > open_above { HOLD_STEPS } else { self.hold.saturating_sub(1) };
        if self.hold == 0 {
            self.shut = self.shut.saturating_add(1);
            Gate::Shut
        } else {
            Gate::Open { missed: std::mem::take(&mut self.shut).min(2) }
        }
    }
}

/// Level in dB below full scale, at least −96.
fn level_dbfs(samples: &[i16]) -> f32 {
    let power = samples.iter().map(|&s| f32::from(s) * f32::from(s)).sum::<f32>() / samples.len() as f32;
    (10.0 * (power + 1e-3).log10() - FULL_SCALE_DB).max(-96.0)
}

/// Samples in a step at 16 kHz: 16 ms, what earshot takes.
const STEP: usize = 256;
/// Samples at 8 kHz that are brought to 16 kHz at a time.
const CHUNK: usize = 160;
/// 20·log10(32768).
const FULL_SCALE_DB: f32 = 90.309;
/// How far sound must stand out of a quiet background to open the gate.
const MARGIN_DB: f32 = 3.0;
/// Below this level nothing is speech: a whisper on a phone line is louder.
const QUIET_DBFS: f32 = -65.0;
/// Above this level everything is listened to, however steady, because speech may be weaker than noise.
const LOUDEST_QUIET_DBFS: f32 = -50.0;
/// How long the gate stays open after the last loud step: 192 ms, longer than the closure of a stop consonant.
const HOLD_STEPS: u32 = 12;
