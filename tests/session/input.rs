//! What the caller says reaches the agent whole, in frames of the agent's choice.

use std::time::Duration;

use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::Detector;
use talkpath::session::{Config, Event, Input, VadConfig};

use crate::harness::{Call, events, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn frames_have_one_length_however_the_messages_were_cut() {
    let (mut call, mut agent) = Call::phone();
    let speech = tone(R, 1_000, 300.0);
    let mut rest = &speech[..];
    for n in [160, 18, 48, 112, 160, 1, 320, 7_181] {
        let (part, more) = rest.split_at(n);
        call.hear(part);
        rest = more;
    }
    let mut got = Vec::new();
    while let Some(frame) = agent.input.read() {
        assert_eq!(frame.samples.len(), 160);
        assert_eq!(frame.position, R.duration_of(got.len() as u64));
        got.extend_from_slice(frame.samples);
    }
    assert_eq!(got[160..], speech[..got.len() - 160]);
    assert!(got.len() > 160 + speech.len() - 160);
}

#[test]
fn the_agent_chooses_rate_and_frame_length() {
    let (mut call, mut agent) = Call::phone();
    agent.input.configure(SampleRate::HZ_16000, Duration::from_millis(30), false).unwrap();
    call.quiet(30);
    let mut frames = 0;
    while let Some(frame) = agent.input.read() {
        assert_eq!((frame.samples.len(), frame.rate.hz()), (480, 16_000));
        frames += 1;
    }
    assert_eq!(frames, 31 * 20 / 30);
    assert!(agent.input.configure(R, Duration::from_millis(2), false).is_err());
}

#[test]
fn a_change_of_the_agents_rate_loses_nothing() {
    let (mut call, mut agent) = Call::phone();
    let mut heard = Duration::ZERO;
    for round in 0..10 {
        let rate = if round % 2 == 0 { SampleRate::HZ_16000 } else { SampleRate::HZ_24000 };
        agent.input.configure(rate, Duration::from_millis(20), false).unwrap();
        call.hear(&tone(R, 110, 300.0));
        while let Some(frame) = agent.input.read() {
            heard += frame.rate.duration_of(frame.samples.len() as u64);
        }
    }
    call.session.handle_input(Input::Ended(talkpath::session::EndReason::CallerHangup), call.now);
    while let Some(frame) = agent.input.read() {
        heard += frame.rate.duration_of(frame.samples.len() as u64);
    }
    // 20 ms of the start, ten times 110 ms, and what each filter adds while it ramps up.
    let exact = Duration::from_millis(1_120);
    assert!(heard >= exact && heard < exact + Duration::from_millis(30), "{heard:?}");
}

#[test]
fn a_peer_may_change_its_rate_during_the_call() {
    let (mut call, mut agent) = Call::phone();
    let payload = Encoding::Slin.encode(&tone(SampleRate::HZ_16000, 1_000, 300.0));
    call.session.handle_input(Input::Audio { codec: Codec::slin(SampleRate::HZ_16000), payload: &payload }, call.now);
    let heard: usize = std::iter::from_fn(|| agent.input.read().map(|frame| frame.samples.len())).sum();
    assert_eq!(heard, 160 + 8_000, "still at the call's rate");
}

#[test]
fn an_odd_byte_does_not_hurt() {
    let (mut call, mut agent) = Call::phone();
    call.session.handle_input(Input::Audio { codec: Codec::slin(R), payload: &[1; 321] }, call.now);
    call.session.handle_input(Input::Audio { codec: Codec::slin(R), payload: &[] }, call.now);
    assert_eq!(std::iter::from_fn(|| agent.input.read().map(|frame| frame.samples.len())).sum::<usize>(), 320);
}

/// Noise bursts that the detector takes for speech are hard to make up; a recorded word is in the tests of the detector.
/// Here a loud buzz with a voice's pitch and formants does.
pub(crate) fn voice(ms: u64) -> Vec<i16> {
    let n = R.samples_in(Duration::from_millis(ms));
    (0..n)
        .map(|i| {
            let t = i as f32 / 8_000.0;
            let syllable = 0.55 - 0.45 * (std::f32::consts::TAU * 4.0 * t + 1.0).cos();
            let pitch = 120.0 + 10.0 * (std::f32::consts::TAU * 0.7 * t).sin();
            let sum: f32 = (1..24)
                .map(|k| {
                    let hz = pitch * k as f32;
                    let formants = 1.0 / (1.0 + ((hz - 600.0) / 150.0).powi(2))
                        + 0.6 / (1.0 + ((hz - 1_300.0) / 200.0).powi(2))
                        + 0.3 / (1.0 + ((hz - 2_500.0) / 300.0).powi(2));
                    formants * (std::f32::consts::TAU * hz * t).sin()
                })
                .sum();
            (sum * syllable * 5_000.0).clamp(-32_000.0, 32_000.0) as i16
        })
        .collect()
}

#[test]
fn speech_only_begins_before_the_first_syllable() {
    let (mut call, mut agent) = Call::start(Config::default(), R);
    agent.input.configure(R, Duration::from_millis(20), true).unwrap();
    call.quiet(100);
    assert!(agent.input.read().is_none(), "silence is not speech");
    for frame in voice(1_000).chunks(160) {
        call.hear(frame);
    }
    call.quiet(100);
    let onset = events(&mut agent).into_iter().find_map(|event| match event {
        Event::SpeechStarted { position, decided } => Some((position, decided)),
        _ => None,
    });
    let (onset, decided) = onset.expect("an onset");
    assert!(decided > onset);
    let first = agent.input.read().expect("speech").position;
    assert!(first + Duration::from_millis(200) <= onset, "{first:?} {onset:?}");
    assert!(first + Duration::from_millis(240) > onset, "and not much more: {first:?} {onset:?}");
    let mut last = first;
    while let Some(frame) = agent.input.read() {
        assert_eq!(frame.position, last + Duration::from_millis(20), "without a hole");
        last = frame.position;
    }
    assert!(last < Duration::from_millis(2_020 + 1_000 + 500), "and not on and on: {last:?}");
}

#[test]
fn a_session_listens_with_the_detector_that_it_is_told() {
    let onsets = Detector::ALL.map(|detector| {
        let config = Config { vad: VadConfig { detector, ..VadConfig::default() }, ..Config::default() };
        assert_eq!(config.validate().is_ok(), detector.check().is_ok());
        if detector.check().is_err() {
            return None;
        }
        let (mut call, mut agent) = Call::start(config, R);
        call.quiet(100);
        for frame in voice(1_000).chunks(160) {
            call.hear(frame);
        }
        call.quiet(100);
        let heard = events(&mut agent).into_iter().filter(|event| matches!(event, Event::SpeechStarted { .. }));
        Some(heard.count())
    });
    assert!(onsets.into_iter().flatten().all(|count| count == 1), "{onsets:?}");
}

#[test]
fn levels_and_speech_are_in_the_statistics() {
    let (mut call, agent) = Call::phone();
    call.hear(&[8_192; 160]);
    let stats = agent.control.stats();
    assert!((stats.input_level_dbfs + 12.04).abs() < 0.1, "{}", stats.input_level_dbfs);
    assert_eq!(stats.frames_received, 2);
}
