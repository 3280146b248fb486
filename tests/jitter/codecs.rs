//! Payloads of every kind: decoded at once or in their turn, malformed, and of another codec than before.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::opus::OpusOptions;
use talkpath::audio::codec::{Codec, Decoder, Encoder};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Arrival, Config, JitterBuffer, Packet, Played, Playout};

use crate::harness::{FRAME, LINEAR, assert_adds_up, largest_step, payload};

/// G.722 from a sender of a tone, and what a decoder makes of all its packets.
struct Wideband {
    packets: Vec<Vec<u8>>,
    decoded: Vec<i16>,
    buffer: JitterBuffer,
    heard: Vec<i16>,
    kinds: Vec<Played>,
}

/// Bytes of G.722 in 20 ms, also ticks of its clock; samples are twice that.
const BYTES: usize = 160;

impl Wideband {
    fn new(count: usize, packet_ms: usize) -> Self {
        let tone: Vec<i16> = (0..count * packet_ms * 16)
            .map(|n| {
                let at = n as f64 * std::f64::consts::TAU / 16_000.0;
                (5_000.0 * (200.0 * at).sin() + 1_500.0 * (3_200.0 * at).sin()) as i16
            })
            .collect();
        let bytes = Encoder::new(Codec::G722).encode(&tone).unwrap();
        let decoded = Decoder::new(Codec::G722).decode(&bytes).unwrap();
        let packets = bytes.chunks(packet_ms * 8).map(<[u8]>::to_vec).collect();
        let buffer = JitterBuffer::new(Config { codec: Codec::G722, ..Config::default() }).unwrap();
        Self { packets, decoded, buffer, heard: Vec::new(), kinds: Vec::new() }
    }

    /// Sends packets so that they come at `arrivals` (number, µs), and ticks every 20 ms.
    fn run(&mut self, arrivals: &[(usize, u64)], ticks: u64) {
        let mut arrivals = arrivals.to_vec();
        arrivals.sort_by_key(|&(_, at)| at);
        let mut waiting = arrivals.into_iter().peekable();
        for tick in 0..ticks {
            let now = tick * 20_000 + 5_000;
            while let Some((n, at)) = waiting.next_if(|&(_, at)| at <= now) {
                let (payload, len) = (&self.packets[n][..], self.packets[0].len());
                let (sequence, timestamp) = (n as u16, (n * len) as u32);
                let packet = Packet { ssrc: 1, sequence, timestamp, marker: n == 0, payload };
                assert_eq!(self.buffer.handle_packet(&packet, Timestamp::from_micros(at)), Arrival::Held);
            }
            let mut frame = [0; 2 * BYTES];
            self.kinds.extend(self.buffer.poll_frame(Timestamp::from_micros(now), &mut frame));
            self.heard.extend(frame);
        }
    }
}

#[test]
fn g722_is_decoded_in_the_order_of_playing_whatever_the_order_of_arrival() {
    for packet_ms in [10, 20, 30, 40, 60] {
        let count = 6_000 / packet_ms;
        let mut line = Wideband::new(count, packet_ms);
        // The first comes 60 ms before it must, and then every second one after its successor.
        let us = packet_ms as u64 * 1_000;
        let arrivals: Vec<_> = (0..count).map(|n| (n, n as u64 * us + if n % 2 == 1 { us + 1 } else { 0 })).collect();
        line.run(&arrivals, 330);
        let stats = line.buffer.stats();
        assert_adds_up(&stats, line.heard.len());
        assert_eq!((stats.packets_lost, stats.samples_discarded), (0, 0), "{packet_ms} ms: {stats:?}");
        // Once the delay is there, everything is as if decoded at once.
        let whole = &line.decoded[3 * 16_000..5 * 16_000];
        assert!(line.heard.windows(whole.len()).any(|heard| heard == whole), "{packet_ms} ms: {stats:?}");
    }
}

#[test]
fn a_late_packet_of_g722_is_decoded_as_if_it_had_not_been_missed() {
    let mut line = Wideband::new(200, 20);
    let arrivals: Vec<_> =
        (0..200).map(|n| (n, (n as u64 * 20_000).max(if (100..103).contains(&n) { 2_050_000 } else { 0 }))).collect();
    line.run(&arrivals, 110);
    assert_eq!(line.kinds[100..103], [Played::Concealed; 3]);
    // The start leads in from what was made up; the rest is what the decoder gives.
    let (from, len) = (103 * 2 * BYTES + BYTES, 7 * 2 * BYTES - BYTES);
    assert_eq!(line.heard[from..][..len], line.decoded[100 * 2 * BYTES + BYTES..][..len]);
}

