//! What a server counts: written by its threads without waiting, read by anyone at any time.
//!
//! Media threads keep their histograms to themselves and publish a copy now and then, but only if nobody reads at that
//! moment; plain counters are atomics. The counters of one call are the session's own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::io::priority::Priority;
use crate::session::LatenessHistogram;

/// A snapshot of a server's counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerStats {
    /// Calls that run now.
    pub calls: usize,
    /// Connections that have given no id yet.
    pub pending: usize,
    /// Calls that ever began.
    pub calls_began: u64,
    /// Calls that were refused because there were too many, or because another call had their id.
    pub calls_refused: u64,
    /// Connections that never became a call: no id, no id in time, no AudioSocket, or closed to make room.
    pub connections_rejected: u64,
    /// Audio frames that were written to the wire.
    pub frames_sent: u64,
    /// Audio frames that were dropped whole because the peer did not read.
    pub frames_dropped: u64,
    /// How late frames were on the wire: from their deadline to the end of the write. Up to 100 ms old.
    pub lateness: LatenessHistogram,
    /// How long a media thread's passes took, from waking to sleeping. Up to 100 ms old.
    pub passes: LatenessHistogram,
    /// Processor time that the media threads used. Up to 100 ms old.
    pub media_cpu: Duration,
    /// The lowest priority that a media thread was granted.
    pub priority: Priority,
}

/// The live counters that a server's threads share.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    pub(crate) calls: AtomicUsize,
    pub(crate) pending: AtomicUsize,
    pub(crate) calls_began: AtomicU64,
    pub(crate) calls_refused: AtomicU64,
    pub(crate) connections_rejected: AtomicU64,
    media: Vec<Mutex<MediaStats>>,
}

/// What one media thread counts for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct MediaStats {
    pub(crate) frames_sent: u64,
    pub(crate) frames_dropped: u64,
    pub(crate) lateness: LatenessHistogram,
    pub(crate) passes: LatenessHistogram,
    pub(crate) cpu: Duration,
    pub(crate) priority: Priority,
}

impl ServerCounters {
    pub(crate) fn new(media_threads: usize) -> Self {
        Self { media: (0..media_threads).map(|_| Mutex::default()).collect(), ..Self::default() }
    }

    /// Shows a media thread's counters to readers; says whether it could, without waiting for one.
    pub(crate) fn publish(&self, thread: usize, stats: &MediaStats) -> bool {
        let Ok(mut shown) = self.media[thread].try_lock() else {
            return false;
        };
        shown.clone_from(stats);
        true
    }

    pub(crate) fn snapshot(&self) -> ServerStats {
        let mut stats = ServerStats {
            calls: self.calls.load(Relaxed),
            pending: self.pending.load(Relaxed),
            calls_began: self.calls_began.load(Relaxed),
            calls_refused: self.calls_refused.load(Relaxed),
            connections_rejected: self.connections_rejected.load(Relaxed),
            priority: Priority::RealTime,
            ..ServerStats::default()
        };
        for media in &self.media {
            let media = media.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            stats.frames_sent += media.frames_sent;
            stats.frames_dropped += media.frames_dropped;
            stats.lateness.merge(&media.lateness);
            stats.passes.merge(&media.passes);
            stats.media_cpu += media.cpu;
            stats.priority = stats.priority.min(media.priority);
        }
        stats
    }
}

/// Counts one up.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_adds_the_threads_up() {
        let counters = ServerCounters::new(2);
        let mut media = MediaStats { frames_sent: 2, priority: Priority::RealTime, ..MediaStats::default() };
        media.lateness.record(Duration::from_micros(100));
        assert!(counters.publish(0, &media));
        media.priority = Priority::Raised;
        assert!(counters.publish(1, &media));
        let stats = counters.snapshot();
        assert_eq!((stats.frames_sent, stats.lateness.count()), (4, 2));
        assert_eq!(stats.priority, Priority::Raised);
    }
}
