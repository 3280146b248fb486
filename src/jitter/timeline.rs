//! Unwraps the counters of an RTP stream, and notices when the stream starts anew.
//!
//! Sequence numbers wrap after 20 minutes, timestamps after six days, and both may start anywhere, or start again: a new
//! SSRC, or a sender that was rebuilt behind the same one. A pause (timestamps go on as time does) is no restart, and
//! neither is a stalled network (both counters go on). What to do with the audio is the buffer's business.

use super::Packet;

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

/// The newest of a stream.
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
    second: i64,
}

impl Timeline {
    pub(super) const fn new(rate_hz: u32) -> Self {
        Self { newest: None, without_audio: 0, second: rate_hz as i64 }
    }

    /// Places a packet of `len` samples; 0 for one without audio.
    pub(super) fn place(&mut self, packet: &Packet<'_>, len: usize, arrival_us: i64) -> Place {
        let Some(newest) = self.newest else {
            return self.begin(packet, len, arrival_us, i64::from(packet.timestamp), i64::from(packet.sequence), false);
        };
        let ahead = i64::from(packet.sequence.wrapping_sub(newest.sequence).cast_signed());
        let later = i64::from(packet.timestamp.wrapping_sub(newest.timestamp).cast_signed());
        let elapsed = arrival_us.saturating_sub(newest.arrival_us).saturating_mul(self.second) / 1_000_000;
        let by_sequence = ahead * (newest.end - newest.at).max(len as i64);
        let jumped =
            (later - by_sequence).abs() > self.second && later.saturating_sub(elapsed).saturating_abs() > self.second;
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
            Newest { ssrc, sequence, timestamp, arrival_us, at, end: at + len as i64, unwrapped, seen }
        } else {
            Newest { seen, ..newest }
        });
        self.count(Place { at, sequence: unwrapped, restarted: false, duplicate }, len)
    }

    fn begin(
        &mut self,
        packet: &Packet<'_>,
        len: usize,
        arrival_us: i64,
        at: i64,
        unwrapped: i64,
        restarted: bool,
    ) -> Place {
        let Packet { ssrc, sequence, timestamp, .. } = *packet;
        let end = at + len as i64;
        self.newest = Some(Newest { ssrc, sequence, timestamp, arrival_us, at, end, unwrapped, seen: 1 });
        self.count(Place { at, sequence: unwrapped, restarted, duplicate: false }, len)
    }

    /// Leaves packets without audio out of the sequence, so that they do not count as lost.
    const fn count(&mut self, mut place: Place, len: usize) -> Place {
        place.sequence -= self.without_audio;
        if len == 0 && !place.duplicate {
            self.without_audio += 1;
        }
        place
    }
}

/// The largest step of the sequence number that is taken for loss (RFC 3550, appendix A.1).
const DROPOUT: i64 = 3_000;
