//! Opus carries speech at every rate and frame, makes up for what is lost, and refuses what is no packet.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use talkpath::ErrorKind;
use talkpath::audio::codec::opus::{self, OpusDecoder, OpusEncoder, OpusOptions};
use talkpath::audio::codec::{Codec, Decoder, Encoder, Encoding};
use talkpath::audio::frame::{PTIME, SampleRate};

/// Packets of ffmpeg's and ours, and what ffmpeg's own decoder makes of them: made by `vectors/make_opus.py`.
const VECTORS: &str = include_str!("vectors/opus.txt");

/// The rates that Opus has, in Hz.
const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

fn rates() -> impl Iterator<Item = SampleRate> {
    RATES.into_iter().map(|hz| SampleRate::new(hz).unwrap())
}

/// Syllables of a voice, four a second: a glottal pulse train whose pitch glides, through one formant that moves.
fn voice(rate: SampleRate, seconds: f64) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    let (mut phase, mut a, mut b) = (0.0, 0.0, 0.0);
    let sample = |n: usize| {
        let at = n as f64 / hz;
        phase += (120.0 + 25.0 * (4.0 * at).sin()) / hz;
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase %= 1.0;
        let damping = (-std::f64::consts::PI * 150.0 / hz).exp();
        let resonance = (std::f64::consts::TAU * (700.0 + 300.0 * (9.0 * at).sin()) / hz).cos();
        let next = pulse + 2.0 * damping * resonance * a - damping * damping * b;
        (a, b) = (next, a);
        (next * 5_000.0 * (std::f64::consts::TAU * 2.0 * at).sin().abs().sqrt()) as i16
    };
    (0..(hz * seconds) as usize).map(sample).collect()
}

/// Signal over error in dB, given that `heard` comes 6.5 ms late, as Opus does, or a little less or more.
fn signal_to_noise_db(sent: &[i16], heard: &[i16], rate: SampleRate) -> f64 {
    let at = |delay: usize| -error_db(&heard[delay..], &sent[..heard.len() - delay]);
    (rate.hz() as usize / 160..rate.hz() as usize / 145).map(at).fold(f64::MIN, f64::max)
}

/// The energy of what `got` differs from `wanted` by, in dB of that of `wanted`.
fn error_db(got: &[i16], wanted: &[i16]) -> f64 {
    let energy = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let error = energy(&mut got.iter().zip(wanted).map(|(&g, &w)| f64::from(g) - f64::from(w)));
    10.0 * (error / energy(&mut wanted.iter().copied().map(f64::from))).log10()
}

fn packets(rate: SampleRate, options: OpusOptions, ptime: Duration, samples: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(rate, options).unwrap();
    samples.chunks_exact(rate.samples_in(ptime)).map(|frame| encoder.encode(frame).unwrap()).collect()
}

#[test]
fn speech_comes_through_at_every_rate_and_frame() {
    for rate in rates() {
        let sent = voice(rate, 1.2);
        for ms in [10, 20, 40, 60] {
            let ptime = Duration::from_millis(ms);
            let codec = Codec::opus(rate).unwrap();
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let mut heard = Vec::new();
            let mut bytes = 0;
            for frame in sent.chunks_exact(codec.samples_per_frame(ptime)) {
                let packet = encoder.encode(frame).unwrap();
                assert_eq!(codec.samples_in(&packet).unwrap(), frame.len());
                assert!(packet.len() <= codec.bytes_per_frame(ptime));
                bytes += packet.len();
                heard.extend(decoder.decode(&packet).unwrap());
            }
            assert_eq!(heard.len(), sent.len());
            let db = signal_to_noise_db(&sent, &heard, rate);
            assert!(db > 8.0, "{db:.1} dB at {rate} in frames of {ms} ms");
            let kbits = bytes as f64 * 8.0 / 1_200.0;
            assert!((10.0..38.0).contains(&kbits), "{kbits:.1} kbit/s at {rate} in frames of {ms} ms");
        }
    }
}

#[test]
fn a_packet_decodes_to_any_rate() {
    let wide = voice(SampleRate::HZ_16000, 0.4);
    let packets = packets(SampleRate::HZ_16000, OpusOptions::default(), PTIME, &wide);
    for rate in rates() {
        let mut decoder = OpusDecoder::new(rate).unwrap();
        assert_eq!(decoder.rate(), rate);
        let heard: Vec<i16> = packets.iter().flat_map(|packet| decoder.decode(packet).unwrap()).collect();
        assert_eq!(heard.len(), rate.samples_in(Duration::from_millis(400)));
        let energy =
            |samples: &[i16]| samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
        let db = 10.0 * (energy(&heard) / energy(&wide)).log10();
        assert!(db.abs() < 2.0, "{db:.1} dB louder at {rate}");
    }
}

