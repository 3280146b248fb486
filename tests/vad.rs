//! Voice activity: what callers of a detector rely on, whatever the network inside makes of real speech.

use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::{PhoneVad, Vad, Verdict};

/// A deterministic noise of about `rms`, and a buzz of 140 Hz with formants, the nearest thing to a vowel that needs no recording.
fn noise(rms: f32, samples: usize) -> Vec<i16> {
    let mut state = 1_u32;
    let mut uniform = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| ((uniform() + uniform() + uniform()) * 2.0 * rms) as i16).collect()
}

#[test]
fn only_8_and_16_khz_are_taken() {
    let error = PhoneVad::new(SampleRate::HZ_24000).err().expect("24 kHz is refused");
    assert!(error.to_string().contains("24000 Hz"), "{error}");
    assert_eq!(PhoneVad::new(SampleRate::HZ_8000).unwrap().rate(), SampleRate::HZ_8000);
    assert_eq!(PhoneVad::new(SampleRate::HZ_16000).unwrap().rate(), SampleRate::HZ_16000);
}

#[test]
fn a_sensitivity_outside_its_range_is_refused() {
    let mut vad = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    for wrong in [-0.1, 1.1, f32::NAN] {
        assert!(vad.set_sensitivity(wrong).is_err(), "{wrong}");
    }
    vad.set_sensitivity(1.0).unwrap();
}

#[test]
fn nothing_is_said_before_the_first_step_and_an_empty_slice_changes_nothing() {
    let mut vad = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    assert_eq!(vad.process(&[0; 100]), Verdict::default());
    let first = vad.process(&noise(1_000.0, 160));
    assert_ne!(first, Verdict::default());
    assert_eq!(vad.process(&[]), first);
}

#[test]
fn chunk_sizes_do_not_change_the_verdict() {
    let samples = noise(2_000.0, 8_000);
    let mut whole = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    let mut pieces = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    let expected = whole.process(&samples);
    let mut got = Verdict::default();
    for piece in samples.chunks(37) {
        got = pieces.process(piece);
    }
    assert_eq!(got, expected);
}

#[test]
fn reset_forgets_the_call() {
    let mut used = PhoneVad::new(SampleRate::HZ_16000).unwrap();
    used.process(&noise(8_000.0, 50_000));
    used.reset();
    let mut fresh = PhoneVad::new(SampleRate::HZ_16000).unwrap();
    let samples = noise(500.0, 3_200);
    for piece in samples.chunks(320) {
        assert_eq!(used.process(piece), fresh.process(piece));
    }
}

#[test]
fn silence_is_not_speech() {
    let mut vad = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    for _ in 0..100 {
        let verdict = vad.process(&[0; 160]);
        assert!(!verdict.speech && verdict.score == 0.0, "{verdict:?}");
    }
}
