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
use crate::audio::frame::{PTIME, SampleRate};
use crate::audio::resample::Resampler;
use crate::jitter::{self, JitterBuffer, Packet, Played, Playout};

/// The inbound half of a session's media end.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    listener: Listener,
    ordered: Ordered,
    playout: Playout,
    /// `None` until a packet comes, which an ordered transport has none of.
    packets: Option<Box<Packets>>,
    piece: Vec<i16>,
}

/// Audio of an ordered transport, message by message.
struct Ordered {
    decoder: Decoder,
    decoded: Vec<i16>,
    /// What brings it to the call's rate, if the peer has changed its own.
    resampler: Option<Resampler>,
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
    /// How many ticks there were since the figures were published.
    unpublished: u32,
}

impl Inbound {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> (Self, InboundRings) {
        let codec = shared.format.input;
        let (listener, rings) = Listener::new(Arc::clone(&shared), config);
        let inbound = Self {
            shared,
            listener,
            ordered: Ordered::new(codec, codec.rate()),
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
        // What is empty only says that the call begins.
        add64(&self.shared.counters.frames_received, u64::from(!payload.is_empty()));
        if codec != self.ordered.decoder.codec() {
            // This allocates, but only when the peer changes its codec.
            self.ordered = Ordered::new(codec, self.listener.rate());
        }
        let Self { listener, ordered: Ordered { decoder, decoded, resampler }, piece, .. } = self;
        let (width, most) = match codec {
            Codec::Plain { encoding, .. } => (encoding.bytes_per_sample(), codec.bytes_for(decoded.len())),
            Codec::G722 => (1, codec.bytes_for(decoded.len())),
            // A message is a packet, which decodes as a whole.
            Codec::Opus { .. } => (1, payload.len().max(1)),
        };
        let whole = payload.len() - payload.len() % width;
        // Of a rate that 20 ms do not divide, a little less makes never more than a piece of another.
        let step = codec.rate().samples_in(if resampler.is_some() { PTIME * 9 / 10 } else { PTIME }).max(1);
        for part in payload[..whole].chunks(most) {
            let n = decoder.decode_into(part, decoded).unwrap_or(0);
            for samples in decoded[..n].chunks(step) {
                on_piece(listener.hear(at_rate(samples, resampler, piece), notices));
            }
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
            on_piece(listener.hear(at_rate(frame, resampler, piece), notices));
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
            packets.unpublished += 1;
            let due = packets.due;
            packets.due = due + PTIME;
            if packets.poll(due) {
                hear(&packets.frame, &mut packets.resampler);
            }
        }
        if packets.unpublished >= PUBLISHED_TICKS {
            self.publish();
        }
        has_heard
    }

    /// Makes known what the jitter buffer has seen.
    pub(super) fn publish(&mut self) {
        if let Some(packets) = &mut self.packets {
            packets.unpublished = 0;
            self.shared.network.publish(&packets.buffer.stats());
        }
    }

    /// Takes note of a frame that was sent, silence too: it may come back.
    pub(super) fn sent(&mut self, frame: &[i16]) {
        self.listener.sent(frame);
    }

    /// How much was heard.
    pub(super) fn position(&self) -> Duration {
        self.listener.position()
    }

    /// What the jitter buffer has seen, if there is one.
    pub(super) fn jitter_stats(&self) -> Option<jitter::Stats> {
        self.packets.as_ref().map(|packets| packets.buffer.stats())
    }
}

impl Ordered {
    fn new(codec: Codec, rate: SampleRate) -> Self {
        let longest = if let Codec::Opus { .. } = codec { LONGEST_PACKET } else { PTIME };
        Self {
            decoder: Decoder::new(codec),
            decoded: vec![0; codec.rate().samples_in(longest)],
            resampler: (codec.rate() != rate).then(|| Resampler::new(codec.rate(), rate)),
        }
    }
}

impl Packets {
    fn new(codec: Codec, playout: Playout, due: Timestamp) -> crate::Result<Self> {
        let buffer = JitterBuffer::new(jitter::Config { codec, playout })?;
        let frame = vec![0; codec.rate().frame_len()];
        Ok(Self { buffer, codec, frame, resampler: None, due, has_begun: false, unpublished: 0 })
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

/// Brings samples to the call's rate, into `piece` if they are not.
fn at_rate<'a>(samples: &'a [i16], resampler: &mut Option<Resampler>, piece: &'a mut [i16]) -> &'a [i16] {
    let Some(resampler) = resampler else { return samples };
    let n = resampler.process_into(samples, piece).unwrap_or(0);
    &piece[..n]
}

/// How many ticks pass between two publications: half a second.
const PUBLISHED_TICKS: u32 = 25;
/// The longest that one Opus packet lasts (RFC 6716, section 3.2.5).
const LONGEST_PACKET: Duration = Duration::from_millis(120);
