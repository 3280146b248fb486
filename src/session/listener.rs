//! What is heard, piece by piece: freed of echo, measured, judged by the detector, and left in a ring for the agent.
//!
//! How the samples came here (decoded in order, or out of a jitter buffer) is not its business; that each piece is at most
//! 20 ms long, at the call's rate, and follows the one before is what it relies on. When the agent does not read, the
//! newest audio is dropped and counted: the ring's oldest cannot be taken back from its reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringbuf::traits::{Observer, Producer, Split};
use ringbuf::{HeapProd, HeapRb};

use super::NoticeWriter;
use super::barge_in::Heard;
use super::config::{Config, VadConfig};
use super::event::Notice;
use super::rings::{FrameHead, InboundRings};
use super::shared::Shared;
use super::stats::add64;
use crate::audio::echo::{EchoCanceller, Share};
use crate::audio::frame::{PTIME, SampleRate};
use crate::audio::level::Level;
use crate::audio::resample::Resampler;
use crate::audio::vad::{Edge, SpeechGate, Vad, Verdict};

/// The ear of a session's media end.
pub(super) struct Listener {
    shared: Arc<Shared>,
    heads: HeapProd<FrameHead>,
    samples: HeapProd<i16>,
    rate: SampleRate,
    /// Samples heard so far.
    position: u64,
    lost: u64,
    ear: Option<Ear>,
    canceller: Option<Canceller>,
}

/// What takes the agent's voice out of what is heard.
struct Canceller {
    echo: Box<EchoCanceller>,
    /// A piece without its echo.
    piece: Vec<i16>,
    /// Brings what was sent to the rate of what is heard, if they differ.
    feed: Option<Resampler>,
    sent: Vec<i16>,
}

/// A detector, at the rate that it wants.
struct Ear {
    vad: Box<dyn Vad>,
    gate: SpeechGate,
    feed: Option<Resampler>,
    buffer: Vec<i16>,
}

impl Listener {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> (Self, InboundRings) {
        let rate = shared.format.input.rate();
        let capacity = rate.samples_in(config.input_buffer).max(1);
        let (samples, samples_end) = HeapRb::new(capacity).split();
        // Pieces are 20 ms but for short messages: twice as many heads leave room for those.
        let pieces = (config.input_buffer.as_millis() / 10) as usize + 1;
        let (heads, heads_end) = HeapRb::new(pieces).split();
        let ear = config.vad.enabled.then(|| Ear::new(rate, &config.vad)).flatten();
        let canceller = Canceller::new(rate, shared.format.output.rate(), config);
        let listener = Self { shared, heads, samples, rate, position: 0, lost: 0, ear, canceller };
        (listener, InboundRings { heads: heads_end, samples: samples_end })
    }

    /// The rate of what it hears.
    pub(super) const fn rate(&self) -> SampleRate {
        self.rate
    }

    /// How much was heard.
    pub(super) fn position(&self) -> Duration {
        self.rate.duration_of(self.position)
    }

    /// Takes note of a frame that was sent, silence too.
    pub(super) fn sent(&mut self, frame: &[i16]) {
        if let Some(canceller) = &mut self.canceller {
            canceller.sent(frame);
        }
    }

    /// Hears one piece, and leaves it for the agent.
    pub(super) fn hear(&mut self, samples: &[i16], notices: &mut NoticeWriter) -> Heard {
        match self.canceller.take() {
            None => {
                let line_dbfs = Level::measure(samples).rms_dbfs();
                self.hear_clean(samples, Share::Clear, line_dbfs, notices)
            }
            Some(mut canceller) => {
                let line_dbfs = Level::measure(samples).rms_dbfs();
                let (samples, share) = canceller.cancel(samples);
                let heard = self.hear_clean(samples, share, line_dbfs, notices);
                self.canceller = Some(canceller);
                heard
            }
        }
    }

