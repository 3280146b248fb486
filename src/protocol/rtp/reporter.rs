//! When an endpoint reports, and in which words (RFC 3550, sections 6.2 and 6.4).
//!
//! A call has two members, so the interval is the RFC's least one, 5 s, the first half of that; both are spread at random,
//! so that calls which began together do not report together. Reports say when they were sent by the time since the
//! endpoint was made, not by the day's: section 4 allows it, and it tells nobody how the machine's clock is set.

use std::time::Duration;

use super::outgoing::OutgoingStream;
use super::random::Random;
use super::source::Source;
use crate::Timestamp;
use crate::protocol::rtcp::{NtpTime, SenderInfo, WriteError, Writer};

/// The reports of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    began: Timestamp,
    next: Timestamp,
    /// A name for this call alone, of 96 random bits (RFC 7022, section 4.2), in hexadecimal digits.
    name: [u8; NAME_LEN],
    /// An id that is to be given up with a goodbye.
    leaving: Option<u32>,
}

impl Reporter {
    pub(super) fn new(random: &mut Random, now: Timestamp) -> Self {
        let bits = [random.next_u32(), random.next_u32(), random.next_u32()];
        let digit = |i: usize| char::from_digit(bits[i / 8] >> (i % 8 * 4) & 15, 16).map_or(b'0', |digit| digit as u8);
        let name = std::array::from_fn(digit);
        Self { began: now, next: now + spread(INTERVAL / 2, random), name, leaving: None }
    }

    /// When the next report is due.
    pub(super) fn due(&self) -> Timestamp {
        if self.leaving.is_some() { self.began } else { self.next }
    }

    /// Gives up an id: the next report, due at once, is its goodbye.
    pub(super) fn leave(&mut self, ssrc: u32) {
        self.leaving = Some(ssrc);
    }

    /// Writes the report that is due, if one is, and returns its length.
    pub(super) fn poll(
        &mut self,
        stream: &OutgoingStream,
        source: Option<&mut Source>,
        random: &mut Random,
        now: Timestamp,
        out: &mut [u8],
    ) -> Option<usize> {
        if let Some(ssrc) = self.leaving.take() {
            let mut writer = Writer::new(out);
            let written = writer.receiver_report(ssrc, &[]).and_then(|()| self.finish(&mut writer, ssrc, true));
            return written.is_ok().then(|| writer.len());
        }
        if now < self.next {
            return None;
        }
        self.next = now + spread(INTERVAL, random);
        self.write(stream, source, false, now, out)
    }

    /// Writes a report, and a goodbye if the endpoint leaves, and returns its length; nothing without the room.
    pub(super) fn write(
        &mut self,
        stream: &OutgoingStream,
        source: Option<&mut Source>,
        leaves: bool,
        now: Timestamp,
        out: &mut [u8],
    ) -> Option<usize> {
        let block = source.map(|source| source.report(now));
        let blocks = block.as_slice();
        let mut writer = Writer::new(out);
        let report = if stream.packets == 0 {
            writer.receiver_report(stream.ssrc, blocks)
        } else {
            let sender = SenderInfo {
                ntp: self.ntp(now),
                rtp_timestamp: stream.timestamp_at(now),
                packets: stream.packets,
                octets: stream.octets,
            };
            writer.sender_report(stream.ssrc, &sender, blocks)
        };
        report.and_then(|()| self.finish(&mut writer, stream.ssrc, leaves)).ok()?;
        Some(writer.len())
    }

    /// The time that reports carry. It begins at one second, as zero says that there was no report.
    pub(super) fn ntp(&self, now: Timestamp) -> NtpTime {
        let us = u128::from(now.since(self.began).as_micros() as u64) + 1_000_000;
        NtpTime(((us << 32) / 1_000_000) as u64)
    }

    fn finish(&self, writer: &mut Writer<'_>, ssrc: u32, leaves: bool) -> Result<(), WriteError> {
        writer.cname(ssrc, std::str::from_utf8(&self.name).unwrap_or_default())?;
        if leaves { writer.bye(ssrc, "") } else { Ok(()) }
    }
}

/// Spreads an interval between half and one and a half of it. In a crowd of two there is no timer to reconsider, and
/// nothing to make up for that.
fn spread(interval: Duration, random: &mut Random) -> Duration {
    interval.mul_f64(0.5 + f64::from(random.next_u32()) / f64::from(u32::MAX))
}

/// The least interval between reports (RFC 3550, section 6.2).
const INTERVAL: Duration = Duration::from_secs(5);
const NAME_LEN: usize = 24;
