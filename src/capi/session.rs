//! `TalkpathSession`: the media end of one call, driven by whoever owns the clock and the wire.

use super::agent::TalkpathAgent;
use super::check::{self, Failure, Out};
use super::codec::{TALKPATH_CODEC_SLIN, codec_of, number_of};
use super::event::end_reason_number;
use super::jitter::{TalkpathJitterStats, TalkpathPacket, packet_of, stats_of};
use super::session_config::{TalkpathSessionConfig, config_of};
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::audio::codec::Codec;
use crate::session::{EndReason, FarEnd, Input, Output, Session};

/// The media end of one call: takes what comes from the wire, and says what goes out.
pub struct TalkpathSession(Session);

/// The wire's format is known: [`talkpath_session_take_agent`] has the agent's end now.
pub const TALKPATH_OUTPUT_STARTED: i32 = 0;
/// Send `payload` now.
pub const TALKPATH_OUTPUT_TRANSMIT: i32 = 1;
/// Send the key `digit` by the transport's own means.
pub const TALKPATH_OUTPUT_DTMF: i32 = 2;
/// Have the far end drop what it has queued.
pub const TALKPATH_OUTPUT_FLUSH: i32 = 3;
/// The agent's end has something new.
pub const TALKPATH_OUTPUT_WAKE: i32 = 4;
/// Tell the far end that the call is over, then close.
pub const TALKPATH_OUTPUT_HANGUP: i32 = 5;
/// The session is over; `reason` says why. This was the last output.
pub const TALKPATH_OUTPUT_ENDED: i32 = 6;
/// Nothing to do until `timeout_us`, unless something comes from the wire.
pub const TALKPATH_OUTPUT_TIMEOUT: i32 = 7;

/// What is to be done; which fields mean something, `kind` says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathOutput {
    /// One of `TALKPATH_OUTPUT_…`.
    pub kind: i32,
    /// Of a transmission: the codec of the payload, one of `TALKPATH_CODEC_…`.
    pub codec: i32,
    /// Of a transmission: the rate of the payload's samples.
    pub rate_hz: u32,
    /// Of an end: one of `TALKPATH_END_…`.
    pub reason: i32,
    /// Of a transmission: exactly one packet time; yours to read until the session is used again.
    pub payload: *const u8,
    /// How many bytes the payload has.
    pub payload_len: usize,
    /// Of a transmission: when it was due.
    pub due_us: u64,
    /// Of a transmission: how many frames came before it.
    pub number: u64,
    /// Of a timeout: when to ask again.
    pub timeout_us: u64,
    /// Of a transmission: whether there is anything of the agent's in it.
    pub is_agent: bool,
    /// Of a transmission: whether it is the first of the agent's after silence (RTP's marker bit).
    pub begins: bool,
    /// Of a key: the key.
    pub digit: u8,
}

/// Makes the media end of a call whose first frame is due at `now_us`, and hands it over in `session`.
///
/// `config` may be NULL: the default. `far_end_acks` says that the far end confirms what it has played
/// ([`talkpath_session_handle_acked`]) and can drop what it has queued; `far_end_takes_dtmf` that keys are sent by the
/// transport, not as tones. Free it by [`talkpath_session_free`].
///
/// # Safety
/// `config` must be readable for the size that it says it has, or NULL; `session` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_new(
    config: *const TalkpathSessionConfig,
    far_end_acks: bool,
    far_end_takes_dtmf: bool,
    now_us: u64,
    session: *mut *mut TalkpathSession,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, config) = unsafe { (Out::new("session", session)?, config_of(config)?) };
        let far_end = FarEnd { acks: far_end_acks, takes_dtmf: far_end_takes_dtmf };
        session.give(TalkpathSession(Session::new(config, far_end, check::time(now_us))));
        Ok(())
    })
}

