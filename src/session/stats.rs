//! Counters of one call: written by the media end without a lock, read by anyone at any time.
//!
//! Each counter has one writer, so a plain load and store is enough; a reader may see a snapshot that is one frame torn,
//! never a wrong total in the end.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::network::NetworkStats;

/// A snapshot of a call's counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Audio messages that came from the wire.
    pub frames_received: u64,
    /// Frames that were sent, silence included.
    pub frames_sent: u64,
    /// Of the frames sent, those that held no agent audio.
    pub silence_frames_sent: u64,
    /// How often playout ran dry in the middle of a tag.
    pub underruns: u32,
    /// How often what was queued was dropped by an interruption.
    pub interruptions: u32,
    /// Heard audio that was dropped because the agent did not read it.
    pub input_lost: Duration,
    /// Agent audio that was dropped by interruptions.
    pub output_discarded: Duration,
    /// Frames that could not be sent at all because the driver came too late.
    pub missed_ticks: u64,
    /// Events that were dropped because the agent did not read them.
    pub events_lost: u32,
    /// How late frames were sent, against their deadlines.
    pub lateness: LatenessHistogram,
    /// Level of the last 20 ms heard, in dB of full scale.
    pub input_level_dbfs: f32,
    /// Level of the last frame sent, in dB of full scale.
    pub output_level_dbfs: f32,
    /// The prebuffer as learned by now.
    pub prebuffer: Duration,
    /// Whether the caller speaks now.
    pub speech: bool,
    /// How the network treats the call, if its transport sends packets; renewed twice a second, and at the end.
    pub network: Option<NetworkStats>,
}

/// How late things were: logarithmic buckets, four an octave, so that a quantile is right to a fifth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatenessHistogram {
    buckets: [u32; BUCKETS],
    max_us: u32,
}

impl Default for LatenessHistogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], max_us: 0 }
    }
}

impl LatenessHistogram {
    /// Counts one value.
    pub fn record(&mut self, lateness: Duration) {
        let us = saturating_us(lateness);
        let bucket = &mut self.buckets[bucket_of(us)];
        *bucket = bucket.saturating_add(1);
        self.max_us = self.max_us.max(us);
    }

    /// Adds what another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&n| u64::from(n)).sum()
    }

    /// The greatest value, exactly.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(u64::from(self.max_us))
    }

    /// The value that a share `q` (0 to 1) of all values does not exceed, rounded up to its bucket's edge; zero if there
    /// are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let total = self.count();
        if total == 0 {
            return Duration::ZERO;
        }
        let wanted = ((total as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, &n) in self.buckets.iter().enumerate() {
            seen += u64::from(n);
            if seen >= wanted {
                return Duration::from_micros(u64::from(upper_edge(index).min(self.max_us)));
            }
        }
        self.max()
    }
}

