//! Places many paced AudioSocket calls at once and says how punctually the far end answers.
//!
//! Run it with `cargo run --release --example load [HOST:PORT [CALLS [SECONDS]]]` against `--example echo`.

use std::sync::Arc;
use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::io::caller::{Caller, CallerConfig};
use talkpath::{Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default| arguments.get(i).map_or(default, String::as_str).to_owned();
    let wrong = |got: &str| Error::invalid(format!("argument {got:?}, wanted HOST:PORT CALLS SECONDS"));
    let (to, calls, seconds) = (argument(0, "127.0.0.1:8090"), argument(1, "100"), argument(2, "10"));
    let rate = SampleRate::HZ_8000;
    // A second of a voice-like buzz, and a second of silence.
    let audio: Arc<[i16]> = (0..16_000).map(|i| if i < 8_000 { ((i % 57) * 200 - 5_700) as i16 } else { 0 }).collect();
    let mut config = CallerConfig::new(to.parse().map_err(|_| wrong(&to))?, audio, rate);
    config.loop_audio = true;
    config.calls = calls.parse().map_err(|_| wrong(&calls))?;
    config.duration = Duration::from_secs(seconds.parse().map_err(|_| wrong(&seconds))?);
    config.stagger = Duration::from_millis(config.calls as u64);
    config.record = false;
    let report = Caller::start(config)?.finish()?;
    println!("calls: {} placed, {} connected, {} failed", report.calls, report.connected, report.failed);
    if let Some(failure) = &report.failure {
        println!("first failure: {failure}");
    }
    println!("ended early: {}, without any audio: {}", report.ended_early, report.silent);
    println!(
        "frames: {} sent, {} received, {} lost, {} blocked",
        report.frames_sent, report.frames_received, report.frames_lost, report.frames_blocked
    );
    println!("gaps: {}, the longest {:?}", report.gaps, report.longest_gap);
    for (name, histogram) in [
        ("arrivals late", &report.lateness),
        ("own sending late", &report.send_lateness),
        ("connecting", &report.connecting),
        ("first audio after", &report.first_audio),
    ] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| histogram.quantile(q));
        println!("{name}: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}, max {:?}", histogram.max());
    }
    let cores = report.cpu.as_secs_f64() / report.elapsed.as_secs_f64();
    println!("this side's processor time: {:.2} of a core, {} priority", cores, report.priority);
    Ok(())
}