/// Takes audio of a transport that keeps order and loses nothing, any length of it.
///
/// Real-time safe but for the first of a call. After each `talkpath_session_handle_…`, and when the last timeout is due,
/// call [`talkpath_session_poll`] until it says [`TALKPATH_OUTPUT_TIMEOUT`] or [`TALKPATH_OUTPUT_ENDED`].
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it; `payload` must be readable for
/// `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_audio(
    session: *mut TalkpathSession,
    codec: i32,
    rate_hz: u32,
    payload: *const u8,
    len: usize,
    now_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, payload) =
            unsafe { (check::object_mut("session", session)?, check::slice("payload", payload, len)?) };
        let codec = codec_of(codec, rate_hz)?;
        session.0.handle_input(Input::Audio { codec, payload }, check::time(now_us));
        Ok(())
    })
}

/// Takes a packet of a network that keeps neither order nor time: it goes through the session's jitter buffer.
///
/// Real-time safe but for the first of a call and for a change of the codec.
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it; `packet` and its payload must be
/// readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_packet(
    session: *mut TalkpathSession,
    codec: i32,
    rate_hz: u32,
    packet: *const TalkpathPacket,
    now_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, packet) =
            unsafe { (check::object_mut("session", session)?, packet_of(check::object("packet", packet)?)?) };
        let codec = codec_of(codec, rate_hz)?;
        session.0.handle_input(Input::Packet { codec, packet }, check::time(now_us));
        Ok(())
    })
}

/// Takes a comfort noise packet (RFC 3389) of the same stream; the background lies `level` dB below full scale.
///
/// # Safety
/// As for [`talkpath_session_handle_packet`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_comfort_noise(
    session: *mut TalkpathSession,
    packet: *const TalkpathPacket,
    level: u8,
    now_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, packet) =
            unsafe { (check::object_mut("session", session)?, packet_of(check::object("packet", packet)?)?) };
        session.0.handle_input(Input::ComfortNoise { packet, level }, check::time(now_us));
        Ok(())
    })
}

/// Takes a key that the caller pressed: '0' to '9', '*', '#', 'A' to 'D'.
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_dtmf(
    session: *mut TalkpathSession,
    digit: u8,
    now_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let session = unsafe { check::object_mut("session", session) }?;
        session.0.handle_input(Input::Dtmf(check::key(digit)?), check::time(now_us));
        Ok(())
    })
}

/// Takes the far end's word that it has played every frame up to and including `number`.
///
/// # Safety
/// As for [`talkpath_session_handle_dtmf`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_acked(
    session: *mut TalkpathSession,
    number: u64,
    now_us: u64,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    unsafe { handle(session, Input::Acked(number), now_us) }
}

/// Takes the far end's word that its queue is full, or has room again; nothing is sent meanwhile, and nothing lost.
///
/// # Safety
/// As for [`talkpath_session_handle_dtmf`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_handle_congested(
    session: *mut TalkpathSession,
    is_congested: bool,
    now_us: u64,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    unsafe { handle(session, Input::Congested(is_congested), now_us) }
}

/// Lets the call end once the agent has been heard out.
///
/// # Safety
/// As for [`talkpath_session_handle_dtmf`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_drain(session: *mut TalkpathSession, now_us: u64) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    unsafe { handle(session, Input::Drain, now_us) }
}

/// Ends the call: the transport is gone, or must go; `reason` is one of `TALKPATH_END_…`.
///
/// # Safety
/// As for [`talkpath_session_handle_dtmf`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_end(
    session: *mut TalkpathSession,
    reason: i32,
    now_us: u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let session = unsafe { check::object_mut("session", session) }?;
        let found = EndReason::ALL.into_iter().find(|known| end_reason_number(*known) == reason);
        let unknown = || Error::invalid(format!("reason {reason}, wanted one of TALKPATH_END_…"));
        session.0.handle_input(Input::Ended(found.ok_or_else(unknown)?), check::time(now_us));
        Ok(())
    })
}

/// Says what to do next. Real-time safe.
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it; `output` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_poll(
    session: *mut TalkpathSession,
    now_us: u64,
    output: *mut TalkpathOutput,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, output) = unsafe { (check::object_mut("session", session)?, Out::new("output", output)?) };
        output.set(output_of(session.0.poll_output(check::time(now_us))));
        Ok(())
    })
}

