//! `TalkpathEvent`: what happened in a call, as C reads it.
//!
//! The numbers of events, causes and ends; who hands events out is `agent`.

use std::ffi::{CString, c_char};

use super::check;
use super::codec::number_of;
use crate::session::{EndReason, Event, InterruptCause, Receipt};

/// The call runs; `codec` and `rate_hz` are what the far end sends.
pub const TALKPATH_EVENT_STARTED: i32 = 0;
/// The caller pressed `digit`, at `position_us`.
pub const TALKPATH_EVENT_DTMF: i32 = 1;
/// The caller began to speak at `position_us`; the decision fell at `decided_us`.
pub const TALKPATH_EVENT_SPEECH_STARTED: i32 = 2;
/// The caller stopped speaking at `position_us`; the decision fell at `decided_us`.
pub const TALKPATH_EVENT_SPEECH_STOPPED: i32 = 3;
/// The first sample of the tag `name` went out.
pub const TALKPATH_EVENT_PLAYBACK_STARTED: i32 = 4;
/// Playout has reached the mark `name`.
pub const TALKPATH_EVENT_MARK_PLAYED: i32 = 5;
/// All that was written has been played.
pub const TALKPATH_EVENT_DRAINED: i32 = 6;
/// Playout ran dry for `gap_us` in the middle of the tag `name`.
pub const TALKPATH_EVENT_UNDERRUN: i32 = 7;
/// What was queued has been dropped; `cause` says by whom, [`talkpath_agent_take_receipt`](super::agent::talkpath_agent_take_receipt) what was heard.
pub const TALKPATH_EVENT_INTERRUPTED: i32 = 8;
/// `count` events were dropped because they were read too late.
pub const TALKPATH_EVENT_EVENTS_LOST: i32 = 9;
/// The call is over; `reason` says why. Always the last event.
pub const TALKPATH_EVENT_ENDED: i32 = 10;

/// Who interrupted: the agent.
pub const TALKPATH_CAUSE_AGENT: i32 = 0;
/// Who interrupted: the caller, by speaking.
pub const TALKPATH_CAUSE_BARGE_IN: i32 = 1;

/// Why a call ended: the far end hung up.
pub const TALKPATH_END_CALLER_HANGUP: i32 = 0;
/// Why a call ended: the agent hung up.
pub const TALKPATH_END_AGENT_HANGUP: i32 = 1;
/// Why a call ended: the agent failed, or let go of the call.
pub const TALKPATH_END_HANDLER_FAILED: i32 = 2;
/// Why a call ended: nothing came from the far end for too long.
pub const TALKPATH_END_IDLE_TIMEOUT: i32 = 3;
/// Why a call ended: the far end broke the protocol.
pub const TALKPATH_END_PROTOCOL_ERROR: i32 = 4;
/// Why a call ended: the connection failed.
pub const TALKPATH_END_TRANSPORT_ERROR: i32 = 5;
/// Why a call ended: the server stopped.
pub const TALKPATH_END_SERVER_STOPPING: i32 = 6;

/// Something that happened in a call; which fields mean something, `kind` says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathEvent {
    /// One of `TALKPATH_EVENT_…`.
    pub kind: i32,
    /// One of `TALKPATH_CODEC_…`.
    pub codec: i32,
    /// A sample rate.
    pub rate_hz: u32,
    /// One of `TALKPATH_CAUSE_…`.
    pub cause: i32,
    /// One of `TALKPATH_END_…`.
    pub reason: i32,
    /// How many.
    pub count: u32,
    /// Where in what was heard.
    pub position_us: u64,
    /// Where in what was heard the decision fell.
    pub decided_us: u64,
    /// How long nothing was there to play.
    pub gap_us: u64,
    /// A tag or a mark, or an empty text; yours to read until the next event is asked for.
    pub name: *const c_char,
    /// A key.
    pub digit: u8,
}

/// Turns an event into what C reads, and keeps what that leads to: its text until the next one, and its receipt.
pub(super) fn event_of(event: Event, kept_name: &mut CString, kept_receipt: &mut Option<Receipt>) -> TalkpathEvent {
    let mut out = TalkpathEvent {
        kind: TALKPATH_EVENT_ENDED,
        codec: 0,
        rate_hz: 0,
        cause: 0,
        reason: 0,
        count: 0,
        position_us: 0,
        decided_us: 0,
        gap_us: 0,
        name: std::ptr::null(),
        digit: 0,
    };
    let mut name = String::new();
    match event {
        Event::Started { codec } => {
            out.kind = TALKPATH_EVENT_STARTED;
            out.codec = number_of(codec);
            out.rate_hz = codec.rate().hz();
        }
        Event::Dtmf { digit, position } => {
            out.kind = TALKPATH_EVENT_DTMF;
            out.digit = digit as u8;
            out.position_us = check::micros(position);
        }
        Event::SpeechStarted { position, decided } => {
            out.kind = TALKPATH_EVENT_SPEECH_STARTED;
            out.position_us = check::micros(position);
            out.decided_us = check::micros(decided);
        }
        Event::SpeechStopped { position, decided } => {
            out.kind = TALKPATH_EVENT_SPEECH_STOPPED;
            out.position_us = check::micros(position);
            out.decided_us = check::micros(decided);
        }
        Event::PlaybackStarted { tag } => {
            out.kind = TALKPATH_EVENT_PLAYBACK_STARTED;
            name = tag;
        }
        Event::MarkPlayed { name: mark } => {
            out.kind = TALKPATH_EVENT_MARK_PLAYED;
            name = mark;
        }
        Event::Drained => out.kind = TALKPATH_EVENT_DRAINED,
        Event::Underrun { tag, gap } => {
            out.kind = TALKPATH_EVENT_UNDERRUN;
            out.gap_us = check::micros(gap);
            name = tag;
        }
        Event::Interrupted { receipt, cause } => {
            out.kind = TALKPATH_EVENT_INTERRUPTED;
            out.cause = match cause {
                InterruptCause::Agent => TALKPATH_CAUSE_AGENT,
                InterruptCause::BargeIn => TALKPATH_CAUSE_BARGE_IN,
            };
            *kept_receipt = Some(receipt);
        }
        Event::EventsLost { count } => {
            out.kind = TALKPATH_EVENT_EVENTS_LOST;
            out.count = count;
        }
        Event::Ended { reason } => out.reason = end_reason_number(reason),
    }
    *kept_name = check::c_text(&name);
    TalkpathEvent { name: kept_name.as_ptr(), ..out }
}

/// The number of a reason.
pub(super) const fn end_reason_number(reason: EndReason) -> i32 {
    match reason {
        EndReason::CallerHangup => TALKPATH_END_CALLER_HANGUP,
        EndReason::AgentHangup => TALKPATH_END_AGENT_HANGUP,
        EndReason::HandlerFailed => TALKPATH_END_HANDLER_FAILED,
        EndReason::IdleTimeout => TALKPATH_END_IDLE_TIMEOUT,
        EndReason::ProtocolError => TALKPATH_END_PROTOCOL_ERROR,
        EndReason::TransportError => TALKPATH_END_TRANSPORT_ERROR,
        EndReason::ServerStopping => TALKPATH_END_SERVER_STOPPING,
    }
}
