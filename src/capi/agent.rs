//! `TalkpathAgent`: the agent's end of one call: what the caller says, what the agent says, and what happened.

use std::ffi::{CString, c_char};
use std::time::Duration;

use super::check::{self, Failure, Out};
use super::codec::number_of;
use super::event::{TalkpathEvent, event_of};
use super::receipt::TalkpathReceipt;
use super::status::{TalkpathStatus, guard};
use crate::audio::frame::{PTIME, SampleRate};
use crate::session::{Agent, Receipt, Written};
use crate::{Error, ErrorKind};

/// The agent's end of one call; freeing it hangs up.
pub struct TalkpathAgent {
    agent: Agent,
    /// The longest frame that [`talkpath_agent_read`] hands out.
    frame_len: usize,
    /// The text of the newest event.
    name: CString,
    receipt: Option<Receipt>,
}

/// The wire's formats.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathFormat {
    /// What the far end sends, one of `TALKPATH_CODEC_…`.
    pub input_codec: i32,
    /// Its rate.
    pub input_rate_hz: u32,
    /// What it is answered in.
    pub output_codec: i32,
    /// That rate.
    pub output_rate_hz: u32,
}

/// One frame of what the caller says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathHeard {
    /// How many samples were written.
    pub len: usize,
    /// Their rate.
    pub rate_hz: u32,
    /// The level, in dB of full scale.
    pub level_dbfs: f32,
    /// Where the first sample lies, counted from the first heard in this call.
    pub position_us: u64,
    /// How much audio before this frame was dropped because nobody read it.
    pub lost_us: u64,
    /// Whether the caller was speaking, as decided by the end of this frame.
    pub speech: bool,
}

/// A call's counters.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathStats {
    /// Messages or frames that were heard.
    pub frames_received: u64,
    /// Frames that were sent, silence included.
    pub frames_sent: u64,
    /// Of the frames sent, those that held no agent audio.
    pub silence_frames_sent: u64,
    /// Frames that could not be sent at all because the driver came too late.
    pub missed_ticks: u64,
    /// Heard audio that was dropped because nobody read it.
    pub input_lost_us: u64,
    /// Agent audio that was dropped by interruptions.
    pub output_discarded_us: u64,
    /// How late half of the frames were sent at most.
    pub lateness_p50_us: u64,
    /// How late 99 of 100 frames were sent at most.
    pub lateness_p99_us: u64,
    /// How late the latest frame was sent.
    pub lateness_max_us: u64,
    /// The prebuffer as learned by now.
    pub prebuffer_us: u64,
    /// How often playout ran dry in the middle of a tag.
    pub underruns: u32,
    /// How often what was queued was dropped by an interruption.
    pub interruptions: u32,
    /// Events that were dropped because they were read too late.
    pub events_lost: u32,
    /// Level of the last 20 ms heard, in dB of full scale.
    pub input_level_dbfs: f32,
    /// Level of the last frame sent, in dB of full scale.
    pub output_level_dbfs: f32,
    /// Whether the caller speaks now.
    pub speech: bool,
}

impl TalkpathAgent {
    pub(super) fn new(agent: Agent) -> Self {
        let frame_len = agent.input.rate().samples_in(LONGEST_PTIME);
        Self { agent, frame_len, name: CString::default(), receipt: None }
    }
}

/// Writes the wire's formats.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `format` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_format(
    agent: *const TalkpathAgent,
    format: *mut TalkpathFormat,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, out) = unsafe { (check::object("agent", agent)?, Out::new("format", format)?) };
        let format = agent.agent.control.format();
        out.set(TalkpathFormat {
            input_codec: number_of(format.input),
            input_rate_hz: format.input.rate().hz(),
            output_codec: number_of(format.output),
            output_rate_hz: format.output.rate().hz(),
        });
        Ok(())
    })
}

/// Sets the rate and the length of the frames that are read from here on, 5 to 1,000 ms, and whether only speech is wanted.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_configure_input(
    agent: *mut TalkpathAgent,
    rate_hz: u32,
    frame_ms: u32,
    speech_only: bool,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let agent = unsafe { check::object_mut("agent", agent) }?;
        let (rate, frame) = (check::rate(rate_hz)?, Duration::from_millis(frame_ms.into()));
        agent.agent.input.configure(rate, frame, speech_only)?;
        agent.frame_len = SampleRate::samples_in(rate, frame);
        Ok(())
    })
}

