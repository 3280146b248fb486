//! What surrounds the network: steps of 16 ms at 16 kHz out of frames of any length, and a gate that spares it in
//! quiet.
//!
//! While nothing is louder than a quiet line's background, the network does not run. When something is, it first
//! hears the 32 ms before, as much as its spectrum looks back, so that no first syllable is lost to the gate. Which
//! network listens is a [`Listener`]'s business; what follows from what it says is not decided here either.

use std::time::Duration;

use earshot::{Detector, Predictor};

use super::NoiseFloor;
use crate::audio::frame::SampleRate;
use crate::audio::level::Level;
use crate::audio::resample::Resampler;
use crate::{Error, Result};

/// Feeds a listener from samples of 8 or 16 kHz.
pub struct Ear<L> {
    pub(super) rate: SampleRate,
    listener: L,
    gate: EnergyGate,
    upsampler: Resampler,
    /// The newest three steps as they came in, each `step` long; the last one is being filled.
    recent: [i16; 3 * WIDE_STEP],
    step: usize,
    filled: usize,
}

/// What listens to steps of 16 ms at 16 kHz.
pub trait Listener {
    /// Takes the next step and returns how much it sounds like speech, 0 to 1.
    fn listen(&mut self, step: &[i16; WIDE_STEP]) -> f32;

    /// Hears that the next step does not follow the one before: the line was quiet meanwhile.
    fn skip(&mut self);

    /// Forgets the call.
    fn reset(&mut self);
}

impl<P: Predictor> Listener for Box<Detector<P>> {
    fn listen(&mut self, step: &[i16; WIDE_STEP]) -> f32 {
        self.predict_i16(step)
    }

    fn skip(&mut self) {}

    fn reset(&mut self) {
        self.as_mut().reset();
    }
}

/// The newest step.
pub struct Heard {
    /// What the listener said; 0 while the gate is shut.
    pub score: f32,
    /// Level of the step in dB below full scale.
    pub level_dbfs: f32,
    /// Level of the background in dB below full scale.
    pub noise_dbfs: f32,
}

impl<L: Listener> Ear<L> {
    /// Makes an ear for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate, listener: L) -> Result<Self> {
        if rate != SampleRate::HZ_8000 && rate != SampleRate::HZ_16000 {
            return Err(Error::invalid(format!("voice activity at {rate}, wanted 8000 Hz or 16000 Hz")));
        }
        Ok(Self {
            rate,
            listener,
            gate: EnergyGate::new(),
            upsampler: Resampler::new(rate, SampleRate::HZ_16000),
            recent: [0; 3 * WIDE_STEP],
            step: rate.samples_in(STEP),
            filled: 0,
        })
    }

    /// Takes samples, and returns what was heard in the newest step that they complete, if they complete one.
    pub fn hear(&mut self, mut samples: &[i16]) -> Option<Heard> {
        let mut heard = None;
        while !samples.is_empty() {
            let room = &mut self.recent[2 * self.step + self.filled..3 * self.step];
            let (now, later) = samples.split_at(samples.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            if self.filled == self.step {
                heard = Some(self.hear_step());
                self.recent.copy_within(self.step..3 * self.step, 0);
                self.filled = 0;
            }
        }
        heard
    }

    /// Forgets the call.
    pub fn reset(&mut self) {
        self.listener.reset();
        self.gate = EnergyGate::new();
        self.upsampler.reset();
        self.filled = 0;
    }

    /// Hears the step that has just been filled.
    fn hear_step(&mut self) -> Heard {
        let level_dbfs = level_dbfs(&self.recent[2 * self.step..3 * self.step]);
        let mut score = 0.0;
        if let Gate::Open { missed } = self.gate.update(level_dbfs) {
            if missed > 0 {
                self.upsampler.reset();
                self.listener.skip();
            }
            let mut wide = [0; WIDE_STEP];
            for step in self.recent[(2 - missed) * self.step..3 * self.step].chunks_exact(self.step) {
                match self.upsampler.process_into(step, &mut wide) {
                    Ok(WIDE_STEP) => score = self.listener.listen(&wide),
                    other => debug_assert!(false, "a step at {} became {other:?}", self.rate),
                }
            }
        }
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
        Self { floor: NoiseFloor::new(STEP.as_secs_f32()), noise_dbfs: 0.0, hold: 0, shut: 0 }
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

/// Level in dB below full scale without the line's DC offset, at least [`Level::FLOOR_DBFS`].
fn level_dbfs(samples: &[i16]) -> f32 {
    let level = Level::measure(samples);
    let rms = (level.rms * level.rms - level.dc * level.dc).max(0.0).sqrt();
    Level { rms, ..level }.rms_dbfs()
}

/// What earshot takes at a time.
const STEP: Duration = Duration::from_millis(16);
/// Samples in a step at 16 kHz.
pub const WIDE_STEP: usize = 256;
/// How far sound must stand out of a quiet background to open the gate.
const MARGIN_DB: f32 = 3.0;
/// Below this level nothing is speech: a whisper on a phone line is louder.
const QUIET_DBFS: f32 = -65.0;
/// Above this level everything is listened to, however steady, because speech may be weaker than noise.
const LOUDEST_QUIET_DBFS: f32 = -50.0;
/// How long the gate stays open after the last loud step: 192 ms, longer than the closure of a stop consonant.
const HOLD_STEPS: u32 = 12;