/// Hands the agent's end over in `agent`, once, after [`TALKPATH_OUTPUT_STARTED`]; else `TALKPATH_STATUS_EMPTY`.
///
/// It may be used by another thread than the session, and outlive it. Free it by
/// [`talkpath_agent_free`](super::agent::talkpath_agent_free).
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it; `agent` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_take_agent(
    session: *mut TalkpathSession,
    agent: *mut *mut TalkpathAgent,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, agent) = unsafe { (check::object_mut("session", session)?, Out::new("agent", agent)?) };
        agent.give(TalkpathAgent::new(session.0.take_agent().ok_or(Failure::Empty)?));
        Ok(())
    })
}

/// Writes what the session's jitter buffer has seen and done; `TALKPATH_STATUS_EMPTY` before the first packet.
///
/// # Safety
/// `session` must come from [`talkpath_session_new`], and no other call may be using it; `stats` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_jitter_stats(
    session: *const TalkpathSession,
    stats: *mut TalkpathJitterStats,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (session, stats) = unsafe { (check::object("session", session)?, Out::new("stats", stats)?) };
        stats.set(stats_of(&session.0.jitter_stats().ok_or(Failure::Empty)?));
        Ok(())
    })
}

/// Frees a session; the agent's end learns that the call is over. NULL is nothing to free.
///
/// # Safety
/// `session` must come from [`talkpath_session_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_session_free(session: *mut TalkpathSession) {
    guard(|| {
        // SAFETY: as the caller promises.
        if let Some(session) = unsafe { session.as_mut() } {
            session.0.handle_input(Input::Ended(EndReason::TransportError), check::time(0));
        }
        // SAFETY: as the caller promises.
        unsafe { check::free(session) };
        Ok(())
    });
}

/// # Safety
/// That of [`talkpath_session_handle_dtmf`].
unsafe fn handle(session: *mut TalkpathSession, input: Input<'_>, now_us: u64) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let session = unsafe { check::object_mut("session", session) }?;
        session.0.handle_input(input, check::time(now_us));
        Ok(())
    })
}

fn output_of(output: Output<'_>) -> TalkpathOutput {
    let of = |kind| TalkpathOutput { kind, ..NOTHING };
    match output {
        Output::Started => of(TALKPATH_OUTPUT_STARTED),
        Output::Transmit { codec, payload, due, number, is_agent, begins } => TalkpathOutput {
            codec: number_of(codec),
            rate_hz: Codec::rate(codec).hz(),
            payload: payload.as_ptr(),
            payload_len: payload.len(),
            due_us: due.as_micros(),
            number,
            is_agent,
            begins,
            ..of(TALKPATH_OUTPUT_TRANSMIT)
        },
        Output::Dtmf(key) => TalkpathOutput { digit: key as u8, ..of(TALKPATH_OUTPUT_DTMF) },
        Output::Flush => of(TALKPATH_OUTPUT_FLUSH),
        Output::Wake => of(TALKPATH_OUTPUT_WAKE),
        Output::Hangup => of(TALKPATH_OUTPUT_HANGUP),
        Output::Ended(reason) => TalkpathOutput { reason: end_reason_number(reason), ..of(TALKPATH_OUTPUT_ENDED) },
        Output::Timeout(when) => TalkpathOutput { timeout_us: when.as_micros(), ..of(TALKPATH_OUTPUT_TIMEOUT) },
    }
}

const NOTHING: TalkpathOutput = TalkpathOutput {
    kind: TALKPATH_OUTPUT_TIMEOUT,
    codec: TALKPATH_CODEC_SLIN,
    rate_hz: 0,
    reason: 0,
    payload: std::ptr::null(),
    payload_len: 0,
    due_us: 0,
    number: 0,
    timeout_us: 0,
    is_agent: false,
    begins: false,
    digit: 0,
};
