//! Voice activity: what callers of a detector rely on, whatever the network inside makes of real speech.

use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::{Detector, Vad, Verdict};

/// The detectors that this build has.
fn detectors() -> impl Iterator<Item = Detector> {
    Detector::ALL.into_iter().filter(|detector| detector.check().is_ok())
}

fn at_8_khz(detector: Detector) -> Box<dyn Vad> {
    detector.make(SampleRate::HZ_8000).expect("8 kHz is taken")
}

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
    for detector in detectors() {
        let error = detector.make(SampleRate::HZ_24000).err().expect("24 kHz is refused");
        assert!(error.to_string().contains("24000 Hz"), "{error}");
        for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
            assert_eq!(detector.make(rate).unwrap().rate(), rate);
        }
    }
}

#[test]
fn detectors_are_chosen_by_name() {
    for detector in Detector::ALL {
        assert_eq!(detector.to_string().parse::<Detector>().unwrap(), detector);
    }
    let error = "loud".parse::<Detector>().unwrap_err().to_string();
    assert!(error.contains("\"loud\"") && error.contains("phone or silero"), "{error}");
    assert_eq!(Detector::default(), Detector::Phone);
}

#[test]
#[cfg(not(feature = "silero"))]
fn a_build_without_silero_says_which_feature_it_wants() {
    for error in [Detector::Silero.check().err(), Detector::Silero.make(SampleRate::HZ_8000).err()] {
        assert!(error.expect("it is refused").to_string().contains("wanted the Cargo feature silero"));
    }
}

#[test]
fn a_sensitivity_outside_its_range_is_refused() {
    for detector in detectors() {
        let mut vad = at_8_khz(detector);
        for wrong in [-0.1, 1.1, f32::NAN] {
            assert!(vad.set_sensitivity(wrong).is_err(), "{wrong}");
        }
        vad.set_sensitivity(1.0).unwrap();
    }
}

#[test]
fn nothing_is_said_before_the_first_step_and_an_empty_slice_changes_nothing() {
    for detector in detectors() {
        let mut vad = at_8_khz(detector);
        assert_eq!(vad.process(&[0; 100]), Verdict::default());
        let first = vad.process(&noise(1_000.0, 160));
        assert_ne!(first, Verdict::default());
        assert_eq!(vad.process(&[]), first);
    }
}

