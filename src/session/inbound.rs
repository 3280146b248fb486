//! From the wire to the listener: decode in order, or through a jitter buffer, and bring to one rate.
//!
//! A transport that keeps order hands over audio of any length (the last message of a prompt is short): it is heard at
//! once, in pieces of at most 20 ms, without waiting to fill a frame. Packets of a network that keeps neither order nor
//! time go through a jitter buffer, which gives one frame of 20 ms a tick; the ticks lie on the session's own grid of
//! deadlines and do not depend on its packet time. What is concealed is heard like the rest, so that positions follow the
//! caller's own time; the silence before the first packet is not.

use std::sync::Arc;
use std::time::Duration;

use super::NoticeWriter;
use super::barge_in::Heard;
use super::config::Config;
use super::listener::Listener;
use super::rings::InboundRings;
use super::shared::Shared;
use super::stats::add64;
use crate::Timestamp;
use crate::audio::codec::{Codec, Decoder};
use crate::audio::frame::PTIME;
use crate::audio::resample::Resampler;
use crate::jitter::{self, JitterBuffer, Packet, Played, Playout};

/// The inbound half of a session's media end.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    listener: Listener,
    decoder: Decoder,
    /// Audio as decoded, before it is brought to the call's rate, if it must be.
    adapter: Option<Adapter>,
    playout: Playout,
    /// `None` until a packet comes, which an ordered transport has none of.
    packets: Option<Box<Packets>>,
    piece: Vec<i16>,
}

/// For a peer that changes its rate in the middle of a call.
struct Adapter {
    resampler: Resampler,
    buffer: Vec<i16>,
}

/// Packets on their way through the jitter buffer.
struct Packets {
    buffer: JitterBuffer,
    codec: Codec,
    /// One frame, and what brings it to the call's rate.
    frame: Vec<i16>,
    resampler: Option<Resampler>,
    /// When the next frame is due.
    due: Timestamp,
    /// Whether anything has been heard.
    has_begun: bool,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> (Self, InboundRings) {
        let codec = shared.format.input;
        let (listener, rings) = Listener::new(Arc::clone(&shared), config);
        let inbound = Self {
            shared,
            listener,
            decoder: Decoder::new(codec),
            adapter: None,
            playout: config.playout,
            packets: None,
            // A rate that 20 ms do not divide gives a sample more now and then.
            piece: vec![0; codec.rate().samples_in(PTIME) + 1],
        };
        (inbound, rings)
    }

    /// Takes one message of an ordered transport; `on_piece` gets what was heard, piece by piece.
    pub(super) fn handle_audio(
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
        let Self { listener, decoder, adapter, piece, .. } = self;
        let room = adapter.as_ref().map_or(piece.len() - 1, |adapter| adapter.buffer.len());
        let width = if let Codec::Plain { encoding, .. } = codec { encoding.bytes_per_sample() } else { 1 };
        let whole = payload.len() - payload.len() % width;
        for part in payload[..whole].chunks(codec.bytes_for(room).max(1)) {
            let n = match adapter {
                None => decoder.decode_into(part, piece).unwrap_or(0),
                Some(Adapter { resampler, buffer }) => {
                    let n = decoder.decode_into(part, buffer).unwrap_or(0);
                    resampler.process_into(&buffer[..n], piece).unwrap_or(0)
                }
            };
            on_piece(listener.hear(&piece[..n], notices));
        }
    }

    /// Takes a packet that came at `now`; `tick` is a deadline that frames are to be given out at, until told otherwise.
    pub(super) fn handle_packet(&mut self, codec: Codec, packet: &Packet<'_>, now: Timestamp, tick: Timestamp) {
        add64(&self.shared.counters.frames_received, 1);
        let rate = self.listener.rate();
        let packets = match &mut self.packets {
            Some(packets) => packets,
            None => {
                let Ok(packets) = Packets::new(codec, self.playout, tick) else { return };
                self.packets.insert(Box::new(packets))
            }
        };
        if codec != packets.codec {
            packets.change_to(codec);
        }
        if packets.resampler.is_none() && codec.rate() != rate {
            packets.resampler = Some(Resampler::new(codec.rate(), rate));
        }
        packets.buffer.handle_packet(packet, now);
    }