#[test]
fn packets_of_others_and_ours_sound_as_in_ffmpeg() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    for line in VECTORS.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, encoded_by, packets, wanted] = words[..] else { panic!("{line}") };
        let mut decoder = Decoder::new(Codec::opus(SampleRate::HZ_48000).unwrap());
        let heard: Vec<i16> = packets.split(',').flat_map(|packet| decoder.decode(&bytes(packet)).unwrap()).collect();
        let wanted = Encoding::SlinBe.decode(&bytes(wanted)).unwrap();
        assert_eq!(heard.len().div_ceil(23), wanted.len(), "{name} of {encoded_by}");
        // The speech mode's resampler is everyone's own (RFC 6716, section 4.2.9), and so is the part of a millisecond by
        // which it delays.
        let error_at = |start: usize| {
            let heard: Vec<i16> = heard.iter().skip(start).step_by(23).copied().collect();
            error_db(&heard, &wanted[1..])
        };
        let db = (13..33).map(error_at).fold(f64::MAX, f64::min);
        assert!(db < -24.0, "error of {db:.1} dB in {name} of {encoded_by}");
    }
}

#[test]
fn a_codec_says_what_opus_is() {
    let codec = Codec::from_name("Opus", SampleRate::HZ_16000).unwrap();
    assert_eq!(codec, Codec::opus(SampleRate::HZ_16000).unwrap());
    assert_eq!((codec.name(), codec.rate().hz(), codec.rtp_clock().hz()), ("opus", 16_000, 48_000));
    assert_eq!((codec.samples_per_frame(PTIME), codec.bytes_per_frame(PTIME)), (320, 1_276));
    assert!(codec.is_stateful());
    for (us, samples) in [(1_000, 0), (2_500, 40), (10_000, 160), (30_000, 320), (50_000, 640), (120_000, 960)] {
        assert_eq!(codec.samples_per_frame(Duration::from_micros(us)), samples, "{us} µs");
    }
    for hz in [11_025, 32_000, 44_100] {
        let error = Codec::opus(SampleRate::new(hz).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(&hz.to_string()), "{error}");
    }
}

/// Which packets get lost, at random.
fn one_in_ten(packets: usize) -> Vec<bool> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(10)
    };
    std::iter::repeat_with(next).take(packets).collect()
}

#[test]
fn copies_beat_concealment_by_far() {
    let rate = SampleRate::HZ_16000;
    let packets = packets(rate, OpusOptions::default(), PTIME, &voice(rate, 8.0));
    // What neither can make up for is what a decoder makes of all packets: the lost frames of it are the truth.
    let mut decoder = OpusDecoder::new(rate).unwrap();
    let truth: Vec<Vec<i16>> = packets.iter().map(|packet| decoder.decode(packet).unwrap()).collect();
    let lost = one_in_ten(packets.len());
    let lost_frames: Vec<i16> =
        truth.iter().zip(&lost).filter(|(_, lost)| **lost).flat_map(|(f, _)| f.clone()).collect();

    let hear = |use_copies: bool| {
        let mut decoder = Decoder::new(Codec::opus(rate).unwrap());
        let (mut made_up, mut recovered) = (Vec::new(), 0);
        for (i, packet) in packets.iter().enumerate() {
            let mut frame = [0; 320];
            if !lost[i] {
                assert_eq!(decoder.decode_into(packet, &mut frame).unwrap(), 320);
                continue;
            }
            // Two in a row: the first has no packet after it.
            let next = packets.get(i + 1).filter(|_| use_copies && !lost[i + 1]);
            if let Some(samples) = next.and_then(|next| decoder.recover_into(next, 320, &mut frame)) {
                assert_eq!(samples, 320);
                recovered += 1;
            } else {
                assert_eq!(decoder.conceal_into(320, &mut frame), Some(320));
            }
            made_up.extend(frame);
        }
        (error_db(&made_up, &lost_frames), recovered)
    };
    let ((concealed, none), (recovered, count)) = (hear(false), hear(true));
    assert_eq!(none, 0);
    assert!(count >= 25, "{count} of {} packets recovered", lost_frames.len() / 320);
    assert!(recovered < concealed - 4.0, "error of {recovered:.1} dB with copies, of {concealed:.1} dB without");
}

