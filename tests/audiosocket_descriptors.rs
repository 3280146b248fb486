//! A process without a descriptor left refuses new calls, keeps its running ones, does not spin, and recovers.
//!
//! A test program of its own, as the limit is the whole process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use talkpath::io::clock::Clock;
use talkpath::io::log::LogEvent;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{Listen, Server, ServerConfig};

#[test]
fn running_out_of_descriptors_is_survived() {
    let notifier = Arc::new(Notifier::new().unwrap());
    let config = ServerConfig {
        listen: Listen::resolve("127.0.0.1:0").unwrap(),
        media_threads: 1,
        realtime_priority: false,
        ..ServerConfig::default()
    };
    let server = Server::bind(config, notifier).unwrap();
    let mut running = call(&server, 1);
    read_frames(&mut running, 5);

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, open + 20, hard).unwrap();
    let mut crowd = Vec::new();
    while let Ok(stream) = TcpStream::connect(server.local_addr()) {
        crowd.push(stream);
        assert!(crowd.len() < 100, "the limit holds");
    }
    // One descriptor for us, none for the server's end of it.
    crowd.pop();
    let _last = TcpStream::connect(server.local_addr());

    let mut refusals = 0_u128;
    let began = Clock::now();
    for _ in 0..6 {
        read_frames(&mut running, 5);
        let failed = |record: &_| matches!(record, LogEvent::AcceptFailed { .. });
        refusals += std::iter::from_fn(|| server.poll_log()).filter(|record| failed(&record.event)).count() as u128;
    }
    let ms = Clock::now().since(began).as_millis();
    assert!((1..=ms / 100 + 2).contains(&refusals), "{refusals} refusals in {ms} ms: it is to notice, and not to spin");

    setrlimit(Resource::RLIMIT_NOFILE, open + 200, hard).unwrap();
    let mut later = call(&server, 2);
    read_frames(&mut later, 5);
    read_frames(&mut running, 5);
}

fn call(server: &Server, number: u8) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&[&[0x01, 0, 16][..], &[number; 16]].concat()).unwrap();
    stream
}

fn read_frames(stream: &mut TcpStream, count: usize) {
    for _ in 0..count {
        let mut frame = [0; 323];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[..3], [0x10, 1, 64]);
    }
}