    /// Measures one piece without its echo, and leaves it for the agent.
    fn hear_clean(&mut self, samples: &[i16], share: Share, line_dbfs: f32, notices: &mut NoticeWriter) -> Heard {
        let level_dbfs = if share == Share::Clear { line_dbfs } else { Level::measure(samples).rms_dbfs() };
        let duration = self.rate.duration_of(samples.len() as u64);
        let begins = self.position();
        self.position += samples.len() as u64;
        let ends = self.position();
        let mut onset_ago_us = 0;
        let mut verdict = Verdict::default();
        let mut speech = false;
        if let Some(ear) = &mut self.ear {
            verdict = ear.judge(samples);
            // What is left of echo may still sound like speech; it is not the caller's.
            verdict.speech &= share != Share::Echo;
            let edge = ear.gate.update(verdict.speech, verdict.score, duration);
            speech = ear.gate.in_speech();
            match edge {
                Some(Edge::Onset { ago }) => {
                    onset_ago_us = ago.as_micros() as u32;
                    notices.push(Notice::SpeechStarted { position: ends.saturating_sub(ago), decided: ends });
                }
                Some(Edge::Offset { ago }) => {
                    notices.push(Notice::SpeechStopped { position: ends.saturating_sub(ago), decided: ends });
                }
                None => {}
            }
        }
        let counters = &self.shared.counters;
        counters.set_input_level(level_dbfs);
        counters.speech.store(speech, Ordering::Relaxed);
        self.shared.heard_us.store(ends.as_micros() as u64, Ordering::Relaxed);
        if self.samples.vacant_len() >= samples.len() && !self.heads.is_full() {
            self.samples.push_slice(samples);
            let lost_us = u32::try_from(self.rate.duration_of(self.lost).as_micros()).unwrap_or(u32::MAX);
            self.lost = 0;
            let head = FrameHead {
                samples: samples.len() as u32,
                position_us: begins.as_micros() as u64,
                speech,
                level_dbfs,
                lost_us,
                onset_ago_us,
            };
            // There is room, and this end alone fills the ring.
            let _ = self.heads.try_push(head);
        } else {
            self.lost += samples.len() as u64;
            add64(&counters.input_lost_us, duration.as_micros() as u64);
        }
        Heard { voiced: verdict.speech, score: verdict.score, line_dbfs, share, duration }
    }
}

impl Canceller {
    fn new(rate: SampleRate, sent: SampleRate, config: &Config) -> Option<Self> {
        let echo = EchoCanceller::new(rate, config.echo.mode)?;
        let feed = (sent != rate).then(|| Resampler::new(sent, rate));
        Some(Self {
            echo: Box::new(echo),
            // A rate that 20 ms do not divide gives a sample more now and then.
            piece: vec![0; rate.samples_in(PTIME) + 1],
            sent: vec![0; if feed.is_some() { rate.samples_in(config.ptime) + 1 } else { 0 }],
            feed,
        })
    }

    fn sent(&mut self, frame: &[i16]) {
        match &mut self.feed {
            None => self.echo.handle_sent(frame),
            Some(feed) => {
                let n = feed.process_into(frame, &mut self.sent).unwrap_or(0);
                self.echo.handle_sent(&self.sent[..n]);
            }
        }
    }

    /// The piece without its echo, and what it is made of.
    fn cancel(&mut self, samples: &[i16]) -> (&[i16], Share) {
        let piece = &mut self.piece[..samples.len()];
        piece.copy_from_slice(samples);
        let share = self.echo.cancel(piece);
        (piece, share)
    }
}

impl Ear {
    fn new(rate: SampleRate, config: &VadConfig) -> Option<Self> {
        let native = rate == SampleRate::HZ_8000 || rate == SampleRate::HZ_16000;
        let vad_rate = if native { rate } else { SampleRate::HZ_16000 };
        let mut vad = config.detector.make(vad_rate).ok()?;
        vad.set_sensitivity(config.sensitivity).ok()?;
        Some(Self {
            vad,
            gate: SpeechGate::new(config.min_speech, config.hangover),
            feed: (!native).then(|| Resampler::new(rate, vad_rate)),
            buffer: vec![0; vad_rate.samples_in(PTIME) + 16],
        })
    }

    fn judge(&mut self, samples: &[i16]) -> Verdict {
        match &mut self.feed {
            None => self.vad.process(samples),
            Some(feed) => {
                let n = feed.process_into(samples, &mut self.buffer).unwrap_or(0);
                self.vad.process(&self.buffer[..n])
            }
        }
    }
}
