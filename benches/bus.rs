//! How many events a second go from thread to thread over the bus, and what publishing one costs.
//!
//! `cargo bench --bench bus`: events of one session with a shared JSON payload, to one reader that loses nothing and drains in
//! batches; then to four readers, and to nobody.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use talkpath::system::bus::{Bus, Filter, Options, Payload, Policy};

const EVENTS: u64 = 100_000;

/// Publishes from some threads and reads to the end.
fn flood(bus: &Bus, publishers: u64, readers: usize) {
    let options = Options { policy: Policy::Lossless, ..Options::default() };
    let readers: Vec<_> = (0..readers).filter_map(|_| bus.subscribe(Filter::all(), options.clone()).ok()).collect();
    let payload = Payload::json("{\"level\":40}");
    std::thread::scope(|scope| {
        for number in 0..publishers {
            let (bus, payload) = (bus.clone(), payload.clone());
            scope.spawn(move || {
                let session = format!("call-{number}");
                for _ in 0..EVENTS / publishers {
                    let _ = black_box(bus.publish(&session, "voice:mic_level", payload.clone()));
                }
            });
        }
        for reader in &readers {
            scope.spawn(move || {
                let (mut got, mut out) = (0, Vec::new());
                while got < EVENTS as usize {
                    let _ = reader.wait(None);
                    got += reader.drain(1_024, &mut out);
                    black_box(&out);
                    out.clear();
                }
            });
        }
    });
}

fn bus(c: &mut Criterion) {
    let mut group = c.benchmark_group("bus");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(20);
    let bus = Bus::new();
    group.bench_function("one publisher, one reader", |b| b.iter(|| flood(&bus, 1, 1)));
    group.bench_function("four publishers, one reader", |b| b.iter(|| flood(&bus, 4, 1)));
    group.bench_function("one publisher, four readers", |b| b.iter(|| flood(&bus, 1, 4)));
    group.bench_function("one publisher, nobody", |b| b.iter(|| flood(&bus, 1, 0)));
    group.finish();
}

criterion_group!(benches, bus);
criterion_main!(benches);
