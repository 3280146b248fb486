//! How long do G.711 and a level take for 20 ms (160 samples) and for a second (8,000), and G.722 and Opus for 20 ms?
//!
//! Beside our G.711 kernels: a look-up table in Rust, and the crate `audio-codec-algorithms`. `g711_spandsp.sh` and
//! `g722_spandsp.sh` measure spandsp, where it is installed.

use std::hint::black_box;

use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use talkpath::audio::codec::Encoding;
use talkpath::audio::codec::g711::{Kernel, alaw_to_sample, sample_to_alaw, sample_to_ulaw, ulaw_to_sample};
use talkpath::audio::codec::g722::{G722Decoder, G722Encoder};
use talkpath::audio::codec::opus::{OpusDecoder, OpusEncoder, OpusOptions};
use talkpath::audio::frame::SampleRate;
use talkpath::audio::level::Level;

const LENGTHS: [usize; 2] = [160, 8_000];

fn decode(c: &mut Criterion) {
    type Law = (&'static str, Encoding, fn(Kernel, &[u8], &mut [i16]), fn(u8) -> i16, fn(u8) -> i16);
    let laws: [Law; 2] = [
        ("ulaw", Encoding::Ulaw, Kernel::decode_ulaw, ulaw_to_sample, decode_ulaw),
        ("alaw", Encoding::Alaw, Kernel::decode_alaw, alaw_to_sample, decode_alaw),
    ];
    for (law, encoding, kernel_decode, ours, theirs) in laws {
        let mut group = c.benchmark_group(format!("decode {law}"));
        let table: [i16; 256] = std::array::from_fn(|byte| ours(byte as u8));
        for len in LENGTHS {
            let bytes: Vec<u8> = noise(len).iter().map(|&sample| (sample >> 3) as u8).collect();
            let mut out = vec![0; len];
            group.throughput(Throughput::Elements(len as u64));
            group.bench_function(BenchmarkId::new("talkpath", len), |b| {
                b.iter(|| encoding.decode_into(black_box(&bytes), black_box(&mut out)));
            });
            for kernel in Kernel::available() {
                group.bench_function(BenchmarkId::new(kernel.name(), len), |b| {
                    b.iter(|| kernel_decode(kernel, black_box(&bytes), black_box(&mut out)));
                });
            }
            group.bench_function(BenchmarkId::new("table", len), |b| {
                b.iter(|| map(black_box(&bytes), black_box(&mut out), |byte| table[usize::from(byte)]));
            });
            group.bench_function(BenchmarkId::new("audio-codec-algorithms", len), |b| {
                b.iter(|| map(black_box(&bytes), black_box(&mut out), theirs));
            });
        }
    }
}

fn encode(c: &mut Criterion) {
    type Law = (&'static str, Encoding, fn(Kernel, &[i16], &mut [u8]), fn(i16) -> u8, fn(i16) -> u8);
    let laws: [Law; 2] = [
        ("ulaw", Encoding::Ulaw, Kernel::encode_ulaw, sample_to_ulaw, encode_ulaw),
        ("alaw", Encoding::Alaw, Kernel::encode_alaw, sample_to_alaw, encode_alaw),
    ];
    for (law, encoding, kernel_encode, ours, theirs) in laws {
        let mut group = c.benchmark_group(format!("encode {law}"));
        // By the 14 highest bits, which decide in both laws.
        let table: Vec<u8> = (0..16_384_u16).map(|top| ours((top << 2) as i16)).collect();
        for len in LENGTHS {
            let samples = noise(len);
            let mut out = vec![0; len];
            group.throughput(Throughput::Elements(len as u64));
            group.bench_function(BenchmarkId::new("talkpath", len), |b| {
                b.iter(|| encoding.encode_into(black_box(&samples), black_box(&mut out)));
            });
            for kernel in Kernel::available() {
                group.bench_function(BenchmarkId::new(kernel.name(), len), |b| {
                    b.iter(|| kernel_encode(kernel, black_box(&samples), black_box(&mut out)));
                });
            }
            group.bench_function(BenchmarkId::new("table", len), |b| {
                b.iter(|| map(black_box(&samples), black_box(&mut out), |s| table[usize::from(s as u16 >> 2)]));
            });
            group.bench_function(BenchmarkId::new("audio-codec-algorithms", len), |b| {
                b.iter(|| map(black_box(&samples), black_box(&mut out), theirs));
            });
        }
    }
}

fn g722(c: &mut Criterion) {
    let mut group = c.benchmark_group("g722");
    let samples = buzz();
    let payload = G722Encoder::new().encode(&samples).expect("an even count");
    let (mut encoder, mut bytes) = (G722Encoder::new(), [0; 160]);
    let mut frames = samples.chunks_exact(320).cycle();
    group.bench_function("encode 20 ms", |b| {
        b.iter(|| frames.next().map(|frame| encoder.encode_into(black_box(frame), black_box(&mut bytes))));
    });
    let (mut decoder, mut out) = (G722Decoder::new(), [0; 320]);
    let mut frames = payload.chunks_exact(160).cycle();
    group.bench_function("decode 20 ms", |b| {
        b.iter(|| frames.next().map(|frame| decoder.decode_into(black_box(frame), black_box(&mut out))));
    });
}

fn opus(c: &mut Criterion) {
    let mut group = c.benchmark_group("opus");
    let rate = SampleRate::HZ_16000;
    let samples = buzz();
    let mut encoder = OpusEncoder::new(rate, OpusOptions::default()).expect("the defaults are valid");
    let packets: Vec<Vec<u8>> = samples.chunks(320).map(|frame| encoder.encode(frame).expect("20 ms")).collect();
    let mut bytes = [0; 1_276];
    let mut frames = samples.chunks_exact(320).cycle();
    group.bench_function("encode 20 ms", |b| {
        b.iter(|| frames.next().map(|frame| encoder.encode_into(black_box(frame), black_box(&mut bytes))));
    });
    let (mut decoder, mut out) = (OpusDecoder::new(rate).expect("a rate of Opus"), [0; 320]);
    let mut next = packets.iter().cycle();
    group.bench_function("decode 20 ms", |b| {
        b.iter(|| next.next().map(|packet| decoder.decode_into(black_box(packet), black_box(&mut out))));
    });
    // As one packet in two were lost, so that no concealment has faded.
    group.bench_function("conceal 20 ms, decode 20 ms", |b| {
        b.iter(|| {
            decoder.conceal_into(320, black_box(&mut out));
            next.next().map(|packet| decoder.decode_into(black_box(packet), black_box(&mut out)))
        });
    });
    // The first packet has nothing before it to copy.
    let copies: Vec<&Vec<u8>> =
        packets.iter().filter(|packet| decoder.recover_into(packet, 320, &mut out).is_some()).collect();
    let mut next = copies.into_iter().cycle();
    group.bench_function("recover 20 ms, decode 20 ms", |b| {
        b.iter(|| {
            next.next().map(|packet| {
                decoder.recover_into(black_box(packet), 320, black_box(&mut out)).expect("a copy");
                decoder.decode_into(black_box(packet), black_box(&mut out))
            })
        });
    });
}

fn level(c: &mut Criterion) {
    let mut group = c.benchmark_group("level");
    for len in LENGTHS {
        let samples = noise(len);
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(BenchmarkId::new("talkpath", len), |b| b.iter(|| Level::measure(black_box(&samples))));
    }
}

fn map<A: Copy, B>(from: &[A], to: &mut [B], convert: impl Fn(A) -> B) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
}

/// A buzz of 110 Hz at 16 kHz, whose frames go round for a second: neither silence nor noise.
fn buzz() -> Vec<i16> {
    let buzz = |i: usize| (1..60).map(|k| (0.0432 * (i * k) as f64).cos() / k as f64).sum::<f64>();
    (0..16_000).map(|i| (4_000.0 * buzz(i)) as i16).collect()
}

/// Samples over the whole range, which no branch predictor learns.
fn noise(len: usize) -> Vec<i16> {
    let mut state = 1_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16
        })
        .collect()
}

criterion_group!(benches, decode, encode, g722, opus, level);
criterion_main!(benches);
