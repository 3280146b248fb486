//! The first-stage detector: an energy gate, then earshot's small network, judged against the noise of the call.
//!
//! The network ranks frames well, but its fixed threshold takes most noise for speech. [`PhoneVad`] therefore learns
//! what the network says about this call's background and asks for more than that. The gate keeps quiet calls nearly
//! free. It owns no edges (see [`SpeechGate`](super::SpeechGate)).

use earshot::Detector;

use super::{NoiseFloor, Vad, Verdict};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// Voice activity for phone calls at 8 or 16 kHz: an energy gate, then a network with a threshold that follows the noise.
///
/// It works in steps of 16 ms. One costs 8 KiB and about 10 µs per 20 ms of audible sound, and next to nothing in quiet.
pub struct PhoneVad {
    rate: SampleRate,
    sensitivity: f32,
    network: Box<Detector>,
    floor: NoiseFloor,
    upsampler: HalfBand,
    hop: [i16; HOP],
    filled: usize,
    background: f32,
    last: Verdict,
}

impl PhoneVad {
    /// Makes a detector for samples of `rate`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `rate` is neither 8 nor 16 kHz.
    pub fn new(rate: SampleRate) -> Result<Self> {
        if rate != SampleRate::HZ_8000 && rate != SampleRate::HZ_16000 {
            return Err(Error::invalid(format!("voice activity at {rate}, wanted 8000 Hz or 16000 Hz")));
        }
        Ok(Self {
            rate,
            sensitivity: 0.5,
            network: Box::default(),
            floor: NoiseFloor::new(HOP as f32 / 16_000.0),
            upsampler: HalfBand::default(),
            hop: [0; HOP],
            filled: 0,
            background: 0.0,
            last: Verdict::default(),
        })
    }

    /// Sets how readily sound counts as speech: 0 is hardly ever, 0.5 the default, 1 at the slightest sign.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `sensitivity` is not within 0 to 1.
    pub fn set_sensitivity(&mut self, sensitivity: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&sensitivity) {
            return Err(Error::invalid(format!("sensitivity {sensitivity}, wanted 0 to 1")));
        }
        self.sensitivity = sensitivity;
        Ok(())
    }

    fn push(&mut self, sample: i16) {
        self.hop[self.filled] = sample;
        self.filled += 1;
        if self.filled == HOP {
            self.filled = 0;
            self.judge();
        }
    }

    fn judge(&mut self) {
        let power = self.hop.iter().map(|&s| f32::from(s) * f32::from(s)).sum::<f32>() / HOP as f32;
        let level = (10.0 * (power + 1e-3).log10() - FULL_SCALE_DB).max(-96.0);
        let noise = self.floor.update(level);
        let score = if level < QUIET_DBFS { 0.0 } else { self.network.predict_i16(&self.hop) };
        if level < noise + 3.0 {
            self.background += 0.02 * (score - self.background);
        }
        let threshold = (self.background + 0.3).clamp(0.5, 0.9) + 0.6 * (0.5 - self.sensitivity);
        let threshold = threshold.clamp(0.02, 0.98);
        self.last = Verdict { speech: score >= threshold, score, threshold, level_dbfs: level, noise_dbfs: noise };
    }
}

impl Vad for PhoneVad {
    fn process(&mut self, samples: &[i16]) -> Verdict {
        for &sample in samples {
            if self.rate == SampleRate::HZ_8000 {
                let (first, second) = self.upsampler.push(sample);
                self.push(first);
                self.push(second);
            } else {
                self.push(sample);
            }
        }
        self.last
    }

    fn reset(&mut self) {
        self.network.reset();
        self.floor.reset();
        self.upsampler = HalfBand::default();
        self.filled = 0;
        self.background = 0.0;
        self.last = Verdict::default();
    }

    fn rate(&self) -> SampleRate {
        self.rate
    }
}

/// Doubles the rate with a 16-tap half-band filter.
#[derive(Default)]
struct HalfBand {
    history: [f32; 16],
}

impl HalfBand {
    fn push(&mut self, sample: i16) -> (i16, i16) {
        self.history.copy_within(1.., 0);
        self.history[15] = f32::from(sample);
        let pairs = TAPS.iter().enumerate();
        let between: f32 = pairs.map(|(i, tap)| tap * (self.history[7 - i] + self.history[8 + i])).sum();
        (self.history[7] as i16, between.round() as i16)
    }
}

/// Samples in a step at 16 kHz: 16 ms.
const HOP: usize = 256;
/// 20·log10(32768).
const FULL_SCALE_DB: f32 = 90.309;
/// Below this level nothing is speech.
const QUIET_DBFS: f32 = -65.0;
/// Half of the filter's odd taps, from the middle outwards.
const TAPS: [f32; 8] = [0.6314, -0.1978, 0.1046, -0.0613, 0.0352, -0.0187, 0.0088, -0.0034];
