//! `TalkpathJitterBuffer`: packets of a network in, one frame of 20 ms a tick out.

use std::time::Duration;

use super::check::{self, Out};
use super::codec::codec_of;
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::jitter::{Arrival, Config, JitterBuffer, Packet, Played, Playout, Stats};

/// Puts packets in order, keeps the delay that they need, and conceals what is lost.
pub struct TalkpathJitterBuffer(JitterBuffer);

/// Playout of [`TalkpathPlayout`]: as early as all but a few packets allow.
pub const TALKPATH_PLAYOUT_ADAPTIVE: i32 = 0;
/// Playout of [`TalkpathPlayout`]: always `max_ms` after the fastest packets.
pub const TALKPATH_PLAYOUT_FIXED: i32 = 1;
/// Playout of [`TalkpathPlayout`]: at once, waiting at most `max_ms` in a gap, for a listener without a clock.
pub const TALKPATH_PLAYOUT_ASAP: i32 = 2;

/// When packets are played.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathPlayout {
    /// One of `TALKPATH_PLAYOUT_…`.
    pub mode: i32,
    /// The least delay over that of the fastest packets; only for adaptive playout.
    pub min_ms: u32,
    /// The longest delay (20 to 2,000), the fixed one (at most 2,000), or the wait in a gap (at most 1,000).
    pub max_ms: u32,
}

/// A packet as it came.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathPacket {
    /// RTP's source.
    pub ssrc: u32,
    /// RTP's timestamp.
    pub timestamp: u32,
    /// RTP's sequence number.
    pub sequence: u16,
    /// RTP's marker bit.
    pub marker: bool,
    /// The audio, encoded.
    pub payload: *const u8,
    /// How many bytes it has.
    pub payload_len: usize,
}

/// What became of a packet: it waits to be played.
pub const TALKPATH_ARRIVAL_HELD: i32 = 0;
/// What became of a packet: its place had been played; it was discarded.
pub const TALKPATH_ARRIVAL_LATE: i32 = 1;
/// What became of a packet: it had been there; it was discarded.
pub const TALKPATH_ARRIVAL_DUPLICATE: i32 = 2;
/// What became of a packet: it is no payload of the codec; it was discarded, and will count as lost.
pub const TALKPATH_ARRIVAL_MALFORMED: i32 = 3;

/// What a frame is made of: received samples, at least in part.
pub const TALKPATH_PLAYED_AUDIO: i32 = 0;
/// What a frame is made of: made up for lost or late samples.
pub const TALKPATH_PLAYED_CONCEALED: i32 = 1;
/// What a frame is made of: made up to gain delay, in a quiet place.
pub const TALKPATH_PLAYED_INSERTED: i32 = 2;
/// What a frame is made of: background or silence, as the sender pauses or nothing has come yet.
pub const TALKPATH_PLAYED_REST: i32 = 3;

/// What a jitter buffer has seen and done since its start; samples count at the codec's rate.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TalkpathJitterStats {
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
    /// How often the stream started anew.
    pub restarts: u64,
    /// Samples received in all packets.
    pub samples_received: u64,
    /// Received samples that were given out.
    pub samples_played: u64,
    /// Received samples that catching up left out.
    pub samples_removed: u64,
    /// Received samples that were dropped.
    pub samples_discarded: u64,
    /// Received samples that wait.
    pub samples_held: u64,
    /// Samples made up for lost or late ones, recovered ones among them.
    pub samples_concealed: u64,
    /// Samples of lost packets that the packet after them held.
    pub samples_recovered: u64,
    /// Samples made up to gain delay.
    pub samples_inserted: u64,
    /// Samples of background or silence.
    pub samples_rested: u64,
    /// The mean deviation of the packets' spacing (RFC 3550, section 6.4.1).
    pub jitter_us: u64,
    /// How long after the fastest packets audio is played.
    pub delay_us: u64,
    /// The delay that is aimed at.
    pub target_us: u64,
    /// The transmission rating R (ITU-T G.107) of this leg.
    pub r_factor: f64,
    /// The mean opinion score that the rating stands for.
    pub mos: f64,
}

/// Makes a buffer for packets of one codec, and hands it over in `buffer`. Free it by [`talkpath_jitter_buffer_free`].
///
/// `codec` is one of `TALKPATH_CODEC_…`; `playout` may be NULL: adaptive, 0 to 400 ms.
///
/// # Safety
/// `playout` must be readable or NULL, `buffer` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_new(
    codec: i32,
    rate_hz: u32,
    playout: *const TalkpathPlayout,
    buffer: *mut *mut TalkpathJitterBuffer,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (playout, buffer) = unsafe { (playout.as_ref(), Out::new("buffer", buffer)?) };
        let playout = playout.map_or(Ok(Config::default().playout), playout_of)?;
        buffer.give(TalkpathJitterBuffer(JitterBuffer::new(Config { codec: codec_of(codec, rate_hz)?, playout })?));
        Ok(())
    })
}

/// Takes a packet that came at `arrival_us`; `arrival` gets what became of it, one of `TALKPATH_ARRIVAL_…`.
///
/// Times are on the scale of [`talkpath_jitter_buffer_poll`]'s. Real-time safe.
///
/// # Safety
/// `buffer` must come from [`talkpath_jitter_buffer_new`], and no other call may be using it; `packet` and its payload must
/// be readable, `arrival` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_push(
    buffer: *mut TalkpathJitterBuffer,
    packet: *const TalkpathPacket,
    arrival_us: u64,
    arrival: *mut i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (buffer, packet, arrival) = unsafe {
            (
                &mut check::object_mut("buffer", buffer)?.0,
                packet_of(check::object("packet", packet)?)?,
                Out::new("arrival", arrival)?,
            )
        };
        arrival.set(match buffer.handle_packet(&packet, check::time(arrival_us)) {
            Arrival::Held => TALKPATH_ARRIVAL_HELD,
            Arrival::Late => TALKPATH_ARRIVAL_LATE,
            Arrival::Duplicate => TALKPATH_ARRIVAL_DUPLICATE,
            Arrival::Malformed => TALKPATH_ARRIVAL_MALFORMED,
        });
        Ok(())
    })
}

