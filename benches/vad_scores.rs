//! Runs detectors over a raw recording and writes what they say: the inner part of `vad_corpus.py` and `vad_train.py`.
//!
//! `vad_scores talkpath HZ FILE`: 8 or 16 kHz in; per 20 ms the score, the verdict (0 or 1) and whether
//! the speech gate is in speech (0 or 1).
//! `vad_scores earshot FILE`: 16 kHz in; per 16 ms earshot's own score.
//! `vad_scores features FILE`: 8 kHz in; per 16 ms what the small network sees, or NaN where the gate is shut.
//! Samples are 16-bit, results 32-bit floats on standard output, both little-endian.

use std::error::Error;
use std::io::Write;
use std::sync::mpsc::{Sender, channel};

use earshot::{Detector, Predictor};
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::audio::vad::{Ear, FEATURES, Features, PhoneVad, SpeechGate, Vad};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--where"] => println!("{}", std::env::current_exe()?.display()),
        ["talkpath", hz, file] => write(&talkpath_scores(SampleRate::new(hz.parse()?)?, &read(file)?)?)?,
        ["earshot", file] => write(&earshot_scores(&read(file)?))?,
        ["features", file] => write(&features(&read(file)?)?)?,
        [] => println!("a tool for vad_corpus.py; nothing to measure by itself"),
        _ => {
            return Err(format!(
                "got {arguments:?}, wanted --where, or talkpath and Hz, earshot or features, and a file"
            )
            .into());
        }
    }
    Ok(())
}

fn read(file: &str) -> std::io::Result<Vec<i16>> {
    let bytes = std::fs::read(file)?;
    Ok(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn write(values: &[f32]) -> std::io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::io::stdout().lock().write_all(&bytes)
}

fn talkpath_scores(rate: SampleRate, samples: &[i16]) -> talkpath::Result<Vec<f32>> {
    let mut vad = PhoneVad::new(rate)?;
    let mut gate = SpeechGate::default();
    let frames = samples.chunks_exact(rate.frame_len()).flat_map(|frame| {
        let verdict = vad.process(frame);
        gate.update(verdict.speech, verdict.score, PTIME);
        [verdict.score, f32::from(u8::from(verdict.speech)), f32::from(u8::from(gate.in_speech()))]
    });
    Ok(frames.collect())
}

fn earshot_scores(samples: &[i16]) -> Vec<f32> {
    let mut detector = Box::<Detector>::default();
    samples.chunks_exact(256).map(|hop| detector.predict_i16(hop)).collect()
}

fn features(samples: &[i16]) -> talkpath::Result<Vec<f32>> {
    let (sender, receiver) = channel();
    let mut ear = Ear::new(SampleRate::HZ_8000, Tap { features: Features::new(), sender })?;
    let rows = samples.chunks_exact(128).flat_map(|step| {
        ear.hear(step);
        // The newest row is the step's own; those before it are what the gate made up for.
        receiver.try_iter().last().unwrap_or([f32::NAN; FEATURES])
    });
    Ok(rows.collect())
}

/// Stands where the detector's judge stands, and sends away what that would see.
struct Tap {
    features: Features,
    sender: Sender<[f32; FEATURES]>,
}

impl Predictor for Tap {
    fn reset(&mut self) {}

    fn normalize(&self, _features: &mut [f32]) {}

    fn predict(&mut self, mel: &[f32], scratch: &mut [f32]) -> f32 {
        // The receiver lives as long as the detector.
        _ = self.sender.send(self.features.listen(mel, scratch));
        0.0
    }
}