/// Writes the next frame of what the caller says to `out`, and what there is to say of it to `heard`.
///
/// `TALKPATH_STATUS_EMPTY` if there is none now, `TALKPATH_STATUS_SESSION_ENDED` if none will come. `out_len` is the room in
/// `out`, in samples: the frame of [`talkpath_agent_configure_input`], or 60 ms at the wire's rate.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `out` must be writable for
/// `out_len` samples, `heard` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_read(
    agent: *mut TalkpathAgent,
    out: *mut i16,
    out_len: usize,
    heard: *mut TalkpathHeard,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, out, heard) = unsafe {
            (check::object_mut("agent", agent)?, check::slice_mut("out", out, out_len)?, Out::new("heard", heard)?)
        };
        check::room("out_len", out.len(), agent.frame_len)?;
        let Some(frame) = agent.agent.input.read() else {
            let ended = || Error::new(ErrorKind::SessionEnded, "the session has ended, and all that was heard is read");
            return Err(if agent.agent.input.is_finished() { ended().into() } else { Failure::Empty });
        };
        let len = frame.samples.len();
        check::room("out_len", out.len(), len)?;
        out[..len].copy_from_slice(frame.samples);
        heard.set(TalkpathHeard {
            len,
            rate_hz: frame.rate.hz(),
            level_dbfs: frame.level_dbfs,
            position_us: check::micros(frame.position),
            lost_us: check::micros(frame.lost),
            speech: frame.speech,
        });
        Ok(())
    })
}

/// Writes the generation that writes belong to now: every interruption starts the next.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `generation` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_generation(agent: *mut TalkpathAgent, generation: *mut u16) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, generation) = unsafe { (check::object_mut("agent", agent)?, Out::new("generation", generation)?) };
        generation.set(agent.agent.output.generation());
        Ok(())
    })
}

/// Takes as many of `len` samples as there is room for, to be played after all that was written before.
///
/// `tag` names the utterance in receipts. `generation` is what [`talkpath_agent_generation`] said when the utterance began:
/// `TALKPATH_STATUS_STALE` if an interruption has come between. `taken` gets how many samples were taken, fewer than `len`
/// if the queue is full; there is news once there is room.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `samples` must be readable for
/// `len` samples, `tag` must lead to a zero-ended text, `taken` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_write(
    agent: *mut TalkpathAgent,
    samples: *const i16,
    len: usize,
    rate_hz: u32,
    tag: *const c_char,
    generation: u16,
    taken: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, samples, tag, taken) = unsafe {
            (
                check::object_mut("agent", agent)?,
                check::slice("samples", samples, len)?,
                check::text("tag", tag)?,
                Out::new("taken", taken)?,
            )
        };
        match agent.agent.output.try_write(samples, check::rate(rate_hz)?, tag, generation)? {
            Written::Taken(count) => taken.set(count),
            Written::Stale => return Err(Failure::Stale),
        }
        Ok(())
    })
}

/// Sets a mark after all that was written: [`TALKPATH_EVENT_MARK_PLAYED`](super::event::TALKPATH_EVENT_MARK_PLAYED) says when playout has reached it.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `name` must lead to a zero-ended
/// text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_mark(agent: *mut TalkpathAgent, name: *const c_char) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, name) = unsafe { (check::object_mut("agent", agent)?, check::text("name", name)?) };
        if agent.agent.output.mark(name)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::LimitExceeded, "too many marks wait, wanted fewer").into())
    })
}

/// Says that what was written is complete: it plays at once, however short, and its end is no underrun.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_complete(agent: *mut TalkpathAgent) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("agent", agent) }?.agent.output.complete();
        Ok(())
    })
}

/// Drops all that waits for playout, at once, and hands over what was heard in `receipt`, which may be NULL.
///
/// Free the receipt by [`talkpath_receipt_free`](super::receipt::talkpath_receipt_free).
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `receipt` must be writable or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_interrupt(
    agent: *mut TalkpathAgent,
    receipt: *mut *mut TalkpathReceipt,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let agent = unsafe { check::object_mut("agent", agent) }?;
        // SAFETY: as the caller promises.
        let out = if receipt.is_null() { None } else { Some(unsafe { Out::new("receipt", receipt) }?) };
        let heard = agent.agent.output.interrupt();
        if let Some(out) = out {
            out.give(TalkpathReceipt::new(heard));
        }
        Ok(())
    })
}

/// Stops playout where it is, or goes on; what waits keeps waiting.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_pause(agent: *mut TalkpathAgent, is_paused: bool) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let agent = unsafe { check::object_mut("agent", agent) }?;
        if is_paused {
            agent.agent.output.pause()
        } else {
            agent.agent.output.resume()
        }
        Ok(())
    })
}

