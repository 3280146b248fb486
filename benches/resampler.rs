//! What 20 ms of audio cost to resample, beside rubato's `Fft`, for the ratios of phones, speech models and providers.
//!
//! With `--stream Phone|Studio|rubato FROM TO` it measures nothing, but resamples raw 16-bit audio from standard input to
//! standard output in chunks of 20 ms, each written as it is done and preceded by its length: `resampler_peers.py` measures
//! all peers' signals alike.

use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};
use talkpath::audio::frame::SampleRate;
use talkpath::audio::resample::{Quality, Resampler};

const PAIRS: [(u32, u32); 9] = [
    (8_000, 16_000),
    (16_000, 8_000),
    (8_000, 24_000),
    (24_000, 8_000),
    (16_000, 24_000),
    (24_000, 16_000),
    (48_000, 8_000),
    (44_100, 8_000),
    (8_000, 44_100),
];

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, peer, from, to, ..] = &args[..]
        && mode == "--stream"
    {
        return stream(peer, from.parse().expect("a rate in Hz"), to.parse().expect("a rate in Hz"));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    Ok(())
}

fn time(criterion: &mut Criterion) {
    for (from, to) in PAIRS {
        let mut group = criterion.benchmark_group(format!("resample 20 ms {from} to {to}"));
        let len = rate(from).frame_len();
        let input: Vec<i16> = (0..len).map(|n| (12_000.0 * (n as f64 * 0.05).sin()) as i16).collect();
        let mut out = vec![0; rate(to).frame_len() + 1];
        for quality in [Quality::Phone, Quality::Studio] {
            let mut resampler = Resampler::with_quality(rate(from), rate(to), quality);
            group.bench_function(BenchmarkId::from_parameter(quality_name(quality)), |bencher| {
                bencher.iter(|| resampler.process_into(black_box(&input), black_box(&mut out)));
            });
        }
        let mut rubato = Rubato::new(from, to);
        let input: Vec<f32> = input.iter().map(|&sample| f32::from(sample)).collect();
        group.bench_function(BenchmarkId::from_parameter("rubato Fft"), |bencher| {
            bencher.iter(|| rubato.process(black_box(&input)).len());
        });
        group.finish();
    }
}

fn stream(peer: &str, from: u32, to: u32) -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let input: Vec<i16> = bytes.as_chunks::<2>().0.iter().map(|&sample| i16::from_le_bytes(sample)).collect();
    let mut talkpath = match peer {
        "Phone" => Some(Resampler::new(rate(from), rate(to))),
        "Studio" => Some(Resampler::with_quality(rate(from), rate(to), Quality::Studio)),
        _ => None,
    };
    let mut rubato = Rubato::new(from, to);
    let mut stdout = io::stdout().lock();
    for chunk in input.chunks_exact(rate(from).frame_len()) {
        let out = match &mut talkpath {
            Some(resampler) => resampler.process(chunk),
            None => {
                let chunk: Vec<f32> = chunk.iter().map(|&sample| f32::from(sample)).collect();
                rubato.process(&chunk).iter().map(|&sample| sample.round() as i16).collect()
            }
        };
        stdout.write_all(&(out.len() as u32).to_le_bytes())?;
        stdout.write_all(&out.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// rubato's `Fft` with the buffer that it fills, and one block a frame: `Fft::new` cuts frames of 44.1 and 48 kHz into
/// blocks so short that the pass band to 8 kHz suffers.
struct Rubato {
    fft: Fft<f32>,
    out: Vec<f32>,
}

impl Rubato {
    fn new(from: u32, to: u32) -> Self {
        let len = rate(from).frame_len();
        let window = WindowFunction::BlackmanHarris2;
        let fft = Fft::<f32>::new_custom(from as usize, to as usize, len, 1, 1, window, FixedSync::Input);
        let fft = fft.expect("rubato takes the pair");
        let out = vec![0.0; fft.output_frames_max()];
        Self { fft, out }
    }

    fn process(&mut self, input: &[f32]) -> &[f32] {
        let frames = self.out.len();
        let input = InterleavedSlice::new(input, 1, input.len()).expect("one channel");
        let mut out = InterleavedSlice::new_mut(&mut self.out, 1, frames).expect("one channel");
        let (_, written) = self.fft.process_into_buffer(&input, &mut out, None).expect("20 ms go in");
        &self.out[..written]
    }
}

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("a known rate")
}

fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Phone => "Phone",
        Quality::Studio => "Studio",
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(300));
    targets = time
}