#[test]
fn a_lost_packet_of_g722_is_hardly_missed() {
    let mut line = Wideband::new(400, 20);
    let arrivals: Vec<_> = (0..400).filter(|n| n % 20 != 10).map(|n| (n, n as u64 * 20_000)).collect();
    line.run(&arrivals, 400);
    let stats = line.buffer.stats();
    assert_eq!((stats.packets_lost, line.kinds.iter().filter(|&&kind| kind == Played::Audio).count()), (20, 380));
    assert_adds_up(&stats, line.heard.len());
    let energy = |samples: &mut dyn Iterator<Item = f64>| samples.map(|x| x * x).sum::<f64>();
    let pairs = || line.heard.iter().zip(&line.decoded).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    let error = energy(&mut pairs().map(|(a, b)| a - b)) / energy(&mut pairs().map(|(_, b)| b));
    assert!(error < 0.01, "{error}");
    // The tones step by up to 2,100 by themselves.
    assert!(largest_step(&line.heard) < 2_900, "{}", largest_step(&line.heard));
}

/// A voice of 120 Hz whose formant and level go up and down, at 16 kHz.
fn voice(samples: usize) -> Vec<i16> {
    let (mut a, mut b) = (0.0, 0.0);
    let sample = |n: usize| {
        let at = n as f64 / 16_000.0;
        let pulse = if n.is_multiple_of(133) { 1.0 } else { 0.0 };
        let damping = (-std::f64::consts::PI * 150.0 / 16_000.0).exp();
        let resonance = (std::f64::consts::TAU * (700.0 + 300.0 * (9.0 * at).sin()) / 16_000.0).cos();
        let next = pulse + 2.0 * damping * resonance * a - damping * damping * b;
        (a, b) = (next, a);
        (next * 5_000.0 * (std::f64::consts::TAU * 2.0 * at).sin().abs().sqrt()) as i16
    };
    (0..samples).map(sample).collect()
}

#[test]
fn what_opus_lost_is_found_in_the_next_packet_or_made_up_by_the_codec_as_its_decoder_alone_would() {
    let codec = Codec::opus(SampleRate::HZ_16000).unwrap();
    let lost = |n: usize| n % 20 == 10 || n % 40 == 31 || n % 40 == 32;
    for fec in [true, false] {
        let mut encoder = Encoder::new_opus(codec.rate(), OpusOptions { fec, ..OpusOptions::default() }).unwrap();
        let packets: Vec<_> = voice(400 * 320).chunks(320).map(|frame| encoder.encode(frame).unwrap()).collect();
        let (mut decoder, mut wanted) = (Decoder::new(codec), vec![0; 2 * 320]);
        let mut found = 0;
        for n in 0..packets.len() {
            let mut frame = [0; 320];
            if !lost(n) {
                decoder.decode_into(&packets[n], &mut frame).unwrap();
            } else if !lost(n + 1) && decoder.recover_into(&packets[n + 1], 320, &mut frame).is_some() {
                found += 320;
            } else {
                assert_eq!(decoder.conceal_into(320, &mut frame), Some(320));
            }
            wanted.extend(frame);
        }
        assert_eq!(found > 0, fec);

        let playout = Playout::Fixed(Duration::from_millis(40));
        let mut buffer = JitterBuffer::new(Config { codec, playout }).unwrap();
        let (mut heard, mut kinds) = (Vec::new(), Vec::new());
        for n in 0..packets.len() + 2 {
            let now = Timestamp::from_millis(n as u64 * 20);
            if let Some(payload) = packets.get(n).filter(|_| !lost(n)) {
                // The clock of Opus is 48 kHz, whatever it is heard at.
                let (sequence, timestamp) = (n as u16, n as u32 * 960);
                let packet = Packet { ssrc: 1, sequence, timestamp, marker: n == 0, payload };
                assert_eq!(buffer.handle_packet(&packet, now), Arrival::Held);
            }
            let mut frame = [0; 320];
            kinds.extend(buffer.poll_frame(now, &mut frame));
            heard.extend(frame);
        }
        let stats = buffer.stats();
        assert_adds_up(&stats, heard.len());
        assert_eq!((stats.packets_lost, stats.samples_recovered), (40, found), "{stats:?}");
        for (n, &kind) in kinds.iter().enumerate().skip(2) {
            assert_eq!(kind, if lost(n - 2) { Played::Concealed } else { Played::Audio }, "frame {n}");
            let frame = n * 320..(n + 1) * 320;
            assert_eq!(heard[frame.clone()], wanted[frame], "frame {n}, FEC {fec}");
        }
    }
}

