//! Sender and receiver reports: what was sent, and what of it arrived (RFC 3550, section 6.4).

use std::time::Duration;

use super::ParseError;

/// A point in time as NTP writes it: seconds since 1900 in the upper 32 bits, fractions of one in the lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Turns the time since 1970 into NTP's; it wraps round in 2036, as NTP does.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        const FROM_1900_TO_1970: u64 = 2_208_988_800;
        let seconds = since_epoch.as_secs().wrapping_add(FROM_1900_TO_1970) << 32;
        Self(seconds | ((u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000))
    }

    /// The middle 32 bits: seconds and fractions, 16 bits each, as report blocks quote it.
    #[must_use]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What a sender says about what it sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: NtpTime,
    /// The same time in ticks of the stream's timestamp.
    pub rtp_timestamp: u32,
    /// How many packets were sent since the stream began; wraps round.
    pub packets: u32,
    /// How many bytes of payload they carried; wraps round.
    pub octets: u32,
}

impl SenderInfo {
    pub(super) const LEN: usize = 20;

    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let [n0, n1, rtp_timestamp, packets, octets] = words(bytes);
        let ntp = NtpTime(u64::from(n0) << 32 | u64::from(n1));
        Self { ntp, rtp_timestamp, packets, octets }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        bytes([(self.ntp.0 >> 32) as u32, self.ntp.0 as u32, self.rtp_timestamp, self.packets, self.octets])
    }
}

/// What a receiver says about one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Whom it hears.
    pub ssrc: u32,
    /// The share that got lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// How many got lost since the stream began: 24 bits with a sign, as duplicates count against losses.
    pub lost: i32,
    /// The highest sequence number, with the count of wraps in the upper 16 bits.
    pub highest_sequence: u32,
    /// The mean deviation of arrival times, in ticks of the stream's timestamp.
    pub jitter: u32,
    /// The middle of the last sender report's time; 0 if there was none.
    pub last_sender_report: u32,
    /// How long ago that came, in 1/65,536 s.
    pub delay_since_last: u32,
}

impl ReportBlock {
    /// How long a block is on the wire, in bytes.
    pub const LEN: usize = 24;

    /// How long a packet takes there and back, if the block tells: our report's way, without the time it lay there.
    ///
    /// `arrival` is when the block came, by the same clock that stamped our sender reports.
    #[must_use]
    pub fn round_trip(&self, arrival: NtpTime) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let ticks = arrival.middle().wrapping_sub(self.last_sender_report).wrapping_sub(self.delay_since_last);
        // Clocks that were set, or nonsense: half of the circle counts as negative.
        (ticks < 1 << 31).then(|| Duration::from_nanos((u64::from(ticks) * 1_000_000_000) >> 16))
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let [ssrc, loss, highest_sequence, jitter, last_sender_report, delay_since_last] = words(bytes);
        Self {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            lost: (loss << 8) as i32 >> 8,
            highest_sequence,
            jitter,
            last_sender_report,
            delay_since_last,
        }
    }

    /// A loss beyond 24 bits is limited to them.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        bytes([
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sender_report,
            self.delay_since_last,
        ])
    }
}

/// The blocks of a report, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    blocks: &'a [[u8; ReportBlock::LEN]],
}

impl<'a> ReportBlocks<'a> {
    /// Takes `count` blocks; what follows them is a profile's own, and skipped.
    pub(super) fn parse(body: &'a [u8], count: usize) -> Result<Self, ParseError> {
        let short = ParseError::Short { len: body.len(), wanted: count * ReportBlock::LEN };
        Ok(Self { blocks: body.as_chunks().0.get(..count).ok_or(short)? })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.blocks.split_first()?;
        self.blocks = rest;
        Some(ReportBlock::from_bytes(block))
    }
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == WORDS * 4) };
    let chunks = bytes.as_chunks::<4>().0;
    std::array::from_fn(|i| u32::from_be_bytes(chunks[i]))
}

fn bytes<const BYTES: usize, const WORDS: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    const { assert!(BYTES == WORDS * 4) };
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *chunk = word.to_be_bytes();
    }
    bytes
}
