//! What does voice activity detection cost per 20 ms frame: on a quiet line, on a loud one, and beside plain earshot?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use earshot::Detector;
use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::{PhoneVad, Vad};

fn cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vad, 20 ms");
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
        for (name, amplitude) in [("quiet", 4.0), ("loud", 4_000.0)] {
            let mut vad = PhoneVad::new(rate).expect("8 and 16 kHz are taken");
            let second = noise(amplitude, rate.hz() as usize);
            let mut frames = second.chunks_exact(rate.frame_len()).cycle();
            group.bench_function(format!("{name}, {rate}"), |bencher| {
                bencher.iter(|| frames.next().map(|frame| vad.process(black_box(frame))));
            });
        }
    }
    let second = noise(4_000.0, 16_000);
    let mut hops = second.chunks_exact(256).cycle();
    let mut detector = Box::<Detector>::default();
    let mut due = 0;
    group.bench_function("plain earshot, 16000 Hz", |bencher| {
        bencher.iter(|| {
            // 320 samples a frame are five steps of 256 in every four frames.
            due += 320;
            while due >= 256 {
                due -= 256;
                black_box(hops.next().map(|hop| detector.predict_i16(black_box(hop))));
            }
        });
    });
    group.finish();
}

fn noise(amplitude: f32, samples: usize) -> Vec<i16> {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * amplitude
    };
    (0..samples).map(|_| next() as i16).collect()
}

criterion_group!(benches, cost);
criterion_main!(benches);