#[test]
fn packets_of_opus_longer_than_a_frame_are_recovered_in_pieces() {
    let codec = Codec::opus(SampleRate::HZ_8000).unwrap();
    let mut encoder = Encoder::new(codec);
    let playout = Playout::Fixed(Duration::from_millis(120));
    let mut buffer = JitterBuffer::new(Config { codec, playout }).unwrap();
    let (mut heard, mut given) = (Vec::new(), 0);
    let samples: Vec<i16> = voice(16_000 * 10).into_iter().step_by(2).collect();
    for (n, samples) in (0_u16..).zip(samples.chunks(480)) {
        let payload = encoder.encode(samples).unwrap();
        let (sequence, timestamp) = (n, u32::from(n) * 2_880);
        let packet = Packet { ssrc: 1, sequence, timestamp, marker: n == 0, payload: &payload };
        if n % 10 != 5 {
            buffer.handle_packet(&packet, Timestamp::from_millis(u64::from(n) * 60));
        }
        for tick in 0..3 {
            let mut frame = [0; FRAME];
            buffer.poll_frame(Timestamp::from_millis(u64::from(n) * 60 + tick * 20), &mut frame);
            heard.extend(frame);
            given += FRAME;
        }
    }
    let stats = buffer.stats();
    assert_adds_up(&stats, given);
    assert!(stats.samples_recovered > 0 && stats.samples_recovered <= stats.samples_concealed, "{stats:?}");
    assert_eq!((stats.samples_discarded, stats.packets_malformed), (0, 0), "{stats:?}");
}

#[test]
fn what_is_no_payload_says_so_and_counts_as_lost() {
    let mut buffer = JitterBuffer::new(Config { codec: LINEAR, ..Config::default() }).unwrap();
    let good = payload(&[1_000; FRAME]);
    let mut frame = [0; FRAME];
    let long = vec![0; 2 * 11 * FRAME];
    for n in 0..100_u16 {
        let now = Timestamp::from_millis(u64::from(n) * 20);
        let (payload, expected) = match n {
            20 => (&good[1..], Arrival::Malformed),
            40 => (&[][..], Arrival::Malformed),
            60 => (&long[..], Arrival::Malformed),
            _ => (&good[..], Arrival::Held),
        };
        let packet = Packet { ssrc: 1, sequence: n, timestamp: u32::from(n) * 160, marker: false, payload };
        assert_eq!(buffer.handle_packet(&packet, now), expected);
        buffer.poll_frame(now, &mut frame);
    }
    let stats = buffer.stats();
    assert_eq!((stats.packets, stats.packets_malformed, stats.packets_lost), (97, 3, 3));
    assert_adds_up(&stats, 100 * FRAME);
}

#[test]
fn another_codec_goes_on_and_only_another_rate_or_state_begins_anew() {
    let mut buffer = JitterBuffer::new(Config::default()).unwrap();
    let (mut given, mut heard) = (0, Vec::new());
    // 2 s each of mu-law, A-law, G.722 and linear at 16 kHz; the timestamps go on.
    let wide = Codec::from_name("slin", Codec::G722.rate()).unwrap();
    let codecs = [Codec::PCMU, Codec::PCMA, Codec::G722, wide];
    let mut timestamp = 7_u32;
    for (n, codec) in codecs.into_iter().enumerate() {
        buffer.set_codec(codec);
        assert_eq!(buffer.codec(), codec);
        let len = codec.rate().frame_len();
        let mut encoder = Encoder::new(codec);
        for k in 0..100_u16 {
            let hz = f64::from(codec.rate().hz());
            let tone: Vec<i16> = (0..len)
                .map(|s| {
                    (5_000.0 * ((usize::from(k) * len + s) as f64 * 200.0 * std::f64::consts::TAU / hz).sin()) as i16
                })
                .collect();
            let now = Timestamp::from_millis(n as u64 * 2_000 + u64::from(k) * 20);
            let payload = &encoder.encode(&tone).unwrap()[..];
            let packet = Packet { ssrc: 1, sequence: n as u16 * 100 + k, timestamp, marker: false, payload };
            timestamp = timestamp.wrapping_add(codec.rtp_clock().frame_len() as u32);
            assert_eq!(buffer.handle_packet(&packet, now), Arrival::Held);
            let mut frame = vec![0; len];
            assert_eq!(buffer.poll_frame(now, &mut frame), Some(Played::Audio), "{codec}, frame {k}");
            given += len;
            heard.push(frame);
        }
    }
    let stats = buffer.stats();
    assert_eq!((stats.packets_lost, stats.packets_malformed, stats.restarts), (0, 0, 2), "{stats:?}");
    assert_adds_up(&stats, given);
    for (frames, most) in [(&heard[..200], 1_200), (&heard[200..], 700)] {
        let step = largest_step(&frames.concat());
        assert!(step < most, "{step}");
    }
}
