//! Runs detectors over a raw recording and writes what they say: the inner part of `vad_corpus.py` and `vad_train.py`.
//!
//! `vad_scores talkpath HZ FILE`: 8 or 16 kHz in; per 20 ms the score, the verdict (0 or 1) and whether
//! the speech gate is in speech (0 or 1).
//! `vad_scores second HZ FILE`: the same of both stages.
//! `vad_scores silero FILE`: 16 kHz in; per 32 ms Silero's own score, without any gate.
//! `vad_scores earshot FILE`: 16 kHz in; per 16 ms earshot's own score.
//! `vad_scores features FILE`: 8 kHz in; per 16 ms what the small network sees, or NaN where the gate is shut.
//! `vad_scores opinions FILE`: the same of what the second stage's judge sees.
//! Samples are 16-bit, results 32-bit floats on standard output, both little-endian.

use std::error::Error;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};

use earshot::{Detector, Predictor};
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::audio::vad::{
    Detector as Choice, Ear, FEATURES, Features, Listener, OPINIONS, Opinions, SILERO_WINDOW, Silero, SpeechGate,
    WIDE_STEP,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--where"] => println!("{}", std::env::current_exe()?.display()),
        ["talkpath", hz, file] => write(&verdicts(Choice::Phone, SampleRate::new(hz.parse()?)?, &read(file)?)?)?,
        ["second", hz, file] => write(&verdicts(Choice::Silero, SampleRate::new(hz.parse()?)?, &read(file)?)?)?,
        ["silero", file] => write(&silero_scores(&read(file)?))?,
        ["earshot", file] => write(&earshot_scores(&read(file)?))?,
        ["features", file] => {
            let (sender, receiver) = channel();
            let tap = Tap { features: Features::new(), sender };
            write(&seen::<FEATURES>(Box::new(Detector::new(tap)), &receiver, &read(file)?)?)?;
        }
        ["opinions", file] => {
            let (sender, receiver) = channel();
            write(&seen::<OPINIONS>(SecondTap { opinions: Opinions::new(), sender }, &receiver, &read(file)?)?)?;
        }
        [] => println!("a tool for vad_corpus.py; nothing to measure by itself"),
        _ => {
            return Err(format!(
                "got {arguments:?}, wanted --where; or talkpath or second, Hz and a file; or silero, earshot, \
                 features or opinions and a file"
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

fn verdicts(choice: Choice, rate: SampleRate, samples: &[i16]) -> talkpath::Result<Vec<f32>> {
    let mut vad = choice.make(rate)?;
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

fn silero_scores(samples: &[i16]) -> Vec<f32> {
    let mut silero = Silero::new();
    samples.as_chunks::<SILERO_WINDOW>().0.iter().map(|window| silero.hear(window)).collect()
}

fn seen<const N: usize>(
    listener: impl Listener,
    receiver: &Receiver<[f32; N]>,
    samples: &[i16],
) -> talkpath::Result<Vec<f32>> {
    let mut ear = Ear::new(SampleRate::HZ_8000, listener)?;
    let rows = samples.chunks_exact(128).flat_map(|step| {
        ear.hear(step);
        // The newest row is the step's own; those before it are what the gate made up for.
        receiver.try_iter().last().unwrap_or([f32::NAN; N])
    });
    Ok(rows.collect())
}

/// Stands where the first stage's judge stands, and sends away what that would see.
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

/// Stands where the second stage's judge stands.
struct SecondTap {
    opinions: Opinions,
    sender: Sender<[f32; OPINIONS]>,
}

impl Listener for SecondTap {
    fn listen(&mut self, step: &[i16; WIDE_STEP]) -> f32 {
        // The receiver lives as long as the ear.
        _ = self.sender.send(self.opinions.hear(step));
        0.0
    }

    fn skip(&mut self) {
        self.opinions.skip();
    }

    fn reset(&mut self) {
        self.opinions.reset();
    }
}