/// The live counters that both ends share.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) frames_received: AtomicU64,
    pub(super) frames_sent: AtomicU64,
    pub(super) silence_frames_sent: AtomicU64,
    pub(super) underruns: AtomicU32,
    pub(super) interruptions: AtomicU32,
    pub(super) input_lost_us: AtomicU64,
    pub(super) output_discarded_us: AtomicU64,
    pub(super) missed_ticks: AtomicU64,
    pub(super) events_lost: AtomicU32,
    lateness: [AtomicU32; BUCKETS],
    lateness_max_us: AtomicU32,
    input_level: AtomicU32,
    output_level: AtomicU32,
    pub(super) prebuffer_us: AtomicU64,
    pub(super) speech: AtomicBool,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            frames_received: AtomicU64::new(0),
            frames_sent: AtomicU64::new(0),
            silence_frames_sent: AtomicU64::new(0),
            underruns: AtomicU32::new(0),
            interruptions: AtomicU32::new(0),
            input_lost_us: AtomicU64::new(0),
            output_discarded_us: AtomicU64::new(0),
            missed_ticks: AtomicU64::new(0),
            events_lost: AtomicU32::new(0),
            lateness: [const { AtomicU32::new(0) }; BUCKETS],
            lateness_max_us: AtomicU32::new(0),
            input_level: AtomicU32::new(SILENCE_DBFS.to_bits()),
            output_level: AtomicU32::new(SILENCE_DBFS.to_bits()),
            prebuffer_us: AtomicU64::new(0),
            speech: AtomicBool::new(false),
        }
    }

    pub(super) fn record_lateness(&self, lateness: Duration) {
        let us = saturating_us(lateness);
        bump32(&self.lateness[bucket_of(us)]);
        if us > self.lateness_max_us.load(Relaxed) {
            self.lateness_max_us.store(us, Relaxed);
        }
    }

    pub(super) fn set_input_level(&self, dbfs: f32) {
        self.input_level.store(dbfs.to_bits(), Relaxed);
    }

    pub(super) fn set_output_level(&self, dbfs: f32) {
        self.output_level.store(dbfs.to_bits(), Relaxed);
    }

    pub(super) fn snapshot(&self) -> Stats {
        let mut lateness = LatenessHistogram { max_us: self.lateness_max_us.load(Relaxed), ..Default::default() };
        for (mine, live) in lateness.buckets.iter_mut().zip(&self.lateness) {
            *mine = live.load(Relaxed);
        }
        Stats {
            frames_received: self.frames_received.load(Relaxed),
            frames_sent: self.frames_sent.load(Relaxed),
            silence_frames_sent: self.silence_frames_sent.load(Relaxed),
            underruns: self.underruns.load(Relaxed),
            interruptions: self.interruptions.load(Relaxed),
            input_lost: Duration::from_micros(self.input_lost_us.load(Relaxed)),
            output_discarded: Duration::from_micros(self.output_discarded_us.load(Relaxed)),
            missed_ticks: self.missed_ticks.load(Relaxed),
            events_lost: self.events_lost.load(Relaxed),
            lateness,
            input_level_dbfs: f32::from_bits(self.input_level.load(Relaxed)),
            output_level_dbfs: f32::from_bits(self.output_level.load(Relaxed)),
            prebuffer: Duration::from_micros(self.prebuffer_us.load(Relaxed)),
            speech: self.speech.load(Relaxed),
            network: None,
        }
    }
}

/// Adds to a counter that this thread alone writes.
pub(super) fn add64(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}

/// Counts one up a counter that this thread alone writes.
pub(super) fn bump32(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).saturating_add(1), Relaxed);
}

fn saturating_us(lateness: Duration) -> u32 {
    u32::try_from(lateness.as_micros()).unwrap_or(u32::MAX)
}

/// Bucket 0 holds 0–15 µs; from there each octave has four.
fn bucket_of(us: u32) -> usize {
    if us < 16 {
        return 0;
    }
    let octave = us.ilog2();
    let quarter = (us >> (octave - 2)) & 3;
    (1 + (octave - 4) * 4 + quarter).min(BUCKETS as u32 - 1) as usize
}

fn upper_edge(bucket: usize) -> u32 {
    if bucket == 0 {
        return 15;
    }
    let octave = (bucket as u32 - 1) / 4 + 4;
    let quarter = (bucket as u32 - 1) % 4;
    ((5 + quarter) << (octave - 2)) - 1
}

/// What a level reads before there was any audio.
const SILENCE_DBFS: f32 = -96.0;
/// Up to 1 s in octaves of four; what is beyond counts in the last.
const BUCKETS: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for us in 0..2_000_000u32 {
            let bucket = bucket_of(us);
            assert!(us <= upper_edge(bucket) || bucket == BUCKETS - 1, "{us} in {bucket}");
            if bucket > 0 {
                assert!(us > upper_edge(bucket - 1), "{us} in {bucket}");
            }
        }
    }

    #[test]
    fn quantiles_are_right_to_a_bucket() {
        let mut histogram = LatenessHistogram::default();
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        let p50 = histogram.quantile(0.5).as_micros();
        assert!((500..=600).contains(&p50), "{p50}");
        assert_eq!(histogram.quantile(1.0), Duration::from_micros(1000));
        assert_eq!(histogram.max(), Duration::from_micros(1000));
        assert_eq!(histogram.count(), 1000);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.count(), 2000);
        assert_eq!(LatenessHistogram::default().quantile(0.99), Duration::ZERO);
    }
}
