//! The resampler's promises: how many samples, when, in what place, and how clean.

use std::f64::consts::TAU;

use proptest::prelude::*;
use talkpath::ErrorKind;
use talkpath::audio::frame::SampleRate;
use talkpath::audio::resample::{Quality, Resampler, resample};

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("a rate of the list")
}

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    SampleRate::ALL.into_iter().flat_map(|from| SampleRate::ALL.map(|to| (from, to)))
}

fn sine(hz: f64, rate: u32, len: usize) -> Vec<i16> {
    (0..len).map(|n| (AMPLITUDE * (TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
}

/// White noise from a linear congruential generator.
fn noise(len: usize, seed: u64) -> Vec<i16> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 48) as i16
    };
    (0..len).map(|_| next()).collect()
}

/// How strong the tone at `hz` is in `signal`, as an amplitude: a Hann-windowed Fourier sum at that frequency.
fn tone(signal: &[i16], hz: f64, rate: u32) -> f64 {
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, &sample) in signal.iter().enumerate() {
        let window = 1.0 - (TAU * (n as f64 + 0.5) / signal.len() as f64).cos();
        let (sin, cos) = (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
        re += window * cos * f64::from(sample);
        im += window * sin * f64::from(sample);
        weight += window;
    }
    2.0 * re.hypot(im) / weight
}

