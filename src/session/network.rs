//! How a call's packets fare, both ways: what the jitter buffer says of the caller's, and the far end of ours.
//!
//! The media end publishes the figures now and then; whoever wants them reads them at any time, without a lock. Each has
//! one writer; a reader may see a snapshot that is one publication torn.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::jitter;

/// How the network treats a call whose transport sends packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkStats {
    /// Packets with audio that came, late ones and duplicates included.
    pub packets: u64,
    /// Packets that never came, or not yet.
    pub packets_lost: u64,
    /// Packets that came after their place had been played.
    pub packets_late: u64,
    /// Packets that had been there.
    pub packets_duplicate: u64,
    /// Payloads that could not be decoded.
    pub packets_malformed: u64,
    /// The share of what was heard that was made up for lost or late packets, 0 to 1.
    pub concealed_share: f32,
    /// The mean deviation of the packets' spacing (RFC 3550, section 6.4.1).
    pub jitter: Duration,
    /// How long after the fastest packets audio is heard.
    pub delay: Duration,
    /// The delay that is aimed at.
    pub target: Duration,
    /// The transmission rating R of the way from the caller (ITU-T G.107), 0 to 93.2.
    pub r_factor: f32,
    /// The mean opinion score that the rating stands for, 1 to 4.5.
    pub mos: f32,
    /// What the far end has said last of the way to it, if it has.
    pub remote: Option<RemoteReport>,
}

/// What a far end says of the packets that it was sent (RTCP receiver report, RFC 3550, section 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RemoteReport {
    /// The share of packets that were lost since its report before, 0 to 1.
    pub loss: f32,
    /// Packets that were lost since the beginning.
    pub packets_lost: u64,
    /// The mean deviation of the packets' spacing.
    pub jitter: Duration,
    /// How long a packet takes there and back, if it can be told.
    pub round_trip: Option<Duration>,
}

/// The live figures that both ends share.
#[derive(Debug, Default)]
pub(super) struct NetworkCounters {
    /// Whether there is anything to tell.
    is_known: AtomicBool,
    packets: AtomicU64,
    packets_lost: AtomicU64,
    packets_late: AtomicU64,
    packets_duplicate: AtomicU64,
    packets_malformed: AtomicU64,
    concealed_share: AtomicU32,
    jitter_us: AtomicU64,
    delay_us: AtomicU64,
    target_us: AtomicU64,
    r_factor: AtomicU32,
    mos: AtomicU32,
    has_remote: AtomicBool,
    remote_loss: AtomicU32,
    remote_packets_lost: AtomicU64,
    remote_jitter_us: AtomicU64,
    round_trip_us: AtomicU64,
}

impl NetworkCounters {
    /// Publishes what the jitter buffer has seen.
    pub(super) fn publish(&self, stats: &jitter::Stats) {
        let made_up = stats.samples_concealed - stats.samples_recovered.min(stats.samples_concealed);
        let heard = stats.samples_played + stats.samples_concealed;
        let share = if heard == 0 { 0.0 } else { made_up as f32 / heard as f32 };
        self.packets.store(stats.packets, Relaxed);
        self.packets_lost.store(stats.packets_lost, Relaxed);
        self.packets_late.store(stats.packets_late, Relaxed);
        self.packets_duplicate.store(stats.packets_duplicate, Relaxed);
        self.packets_malformed.store(stats.packets_malformed, Relaxed);
        self.concealed_share.store(share.to_bits(), Relaxed);
        self.jitter_us.store(microseconds(stats.jitter), Relaxed);
        self.delay_us.store(microseconds(stats.delay), Relaxed);
        self.target_us.store(microseconds(stats.target), Relaxed);
        self.r_factor.store((stats.r_factor as f32).to_bits(), Relaxed);
        self.mos.store((stats.mos as f32).to_bits(), Relaxed);
        self.is_known.store(true, Relaxed);
    }

    /// Publishes what the far end has said.
    pub(super) fn report(&self, report: &RemoteReport) {
        self.remote_loss.store(report.loss.to_bits(), Relaxed);
        self.remote_packets_lost.store(report.packets_lost, Relaxed);
        self.remote_jitter_us.store(microseconds(report.jitter), Relaxed);
        self.round_trip_us.store(report.round_trip.map_or(UNKNOWN, microseconds), Relaxed);
        self.has_remote.store(true, Relaxed);
        self.is_known.store(true, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Option<NetworkStats> {
        let duration = |us: &AtomicU64| Duration::from_micros(us.load(Relaxed));
        let fraction = |bits: &AtomicU32| f32::from_bits(bits.load(Relaxed));
        let remote = || RemoteReport {
            loss: fraction(&self.remote_loss),
            packets_lost: self.remote_packets_lost.load(Relaxed),
            jitter: duration(&self.remote_jitter_us),
            round_trip: (self.round_trip_us.load(Relaxed) != UNKNOWN).then(|| duration(&self.round_trip_us)),
        };
        self.is_known.load(Relaxed).then(|| NetworkStats {
            packets: self.packets.load(Relaxed),
            packets_lost: self.packets_lost.load(Relaxed),
            packets_late: self.packets_late.load(Relaxed),
            packets_duplicate: self.packets_duplicate.load(Relaxed),
            packets_malformed: self.packets_malformed.load(Relaxed),
            concealed_share: fraction(&self.concealed_share),
            jitter: duration(&self.jitter_us),
            delay: duration(&self.delay_us),
            target: duration(&self.target_us),
            r_factor: fraction(&self.r_factor),
            mos: fraction(&self.mos),
            remote: self.has_remote.load(Relaxed).then(remote),
        })
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(UNKNOWN - 1)
}

/// A duration that nobody has said.
const UNKNOWN: u64 = u64::MAX;
