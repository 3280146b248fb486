//! Concealment and stretching of a voice-like signal, by themselves.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use talkpath::audio::conceal::Concealer;
use talkpath::audio::frame::SampleRate;
use talkpath::audio::level::Level;
use talkpath::audio::stretch::Stretcher;

/// A glottal pulse train through one formant, its pitch gliding by `glide` Hz a second from 110 Hz.
fn voice(rate: SampleRate, seconds: f64, glide: f64) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    let (mut phase, mut a, mut b) = (0.0, 0.0, 0.0);
    let resonance = (std::f64::consts::TAU * 600.0 / hz).cos();
    let damping = (-std::f64::consts::PI * 120.0 / hz).exp();
    (0..(hz * seconds) as usize)
        .map(|n| {
            phase += (110.0 + glide * n as f64 / hz) / hz;
            let pulse = if phase >= 1.0 { 4_000.0 } else { 0.0 };
            phase %= 1.0;
            let next = pulse + 2.0 * damping * resonance * a - damping * damping * b;
            (a, b) = (next, a);
            next as i16
        })
        .collect()
}

fn error_db(got: &[i16], want: &[i16]) -> f32 {
    let difference: Vec<i16> = got.iter().zip(want).map(|(a, b)| a.saturating_sub(*b)).collect();
    Level::measure(&difference).rms_dbfs() - Level::measure(want).rms_dbfs()
}

#[test]
fn a_gap_in_a_voice_whose_pitch_glides_is_filled_from_both_sides() {
    for rate in [8_000, 16_000, 48_000] {
        let rate = SampleRate::new(rate).unwrap();
        let frame = rate.frame_len();
        for glide in [0.0, 30.0, -30.0, 200.0, -100.0] {
            let mut voice = voice(rate, 0.4, glide);
            let mut concealer = Concealer::new(rate);
            voice[..10 * frame].chunks_mut(frame).for_each(|heard| concealer.accept(heard));
            let mut one_sided = concealer.clone();
            let (mut both, mut past) = (vec![0; frame], vec![0; frame]);
            concealer.conceal(&voice[11 * frame..12 * frame], &mut both);
            one_sided.conceal(&[], &mut past);
            let want = &voice[10 * frame..11 * frame];
            let (both, past) = (error_db(&both, want), error_db(&past, want));
            assert!(both < -6.0, "{rate}, {glide} Hz/s: {both} dB from both sides, {past} dB from one");
            if f64::abs(glide) > 50.0 {
                assert!(both < past, "{rate}, {glide} Hz/s: {both} dB from both sides, {past} dB from one");
            }
        }
    }
}

#[test]
fn the_level_is_kept_for_a_packet_and_gone_after_a_quarter_of_a_second() {
    let rate = SampleRate::HZ_8000;
    let mut voice = voice(rate, 0.4, 0.0);
    let mut concealer = Concealer::new(rate);
    voice.chunks_mut(160).for_each(|heard| concealer.accept(heard));
    let mut lost = [0; 160];
    let level: Vec<f32> = (0..14)
        .map(|_| {
            concealer.conceal(&[], &mut lost);
            Level::measure(&lost).rms_dbfs() - Level::measure(&voice).rms_dbfs()
        })
        .collect();
    // A frame holds two pulses or three.
    assert!(level[0].abs() < 3.0, "{level:?}");
    assert!(level[..13].windows(2).all(|pair| pair[1] < pair[0] + 0.5), "{level:?}");
    assert_eq!(lost, [0; 160]);
}

#[test]
fn real_samples_are_never_changed_but_at_their_start_after_a_gap() {
    let rate = SampleRate::HZ_8000;
    let voice = voice(rate, 0.4, 10.0);
    let mut concealer = Concealer::new(rate);
    let mut heard = voice.clone();
    heard.chunks_mut(160).for_each(|frame| concealer.accept(frame));
    assert_eq!(heard, voice);
    concealer.conceal(&[], &mut [0; 160]);
    let mut back = voice[..160].to_vec();
    concealer.accept(&mut back);
    assert_ne!(back[..80], voice[..80]);
    assert_eq!(back[80..], voice[80..160]);
}

#[test]
fn stretched_speech_keeps_its_pitch_and_joins_on_both_sides() {
    let rate = SampleRate::HZ_8000;
    let voice = voice(rate, 1.0, 20.0);
    let step = |samples: &[i16]| samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
    let natural = step(&voice);
    let mut stretcher = Stretcher::new(rate);
    let mut made = [0; 160];
    for at in (1_600..7_000).step_by(173) {
        let (played, next) = voice.split_at(at);
        let played = &played[at - 480..];
        let alike = stretcher.accelerate(played, &next[..640], &mut made).unwrap();
        assert!(alike > 0.6, "{at}: {alike}");
        let joined = [&played[470..], &made[..], &next[320..330]].concat();
        assert!(step(&joined) < natural * 5 / 4, "{at}: {}, {natural}", step(&joined));
        let alike = stretcher.expand(played, &next[..640], &mut made).unwrap();
        assert!(alike > 0.6, "{at}: {alike}");
        let joined = [&played[470..], &made[..], &next[..10]].concat();
        assert!(step(&joined) < natural * 5 / 4, "{at}: {}, {natural}", step(&joined));
    }
    assert_eq!(stretcher.accelerate(&voice[..160], &voice[..319], &mut made), None);
}
