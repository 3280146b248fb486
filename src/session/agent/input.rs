//! What the caller says, as the agent reads it: frames of one length at the agent's rate.
//!
//! The media end leaves samples at the wire's rate in a ring; here, on the agent's own time, they are resampled and cut
//! into frames. With `speech_only`, what is not speech is held back for as long as the look-back reaches, so that when
//! the detector has made up its mind, the first syllable is still there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringbuf::traits::{Consumer, Observer};

use crate::audio::frame::SampleRate;
use crate::audio::resample::Resampler;
use crate::session::config::Config;
use crate::session::rings::{FrameHead, InboundRings};
use crate::session::shared::Shared;
use crate::{Error, Result};

/// The reading end of what the caller says.
pub struct AgentInput {
    shared: Arc<Shared>,
    rings: InboundRings,
    wire_rate: SampleRate,
    resampler: Option<Resampler>,
    rate: SampleRate,
    frame: Duration,
    frame_len: usize,
    speech_only: bool,
    look_back: Duration,
    /// One piece from the ring, before and after resampling.
    piece: Vec<i16>,
    resampled: Vec<i16>,
    /// Audio at the agent's rate that is not yet handed over.
    pending: VecDeque<i16>,
    /// Where `pending` begins.
    pending_at: Duration,
    head: FrameHead,
    lost: Duration,
    /// Frames that look-back may still ask for.
    held: VecDeque<HeldFrame>,
    out: Vec<i16>,
    flushed: bool,
}

/// One frame of what the caller says.
#[derive(Clone, Copy, Debug)]
pub struct HeardFrame<'a> {
    /// The samples.
    pub samples: &'a [i16],
    /// Their rate.
    pub rate: SampleRate,
    /// Where the first sample lies, counted from the first sample heard in this call.
    pub position: Duration,
    /// Whether the caller was speaking, as decided by the end of this frame.
    pub speech: bool,
    /// The level, in dB of full scale.
    pub level_dbfs: f32,
    /// How much audio before this frame was dropped because the agent did not read.
    pub lost: Duration,
}

struct HeldFrame {
    samples: Vec<i16>,
    position: Duration,
    level_dbfs: f32,
    lost: Duration,
}

impl AgentInput {
    pub(super) fn new(shared: Arc<Shared>, config: &Config, rings: InboundRings) -> Self {
        let wire_rate = shared.format.input.rate();
        Self {
            shared,
            rings,
            wire_rate,
            resampler: None,
            rate: wire_rate,
            frame: config.ptime,
            frame_len: wire_rate.samples_in(config.ptime),
            speech_only: false,
            look_back: config.vad.look_back,
            piece: Vec::new(),
            resampled: Vec::new(),
            pending: VecDeque::new(),
            pending_at: Duration::ZERO,
            head: FrameHead::default(),
            lost: Duration::ZERO,
            held: VecDeque::new(),
            out: Vec::new(),
            flushed: false,
        }
    }

    /// Sets the rate and the length of the frames from here on, and whether only speech is wanted.
    ///
    /// Audio that waits already is handed over in the new format too.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `frame` is not 5 to 1,000 ms.
    pub fn configure(&mut self, rate: SampleRate, frame: Duration, speech_only: bool) -> Result<()> {
        if !(Duration::from_millis(5)..=Duration::from_secs(1)).contains(&frame) {
            return Err(Error::invalid(format!("frames of {frame:?}, wanted 5 ms to 1 s")));
        }
        if rate != self.rate {
            // What the old filter still holds, too: a change of rate loses nothing.
            let tail = self.resampler.as_mut().map(Resampler::flush).unwrap_or_default();
            let waiting: Vec<i16> = self.pending.drain(..).chain(tail).collect();
            self.pending.extend(Resampler::new(self.rate, rate).process(&waiting));
            for held in &mut self.held {
                held.samples = Resampler::new(self.rate, rate).process(&held.samples);
            }
            self.resampler = (rate != self.wire_rate).then(|| Resampler::new(self.wire_rate, rate));
        }
        self.rate = rate;
        self.frame = frame;
        self.frame_len = rate.samples_in(frame);
        self.speech_only = speech_only;
        Ok(())
    }

