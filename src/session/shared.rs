//! What the two ends of a session share: a few atomics, and never a lock.
//!
//! Each field has one writer, but for [`Cursor`] `playout`, which is moved by compare-and-swap, and the requests, where the
//! last word wins. Audio, marks and events cross in rings of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::config::FarEnd;
use super::event::EndReason;
use super::network::NetworkCounters;
use super::position::{Certainty, Cursor};
use super::stats::{Counters, Stats};
use crate::audio::codec::Codec;

/// The wire formats of a call, both ways; fixed once the call has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireFormat {
    /// What the peer sent first; what it sends later is brought to the same rate.
    pub input: Codec,
    /// What the peer is answered in.
    pub output: Codec,
}

/// The state that both ends see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: WireFormat,
    pub(super) far_end: FarEnd,
    /// How far playout is. The media end advances it; either end may start the next generation.
    pub(super) playout: Cursor,
    /// How much of that the far end has confirmed, if it does. The media end writes it.
    pub(super) acked: Cursor,
    /// How much was written, provisional tail included. The agent end writes it.
    pub(super) written: Cursor,
    /// Up to where the agent said that nothing more follows (drain). The agent end writes it.
    pub(super) complete: Cursor,
    pub(super) paused: AtomicBool,
    pub(super) automatic_barge_in: AtomicBool,
    /// The agent waits for room in its queue, and wants to be woken when there is some.
    pub(super) wants_room: AtomicBool,
    hangup: AtomicU8,
    ended: AtomicU8,
    /// The position of the last sample heard, in µs.
    pub(super) heard_us: AtomicU64,
    pub(super) counters: Counters,
    pub(super) network: NetworkCounters,
}

/// What the agent asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum HangupRequest {
    None,
    AfterDrain,
    Now,
    Failed,
}

impl Shared {
    pub(super) fn new(format: WireFormat, far_end: FarEnd, automatic_barge_in: bool) -> Arc<Self> {
        Arc::new(Self {
            format,
            far_end,
            playout: Cursor::default(),
            acked: Cursor::default(),
            written: Cursor::default(),
            complete: Cursor::default(),
            paused: AtomicBool::new(false),
            automatic_barge_in: AtomicBool::new(automatic_barge_in),
            wants_room: AtomicBool::new(false),
            hangup: AtomicU8::new(HangupRequest::None as u8),
            ended: AtomicU8::new(NOT_ENDED),
            heard_us: AtomicU64::new(0),
            counters: Counters::new(),
            network: NetworkCounters::default(),
        })
    }

    /// Asks for a hangup; a weaker request never undoes a stronger one.
    pub(super) fn request_hangup(&self, request: HangupRequest) {
        self.hangup.fetch_max(request as u8, Ordering::AcqRel);
    }

    pub(super) fn hangup_request(&self) -> HangupRequest {
        match self.hangup.load(Ordering::Acquire) {
            1 => HangupRequest::AfterDrain,
            2 => HangupRequest::Now,
            3 => HangupRequest::Failed,
            _ => HangupRequest::None,
        }
    }

    pub(super) fn end(&self, reason: EndReason) {
        self.ended.store(reason as u8, Ordering::Release);
    }

    pub(super) fn ended(&self) -> Option<EndReason> {
        EndReason::ALL.get(usize::from(self.ended.load(Ordering::Acquire))).copied()
    }

    /// Wire samples that were written and not yet played, in the generation that plays now.
    pub(super) fn queued(&self) -> u64 {
        let playout = self.playout.load();
        let written = self.written.load();
        if written.generation == playout.generation { written.samples.saturating_sub(playout.samples) } else { 0 }
    }

    /// How much of `generation` was played, of which `sent` was sent: what the far end has confirmed, if it does.
    pub(super) fn played(&self, generation: u16, sent: u64) -> u64 {
        if !self.far_end.acks {
            return sent;
        }
        let acked = self.acked.load();
        if acked.generation == generation { acked.samples.min(sent) } else { 0 }
    }

    /// Wire samples that were written and not yet played, sent or not, in the generation that plays now.
    pub(super) fn unplayed(&self) -> u64 {
        let playout = self.playout.load();
        self.queued() + playout.samples - self.played(playout.generation, playout.samples)
    }

    /// How the position of playout is known.
    pub(super) const fn certainty(&self) -> Certainty {
        if self.far_end.acks { Certainty::Acked } else { Certainty::Written }
    }

    pub(super) fn heard(&self) -> Duration {
        Duration::from_micros(self.heard_us.load(Ordering::Relaxed))
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { network: self.network.snapshot(), ..self.counters.snapshot() }
    }
}

const NOT_ENDED: u8 = u8::MAX;
