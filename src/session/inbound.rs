//! From the wire to the agent: decode, measure, detect speech, and leave the samples in a ring.
//!
//! Whatever length a message has (the last of a prompt is short), it is taken in pieces of at most 20 ms, at once and
//! without waiting to fill a frame. When the agent does not read, the newest audio is dropped and counted: the ring's
//! oldest cannot be taken back from its reader.

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
use crate::audio::codec::{Codec, Decoder};
use crate::audio::frame::SampleRate;
use crate::audio::level::Level;
use crate::audio::resample::Resampler;
use crate::audio::vad::{Edge, PhoneVad, SpeechGate, Vad, Verdict};

/// The inbound half of a session's media end.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    heads: HeapProd<FrameHead>,
    samples: HeapProd<i16>,
    rate: SampleRate,
    decoder: Decoder,
    /// Samples heard so far.
    position: u64,
    lost: u64,
    ear: Option<Ear>,
    piece: Vec<i16>,
    /// Audio as decoded, before it is brought to `rate`, if it must be.
    adapter: Option<Adapter>,
}

/// A detector, at the rate that it wants.
struct Ear {
    vad: Box<dyn Vad>,
    gate: SpeechGate,
    feed: Option<Resampler>,
    buffer: Vec<i16>,
}

/// For a peer that changes its rate in the middle of a call.
struct Adapter {
    resampler: Resampler,
    buffer: Vec<i16>,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> (Self, InboundRings) {
        let codec = shared.format.input;
        let rate = codec.rate();
        let capacity = rate.samples_in(config.input_buffer).max(1);
        let (samples, samples_end) = HeapRb::new(capacity).split();
        // Pieces are 20 ms but for short messages: twice as many heads leave room for those.
        let pieces = (config.input_buffer.as_millis() / 10) as usize + 1;
        let (heads, heads_end) = HeapRb::new(pieces).split();
        let inbound = Self {
            shared,
            heads,
            samples,
            rate,
            decoder: Decoder::new(codec),
            position: 0,
            lost: 0,
            ear: config.vad.enabled.then(|| Ear::new(rate, &config.vad)).flatten(),
            piece: vec![0; rate.samples_in(PIECE)],
            adapter: None,
        };
        (inbound, InboundRings { heads: heads_end, samples: samples_end })
    }

    /// Takes one message of the wire; `on_piece` gets what was heard, piece by piece.
    pub(super) fn handle(
        &mut self,
        codec: Codec,
        payload: &[u8],
        notices: &mut NoticeWriter,
        mut on_piece: impl FnMut(Heard),
    ) {
        add64(&self.shared.counters.frames_received, 1);
        if codec != self.decoder.codec() {
            self.change_to(codec);
        }
        let (mut piece, mut adapter) = (std::mem::take(&mut self.piece), self.adapter.take());
        let room = adapter.as_ref().map_or(piece.len(), |adapter| adapter.buffer.len());
        let width = if let Codec::Plain { encoding, .. } = codec { encoding.bytes_per_sample() } else { 1 };
        let whole = payload.len() - payload.len() % width;
        for part in payload[..whole].chunks(codec.bytes_for(room).max(1)) {
            let n = match &mut adapter {
                None => self.decoder.decode_into(part, &mut piece).unwrap_or(0),
                Some(Adapter { resampler, buffer }) => {
                    let n = self.decoder.decode_into(part, buffer).unwrap_or(0);
                    resampler.process_into(&buffer[..n], &mut piece).unwrap_or(0)
                }
            };
            on_piece(self.hear(&piece[..n], notices));
        }
        (self.piece, self.adapter) = (piece, adapter);
    }

    /// How much was heard.
    pub(super) fn position(&self) -> Duration {
        self.rate.duration_of(self.position)
    }

    /// Measures one piece, and leaves it for the agent.
    fn hear(&mut self, samples: &[i16], notices: &mut NoticeWriter) -> Heard {
        let level_dbfs = Level::measure(samples).rms_dbfs();
        let duration = self.rate.duration_of(samples.len() as u64);
        let begins = self.position();
        self.position += samples.len() as u64;
        let ends = self.position();
        let mut onset_ago_us = 0;
        let mut verdict = Verdict::default();
        let mut speech = false;
        if let Some(ear) = &mut self.ear {
            verdict = ear.judge(samples);
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
        Heard { voiced: verdict.speech, score: verdict.score, level_dbfs, duration }
    }

    /// Decodes `codec` from here on; this allocates, but only when the peer changes its codec.
    fn change_to(&mut self, codec: Codec) {
        self.decoder = Decoder::new(codec);
        self.adapter = (codec.rate() != self.rate).then(|| Adapter {
            resampler: Resampler::new(codec.rate(), self.rate),
            // A little less than a piece, so that what comes out never exceeds one.
            buffer: vec![0; (codec.rate().samples_in(PIECE) * 9 / 10).max(1)],
        });
    }
}

impl Ear {
    fn new(rate: SampleRate, config: &VadConfig) -> Option<Self> {
        let native = rate == SampleRate::HZ_8000 || rate == SampleRate::HZ_16000;
        let vad_rate = if native { rate } else { SampleRate::HZ_16000 };
        let mut vad = PhoneVad::new(vad_rate).ok()?;
        vad.set_sensitivity(config.sensitivity).ok()?;
        Some(Self {
            vad: Box::new(vad),
            gate: SpeechGate::new(config.min_speech, config.hangover),
            feed: (!native).then(|| Resampler::new(rate, vad_rate)),
            buffer: vec![0; vad_rate.samples_in(PIECE) + 16],
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

/// The longest piece that is looked at as one.
const PIECE: Duration = Duration::from_millis(20);