    /// Reads the next frame, if a whole one is there; the last frame of a call may be shorter.
    pub fn read(&mut self) -> Option<HeardFrame<'_>> {
        loop {
            if self.speech_only && self.head.speech && !self.held.is_empty() {
                return self.give_held();
            }
            if self.pending.len() < self.frame_len {
                // A piece may bring the decision that what was held is speech: look again.
                if self.take_piece() {
                    continue;
                }
                if !self.is_over() {
                    return None;
                }
                if !self.flushed {
                    self.flush();
                    continue;
                }
                if self.pending.is_empty() {
                    return None;
                }
            }
            self.cut();
            if !self.speech_only || self.head.speech {
                return Some(HeardFrame {
                    samples: &self.out,
                    rate: self.rate,
                    position: self.pending_at - self.rate.duration_of(self.out.len() as u64),
                    speech: self.head.speech,
                    level_dbfs: self.head.level_dbfs,
                    lost: std::mem::take(&mut self.lost),
                });
            }
            self.hold();
        }
    }

    /// Whether the call has ended and everything was read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_over() && (self.flushed || self.resampler.is_none()) && self.pending.is_empty()
    }

    /// Whether there is something to read for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.rings.heads.is_empty() || self.pending.len() >= self.frame_len || self.shared.ended().is_some()
    }

    /// The rate of the frames.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    fn is_over(&self) -> bool {
        // The order matters: what was pushed before the end is visible once the end is.
        self.shared.ended().is_some() && self.rings.heads.is_empty()
    }

    /// Moves one piece from the ring into `pending`; false if there is none.
    fn take_piece(&mut self) -> bool {
        let Some(head) = self.rings.heads.try_pop() else { return false };
        self.piece.resize(head.samples as usize, 0);
        self.rings.samples.pop_slice(&mut self.piece);
        let out = match &mut self.resampler {
            None => &self.piece,
            Some(resampler) => {
                self.resampled.resize(resampler.output_len(self.piece.len()), 0);
                // The room was asked for a line above, so this cannot fail.
                let _ = resampler.process_into(&self.piece, &mut self.resampled);
                &self.resampled
            }
        };
        self.pending.extend(out);
        let delay = self.resampler.as_ref().map_or(0, Resampler::delay_samples);
        let end = Duration::from_micros(head.position_us) + self.wire_rate.duration_of(u64::from(head.samples));
        let reached = end.saturating_sub(self.rate.duration_of(delay as u64));
        self.pending_at = reached.saturating_sub(self.rate.duration_of(self.pending.len() as u64));
        self.lost += Duration::from_micros(u64::from(head.lost_us));
        if head.onset_ago_us > 0 {
            self.forget_before(end.saturating_sub(Duration::from_micros(u64::from(head.onset_ago_us))));
        }
        self.head = head;
        true
    }

    /// Takes what the resampler still holds, once the call is over.
    fn flush(&mut self) {
        self.flushed = true;
        if let Some(resampler) = &mut self.resampler {
            let tail = resampler.flush();
            self.pending.extend(tail);
        }
    }

    /// Cuts one frame, or what is left at the end of a call, from `pending` into `out`.
    fn cut(&mut self) {
        let n = self.frame_len.min(self.pending.len());
        self.out.clear();
        self.out.extend(self.pending.drain(..n));
        self.pending_at += self.rate.duration_of(n as u64);
    }

    /// Keeps the frame just cut for as long as look-back may want it.
    fn hold(&mut self) {
        let position = self.pending_at - self.rate.duration_of(self.out.len() as u64);
        self.held.push_back(HeldFrame {
            samples: self.out.clone(),
            position,
            level_dbfs: self.head.level_dbfs,
            lost: std::mem::take(&mut self.lost),
        });
        // The decision comes after the onset: hold that much longer than the look-back itself.
        self.forget_before_keeping(position.saturating_sub(self.look_back + DECISION_TIME));
    }

    /// Drops held frames that end before the look-back of an onset at `onset`.
    fn forget_before(&mut self, onset: Duration) {
        self.forget_before_keeping(onset.saturating_sub(self.look_back));
    }

    fn forget_before_keeping(&mut self, from: Duration) {
        while self.held.front().is_some_and(|held| held.position + self.frame <= from) {
            self.held.pop_front();
        }
    }

    fn give_held(&mut self) -> Option<HeardFrame<'_>> {
        let held = self.held.pop_front()?;
        self.out = held.samples;
        Some(HeardFrame {
            samples: &self.out,
            rate: self.rate,
            position: held.position,
            speech: true,
            level_dbfs: held.level_dbfs,
            lost: held.lost,
        })
    }
}

/// The longest time between an onset and its decision that look-back makes up for.
const DECISION_TIME: Duration = Duration::from_millis(500);
