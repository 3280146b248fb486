//! What does the jitter buffer cost per packet and tick, and what does a lost packet cost?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoder};
use talkpath::jitter::{Config, JitterBuffer, Packet};

fn cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jitter buffer, packet and tick");
    let losses = [("no loss", u32::MAX), ("10 % loss", 10)];
    for (codec, (name, lost)) in
        [Codec::PCMU, Codec::G722].into_iter().flat_map(|codec| losses.map(|loss| (codec, loss)))
    {
        let mut buffer = JitterBuffer::new(Config { codec, ..Config::default() }).expect("the default is valid");
        let len = codec.rate().frame_len();
        let samples: Vec<i16> = (0..len * 50).map(|n| (6_000.0 * (n as f32 * 0.1).sin()) as i16).collect();
        let payloads = Encoder::new(codec).encode(&samples).expect("whole frames");
        let (mut frame, mut n) = (vec![0; len], 0_u32);
        group.bench_function(format!("{name}, {}", codec.name()), |bencher| {
            bencher.iter(|| {
                let now = Timestamp::from_micros(u64::from(n) * 20_000);
                let from = (n % 50) as usize * 160;
                let payload = &payloads[from..from + 160];
                let packet =
                    Packet { ssrc: 1, sequence: n as u16, timestamp: n.wrapping_mul(160), marker: false, payload };
                if n % lost != lost - 1 {
                    buffer.handle_packet(black_box(&packet), now);
                }
                n += 1;
                black_box(buffer.poll_frame(now, &mut frame))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, cost);
criterion_main!(benches);
