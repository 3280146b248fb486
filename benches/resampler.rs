//! What 20 ms of audio cost to resample, beside rubato's `Fft`, for the ratios of phones, speech models and providers.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};
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

fn resample(criterion: &mut Criterion) {
    for (from, to) in PAIRS {
        let mut group = criterion.benchmark_group(format!("resample 20 ms {from} to {to}"));
        let rate = |hz| SampleRate::new(hz).expect("a known rate");
        let len = rate(from).frame_len();
        let input: Vec<i16> = (0..len).map(|n| (12_000.0 * (n as f64 * 0.05).sin()) as i16).collect();
        let mut out = vec![0; rate(to).frame_len() + 1];
        for quality in [Quality::Phone, Quality::Studio] {
            let mut resampler = Resampler::with_quality(rate(from), rate(to), quality);
            group.bench_function(BenchmarkId::from_parameter(format!("{quality:?}")), |bencher| {
                bencher.iter(|| resampler.process_into(black_box(&input), black_box(&mut out)));
            });
        }
        let mut fft =
            Fft::<f32>::new(from as usize, to as usize, len, 1, FixedSync::Input).expect("rubato takes the pair");
        let input: Vec<f32> = input.iter().map(|&sample| f32::from(sample)).collect();
        let mut out = vec![0.0; fft.output_frames_max()];
        let frames = out.len();
        group.bench_function(BenchmarkId::from_parameter("rubato Fft"), |bencher| {
            bencher.iter(|| {
                let input = InterleavedSlice::new(black_box(&input), 1, len).expect("one channel");
                let mut out = InterleavedSlice::new_mut(black_box(&mut out), 1, frames).expect("one channel");
                fft.process_into_buffer(&input, &mut out, None)
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(300));
    targets = resample
}
criterion_main!(benches);