#[test]
fn a_gap_of_several_packets_ends_with_the_copy() {
    let rate = SampleRate::HZ_48000;
    for (ptime, lost, wanted) in [(20, 20, Some(960)), (20, 60, Some(2_880)), (20, 10, None), (40, 40, Some(1_920))] {
        let ptime = Duration::from_millis(ptime);
        let packets = packets(SampleRate::HZ_16000, OpusOptions::default(), ptime, &voice(SampleRate::HZ_16000, 0.8));
        let mut decoder = OpusDecoder::new(rate).unwrap();
        packets[..8].iter().for_each(|packet| assert!(decoder.decode(packet).is_ok()));
        let lost = rate.samples_in(Duration::from_millis(lost));
        let mut out = vec![7; lost + 1];
        assert_eq!(decoder.recover_into(&packets[9], lost, &mut out[..lost - 1]), None, "no room");
        assert_eq!(decoder.recover_into(&packets[9], lost, &mut out), wanted, "{ptime:?}");
        assert_eq!(out[lost], 7);
    }
}

#[test]
fn a_copy_is_found_however_frames_are_packed() {
    let rate = SampleRate::HZ_16000;
    let packets = packets(rate, OpusOptions::default(), PTIME, &voice(rate, 0.4));
    let (toc, frame) = packets[12].split_first().unwrap();
    let size = frame.len() as u8;
    assert!(*toc & 3 == 0 && size < 252, "one frame, of a size that one byte tells");
    let packed = |code: u8, header: &[u8], frames: usize, padding: usize| {
        [&[*toc | code], header, &frame.repeat(frames), &vec![0; padding]].concat()
    };
    let once = |packet: &[u8], samples: usize| {
        let mut decoder = OpusDecoder::new(rate).unwrap();
        packets[..11].iter().for_each(|packet| assert!(decoder.decode(packet).is_ok()));
        let mut out = vec![0; 320];
        let recovered = decoder.recover_into(packet, 320, &mut out);
        assert_eq!(decoder.decode(packet).map(|heard| heard.len()).ok(), Some(samples), "{packet:?}");
        recovered.map(|_| out)
    };
    let wanted = once(&packets[12], 320);
    assert!(wanted.is_some());
    for (packet, samples) in [
        (packed(1, &[], 2, 0), 640),
        (packed(2, &[size], 2, 0), 640),
        // As many frames as the first byte says; 64 more of it is padding, 128 more sizes.
        (packed(3, &[2], 2, 0), 640),
        (packed(3, &[64 + 1, 5], 1, 5), 320),
        (packed(3, &[64 + 1, 255, 1], 1, 255), 320),
        (packed(3, &[128 + 3, size, size], 3, 0), 960),
        (packed(3, &[128 + 64 + 2, 3, size], 2, 3), 640),
    ] {
        assert!(once(&packet, samples) == wanted, "{packet:?}");
    }
    // A first frame of no bytes holds nothing, and neither does half a packet.
    assert_eq!(once(&[&[*toc | 2, 0], frame].concat(), 640), None);
    let mut decoder = OpusDecoder::new(rate).unwrap();
    for bad in [packed(1, &[], 1, 1 + frame.len() % 2), packed(2, &[size + 1], 1, 0), packed(3, &[128 + 2, 252], 0, 0)]
    {
        assert_eq!(decoder.recover_into(&bad, 320, &mut [0; 320]), None, "{bad:?}");
        assert!(decoder.decode(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_holds_no_copy_recovers_nothing() {
    let rate = SampleRate::HZ_16000;
    let sent = voice(rate, 0.4);
    let without = [
        packets(rate, OpusOptions { fec: false, ..OpusOptions::default() }, PTIME, &sent),
        packets(rate, OpusOptions { packet_loss: 0, ..OpusOptions::default() }, PTIME, &sent),
        // Frames too short for the speech mode.
        packets(rate, OpusOptions::default(), Duration::from_millis(5), &sent),
    ];
    for packets in without {
        let mut decoder = OpusDecoder::new(rate).unwrap();
        for packet in &packets {
            assert_eq!(decoder.recover_into(packet, 320, &mut [0; 320]), None);
            assert!(decoder.decode(packet).is_ok());
        }
    }
}

#[test]
fn concealment_goes_on_from_what_was_heard_and_fades() {
    for rate in rates() {
        let mut decoder = OpusDecoder::new(rate).unwrap();
        let mut out = vec![0; rate.hz() as usize];
        assert_eq!(decoder.conceal_into(rate.frame_len(), &mut out), rate.frame_len());
        assert!(out.iter().all(|&sample| sample == 0), "something before anything was heard");
        for packet in packets(rate, OpusOptions::default(), PTIME, &voice(rate, 0.14)) {
            assert!(decoder.decode(&packet).is_ok());
        }
        assert_eq!(decoder.conceal_into(out.len(), &mut out), out.len());
        let peak = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let (first, last) = (peak(&out[..rate.frame_len()]), peak(&out[out.len() / 2..]));
        assert!(first > 1_000 && last < first / 10, "{first}, then {last} at {rate}");
        // Whole steps of 2.5 ms, and no more than there is room for.
        let step = rate.hz() as usize / 400;
        assert_eq!(decoder.conceal_into(3 * step - 1, &mut out), 2 * step);
        assert_eq!(decoder.conceal_into(3 * step, &mut out[..2 * step - 1]), step);
        assert_eq!(decoder.conceal_into(step - 1, &mut out), 0);
    }
}

#[test]
fn silence_costs_next_to_nothing_with_dtx() {
    let rate = SampleRate::HZ_16000;
    let bytes = |dtx| {
        let packets = packets(rate, OpusOptions { dtx, ..OpusOptions::default() }, PTIME, &[0; 32_000]);
        let mut decoder = OpusDecoder::new(rate).unwrap();
        for packet in &packets {
            let loudest = decoder.decode(packet).unwrap().into_iter().map(i16::unsigned_abs).max();
            assert!(loudest <= Some(8), "{loudest:?}");
        }
        packets.iter().map(Vec::len).sum::<usize>()
    };
    let (with, without) = (bytes(true), bytes(false));
    assert!(with < without / 2, "{with} bytes with DTX, {without} without");
}

#[test]
fn packets_of_a_constant_bit_rate_have_one_size() {
    let rate = SampleRate::HZ_16000;
    let sizes = |cbr| {
        let options = OpusOptions { cbr, ..OpusOptions::default() };
        packets(rate, options, PTIME, &voice(rate, 1.0)).iter().map(Vec::len).collect::<std::collections::BTreeSet<_>>()
    };
    // 32,000 bit/s for 20 ms.
    assert_eq!(sizes(true), [80].into());
    assert!(sizes(false).len() > 10);
}

#[test]
fn nothing_is_spent_on_what_the_far_end_does_not_play() {
    let rate = SampleRate::HZ_48000;
    let highest = |max_playback_rate| {
        let options = OpusOptions { bitrate: 64_000, max_playback_rate, ..OpusOptions::default() };
        let packets = packets(rate, options, PTIME, &voice(rate, 0.5));
        packets.iter().map(|packet| band_hz(packet)).max().unwrap()
    };
    assert_eq!(highest(SampleRate::HZ_8000), 4_000);
    assert_eq!(highest(SampleRate::HZ_16000), 8_000);
    assert!(highest(SampleRate::HZ_48000) > 8_000);
}

/// The highest frequency in a packet, by its first byte (RFC 6716, section 3.1).
fn band_hz(packet: &[u8]) -> u32 {
    match packet[0] >> 3 {
        speech @ 0..12 => [4_000, 6_000, 8_000][usize::from(speech / 4)],
        hybrid @ 12..16 => [12_000, 20_000][usize::from((hybrid - 12) / 2)],
        music => [4_000, 8_000, 12_000, 20_000][usize::from((music - 16) / 4)],
    }
}

#[test]
fn options_are_kept_and_checked() {
    let rate = SampleRate::HZ_16000;
    let sent = voice(rate, 1.0);
    let bytes = |bitrate, complexity| {
        let options = OpusOptions { bitrate, complexity, ..OpusOptions::default() };
        packets(rate, options, PTIME, &sent).iter().map(Vec::len).sum::<usize>()
    };
    let (low, high) = (bytes(12_000, 5), bytes(32_000, 5));
    assert!(high > low * 3 / 2, "{low} bytes at 12 kbit/s, {high} at 32");
    assert_ne!(bytes(24_000, 0), bytes(24_000, 10));

    let default = OpusOptions::default();
    for (options, named) in [
        (OpusOptions { bitrate: 5_999, ..default }, "5999"),
        (OpusOptions { bitrate: 128_001, ..default }, "128001"),
        (OpusOptions { packet_loss: 101, ..default }, "101 %"),
        (OpusOptions { complexity: 11, ..default }, "11"),
    ] {
        let error = Encoder::new_opus(rate, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(named), "{error}");
    }
    let error = OpusEncoder::new(SampleRate::new(44_100).unwrap(), default).unwrap_err();
    assert!(error.to_string().contains("44100 Hz"), "{error}");
}

#[test]
fn reset_begins_a_new_stream_with_the_same_options() {
    let rate = SampleRate::HZ_16000;
    let sent = voice(rate, 0.2);
    let options = OpusOptions { bitrate: 16_000, ..OpusOptions::default() };
    let (mut encoder, mut decoder) =
        (Encoder::new_opus(rate, options).unwrap(), Decoder::new(Codec::opus(rate).unwrap()));
    let encode = |encoder: &mut Encoder| -> Vec<Vec<u8>> {
        sent.chunks(320).map(|frame| encoder.encode(frame).unwrap()).collect()
    };
    let first = encode(&mut encoder);
    assert_ne!(encode(&mut encoder), first);
    encoder.reset();
    assert_eq!(encode(&mut encoder), first);

    let decode = |decoder: &mut Decoder| -> Vec<i16> {
        first.iter().flat_map(|packet| decoder.decode(packet).unwrap()).collect()
    };
    let heard = decode(&mut decoder);
    assert_ne!(decode(&mut decoder), heard);
    decoder.reset();
    assert_eq!(decode(&mut decoder), heard);
}

#[test]
fn a_refused_call_leaves_everything_as_it_was() {
    let rate = SampleRate::HZ_16000;
    let sent = voice(rate, 0.2);
    let wanted = packets(rate, OpusOptions::default(), PTIME, &sent);
    let mut encoder = OpusEncoder::new(rate, OpusOptions::default()).unwrap();
    let mut out = [7; 1_276];
    for count in [0, 1, 319, 321, 480, 1_920] {
        let error = encoder.encode_into(&vec![0; count], &mut out).unwrap_err();
        assert_eq!((error.kind(), out[0]), (ErrorKind::InvalidArgument, 7));
        assert!(error.to_string().contains(&format!("{count} samples at 16000 Hz")), "{error}");
    }
    let error = encoder.encode_into(&sent[..320], &mut out[..1_275]).unwrap_err();
    assert!(error.to_string().contains("1275"), "{error}");
    assert_eq!(encoder.encode_into(&sent[..320], &mut out).unwrap(), wanted[0].len());
    assert_eq!(out[..wanted[0].len()], wanted[0]);

    let (mut decoder, mut truth) = (OpusDecoder::new(rate).unwrap(), OpusDecoder::new(rate).unwrap());
    for packet in &wanted {
        let mut out = [7; 321];
        // Empty; no count; a count of 0; 60 ms times 48; a frame longer than there are bytes; two halves of three bytes.
        for bad in [&[][..], &[3], &[3, 0], &[0x1b, 48], &[2, 200, 0], &[1, 0, 0, 0]] {
            let error = decoder.decode_into(bad, &mut out).unwrap_err();
            assert_eq!((error.kind(), out[0]), (ErrorKind::InvalidArgument, 7), "{bad:?}");
            assert!(error.to_string().contains(&format!("{} bytes", bad.len())), "{error}");
            assert_eq!(decoder.recover_into(bad, 320, &mut out), None, "{bad:?}");
        }
        assert!(decoder.decode_into(packet, &mut out[..319]).is_err());
        assert_eq!(decoder.decode_into(packet, &mut out).unwrap(), 320);
        assert_eq!((&out[..320], out[320]), (&truth.decode(packet).unwrap()[..], 7));
    }
    assert!(opus::samples_in(&wanted[0], SampleRate::new(44_100).unwrap()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..12),
        rate in 0_usize..RATES.len(),
        lost in 0_usize..6_000,
    ) {
        let mut decoder = OpusDecoder::new(SampleRate::new(RATES[rate]).unwrap()).unwrap();
        let mut out = [7; 6_001];
        for packet in &packets {
            if let Some(samples) = decoder.recover_into(packet, lost, &mut out[..6_000]) {
                prop_assert!(samples <= lost);
            }
            out.fill(7);
            match decoder.decode_into(packet, &mut out) {
                Ok(samples) => {
                    prop_assert_eq!(samples, opus::samples_in(packet, decoder.rate()).unwrap());
                    prop_assert!(out[samples..].iter().all(|&sample| sample == 7));
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                    prop_assert!(out.iter().all(|&sample| sample == 7));
                }
            }
        }
    }
}
