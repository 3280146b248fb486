//! Voice activity: what callers of a detector rely on, whatever the network inside makes of real speech.

use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::{PhoneVad, Vad, Verdict};

/// A deterministic noise of about `rms`.
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

#[test]
fn steady_noise_is_not_speech_however_loud() {
    for rms in [30.0, 300.0, 3_000.0] {
        let mut vad = PhoneVad::new(SampleRate::HZ_8000).unwrap();
        let samples = noise(rms, 40_000);
        let (start, rest) = samples.split_at(4_000);
        vad.process(start);
        let voiced = rest.chunks_exact(160).filter(|frame| vad.process(frame).speech).count();
        assert!(voiced <= 2, "{voiced} of 225 frames at an rms of {rms}");
        let noise_dbfs = vad.process(&[]).noise_dbfs;
        assert!((noise_dbfs - 20.0 * (rms / 32_768.0).log10()).abs() < 3.0, "{noise_dbfs} dBFS at an rms of {rms}");
    }
}

#[test]
fn a_vowel_after_silence_is_known_within_100_ms_at_both_rates() {
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
        let mut vad = PhoneVad::new(rate).unwrap();
        for _ in 0..100 {
            vad.process(&vec![0; rate.frame_len()]);
        }
        let speech = vowels(rate);
        let known = speech.chunks_exact(rate.frame_len()).position(|frame| vad.process(frame).speech);
        assert!(known.is_some_and(|frames| frames < 5), "{known:?} frames at {rate}");
    }
}

#[test]
fn sensitivity_moves_the_threshold_and_not_the_score() {
    let mut shy = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    let mut keen = PhoneVad::new(SampleRate::HZ_8000).unwrap();
    shy.set_sensitivity(0.0).unwrap();
    keen.set_sensitivity(1.0).unwrap();
    for frame in vowels(SampleRate::HZ_8000).chunks_exact(160) {
        let (strict, lax) = (shy.process(frame), keen.process(frame));
        assert_eq!(strict.score, lax.score);
        assert!(strict.threshold >= lax.threshold);
        assert_eq!(lax.speech, lax.score >= lax.threshold);
    }
}

/// Half a second of a hummed vowel, the nearest thing to speech that needs no recording: a pulse train with a gliding
/// pitch through three resonances.
fn vowels(rate: SampleRate) -> Vec<i16> {
    let hz = rate.hz() as f32;
    let mut resonators = [(650.0, 80.0), (1_150.0, 90.0), (2_500.0, 120.0)].map(|(centre, width): (f32, f32)| {
        let radius = (-std::f32::consts::PI * width / hz).exp();
        (2.0 * radius * (std::f32::consts::TAU * centre / hz).cos(), -radius * radius, 0.0_f32, 0.0_f32)
    });
    let mut phase = 0.0;
    let samples = (0..rate.hz() / 2).map(|i| {
        phase += (130.0 + 20.0 * (i as f32 / hz * 9.0).sin()) / hz;
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase -= pulse;
        let mut sum = 0.0;
        for (a, b, last, before) in &mut resonators {
            let now = pulse + *a * *last + *b * *before;
            (*before, *last) = (*last, now);
            sum += now;
        }
        sum
    });
    let samples: Vec<f32> = samples.collect();
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    samples.iter().map(|sample| (sample / peak * 12_000.0) as i16).collect()
}
