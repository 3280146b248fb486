//! A line that sends the agent's own voice back: it never interrupts the agent, and the caller still does.

use std::time::Duration;

use talkpath::audio::codec::{Codec, Decoder, Encoder, Encoding};
use talkpath::audio::echo::EchoMode;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Agent, Config, EchoConfig, Event, FarEnd, InterruptCause};

use crate::harness::{Call, events, say};

const R: SampleRate = SampleRate::HZ_8000;
const FRAME: usize = 160;
/// The level of both voices while they speak, as a power.
const LOUD: f64 = 1.6e6;

/// A packaged recording, its loud frames at [`LOUD`].
fn recording(name: &str) -> Vec<f32> {
    let path = format!("{}/python/talkpath/data/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let samples: Vec<f32> =
        bytes[44..].chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    let powers: Vec<f64> = samples.chunks_exact(FRAME).map(power).collect();
    let most = powers.iter().copied().fold(0.0, f64::max);
    let loud: Vec<f64> = powers.into_iter().filter(|&power| power > most / 300.0).collect();
    let gain = (LOUD / (loud.iter().sum::<f64>() / loud.len() as f64)).sqrt() as f32;
    samples.into_iter().map(|sample| sample * gain).collect()
}

fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64
}

/// Minutes of the agent: both recordings in turn, with pauses of different lengths and at different loudness.
fn agents_speech(seconds: usize) -> Vec<i16> {
    let voices = [recording("question"), recording("interruption")];
    let mut speech = Vec::new();
    for turn in 0.. {
        let gain = [1.0, 0.7, 1.3, 0.5][turn % 4];
        speech.extend(voices[turn % 2].iter().map(|sample| (sample * gain) as i16));
        speech.resize(speech.len() + turn * 37 % 5 * 1_000, 0);
        if speech.len() >= seconds * 8_000 {
            break;
        }
    }
    speech.truncate(seconds * 8_000);
    speech
}

/// A line that echoes at -15 dB.
struct Line {
    codec: Codec,
    delay: usize,
    response: &'static [f32],
    noise: f32,
    state: u32,
    encoder: Encoder,
    decoder: Decoder,
}

impl Line {
    /// Nothing but a delay.
    fn plain(delay_ms: usize) -> Self {
        Self::new(delay_ms, Codec::slin(R), &[1.0], 0.0)
    }

    /// A hybrid's ripple, mu-law both ways, and noise at -66 dBFS.
    fn analogue(delay_ms: usize) -> Self {
        let response = &[0.2, -0.5, 0.7, 0.4, -0.3, 0.1, 0.15, -0.1, 0.05, -0.03, 0.02, 0.01];
        Self::new(delay_ms, Codec::Plain { encoding: Encoding::Ulaw, rate: R }, response, 56.0)
    }

    fn new(delay_ms: usize, codec: Codec, response: &'static [f32], noise: f32) -> Self {
        let (encoder, decoder) = (Encoder::new(codec), Decoder::new(codec));
        Self { codec, delay: delay_ms * 8, response, noise, state: 1, encoder, decoder }
    }

    fn call(&self, mode: EchoMode) -> (Call, Agent) {
        let config = Config { echo: EchoConfig { mode }, ..Config::default() };
        Call::with(config, FarEnd::default(), self.codec)
    }

    /// One step, in which the caller says this.
    fn step(&mut self, call: &mut Call, said: impl Fn(usize) -> f32) {
        let loudness = self.response.iter().map(|tap| tap * tap).sum::<f32>().sqrt();
        let begins = call.wire.len();
        let samples: Vec<i16> = (0..FRAME)
            .map(|n| {
                let back = (begins + n).checked_sub(self.delay);
                let taps = self.response.iter().enumerate();
                let echo = taps.filter_map(|(k, tap)| Some(tap * f32::from(*call.wire.get(back?.checked_sub(k)?)?)));
                let echo = echo.sum::<f32>() * 0.178 / loudness;
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = ((self.state >> 16) as f32 / 65_536.0 - 0.5) * self.noise;
                (echo + noise + said(n)) as i16
            })
            .collect();
        let encoded = self.encoder.encode(&samples).unwrap();
        call.hear(&self.decoder.decode(&encoded).unwrap());
    }
}

