//! What a jitter buffer reports of its stream: counters, RFC 3550's jitter, RFC 3611's bursts, G.107's rating.

use std::time::Duration;

use super::quality::{self, BurstGap, Bursts};

/// What a jitter buffer has seen and done; every counter since its start.
///
/// Samples add up: received ones are played, removed, discarded, or still held; those given out are played, concealed,
/// inserted or rested. They count at the rate of the codec that they came in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Packets with audio, late ones and duplicates included.
    pub packets: u64,
    /// Packets that never came, or not yet.
    pub packets_lost: u64,
    /// Packets that came after their place had been played.
    pub packets_late: u64,
    /// Packets whose sequence number had been there.
    pub packets_duplicate: u64,
    /// Payloads that could not be decoded.
    pub packets_malformed: u64,
    /// How often the stream started anew: a new SSRC, a jump of the timestamp, or another codec.
    pub restarts: u64,
    /// Samples received in all packets.
    pub samples_received: u64,
    /// Received samples that were given out.
    pub samples_played: u64,
    /// Received samples that catching up left out or merged into their neighbours.
    pub samples_removed: u64,
    /// Received samples that were dropped: late, duplicate, or more than the buffer holds.
    pub samples_discarded: u64,
    /// Received samples that wait.
    pub samples_held: u64,
    /// Samples made up for lost or late ones, recovered ones among them.
    pub samples_concealed: u64,
    /// Samples of lost packets that the packet after them held (in-band FEC).
    pub samples_recovered: u64,
    /// Samples made up to gain delay.
    pub samples_inserted: u64,
    /// Samples of background or silence: before the stream, and where the sender paused.
    pub samples_rested: u64,
    /// The mean deviation of the packets' spacing (RFC 3550, section 6.4.1).
    pub jitter: Duration,
    /// How long after the fastest packets audio is played.
    pub delay: Duration,
    /// The delay that is aimed at.
    pub target: Duration,
    /// Loss and discard by bursts and gaps (RFC 3611).
    pub bursts: BurstGap,
    /// The transmission rating R of this leg: G.107 with the buffer's delay alone, 0 to 93.2.
    pub r_factor: f64,
    /// The mean opinion score that the rating stands for, 1 to 4.5.
    pub mos: f64,
}

/// Gathers what [`Stats`] reports.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    pub(super) stats: Stats,
    pub(super) bursts: Bursts,
    jitter_us: f64,
    last_transit_us: Option<i64>,
}

impl Recorder {
    /// Notes the relative transit time of a packet.
    pub(super) fn transit(&mut self, transit_us: i64) {
        if let Some(last) = self.last_transit_us.replace(transit_us) {
            self.jitter_us += ((transit_us - last).abs() as f64 - self.jitter_us) / 16.0;
        }
    }

    /// Forgets the last transit time, which a restart made meaningless.
    pub(super) const fn restart(&mut self) {
        self.stats.restarts += 1;
        self.last_transit_us = None;
    }

    pub(super) fn report(&self, held: usize, ptime: Duration) -> Stats {
        let r_factor = self.bursts.rating(self.stats.delay);
        Stats {
            samples_held: held as u64,
            jitter: Duration::from_micros(self.jitter_us as u64),
            bursts: self.bursts.report(ptime),
            r_factor,
            mos: quality::opinion(r_factor),
            ..self.stats
        }
    }
}