/// Presses keys, `0` to `9`, `*`, `#` and `A` to `D`, by the transport's own means or as tones.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `keys` must lead to a zero-ended
/// text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_send_dtmf(agent: *mut TalkpathAgent, keys: *const c_char) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, keys) = unsafe { (check::object_mut("agent", agent)?, check::text("keys", keys)?) };
        Ok(agent.agent.output.send_dtmf(keys)?)
    })
}

/// Writes how much waits for playout, and how many samples of `rate_hz` there is room for.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `buffered_us` and `room` must be
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_buffered(
    agent: *const TalkpathAgent,
    rate_hz: u32,
    buffered_us: *mut u64,
    room: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, buffered_us, room) =
            unsafe { (check::object("agent", agent)?, Out::new("buffered_us", buffered_us)?, Out::new("room", room)?) };
        let rate = check::rate(rate_hz)?;
        buffered_us.set(check::micros(agent.agent.output.buffered()));
        room.set(agent.agent.output.room(rate));
        Ok(())
    })
}

/// Says whether the core interrupts the agent by itself when the caller speaks.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_set_barge_in(agent: *mut TalkpathAgent, is_automatic: bool) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("agent", agent) }?.agent.control.set_automatic_barge_in(is_automatic);
        Ok(())
    })
}

/// Ends the call: after all that was written has been played, or at once.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_hangup(agent: *mut TalkpathAgent, after_drain: bool) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object_mut("agent", agent) }?.agent.control.hangup(after_drain);
        Ok(())
    })
}

/// Writes the next thing that happened; `TALKPATH_STATUS_EMPTY` if there is none now, and after the last.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `event` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_poll_event(
    agent: *mut TalkpathAgent,
    event: *mut TalkpathEvent,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, out) = unsafe { (check::object_mut("agent", agent)?, Out::new("event", event)?) };
        let event = agent.agent.events.poll(&mut agent.agent.output).ok_or(Failure::Empty)?;
        out.set(event_of(event, &mut agent.name, &mut agent.receipt));
        Ok(())
    })
}

/// Hands over what was heard by the last [`TALKPATH_EVENT_INTERRUPTED`](super::event::TALKPATH_EVENT_INTERRUPTED), once; else `TALKPATH_STATUS_EMPTY`.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `receipt` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_take_receipt(
    agent: *mut TalkpathAgent,
    receipt: *mut *mut TalkpathReceipt,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, receipt) = unsafe { (check::object_mut("agent", agent)?, Out::new("receipt", receipt)?) };
        receipt.give(TalkpathReceipt::new(agent.receipt.take().ok_or(Failure::Empty)?));
        Ok(())
    })
}

/// Writes the call's counters now.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it; `stats` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_stats(
    agent: *const TalkpathAgent,
    stats: *mut TalkpathStats,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (agent, out) = unsafe { (check::object("agent", agent)?, Out::new("stats", stats)?) };
        let stats = agent.agent.control.stats();
        out.set(TalkpathStats {
            frames_received: stats.frames_received,
            frames_sent: stats.frames_sent,
            silence_frames_sent: stats.silence_frames_sent,
            missed_ticks: stats.missed_ticks,
            input_lost_us: check::micros(stats.input_lost),
            output_discarded_us: check::micros(stats.output_discarded),
            lateness_p50_us: check::micros(stats.lateness.quantile(0.5)),
            lateness_p99_us: check::micros(stats.lateness.quantile(0.99)),
            lateness_max_us: check::micros(stats.lateness.max()),
            prebuffer_us: check::micros(stats.prebuffer),
            underruns: stats.underruns,
            interruptions: stats.interruptions,
            events_lost: stats.events_lost,
            input_level_dbfs: stats.input_level_dbfs,
            output_level_dbfs: stats.output_level_dbfs,
            speech: stats.speech,
        });
        Ok(())
    })
}

/// Frees the agent's end, and hangs up if the call still runs; NULL is nothing to free.
///
/// # Safety
/// `agent` must have been handed over and not freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_agent_free(agent: *mut TalkpathAgent) {
    guard(|| {
        // SAFETY: as the caller promises.
        if let Some(agent) = unsafe { agent.as_mut() } {
            agent.agent.control.hangup(false);
        }
        // SAFETY: as the caller promises.
        unsafe { check::free(agent) };
        Ok(())
    });
}

/// The longest packet time, which is the length of frames until C says otherwise.
const LONGEST_PTIME: Duration = Duration::from_millis(3 * PTIME.as_millis() as u64);
