//! How well does the echo canceller do, beside others, on the same audio? This program lets a harness ask it.
//!
//! It reads 16-bit little-endian samples from standard input, one 20 ms frame of what was heard and one of what was sent
//! in turn, and writes the frames that are left. At the end it prints the cost of a frame and the last findings on
//! standard error, as JSON.

use std::io::{self, Read, Write};
use std::time::Duration;

use talkpath::audio::echo::{EchoCanceller, EchoMode, Share};
use talkpath::audio::frame::SampleRate;
use talkpath::io::clock::Clock;

fn main() -> io::Result<()> {
    let hz = std::env::args().nth(1).and_then(|hz| hz.parse().ok()).unwrap_or(8_000);
    let rate = SampleRate::new(hz).map_err(io::Error::other)?;
    let mut canceller = EchoCanceller::new(rate, EchoMode::Auto).ok_or_else(|| io::Error::other("rate"))?;
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let samples: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let len = rate.frame_len();
    let mut out = Vec::with_capacity(bytes.len() / 2);
    let mut shares = String::new();
    let mut found = None;
    let mut costs: Vec<Duration> = Vec::new();
    for (n, pair) in samples.chunks_exact(2 * len).enumerate() {
        let (heard, sent) = pair.split_at(len);
        let mut frame = heard.to_vec();
        let before = Clock::now();
        let share = canceller.cancel(&mut frame);
        canceller.handle_sent(sent);
        costs.push(Clock::now().since(before));
        shares.push(match share {
            Share::Clear => '.',
            Share::Echo => 'e',
            Share::Caller => 'C',
            Share::Unsure => 'u',
        });
        if found.is_none() && canceller.delay().is_some() {
            found = Some(n * 20);
        }
        out.extend(frame.iter().flat_map(|sample| sample.to_le_bytes()));
    }
    io::stdout().lock().write_all(&out)?;
    let total: Duration = costs.iter().sum();
    costs.sort_unstable();
    let of = |share: f64| costs.get((costs.len() as f64 * share) as usize).copied().unwrap_or_default().as_micros();
    eprintln!(
        r#"{{"mean_us":{:.2},"p50_us":{},"p99_us":{},"found_ms":{},"delay_ms":{},"erle_db":{:.1},"shares":"{shares}"}}"#,
        total.as_secs_f64() * 1e6 / costs.len().max(1) as f64,
        of(0.5),
        of(0.99),
        found.map_or(-1, |ms| ms as i64),
        canceller.delay().map_or(-1.0, |delay| delay.as_secs_f64() * 1e3),
        canceller.erle_db(),
    );
    Ok(())
}
