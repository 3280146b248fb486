//! A sender of a steady tone, and a buffer that is asked every 20 ms.

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoder, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Arrival, Config, JitterBuffer, Packet, Played, Stats};

/// 20 ms at 8 kHz.
pub(crate) const FRAME: usize = 160;

/// Linear samples at 8 kHz, so that what comes out can be compared with what went in; else the default.
pub(crate) fn linear() -> Config {
    Config { codec: LINEAR, ..Config::default() }
}

/// Signed linear at 8 kHz.
pub(crate) const LINEAR: Codec = Codec::Plain { encoding: Encoding::Slin, rate: SampleRate::HZ_8000 };

/// Samples as a payload of [`LINEAR`].
pub(crate) fn payload(samples: &[i16]) -> Vec<u8> {
    Encoder::new(LINEAR).encode(samples).unwrap()
}

/// A buffer at 8 kHz, and what it gave.
pub(crate) struct Line {
    pub(crate) buffer: JitterBuffer,
    pub(crate) heard: Vec<i16>,
    pub(crate) kinds: Vec<Played>,
}

impl Line {
    pub(crate) fn new(config: Config) -> Self {
        Self { buffer: JitterBuffer::new(config).unwrap(), heard: Vec::new(), kinds: Vec::new() }
    }

    /// Sends packet `n` of a tone, counted from `first`, so that it comes at `at_us`.
    pub(crate) fn send(&mut self, first: (u16, u32), n: u64, at_us: u64) -> Arrival {
        let samples: Vec<i16> = (0..FRAME as u64).map(|k| tone(n * FRAME as u64 + k)).collect();
        let packet = Packet {
            ssrc: 7,
            sequence: first.0.wrapping_add(n as u16),
            timestamp: first.1.wrapping_add((n * FRAME as u64) as u32),
            marker: n == 0,
            payload: &payload(&samples),
        };
        self.buffer.handle_packet(&packet, Timestamp::from_micros(at_us))
    }

    pub(crate) fn tick(&mut self, now_us: u64) -> Played {
        let mut frame = [0; FRAME];
        let kind = self.buffer.poll_frame(Timestamp::from_micros(now_us), &mut frame).unwrap();
        self.heard.extend(frame);
        self.kinds.push(kind);
        kind
    }

    /// Sends the packets that come at `arrivals` (number, µs), and ticks every 20 ms from `phase_us` on, `ticks` times.
    pub(crate) fn run(&mut self, first: (u16, u32), arrivals: &[(u64, u64)], phase_us: u64, ticks: u64) {
        let mut arrivals: Vec<_> = arrivals.to_vec();
        arrivals.sort_by_key(|&(_, at)| at);
        let mut waiting = arrivals.into_iter().peekable();
        for tick in 0..ticks {
            let now = phase_us + tick * 20_000;
            while let Some((n, at)) = waiting.next_if(|&(_, at)| at <= now) {
                self.send(first, n, at);
            }
            self.tick(now);
        }
    }

    pub(crate) fn count(&self, kind: Played) -> usize {
        self.kinds.iter().filter(|&&other| other == kind).count()
    }
}

/// 200 Hz: its period of 40 samples divides a frame.
pub(crate) fn tone(n: u64) -> i16 {
    (8_000.0 * (n as f64 * std::f64::consts::TAU / 40.0).sin()) as i16
}

/// The largest step from one sample to the next; the tone itself steps by 1,255.
pub(crate) fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

/// Every sample is accounted for, those that came and those that were given out.
pub(crate) fn assert_adds_up(stats: &Stats, given: usize) {
    let fates = stats.samples_played + stats.samples_removed + stats.samples_discarded + stats.samples_held;
    assert_eq!(stats.samples_received, fates, "{stats:?}");
    let sources = stats.samples_played + stats.samples_concealed + stats.samples_inserted + stats.samples_rested;
    assert_eq!(given as u64, sources, "{stats:?}");
}
