//! G.722 decodes as spandsp and ffmpeg do, encodes as spandsp does, and does not care how a stream is cut into pieces.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use talkpath::ErrorKind;
use talkpath::audio::codec::g722::{G722Decoder, G722Encoder};
use talkpath::audio::codec::{Codec, Decoder, Encoder, Encoding};
use talkpath::audio::frame::{PTIME, SampleRate};

/// What spandsp and ffmpeg answer: made by `vectors/make_g722.py`.
const VECTORS: &str = include_str!("vectors/g722.txt");

/// The lines of a kind, split into words.
fn vectors(kind: &str) -> Vec<Vec<&'static str>> {
    let lines: Vec<Vec<&str>> = VECTORS.lines().map(|line| line.split(' ').collect()).collect();
    let lines: Vec<Vec<&str>> = lines.into_iter().filter(|words: &Vec<&str>| words[1] == kind).collect();
    assert!(!lines.is_empty(), "no {kind} in the vectors");
    lines
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn samples(hex: &str) -> Vec<i16> {
    Encoding::SlinBe.decode(&bytes(hex)).unwrap()
}

/// The generator of `make_g722.py`.
fn random_bytes(seed: u64, mask: u8, count: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 & mask
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn fnv(samples: &[i16]) -> u64 {
    let step = |digest: u64, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    Encoding::SlinBe.encode(samples).into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn sine(hz: f64, amplitude: f64, count: usize) -> Vec<i16> {
    let sample = |i| (amplitude * (std::f64::consts::TAU * hz * i as f64 / 16_000.0).sin()) as i16;
    (0..count).map(sample).collect()
}

/// How far `got` is from `wanted`, given that it comes the codec's 22 samples late, in dB.
fn signal_to_noise_db(wanted: &[i16], got: &[i16]) -> f64 {
    let pairs = || wanted.iter().zip(&got[22..]).skip(1_000).map(|(&w, &g)| (f64::from(w), f64::from(g)));
    let signal: f64 = pairs().map(|(w, _)| w * w).sum();
    let noise: f64 = pairs().map(|(w, g)| (w - g) * (w - g)).sum();
    10.0 * (signal / noise).log10()
}

#[test]
fn short_streams_decode_as_elsewhere() {
    for words in vectors("decode") {
        let wanted = samples(words[3]);
        let got = G722Decoder::new().decode(&bytes(words[2]));
        let wrong = (0..wanted.len().max(got.len())).find(|&i| got.get(i) != wanted.get(i));
        assert_eq!(wrong, None, "the first wrong sample of {}", words[0]);
    }
}

#[test]
fn long_streams_of_any_bytes_decode_as_elsewhere() {
    for words in vectors("decode_long") {
        let stream = random_bytes(words[2].parse().unwrap(), words[3].parse().unwrap(), words[4].parse().unwrap());
        assert_eq!(format!("{:016x}", fnv(&G722Decoder::new().decode(&stream))), words[5], "{}", words[0]);
    }
}

#[test]
fn short_streams_encode_as_in_spandsp() {
    for words in vectors("encode") {
        let got = G722Encoder::new().encode(&samples(words[2])).unwrap();
        assert!(got == bytes(words[3]), "{}", words[0]);
    }
}

#[test]
fn both_halves_of_the_band_come_through() {
    for (hz, wanted_db) in [(200.0, 30.0), (1_000.0, 30.0), (3_000.0, 20.0), (6_000.0, 10.0)] {
        let tone = sine(hz, 10_000.0, 8_000);
        let heard = G722Decoder::new().decode(&G722Encoder::new().encode(&tone).unwrap());
        let db = signal_to_noise_db(&tone, &heard);
        assert!(db >= wanted_db, "{db:.1} dB at {hz} Hz, wanted {wanted_db}");
    }
}

#[test]
fn what_is_too_loud_is_limited_and_does_not_wrap() {
    let square: Vec<i16> = (0..3_200).map(|i| if i / 16 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let heard = G722Decoder::new().decode(&G722Encoder::new().encode(&square).unwrap());
    // The middle of each half wave, after a time to settle: a wrapped sample would have the other sign.
    for i in (408..3_100).step_by(16) {
        assert!((square[i] > 0) == (heard[i + 22] > 0) && heard[i + 22].unsigned_abs() > 20_000, "sample {i}");
    }
}

#[test]
fn reset_begins_a_new_stream() {
    let tone = sine(440.0, 8_000.0, 640);
    let mut encoder = G722Encoder::new();
    let first = encoder.encode(&tone).unwrap();
    assert_ne!(encoder.encode(&tone).unwrap(), first);
    encoder.reset();
    assert_eq!(encoder.encode(&tone).unwrap(), first);

    let mut decoder = G722Decoder::new();
    let heard = decoder.decode(&first);
    assert_ne!(decoder.decode(&first), heard);
    decoder.reset();
    assert_eq!(decoder.decode(&first), heard);
}

#[test]
fn a_refused_call_leaves_everything_as_it_was() {
    let tone = sine(440.0, 8_000.0, 640);
    let wanted = G722Encoder::new().encode(&tone).unwrap();
    let heard = G722Decoder::new().decode(&wanted);
    let (mut encoder, mut decoder) = (G722Encoder::new(), G722Decoder::new());

    let mut out = [7; 400];
    let error = encoder.encode_into(&tone[..3], &mut out).unwrap_err();
    assert_eq!((error.kind(), out[0]), (ErrorKind::InvalidArgument, 7));
    assert!(error.to_string().contains("3 samples"), "{error}");
    let error = encoder.encode_into(&tone, &mut out[..319]).unwrap_err();
    assert_eq!((error.kind(), out[0]), (ErrorKind::InvalidArgument, 7));
    assert!(error.to_string().contains("319"), "{error}");
    assert_eq!(encoder.encode_into(&tone, &mut out).unwrap(), 320);
    assert_eq!((&out[..320], out[320]), (&wanted[..], 7));

    let mut out = [7; 700];
    let error = decoder.decode_into(&wanted, &mut out[..639]).unwrap_err();
    assert_eq!((error.kind(), out[0]), (ErrorKind::InvalidArgument, 7));
    assert_eq!(decoder.decode_into(&wanted, &mut out).unwrap(), 640);
    assert_eq!((&out[..640], out[640]), (&heard[..], 7));
}

#[test]
fn a_codec_says_what_a_frame_is() {
    let l16 = Codec::from_name("L16", SampleRate::HZ_16000).unwrap();
    for (codec, name, samples, bytes, clock) in [
        (Codec::PCMU, "ulaw", 160, 160, 8_000),
        (Codec::PCMA, "alaw", 160, 160, 8_000),
        (Codec::G722, "g722", 320, 160, 8_000),
        (l16, "slin_be", 320, 640, 16_000),
    ] {
        assert_eq!(codec.name(), name);
        assert_eq!(codec.samples_per_frame(PTIME), samples, "{codec}");
        assert_eq!(codec.bytes_per_frame(PTIME), bytes, "{codec}");
        assert_eq!(codec.rtp_clock().hz(), clock, "{codec}");
        assert_eq!(codec.rate().samples_in(PTIME), samples, "{codec}");
        assert_eq!(Codec::from_name(name, codec.rate()).unwrap(), codec);
        for ms in (10..=60).step_by(10) {
            let ptime = Duration::from_millis(ms);
            let frame = vec![0; codec.samples_per_frame(ptime)];
            let payload = Encoder::new(codec).encode(&frame).unwrap();
            assert_eq!(payload.len(), codec.bytes_per_frame(ptime), "{codec} of {ms} ms");
            assert_eq!(codec.samples_in(&payload).unwrap(), frame.len(), "{codec} of {ms} ms");
        }
    }
    // What 8 kHz of odd length would be in half bytes.
    assert_eq!(Codec::G722.samples_per_frame(Duration::from_micros(20_063)), 320);
    assert_eq!(Codec::from_name("G.722", SampleRate::HZ_16000).unwrap(), Codec::G722);
    let error = Codec::from_name("g722", SampleRate::HZ_8000).unwrap_err();
    assert!(error.to_string().contains("8000 Hz"), "{error}");
    let error = Codec::from_name("g729", SampleRate::HZ_8000).unwrap_err();
    assert!(error.to_string().contains("\"g729\"") && error.to_string().contains("g722"), "{error}");
}

#[test]
fn a_stream_is_what_its_codec_is() {
    let tone = sine(440.0, 8_000.0, 640);
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722, Codec::from_name("slin", SampleRate::HZ_48000).unwrap()] {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
        assert_eq!((encoder.codec(), decoder.codec()), (codec, codec));
        let payload = encoder.encode(&tone).unwrap();
        let heard = decoder.decode(&payload).unwrap();
        let (wanted_payload, wanted) = match codec {
            Codec::Plain { encoding, .. } => (encoding.encode(&tone), encoding.decode(&payload).unwrap()),
            _ => (G722Encoder::new().encode(&tone).unwrap(), G722Decoder::new().decode(&payload)),
        };
        assert!(payload == wanted_payload && heard == wanted, "{codec}");

        encoder.reset();
        decoder.reset();
        let (mut bytes, mut samples) = (vec![0; payload.len()], vec![0; heard.len()]);
        assert_eq!(encoder.encode_into(&tone, &mut bytes).unwrap(), payload.len());
        assert_eq!(decoder.decode_into(&bytes, &mut samples).unwrap(), heard.len());
        assert!(bytes == payload && samples == heard, "{codec} after a reset");
    }
}

/// The pitch period of [`voice`] in samples.
const VOICE_PERIOD: usize = 133;

/// A glottal pulse train at 120 Hz through formants at 600 Hz and 5 kHz: a voice with something in both halves of the band.
fn voice(count: usize) -> Vec<i16> {
    let mut states = [(0.0, 0.0); 2];
    let sample = |n: usize| {
        let pulse = if n.is_multiple_of(VOICE_PERIOD) { 4_000.0 } else { 0.0 };
        let mut sum = 0.0;
        for ((a, b), (hz, width)) in states.iter_mut().zip([(600.0, 120.0), (5_000.0, 400.0)]) {
            let damping = (-std::f64::consts::PI * width / 16_000.0_f64).exp();
            let resonance = (std::f64::consts::TAU * hz / 16_000.0_f64).cos();
            let next = pulse + 2.0 * damping * resonance * *a - damping * damping * *b;
            (*a, *b) = (next, *a);
            sum += next;
        }
        sum as i16
    };
    (0..count).map(sample).collect()
}

/// The energy of what `got` differs from `wanted` by, in dB of that of `wanted`.
fn error_db(got: &[i16], wanted: &[i16]) -> f64 {
    let energy = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let error = energy(&mut got.iter().zip(wanted).map(|(&g, &w)| f64::from(g) - f64::from(w)));
    10.0 * (error / energy(&mut wanted.iter().copied().map(f64::from))).log10()
}

#[test]
fn after_a_gap_a_resynced_decoder_is_nearer_to_the_truth() {
    let payload = G722Encoder::new().encode(&voice(16_000)).unwrap();
    let truth = G722Decoder::new().decode(&payload);
    for (lost, margin) in [(1, 4.0), (2, 2.0), (3, 0.5)] {
        let (mut resynced, mut unaware) = (Vec::new(), Vec::new());
        for gap in 10..40 {
            let after = gap + lost;
            let mut decoder = G722Decoder::new();
            let past = decoder.decode(&payload[..gap * 160]);
            unaware.extend(decoder.clone().decode(&payload[after * 160..][..160]));
            // The latest pitch period again and again, and quieter than it was.
            let period = &past[past.len() - VOICE_PERIOD..];
            let concealed: Vec<i16> = period.iter().cycle().map(|&sample| sample / 8 * 7).take(lost * 320).collect();
            concealed.chunks(320).for_each(|concealed| decoder.resync(concealed));
            resynced.extend(decoder.decode(&payload[after * 160..][..160]));
        }
        let truth: Vec<i16> = (10..40).flat_map(|gap| &truth[(gap + lost) * 320..][..320]).copied().collect();
        let (resynced, unaware) = (error_db(&resynced, &truth), error_db(&unaware, &truth));
        assert!(resynced < unaware - margin, "{lost} lost: {resynced:.1} dB resynced, {unaware:.1} dB without");
    }
}

#[test]
fn a_decoder_resynced_with_the_truth_goes_on_as_if_nothing_were_lost() {
    let payload = G722Encoder::new().encode(&voice(16_000)).unwrap();
    let truth = G722Decoder::new().decode(&payload);
    let mut decoder = Decoder::new(Codec::G722);
    assert_eq!(decoder.decode(&payload[..1_600]).unwrap().len(), 3_200);
    decoder.resync(&truth[3_200..3_520]);
    let db = error_db(&decoder.decode(&payload[1_760..1_920]).unwrap(), &truth[3_520..3_840]);
    assert!(db < -20.0, "{db:.1} dB");

    // Nothing, too little for a period and an odd count are taken as well.
    for count in [0, 1, 2, 39, 321] {
        decoder.resync(&truth[..count]);
    }
}

#[test]
fn a_stateless_stream_has_nothing_to_conceal_with() {
    for codec in [Codec::PCMU, Codec::PCMA, Codec::from_name("slin", SampleRate::HZ_8000).unwrap()] {
        let mut decoder = Decoder::new(codec);
        let mut out = [7; 160];
        assert_eq!(decoder.conceal_into(160, &mut out), None);
        assert_eq!(decoder.recover_into(&[0; 160], 160, &mut out), None);
        decoder.resync(&out);
        assert_eq!((out, decoder.is_stateful(), codec.is_stateful()), ([7; 160], false, false));
    }
    assert!(Codec::G722.is_stateful() && Decoder::new(Codec::G722).is_stateful());
}

proptest! {
    #[test]
    fn pieces_sound_as_the_whole(
        samples in prop::collection::vec(any::<i16>(), 0..2_000),
        cuts in prop::collection::vec(0_usize..450, 1..9),
    ) {
        let samples = &samples[..samples.len() / 2 * 2];
        let whole = G722Encoder::new().encode(samples).unwrap();
        let heard = G722Decoder::new().decode(&whole);

        let (mut encoder, mut decoder) = (G722Encoder::new(), G722Decoder::new());
        let (mut bytes, mut pieces) = (Vec::new(), Vec::new());
        let mut left = samples;
        for cut in cuts.iter().copied().chain([samples.len()]) {
            let (piece, after) = left.split_at((cut * 2).min(left.len()));
            left = after;
            let payload = encoder.encode(piece).unwrap();
            pieces.extend(decoder.decode(&payload));
            bytes.extend(payload);
        }
        prop_assert!(bytes == whole);
        prop_assert!(pieces == heard);
    }
}