    /// Takes a comfort noise packet that came at `now`; there is nothing to rest from before the first audio.
    pub(super) fn handle_comfort_noise(&mut self, packet: &Packet<'_>, level: u8, now: Timestamp) {
        if let Some(packets) = &mut self.packets {
            packets.buffer.handle_comfort_noise(packet, level, now);
        }
    }

    /// When the next frame is due out of the jitter buffer, if there is one.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.packets.as_ref().map(|packets| packets.due)
    }

    /// Hears what is due at `now`: a frame for each tick that has passed, or with [`Playout::Asap`] whatever is ready.
    /// Says whether that was anything.
    pub(super) fn listen(
        &mut self,
        now: Timestamp,
        notices: &mut NoticeWriter,
        mut on_piece: impl FnMut(Heard),
    ) -> bool {
        let Self { listener, piece, playout, packets: Some(packets), .. } = self else { return false };
        let mut has_heard = false;
        let mut hear = |frame: &[i16], resampler: &mut Option<Resampler>| {
            has_heard = true;
            let piece = match resampler {
                None => frame,
                Some(resampler) => {
                    let n = resampler.process_into(frame, piece).unwrap_or(0);
                    &piece[..n]
                }
            };
            on_piece(listener.hear(piece, notices));
        };
        if let Playout::Asap { .. } = playout {
            while packets.poll(now) {
                hear(&packets.frame, &mut packets.resampler);
            }
        }
        // What a driver that was away for long has missed is left to the buffer to catch up.
        let missed = now.since(packets.due).as_micros() / PTIME.as_micros();
        if missed > u128::from(super::CATCH_UP) {
            packets.due = packets.due + PTIME * missed as u32;
        }
        while packets.due <= now {
            let due = packets.due;
            packets.due = due + PTIME;
            if packets.poll(due) {
                hear(&packets.frame, &mut packets.resampler);
            }
        }
        has_heard
    }

    /// How much was heard.
    pub(super) fn position(&self) -> Duration {
        self.listener.position()
    }

    /// What the jitter buffer has seen, if there is one.
    pub(super) fn jitter_stats(&self) -> Option<jitter::Stats> {
        self.packets.as_ref().map(|packets| packets.buffer.stats())
    }

    /// Decodes `codec` from here on; this allocates, but only when the peer changes its codec.
    fn change_to(&mut self, codec: Codec) {
        let rate = self.listener.rate();
        self.decoder = Decoder::new(codec);
        self.adapter = (codec.rate() != rate).then(|| Adapter {
            resampler: Resampler::new(codec.rate(), rate),
            // A little less than a piece, so that what comes out never exceeds one.
            buffer: vec![0; (codec.rate().samples_in(PTIME) * 9 / 10).max(1)],
        });
    }
}

impl Packets {
    fn new(codec: Codec, playout: Playout, due: Timestamp) -> crate::Result<Self> {
        let buffer = JitterBuffer::new(jitter::Config { codec, playout })?;
        let frame = vec![0; codec.rate().frame_len()];
        Ok(Self { buffer, codec, frame, resampler: None, due, has_begun: false })
    }

    /// Takes another codec from here on; this allocates, but only when the peer changes its codec.
    fn change_to(&mut self, codec: Codec) {
        self.codec = codec;
        self.buffer.set_codec(codec);
        self.frame.resize(codec.rate().frame_len(), 0);
        self.resampler = None;
    }

    /// Fills the frame with what is due at `now`; says whether it is to be heard.
    fn poll(&mut self, now: Timestamp) -> bool {
        let Some(played) = self.buffer.poll_frame(now, &mut self.frame) else { return false };
        self.has_begun |= played != Played::Rest;
        self.has_begun
    }
}