fn rms(signal: &[i16]) -> f64 {
    (signal.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / signal.len() as f64).sqrt()
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

/// A sine of `hz` at `from`, resampled, less the filter's ramp at both ends.
fn settled(hz: f64, from: u32, to: u32, quality: Quality) -> Vec<i16> {
    let mut resampler = Resampler::with_quality(rate(from), rate(to), quality);
    let out = resampler.process(&sine(hz, from, from as usize / 4));
    out[2 * resampler.delay_samples() + 8..].to_vec()
}

/// What is left of `signal` without its tone at `hz`, as RMS: a least-squares fit taken away.
fn residual(signal: &[i16], hz: f64, rate: u32) -> f64 {
    let basis = |n: usize| (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, &sample) in signal.iter().enumerate() {
        let (s, c) = basis(n);
        (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
        (xs, xc) = (xs + s * f64::from(sample), xc + c * f64::from(sample));
    }
    let det = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / det, (xc * ss - xs * sc) / det);
    let left = |(n, &sample): (usize, &i16)| (f64::from(sample) - a * basis(n).0 - b * basis(n).1).powi(2);
    (signal.iter().enumerate().map(left).sum::<f64>() / signal.len() as f64).sqrt()
}

/// Sines of 0.1 to 3.4 kHz, scaled to the lower of both rates, keep their level within 0.05 dB; all else that comes out
/// with them (images, aliases, rounding) is 75 dB below. Tones above 4.6 kHz, scaled alike, come out of a decimator 75 dB
/// down, in sum.
#[test]
fn phone_is_flat_and_clean() {
    for (from, to) in PHONE_PAIRS {
        let scale = f64::from(from.min(to)) / 8_000.0;
        for step in 0..=11 {
            let hz = (100.0 + 300.0 * f64::from(step)) * scale;
            let out = settled(hz, from, to, Quality::Phone);
            let gain = db(tone(&out, hz, to) / AMPLITUDE);
            assert!(gain.abs() <= 0.01, "{from} to {to}: {gain:.4} dB at {hz} Hz");
            let dirt = db(residual(&out, hz, to) / rms(&out));
            assert!(dirt <= -80.0, "{from} to {to}: {dirt:.1} dB beside {hz} Hz");
        }
        let mut hz = 4_600.0 * scale;
        while from > to && hz <= f64::from(from) / 2.0 {
            let alias = db(rms(&settled(hz, from, to, Quality::Phone)) / (AMPLITUDE / 2_f64.sqrt()));
            assert!(alias <= -80.0, "{from} to {to}: {alias:.1} dB from {hz} Hz");
            hz += 93.0 * scale;
        }
    }
}

/// As above for `Studio`: 0.1 to 3.6 kHz, −104 dB from 4.4 kHz. That is below one step of 16 bits, so each image and alias is
/// measured at its own frequency, and with a second tone beside it that keeps the rounding busy.
#[test]
fn studio_is_flat_and_cleaner() {
    for (from, to) in PHONE_PAIRS {
        let scale = f64::from(from.min(to)) / 8_000.0;
        let strength = |hz: f64, at: f64| {
            let input: Vec<i16> = (0..from / 2)
                .map(|n| TAU * f64::from(n) / f64::from(from))
                .map(|t| (20_000.0 * (hz * t).sin() + 9_000.0 * (331.7 * scale * t).sin()).round() as i16)
                .collect();
            let mut resampler = Resampler::with_quality(rate(from), rate(to), Quality::Studio);
            db(tone(&resampler.process(&input)[2 * resampler.delay_samples()..], at, to) / 20_000.0)
        };
        for hz in [107.0, 650.0, 1_500.0, 2_600.0, 3_301.0, 3_600.0].map(|hz| hz * scale) {
            let gain = strength(hz, hz);
            assert!(gain.abs() <= 0.01, "{from} to {to}: {gain:.4} dB at {hz} Hz");
            for image in images(hz, from, to) {
                let image_db = strength(hz, image);
                assert!(image_db <= -104.0, "{from} to {to}: {image_db:.1} dB at {image} Hz from {hz} Hz");
            }
        }
        for hz in [4_400.0, 4_410.0, 4_505.0, 4_777.0, 5_300.0, 7_450.0, 9_113.0, 11_811.0].map(|hz| hz * scale) {
            if from > to && hz < f64::from(from) / 2.0 {
                let folded = (hz / f64::from(to) - (hz / f64::from(to)).round()).abs() * f64::from(to);
                let alias = strength(hz, folded);
                assert!(alias <= -104.0, "{from} to {to}: {alias:.1} dB at {folded} Hz from {hz} Hz");
            }
        }
    }
}

/// Where images of `hz` lie below half the output's rate.
fn images(hz: f64, from: u32, to: u32) -> Vec<f64> {
    let around = (1..=to / from).filter(|_| to > from).map(|k| f64::from(k * from));
    around.flat_map(|center| [center - hz, center + hz]).filter(|&image| image < f64::from(to) / 2.0).collect()
}

/// The odd ratios are as flat and as clean.
#[test]
fn odd_rates_are_flat_and_clean() {
    let odd = [11_025, 22_050, 44_100, 96_000, 192_000];
    let pairs = odd.into_iter().flat_map(|hz| [(hz, 8_000), (8_000, hz), (hz, 16_000), (24_000, hz)]);
    for (from, to) in pairs {
        let scale = f64::from(from.min(to)) / 8_000.0;
        for hz in [100.0, 1_000.0, 2_310.0, 3_400.0].map(|hz| hz * scale) {
            let out = settled(hz, from, to, Quality::Phone);
            let gain = db(tone(&out, hz, to) / AMPLITUDE);
            assert!(gain.abs() <= 0.01, "{from} to {to}: {gain:.4} dB at {hz} Hz");
            let dirt = db(residual(&out, hz, to) / rms(&out));
            assert!(dirt <= -80.0, "{from} to {to}: {dirt:.1} dB beside {hz} Hz");
        }
    }
}

#[test]
fn the_delay_is_what_it_says_and_short() {
    for (from, to) in pairs() {
        for (quality, limit_ms) in [(Quality::Phone, 2.5), (Quality::Studio, 4.5)] {
            let mut resampler = Resampler::with_quality(rate(from), rate(to), quality);
            assert_eq!(resampler.delay_ms(), resampler.delay_samples() as f32 * 1_000.0 / to as f32);
            let limit_ms = limit_ms * 8_000.0 / from.min(to) as f32 + 1_000.0 / to as f32 * f32::from(to < from);
            assert!(resampler.delay_ms() <= limit_ms, "{from} to {to}: {} ms", resampler.delay_ms());
            if (from, to) == (8_000, 16_000) {
                assert!(resampler.delay_ms() > limit_ms - 0.1);
            }
            // A pulse wide enough for the lower rate keeps its middle.
            let lower = f64::from(from.min(to));
            let middle = from as usize / 50;
            let bump = |n: usize| (n as f64 - middle as f64) / f64::from(from) * lower / 4.0;
            let pulse: Vec<i16> = (0..2 * middle).map(|n| (20_000.0 * (-bump(n).powi(2)).exp()) as i16).collect();
            let out = resampler.process(&pulse);
            let weight: f64 = out.iter().map(|&sample| f64::from(sample)).sum();
            let center = out.iter().enumerate().map(|(n, &sample)| n as f64 * f64::from(sample)).sum::<f64>() / weight;
            let wanted = middle as f64 * f64::from(to) / f64::from(from) + resampler.delay_samples() as f64;
            assert!((center - wanted).abs() < 0.1, "{from} to {to}: pulse at {center}, not {wanted}");
        }
    }
}

#[test]
fn one_shot_keeps_length_and_place() {
    for (from, to) in pairs() {
        let hz = 700.0;
        let input = sine(hz, from, from as usize / 5 + 3);
        let out = resample(&input, rate(from), rate(to));
        assert_eq!(out.len(), input.len() * to as usize / from as usize);
        let wanted = sine(hz, to, out.len());
        let edge = to as usize / 200;
        for n in edge..out.len() - edge {
            assert!(out[n].abs_diff(wanted[n]) <= 12, "{from} to {to}: {} at {n}, not {}", out[n], wanted[n]);
        }
    }
}

/// The count is a whole-number rule with a period of at most 2,560 inputs (192 to 11.025 kHz): over a few of them it
/// cannot but hold for an hour.
#[test]
fn every_chunk_gives_its_share_at_once() {
    for (from, to) in pairs() {
        for (chunk, total) in [(1, 450), (7, 900), (441, 8_000), (2_048, 8_000)] {
            let mut resampler = Resampler::new(rate(from), rate(to));
            let (mut fed, mut got) = (0, 0);
            while fed < total {
                let announced = resampler.output_len(chunk);
                let out = resampler.process(&vec![99; chunk]);
                (fed, got) = (fed + chunk, got + out.len());
                assert_eq!(out.len(), announced);
                assert_eq!(got, fed * to as usize / from as usize, "{from} to {to} in chunks of {chunk}");
            }
        }
    }
}

#[test]
fn equal_rates_are_a_copy_without_delay() {
    let mut resampler = Resampler::new(rate(16_000), rate(16_000));
    let input = noise(777, 5);
    assert_eq!(resampler.process(&input), input);
    assert_eq!((resampler.delay_samples(), resampler.flush()), (0, vec![]));
}

#[test]
fn thousands_of_calls_may_have_their_own() {
    assert!(size_of::<Resampler>() <= 1_400, "{} bytes", size_of::<Resampler>());
}

#[test]
fn a_clones_flush_leaves_the_original_alone() {
    for (from, to) in [(8_000, 16_000), (24_000, 8_000), (44_100, 8_000), (192_000, 8_000)] {
        let input = noise(3_000, 1);
        let mut whole = Resampler::new(rate(from), rate(to));
        let wanted = whole.process(&input);
        let mut resampler = Resampler::new(rate(from), rate(to));
        let mut out = resampler.process(&input[..1_234]);
        let provisional = resampler.clone().flush();
        out.extend(resampler.process(&input[1_234..]));
        assert_eq!(out, wanted);
        assert_eq!(provisional.len(), resampler.delay_samples());
        assert!(provisional.iter().any(|&sample| sample != 0));
    }
}

#[test]
fn flush_and_reset_leave_it_as_new() {
    for (from, to) in pairs() {
        let input = noise(500, 2);
        let mut resampler = Resampler::new(rate(from), rate(to));
        let first = resampler.process(&input);
        let tail = resampler.flush();
        assert_eq!(resampler.process(&input), first, "{from} to {to}");
        let mut silence = Resampler::new(rate(from), rate(to));
        silence.process(&input);
        let zeros = vec![0; 2_500];
        assert_eq!(silence.process(&zeros)[..tail.len().min(50)], tail[..tail.len().min(50)], "{from} to {to}");
        resampler.reset();
        assert_eq!(resampler.process(&input), first, "{from} to {to}");
    }
}

#[test]
fn a_short_buffer_is_refused_before_any_work() {
    let mut resampler = Resampler::new(rate(8_000), rate(24_000));
    let mut fresh = resampler.clone();
    let input = noise(160, 3);
    let error = resampler.process_into(&input, &mut [0; 479]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "room for 479 samples, wanted 480");
    assert_eq!(resampler.process(&input), fresh.process(&input));
    assert!(resampler.flush_into(&mut [0; 58]).is_err());
    let mut tail = [0; 80];
    assert_eq!(resampler.flush_into(&mut tail).unwrap(), 59);
    assert_eq!(tail[..59], fresh.flush());
}

#[test]
fn loud_edges_saturate_instead_of_wrapping() {
    let square: Vec<i16> = (0..800).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    for (from, to) in pairs() {
        let out = resample(&square, rate(from), rate(to));
        // Away from its edges a square keeps its sign, which an overflow would not.
        let ratio = f64::from(from) / f64::from(to);
        for (n, &sample) in out.iter().enumerate() {
            let at = n as f64 * ratio;
            let (plateau, place) = ((at / 40.0) as i32, at % 40.0);
            let margin = 4.0 * ratio.max(1.0);
            if place > margin && place < 40.0 - margin && at < 790.0 {
                assert_eq!(sample > 0, plateau % 2 == 0, "{from} to {to}: {sample} at {n}");
            }
        }
    }
}

proptest! {
    #[test]
    fn chunks_do_not_change_a_bit(
        pair in prop::sample::select(pairs().collect::<Vec<_>>()),
        studio in any::<bool>(),
        seed in any::<u64>(),
        chunks in prop::collection::vec(0_usize..700, 1..12),
    ) {
        let quality = if studio { Quality::Studio } else { Quality::Phone };
        let input = noise(chunks.iter().sum(), seed);
        let mut whole = Resampler::with_quality(rate(pair.0), rate(pair.1), quality);
        let mut cut = whole.clone();
        let mut wanted = whole.process(&input);
        wanted.extend(whole.flush());
        let (mut got, mut rest) = (Vec::new(), &input[..]);
        for len in chunks {
            let (chunk, later) = rest.split_at(len);
            got.extend(cut.process(chunk));
            rest = later;
        }
        got.extend(cut.flush());
        prop_assert_eq!(got, wanted);
    }
}

/// Of the test tones: loud, with room for the filter's overshoot.
const AMPLITUDE: f64 = 30_000.0;

/// What phones, speech models and providers need, and some that share no rate with them.
const PHONE_PAIRS: [(u32, u32); 10] = [
    (8_000, 16_000),
    (16_000, 8_000),
    (8_000, 24_000),
    (24_000, 8_000),
    (16_000, 24_000),
    (24_000, 16_000),
    (8_000, 48_000),
    (48_000, 8_000),
    (12_000, 16_000),
    (32_000, 12_000),
];