/// Takes a comfort noise packet (RFC 3389): the sender pauses, and its background lies `level` dB below full scale.
///
/// # Safety
/// As for [`talkpath_jitter_buffer_push`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_push_comfort_noise(
    buffer: *mut TalkpathJitterBuffer,
    packet: *const TalkpathPacket,
    level: u8,
    arrival_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (buffer, packet) =
            unsafe { (&mut check::object_mut("buffer", buffer)?.0, packet_of(check::object("packet", packet)?)?) };
        buffer.handle_comfort_noise(&packet, level, check::time(arrival_us));
        Ok(())
    })
}

/// Writes the frame that is due at `now_us`, 20 ms, to `out`; `played` gets what it is made of, one of `TALKPATH_PLAYED_…`.
///
/// Call it every 20 ms: there is a frame each time. With playout `asap` call it after each packet, too, until it answers
/// `TALKPATH_STATUS_EMPTY`. `out_len` is the room in `out`, in samples, at least `rate_hz / 50`. Real-time safe.
///
/// # Safety
/// `buffer` must come from [`talkpath_jitter_buffer_new`], and no other call may be using it; `out` must be writable for
/// `out_len` samples, `played` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_poll(
    buffer: *mut TalkpathJitterBuffer,
    now_us: u64,
    out: *mut i16,
    out_len: usize,
    played: *mut i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (buffer, out, played) = unsafe {
            (
                &mut check::object_mut("buffer", buffer)?.0,
                check::slice_mut("out", out, out_len)?,
                Out::new("played", played)?,
            )
        };
        let frame = buffer.codec().rate().frame_len();
        check::room("out_len", out.len(), frame)?;
        let made = buffer.poll_frame(check::time(now_us), &mut out[..frame]).ok_or(check::Failure::Empty)?;
        played.set(match made {
            Played::Audio => TALKPATH_PLAYED_AUDIO,
            Played::Concealed => TALKPATH_PLAYED_CONCEALED,
            Played::Inserted => TALKPATH_PLAYED_INSERTED,
            Played::Rest => TALKPATH_PLAYED_REST,
        });
        Ok(())
    })
}

/// Writes what the buffer has seen and done so far.
///
/// # Safety
/// `buffer` must come from [`talkpath_jitter_buffer_new`], and no other call may be using it; `stats` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_stats(
    buffer: *const TalkpathJitterBuffer,
    stats: *mut TalkpathJitterStats,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (buffer, stats) = unsafe { (&check::object("buffer", buffer)?.0, Out::new("stats", stats)?) };
        stats.set(stats_of(&buffer.stats()));
        Ok(())
    })
}

/// Frees a buffer; NULL is nothing to free.
///
/// # Safety
/// `buffer` must come from [`talkpath_jitter_buffer_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_jitter_buffer_free(buffer: *mut TalkpathJitterBuffer) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(buffer) };
        Ok(())
    });
}

/// The playout that C asks for.
pub(super) fn playout_of(playout: &TalkpathPlayout) -> check::Result<Playout> {
    let ms = |ms: u32| Duration::from_millis(ms.into());
    match playout.mode {
        TALKPATH_PLAYOUT_ADAPTIVE => Ok(Playout::Adaptive { min: ms(playout.min_ms), max: ms(playout.max_ms) }),
        TALKPATH_PLAYOUT_FIXED => Ok(Playout::Fixed(ms(playout.max_ms))),
        TALKPATH_PLAYOUT_ASAP => Ok(Playout::Asap { wait: ms(playout.max_ms) }),
        other => Err(Error::invalid(format!("playout {other}, wanted 0 (adaptive), 1 (fixed) or 2 (asap)")).into()),
    }
}

/// The packet that C hands over.
///
/// # Safety
/// Its payload must be readable for as long as the result is used.
pub(super) unsafe fn packet_of<'a>(packet: &TalkpathPacket) -> check::Result<Packet<'a>> {
    let TalkpathPacket { ssrc, timestamp, sequence, marker, .. } = *packet;
    // SAFETY: as the caller promises.
    let payload = unsafe { check::slice("payload", packet.payload, packet.payload_len) }?;
    Ok(Packet { ssrc, sequence, timestamp, marker, payload })
}

/// What C reads of a buffer's counters.
pub(super) fn stats_of(stats: &Stats) -> TalkpathJitterStats {
    TalkpathJitterStats {
        packets: stats.packets,
        packets_lost: stats.packets_lost,
        packets_late: stats.packets_late,
        packets_duplicate: stats.packets_duplicate,
        packets_malformed: stats.packets_malformed,
        restarts: stats.restarts,
        samples_received: stats.samples_received,
        samples_played: stats.samples_played,
        samples_removed: stats.samples_removed,
        samples_discarded: stats.samples_discarded,
        samples_held: stats.samples_held,
        samples_concealed: stats.samples_concealed,
        samples_recovered: stats.samples_recovered,
        samples_inserted: stats.samples_inserted,
        samples_rested: stats.samples_rested,
        jitter_us: check::micros(stats.jitter),
        delay_us: check::micros(stats.delay),
        target_us: check::micros(stats.target),
        r_factor: stats.r_factor,
        mos: stats.mos,
    }
}
