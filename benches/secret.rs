//! What a secret costs: opening one that is held, and unlocking a whole store.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use talkpath::system::secret::{KeySource, SecretRef, SecretStore, protection};

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("secret/expose");
    for len in [32, 164, 4_096, 16_384] {
        let secret = SecretRef::from_bytes("KEY", &mut vec![7; len]).expect("sealed");
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| secret.expose(|bytes| black_box(bytes[0])).expect("opened"));
        });
    }
}

fn seal(c: &mut Criterion) {
    c.bench_function("secret/seal/164", |b| {
        b.iter(|| SecretRef::from_bytes("KEY", &mut [7; 164]).expect("sealed"));
    });
}

/// From the files to every secret sealed, as a program does when it starts.
fn unlock(c: &mut Criterion) {
    eprintln!("memory: {:?}", protection().expect("memory"));
    let directory = std::env::temp_dir().join(format!("talkpath-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("made");
    let mut group = c.benchmark_group("secret/unlock");
    for count in [1, 10, 100] {
        let (path, key): (PathBuf, _) =
            (directory.join(format!("{count}.age")), directory.join(format!("{count}.key")));
        let source = [KeySource::File(key)];
        let mut store = SecretStore::create(&path, &source[0]).expect("created");
        let secrets: Vec<_> = (0..count)
            .map(|number| SecretRef::from_bytes(&format!("KEY_{number}"), &mut [7; 164]).expect("sealed"))
            .collect();
        store.set_all(&secrets).expect("set");
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| SecretStore::open(&path, &source).expect("opened"));
        });
    }
    group.finish();
    let _ = std::fs::remove_dir_all(directory);
}

criterion_group!(benches, open, seal, unlock);
criterion_main!(benches);
