//! Unwraps the counters of an RTP stream, and notices when the stream starts anew.
//!
//! Sequence numbers wrap after 20 minutes, timestamps after six days, and both may start anywhere, or start again: a new
//! SSRC, or a sender that was rebuilt behind the same one. Timestamps need not count samples: RTP's clock of G.722 and of
//! Opus is not the rate that they are heard at. A pause (timestamps go on as time does) is no restart, and
//! neither is a stalled network (both counters go on). What to do with the audio is the buffer's business.

use super::Packet;
use crate::audio::codec::Codec;

/// Where a packet lies, on counters that never wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The media timestamp, in samples.
    pub(super) at: i64,
    /// The sequence number among packets that hold audio.
    pub(super) sequence: i64,
    /// Whether the stream started anew with this packet.
    pub(super) restarted: bool,
    /// Whether a packet of this sequence number was there already.
    pub(super) duplicate: bool,
}

/// The newest of a stream; its places count ticks of the clock of timestamps.
#[derive(Clone, Copy, Debug)]
struct Newest {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    arrival_us: i64,
    /// The place of that packet, and where the next would lie.
    at: i64,
    end: i64,
    unwrapped: i64,
    /// Which of the last 64 sequence numbers were there; the lowest bit is the newest.
    seen: u64,
}

/// The counters of one stream.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    newest: Option<Newest>,
    /// How many packets without audio took a sequence number.
    without_audio: i64,
    /// Ticks a second, and samples.
    clock_hz: i64,
    rate_hz: i64,
}

impl Timeline {
    /// Makes the counters of a stream of `codec`.
    pub(super) const fn new(codec: Codec) -> Self {
        let (clock_hz, rate_hz) = (codec.rtp_clock().hz() as i64, codec.rate().hz() as i64);
        Self { newest: None, without_audio: 0, clock_hz, rate_hz }
    }

    /// Places a packet of `samples`; 0 for one without audio.
    pub(super) fn place(&mut self, packet: &Packet<'_>, samples: usize, arrival_us: i64) -> Place {
        let len = samples as i64 * self.clock_hz / self.rate_hz;
        let Some(newest) = self.newest else {
            return self.begin(packet, len, arrival_us, i64::from(packet.timestamp), i64::from(packet.sequence), false);
        };
        let ahead = i64::from(packet.sequence.wrapping_sub(newest.sequence).cast_signed());
        let later = i64::from(packet.timestamp.wrapping_sub(newest.timestamp).cast_signed());
        let elapsed = arrival_us.saturating_sub(newest.arrival_us).saturating_mul(self.clock_hz) / 1_000_000;
        let by_sequence = ahead * (newest.end - newest.at).max(len);
        let jumped = (later - by_sequence).abs() > self.clock_hz
            && later.saturating_sub(elapsed).saturating_abs() > self.clock_hz;
        if packet.ssrc != newest.ssrc || jumped {
            // The new stream goes on where the old one ends, so that what is queued is still played.
            return self.begin(packet, len, arrival_us, newest.end, newest.unwrapped + 1, true);
        }
        // A jump of the sequence alone tells nothing of loss.
        let ahead = if ahead.abs() > DROPOUT { 1 } else { ahead };
        let (at, unwrapped) = (newest.at + later, newest.unwrapped + ahead);
        let behind = u32::try_from(-ahead).ok();
        let duplicate = behind.is_some_and(|behind| behind < 64 && newest.seen >> behind & 1 == 1);
        let seen = match behind {
            Some(behind) => newest.seen | 1_u64.checked_shl(behind).unwrap_or(0),
            None => newest.seen.checked_shl(ahead as u32).unwrap_or(0) | 1,
        };
        let Packet { ssrc, sequence, timestamp, .. } = *packet;
        self.newest = Some(if ahead > 0 {
            Newest { ssrc, sequence, timestamp, arrival_us, at, end: at + len, unwrapped, seen }
        } else {
            Newest { seen, ..newest }
        });
        self.count(Place { at, sequence: unwrapped, restarted: false, duplicate }, len)
    }

    fn begin(
        &mut self,
        packet: &Packet<'_>,
        len: i64,
        arrival_us: i64,
        at: i64,
        unwrapped: i64,
        restarted: bool,
    ) -> Place {
        let Packet { ssrc, sequence, timestamp, .. } = *packet;
        let end = at + len;
        self.newest = Some(Newest { ssrc, sequence, timestamp, arrival_us, at, end, unwrapped, seen: 1 });
        self.count(Place { at, sequence: unwrapped, restarted, duplicate: false }, len)
    }

    /// Leaves packets without audio out of the sequence, so that they do not count as lost; goes from ticks to samples.
    const fn count(&mut self, mut place: Place, len: i64) -> Place {
        place.at = (place.at * self.rate_hz).div_euclid(self.clock_hz);
        place.sequence -= self.without_audio;
        if len == 0 && !place.duplicate {
            self.without_audio += 1;
        }
        place
    }
}

/// The largest step of the sequence number that is taken for loss (RFC 3550, appendix A.1).
const DROPOUT: i64 = 3_000;
