//! What is heard of one source: how far its numbers have come, what is missing, how unevenly it arrives.
//!
//! The rules are those of RFC 3550, appendix A.1 (numbers), A.3 (loss) and A.8 (jitter). Whose packets they are, and what
//! becomes of a source whose numbers jump, is the endpoint's business.

use std::time::Duration;

use crate::Timestamp;
use crate::audio::frame::SampleRate;
use crate::protocol::rtcp::{NtpTime, ReportBlock};

/// One source that has proved itself.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    pub(super) last_heard: Timestamp,
    /// The first number, and the highest, with the count of wraps above 16 bits.
    first: u32,
    highest: u32,
    received: u32,
    /// As they were when the last report was made.
    expected_before: u32,
    received_before: u32,
    /// In 1/16 of a tick.
    jitter: u32,
    transit: Option<u32>,
    clock: SampleRate,
    /// The middle of the last sender report's time, and when it came.
    sender_report: Option<(u32, Timestamp)>,
}

impl Source {
    /// Begins with the number of the first packet, which is yet to be [taken](Self::take).
    pub(super) fn new(ssrc: u32, first: u16, now: Timestamp) -> Self {
        let first = u32::from(first);
        Self {
            ssrc,
            last_heard: now,
            first,
            highest: first,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            transit: None,
            clock: SampleRate::HZ_8000,
            sender_report: None,
        }
    }

    /// Whether a number goes on from those before: not far ahead, and hardly behind.
    pub(super) fn continues(&self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        ahead < MAX_DROPOUT || ahead > MAX_MISORDER.wrapping_neg()
    }

    /// Takes a packet whose number [continues](Self::continues).
    pub(super) fn take(&mut self, sequence: u16, now: Timestamp) {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        }
        self.received = self.received.wrapping_add(1);
        self.last_heard = now;
    }

    /// Takes note of when audio came, for the jitter; not for packets whose timestamp is not that of their sending.
    pub(super) fn measure(&mut self, timestamp: u32, clock: SampleRate, now: Timestamp) {
        let arrival = u128::from(now.as_micros()) * u128::from(clock.hz()) / 1_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp);
        if self.clock != clock {
            self.clock = clock;
            self.jitter = 0;
            self.transit = None;
        }
        if let Some(before) = self.transit.replace(transit) {
            let deviation = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // Timestamps that begin anew are no jitter.
            if deviation < clock.hz() * 2 {
                self.jitter = self.jitter + deviation - ((self.jitter + 8) >> 4);
            }
        }
    }

    pub(super) fn handle_sender_report(&mut self, sent: NtpTime, now: Timestamp) {
        self.sender_report = Some((sent.middle(), now));
    }

    /// Makes the block of the next report: its share of losses counts from here on anew.
    pub(super) fn report(&mut self, now: Timestamp) -> ReportBlock {
        let expected = self.expected();
        let expected_since = expected.wrapping_sub(self.expected_before);
        let received_since = self.received.wrapping_sub(self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_since = u64::from(expected_since.saturating_sub(received_since));
        let fraction_lost = (lost_since << 8).checked_div(u64::from(expected_since)).unwrap_or(0).min(255) as u8;
        let (last_sender_report, delay_since_last) = self.sender_report.map_or((0, 0), |(middle, came)| {
            let delay = now.since(came).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            lost: self.lost(),
            highest_sequence: self.highest,
            jitter: self.jitter >> 4,
            last_sender_report,
            delay_since_last,
        }
    }

    /// How many are missing; negative if more came twice than were lost.
    pub(super) fn lost(&self) -> i32 {
        self.expected().wrapping_sub(self.received) as i32
    }

    pub(super) fn jitter(&self) -> Duration {
        self.clock.duration_of(u64::from(self.jitter >> 4))
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.first).wrapping_add(1)
    }
}

/// How far a number may be ahead, as after a minute without a network.
const MAX_DROPOUT: u16 = 3_000;
/// How far a number may be behind.
const MAX_MISORDER: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn loss_is_counted_across_wraps_and_late_packets_make_up_for_it() {
        let mut source = Source::new(7, 65_530, at(0));
        for (n, sequence) in (65_530..=65_535).chain(3..10).chain([1, 2, 2]).enumerate() {
            assert!(source.continues(sequence));
            source.take(sequence, at(n as u64));
        }
        // 65530 to 9 are 16, of which 0 is missing; 2 came twice.
        assert_eq!(source.lost(), 0);
        let block = source.report(at(100));
        assert_eq!((block.highest_sequence, block.lost, block.fraction_lost), (65_536 + 9, 0, 0));
        source.take(13, at(101));
        let block = source.report(at(102));
        assert_eq!((block.lost, block.fraction_lost), (3, 192), "3 of 4");
        assert!(!source.continues(13 + MAX_DROPOUT));
        assert!(!source.continues(13_u16.wrapping_sub(MAX_MISORDER)));
    }

    #[test]
    fn jitter_is_that_of_the_rfc_and_a_new_start_is_none() {
        let mut source = Source::new(7, 0, at(0));
        let clock = SampleRate::HZ_8000;
        // 8 ms early or late against each other: the estimate goes to 8 ms by a sixteenth each time.
        for n in 0..200_u32 {
            source.measure(n * 160, clock, at(1_000 + u64::from(n) * 20 + u64::from(n % 2) * 8));
        }
        // A tick is lost to whole numbers.
        assert_eq!(source.jitter(), Duration::from_micros(7_875));
        source.measure(1 << 31, clock, at(6_000));
        assert_eq!(source.jitter(), Duration::from_micros(7_875));
    }

    #[test]
    fn a_sender_report_is_quoted_with_its_age() {
        let mut source = Source::new(7, 0, at(0));
        assert_eq!(source.report(at(0)).last_sender_report, 0);
        source.handle_sender_report(NtpTime(0x1234_5678_9abc_def0), at(1_000));
        let block = source.report(at(1_500));
        assert_eq!((block.last_sender_report, block.delay_since_last), (0x5678_9abc, 32_768));
    }
}