fn interruptions(agent: &mut Agent) -> usize {
    let all = events(agent);
    all.iter().filter(|event| matches!(event, Event::Interrupted { cause: InterruptCause::BargeIn, .. })).count()
}

/// Ten minutes of the agent's voice, which comes back all the time.
fn ten_minutes(mut line: Line, mode: EchoMode) {
    let (mut call, mut agent) = line.call(mode);
    say(&mut agent, &agents_speech(600), "long");
    let mut onsets = 0;
    for frame in 0..30_000 {
        line.step(&mut call, |_| 0.0);
        while agent.input.read().is_some() {}
        if frame % 10 == 0 {
            for event in events(&mut agent) {
                assert!(!matches!(event, Event::Interrupted { .. }), "by its own echo, at {:?}", call.now);
                onsets += usize::from(matches!(event, Event::SpeechStarted { .. }));
            }
        }
    }
    assert!(agent.output.position().played() > Duration::from_secs(595));
    assert!(onsets <= 3, "{onsets} onsets of speech on a line where nobody spoke");
}

#[test]
fn ten_minutes_of_echo_after_40_ms() {
    ten_minutes(Line::plain(40), EchoMode::Auto);
}

#[test]
fn ten_minutes_of_echo_after_180_ms() {
    ten_minutes(Line::plain(180), EchoMode::Auto);
}

#[test]
fn ten_minutes_of_echo_after_350_ms() {
    ten_minutes(Line::plain(350), EchoMode::Auto);
}

#[test]
fn ten_minutes_on_an_analogue_line_after_40_ms() {
    ten_minutes(Line::analogue(40), EchoMode::Auto);
}

#[test]
fn ten_minutes_on_an_analogue_line_after_180_ms() {
    ten_minutes(Line::analogue(180), EchoMode::Auto);
}

#[test]
fn ten_minutes_on_an_analogue_line_after_350_ms() {
    ten_minutes(Line::analogue(350), EchoMode::On);
}

/// A caller who speaks over the agent and its echo, many times in one call: each time the agent stops, and soon.
fn caller_over_echo(mut line: Line, gain: f32) {
    let (mut call, mut agent) = line.call(EchoMode::Auto);
    let caller = recording("interruption");
    let onset = caller.chunks_exact(FRAME).position(|frame| power(frame) > LOUD / 100.0).unwrap();
    let speech = agents_speech(60);
    let mut worst = Duration::ZERO;
    for turn in 0..24 {
        say(&mut agent, &speech[turn * 11_200..][..10 * 8_000], "answer");
        // Other words of the agent's each time; the caller waits for half a second at least.
        let begins = 25 + turn * 53 % 180;
        for _ in 0..begins {
            line.step(&mut call, |_| 0.0);
        }
        assert_eq!(interruptions(&mut agent), 0, "turn {turn}: before the caller spoke");
        let mut at = None;
        for (frame, said) in caller.chunks_exact(FRAME).enumerate() {
            line.step(&mut call, |n| said[n] * gain);
            if at.is_none() && interruptions(&mut agent) > 0 {
                at = Some(frame + 1);
            }
        }
        let at = at.unwrap_or_else(|| panic!("turn {turn}: the caller was not heard"));
        let late = Duration::from_millis(20) * at.saturating_sub(onset) as u32;
        worst = worst.max(late);
        for _ in 0..40 {
            line.step(&mut call, |_| 0.0);
        }
        assert!(agent.output.is_drained());
        assert_eq!(interruptions(&mut agent), 0);
    }
    assert!(worst <= Duration::from_millis(250), "heard after {worst:?}");
}

#[test]
fn a_caller_as_loud_as_the_agent_is_heard() {
    for delay in [40, 180, 350] {
        caller_over_echo(Line::plain(delay), 1.0);
    }
}

#[test]
fn a_caller_six_decibels_below_the_agent_is_heard() {
    for delay in [40, 180, 350] {
        caller_over_echo(Line::plain(delay), 0.5);
    }
}

#[test]
fn a_caller_on_an_analogue_line_is_heard() {
    for delay in [40, 180, 350] {
        caller_over_echo(Line::analogue(delay), 0.5);
    }
}
