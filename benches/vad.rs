//! What does voice activity detection cost per 20 ms frame: on a quiet line, on a loud one, beside plain
//! earshot and with Silero as the second stage?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use earshot::Detector;
use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::{Detector as Choice, SILERO_WINDOW, Silero};

fn cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vad, 20 ms");
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
        let lines = [
            ("quiet", noise(4.0, rate.hz() as usize)),
            ("loud noise", noise(4_000.0, rate.hz() as usize)),
            ("speech", speech(rate)),
        ];
        for (name, line) in &lines {
            for choice in Choice::ALL {
                let mut vad = choice.make(rate).expect("8 and 16 kHz are taken");
                let mut frames = line.chunks_exact(rate.frame_len()).cycle();
                group.bench_function(format!("{choice}: {name}, {rate}"), |bencher| {
                    bencher.iter(|| frames.next().map(|frame| vad.process(black_box(frame))));
                });
            }
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
    let mut windows = second.as_chunks::<SILERO_WINDOW>().0.iter().cycle();
    let mut silero = Silero::new();
    group.bench_function("Silero alone, its own 32 ms, 16000 Hz", |bencher| {
        bencher.iter(|| windows.next().map(|window| silero.hear(black_box(window))));
    });
    group.finish();
}

/// A recorded sentence, as it is or with each sample twice.
fn speech(rate: SampleRate) -> Vec<i16> {
    let file = include_bytes!("../python/talkpath/data/interruption.wav");
    let samples = file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    let times = rate.hz() as usize / 8_000;
    samples.flat_map(|sample| std::iter::repeat_n(sample, times)).collect()
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