#[test]
fn chunk_sizes_do_not_change_the_verdict() {
    let samples = sentence(SampleRate::HZ_8000);
    for detector in detectors() {
        let (mut whole, mut pieces) = (at_8_khz(detector), at_8_khz(detector));
        for second in samples.chunks(8_000) {
            let expected = whole.process(second);
            let mut got = Verdict::default();
            for piece in second.chunks(37) {
                got = pieces.process(piece);
            }
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn reset_forgets_the_call() {
    let samples = sentence(SampleRate::HZ_16000);
    for detector in detectors() {
        let mut used = detector.make(SampleRate::HZ_16000).unwrap();
        used.process(&noise(8_000.0, 50_000));
        used.process(&samples[..samples.len() - 100]);
        used.reset();
        let mut fresh = detector.make(SampleRate::HZ_16000).unwrap();
        for piece in samples.chunks(320) {
            assert_eq!(used.process(piece), fresh.process(piece));
        }
    }
}

#[test]
fn silence_is_not_speech() {
    for detector in detectors() {
        let mut vad = at_8_khz(detector);
        for _ in 0..100 {
            let verdict = vad.process(&[0; 160]);
            assert!(!verdict.speech && verdict.score == 0.0, "{verdict:?}");
        }
    }
}

#[test]
fn steady_noise_is_not_speech_however_loud() {
    for detector in detectors() {
        for rms in [30.0, 300.0, 3_000.0] {
            let mut vad = at_8_khz(detector);
            let samples = noise(rms, 40_000);
            let (start, rest) = samples.split_at(4_000);
            vad.process(start);
            let voiced = rest.chunks_exact(160).filter(|frame| vad.process(frame).speech).count();
            assert!(voiced <= 2, "{detector}: {voiced} of 225 frames at an rms of {rms}");
            let noise_dbfs = vad.process(&[]).noise_dbfs;
            assert!((noise_dbfs - 20.0 * (rms / 32_768.0).log10()).abs() < 3.0, "{noise_dbfs} dBFS at an rms of {rms}");
        }
    }
}

#[test]
fn a_vowel_after_silence_is_known_within_100_ms_at_both_rates() {
    for detector in detectors() {
        for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
            let mut vad = detector.make(rate).unwrap();
            for _ in 0..100 {
                vad.process(&vec![0; rate.frame_len()]);
            }
            let speech = vowels(rate);
            let known = speech.chunks_exact(rate.frame_len()).position(|frame| vad.process(frame).speech);
            assert!(known.is_some_and(|frames| frames < 5), "{detector}: {known:?} frames at {rate}");
        }
    }
}

#[test]
fn sensitivity_moves_the_threshold_and_not_the_score() {
    for detector in detectors() {
        let (mut shy, mut keen) = (at_8_khz(detector), at_8_khz(detector));
        shy.set_sensitivity(0.0).unwrap();
        keen.set_sensitivity(1.0).unwrap();
        for frame in vowels(SampleRate::HZ_8000).chunks_exact(160) {
            let (strict, lax) = (shy.process(frame), keen.process(frame));
            assert_eq!(strict.score, lax.score);
            assert!(strict.threshold >= lax.threshold);
            assert_eq!(lax.speech, lax.score >= lax.threshold);
        }
    }
}

/// A recorded sentence between two seconds of noise before and one after, twice, over a noise of `rms`: per 20 ms
/// whether the sentence is being spoken, and whether it is heard.
fn hear_sentence(vad: &mut dyn Vad, rms: f32) -> Vec<(bool, bool)> {
    let speech = sentence(SampleRate::HZ_8000);
    let mut clean = Vec::new();
    for _ in 0..2 {
        clean.resize(clean.len() + 16_000, 0);
        clean.extend_from_slice(&speech[..speech.len() / 160 * 160]);
        clean.resize(clean.len() + 8_000, 0);
    }
    let heard: Vec<i16> = clean.iter().zip(noise(rms, clean.len())).map(|(a, b)| a.saturating_add(b)).collect();
    let frames = clean.chunks_exact(160).zip(heard.chunks_exact(160));
    let frames = frames.map(|(clean, heard)| {
        let loud = clean.iter().any(|sample| sample.unsigned_abs() > 1_000);
        (loud, vad.process(heard).speech)
    });
    frames.collect()
}

#[test]
fn a_recorded_sentence_is_heard_in_noise_and_the_noise_is_not() {
    for detector in detectors() {
        for rms in [3.0, 300.0, 1_000.0] {
            let frames = hear_sentence(&mut *at_8_khz(detector), rms);
            let spoken = frames.iter().filter(|(spoken, _)| *spoken).count();
            let heard = frames.iter().filter(|(spoken, heard)| *spoken && *heard).count();
            assert!(heard * 100 >= spoken * 90, "{detector}: {heard} of {spoken} at an rms of {rms}");
            // The first two seconds are the same noise and nothing else.
            let wrong = frames[..100].iter().filter(|(_, heard)| *heard).count();
            assert!(wrong <= 2, "{detector}: {wrong} frames of noise at an rms of {rms}");
        }
    }
}

#[test]
#[cfg(feature = "silero")]
fn the_second_stage_hears_a_sentence_no_later() {
    for rms in [3.0, 300.0, 1_000.0] {
        let [phone, silero] = Detector::ALL.map(|detector| {
            let frames = hear_sentence(&mut *at_8_khz(detector), rms);
            let begin = frames.iter().position(|(spoken, _)| *spoken).expect("the sentence is spoken");
            frames[begin..].iter().position(|(_, heard)| *heard).expect("the sentence is heard")
        });
        assert!(silero <= phone + 1, "after {silero} frames, and {phone} by the first stage alone, at an rms of {rms}");
    }
}

/// The packaged recording of a caller who interrupts, at 16 kHz each sample twice.
fn sentence(rate: SampleRate) -> Vec<i16> {
    let samples = recording(include_bytes!("../python/talkpath/data/interruption.wav"));
    samples.into_iter().flat_map(|sample| std::iter::repeat_n(sample, rate.hz() as usize / 8_000)).collect()
}

/// The samples of a packaged WAV file.
fn recording(file: &[u8]) -> Vec<i16> {
    file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
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
