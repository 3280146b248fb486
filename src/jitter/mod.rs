//! The jitter buffer: packets in as the network brings them, one frame of 20 ms a tick out.
//!
//! It puts packets in order, keeps just the delay that all but a few of them need, conceals what is lost, and never
//! has a tick without a frame. Playing stays aligned with packets: delay changes by whole frames, so no packet waits for
//! a tick that plays a piece of it. Delay grows in quiet frames, or where a packet is late anyway; it shrinks in quiet
//! frames, and in speech only when far too long, where two frames merge well. While packets get lost one more is held
//! back, because a gap is concealed better when what follows it is known.
//!
//! It takes payloads and decodes them: at once if each stands for itself (G.711, linear samples), else in the order of
//! playing, and what is lost is made up with the decoder's help. It owns no clock: the caller passes `now` in.

mod config;
mod decode;
mod delay;
mod packet;
mod playing;
mod playout;
mod quality;
mod queue;
mod stats;
mod timeline;

pub use config::{Config, Playout};
pub use packet::{Arrival, Packet, Played};
pub use quality::BurstGap;
pub use stats::Stats;

use std::time::Duration;

use crate::audio::codec::{Codec, Decoder};
use crate::audio::conceal::Concealer;
use crate::audio::stretch::Stretcher;
use crate::{Result, Timestamp};
use delay::Delays;
use queue::{Origin, Queue};
use stats::Recorder;
use timeline::{Place, Timeline};

/// Turns packets in any order into one frame a tick; never allocates after [`JitterBuffer::new`].
///
/// ```
/// use talkpath::Timestamp;
/// use talkpath::jitter::{Config, JitterBuffer, Packet, Played};
///
/// let mut buffer = JitterBuffer::new(Config::default())?;
/// let mut frame = [0; 160];
/// for n in 0..50_u16 {
///     let now = Timestamp::from_millis(20 * u64::from(n));
///     if n != 30 {
///         let timestamp = 160 * u32::from(n);
///         let packet = Packet { ssrc: 1, sequence: n, timestamp, marker: n == 0, payload: &[0x8d; 160] };
///         buffer.handle_packet(&packet, now);
///     }
///     let played = buffer.poll_frame(now, &mut frame);
///     assert_eq!(played, Some(if n == 30 { Played::Concealed } else { Played::Audio }));
/// }
/// assert_eq!(buffer.stats().packets_lost, 1);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Debug)]
pub struct JitterBuffer {
    config: Config,
    /// Samples in 20 ms.
    frame: usize,
    decoder: Decoder,
    timeline: Timeline,
    queue: Queue,
    delays: Delays,
    concealer: Concealer,
    stretcher: Stretcher,
    recorder: Recorder,
    /// The media timestamp to play next; `None` before the first packet is due.
    next: Option<i64>,
    /// The sequence number of the packet that was played last.
    played: i64,
    /// Samples made up while nothing waited: concealment if they prove lost, more delay if late.
    stalled: usize,
    /// Until when one packet more is held, and what it was before the last loss, which may prove to be lateness.
    hold_until_us: [i64; 2],
    /// The level of the loudest frames.
    loudest: f32,
    /// The level of comfort noise that the sender asked for.
    comfort: Option<f32>,
    /// The length of the last packet.
    packet_len: usize,
    /// Samples made up where a decoder with a state missed packets, which it has not been told of.
    unseen: usize,
    upcoming: Vec<i16>,
    /// Room for the samples of one packet.
    decoded: Vec<i16>,
}

impl JitterBuffer {
    /// Makes an empty buffer.
    ///
    /// # Errors
    /// Those of [`Config::validate`].
    pub fn new(config: Config) -> Result<Self> {
        config.validate()?;
        Ok(Self::empty(config))
    }

    fn empty(config: Config) -> Self {
        let (codec, rate) = (config.codec, config.codec.rate());
        let (frame, longest_ms) = (rate.frame_len(), config.longest().as_millis() as usize);
        // Packets of 10 ms take a chunk each; as much again may come at once after a stall.
        let chunks = 2 * (longest_ms / 10) + 64;
        let queue = if codec.is_stateful() {
            Queue::new(DECODED_CHUNKS, frame, chunks, (longest_ms + STALL_MS) * PAYLOAD_BYTES_PER_MS)
        } else {
            Queue::new(chunks, frame, 0, 0)
        };
        Self {
            frame,
            decoder: Decoder::new(codec),
            timeline: Timeline::new(codec),
            queue,
            delays: Delays::new(),
            concealer: Concealer::new(rate),
            stretcher: Stretcher::new(rate),
            recorder: Recorder::default(),
            next: None,
            played: 0,
            stalled: 0,
            hold_until_us: [i64::MIN; 2],
            loudest: 0.0,
            comfort: None,
            packet_len: frame,
            unseen: 0,
            upcoming: vec![0; LOOK_AHEAD * frame],
            decoded: vec![0; LONGEST_PACKET_FRAMES * frame],
            config,
        }
    }

    /// Takes a packet that came at `arrival`.
    ///
    /// Arrivals are on the scale of [`poll_frame`](Self::poll_frame)'s `now`.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, arrival: Timestamp) -> Arrival {
        let arrival_us = arrival.as_micros() as i64;
        let Some(len) = self.samples_in(packet.payload) else {
            self.recorder.stats.packets_malformed += 1;
            return Arrival::Malformed;
        };
        let place = self.timeline.place(packet, len, arrival_us);
        let stats = &mut self.recorder.stats;
        stats.packets += 1;
        stats.samples_received += len as u64;
        if place.duplicate {
            stats.packets_duplicate += 1;
            stats.samples_discarded += len as u64;
            return Arrival::Duplicate;
        }
        if place.restarted {
            self.recorder.restart();
            self.delays.clear();
        }
        let media_us = self.media_us(place.at);
        self.recorder.transit(arrival_us - media_us);
        self.delays.note(arrival_us, media_us);
        let next = self.next.unwrap_or(i64::MIN);
        if place.at + len as i64 <= next {
            let stats = &mut self.recorder.stats;
            stats.packets_late += 1;
            stats.samples_discarded += len as u64;
            if place.sequence < self.played {
                // It was late, not lost: there is no reason to hold more packets back.
                stats.packets_lost = stats.packets_lost.saturating_sub(1);
                self.hold_until_us[0] = self.hold_until_us[1];
            }
            return Arrival::Late;
        }
        self.packet_len = len;
        let held = self.hold(packet, &place, len, arrival_us);
        self.recorder.stats.samples_discarded += (len - held) as u64;
        Arrival::Held
    }

    /// Takes a comfort noise packet (RFC 3389): the sender pauses, and its background lies `level` dB below full scale.
    ///
    /// The payload of `packet` is not looked at. Its sequence number does not count as lost audio.
    pub fn handle_comfort_noise(&mut self, packet: &Packet<'_>, level: u8, arrival: Timestamp) {
        self.timeline.place(packet, 0, arrival.as_micros() as i64);
        self.comfort = Some(32_768.0 * 10.0_f32.powf(-f32::from(level.min(127)) / 20.0));
    }

    /// Fills `out` with the frame that is due at `now`; says what it is made of.
    ///
    /// Call it every 20 ms; it has a frame each time. With [`Playout::Asap`] call it after each packet, and every 20 ms,
    /// until it gives `None`: nothing is due, and `out` is untouched.
    ///
    /// # Panics
    /// If `out` is not a frame of 20 ms at the configured rate.
    pub fn poll_frame(&mut self, now: Timestamp, out: &mut [i16]) -> Option<Played> {
        assert_eq!(out.len(), self.frame, "samples in a frame");
        let now_us = now.as_micros() as i64;
        if let Playout::Asap { wait } = self.config.playout {
            return self.poll_at_once(now_us, wait.as_micros() as i64, out);
        }
        let target_us = self.target_us(now_us);
        let Some((next, least)) = self.begin(now_us, target_us) else {
            out.fill(0);
            self.recorder.stats.samples_rested += out.len() as u64;
            return Some(Played::Rest);
        };
        let next = self.settle(next, now_us);
        let delay_us = self.discard_excess(now_us - self.media_us(next) - least, target_us);
        let stats = &mut self.recorder.stats;
        stats.target = Duration::from_micros(target_us as u64);
        if self.stalled == 0 {
            stats.delay = Duration::from_micros(delay_us.max(0) as u64);
        }
        Some(self.steer(delay_us, target_us, out).unwrap_or_else(|| self.render(now_us, target_us, least, out)))
    }

    /// Goes on with packets of another codec.
    ///
    /// Between codecs of one rate that keep no state nothing is lost. Else what waits is discarded, and the stream begins
    /// anew, its frames at the new codec's rate; this allocates.
    pub fn set_codec(&mut self, codec: Codec) {
        let old = self.config.codec;
        if codec == old {
            return;
        }
        self.config.codec = codec;
        let same_rate = codec.rate() == old.rate();
        if same_rate && codec.rtp_clock() == old.rtp_clock() && !codec.is_stateful() && !old.is_stateful() {
            self.decoder = Decoder::new(codec);
            return;
        }
        while self.queue.first().is_some() {
            self.drop_first();
        }
        let before = std::mem::replace(self, Self::empty(self.config.clone()));
        self.recorder = before.recorder;
        self.recorder.restart();
        if same_rate {
            (self.concealer, self.loudest) = (before.concealer, before.loudest);
        }
        self.concealer.cut();
    }

    /// What the payloads are taken for.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.config.codec
    }

    /// What has been seen and done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        // A piece may have been played in part.
        let first = self.queue.first().filter(|first| !first.origin.recovered);
        let played = first.zip(self.next).map_or(0, |(first, next)| (next - first.at).max(0));
        let ptime = self.config.codec.rate().duration_of(self.packet_len as u64);
        self.recorder.report(self.queue.held() - played as usize, ptime)
    }

    /// Puts a packet of `len` samples into the queue; gives how many of them are held.
    fn hold(&mut self, packet: &Packet<'_>, place: &Place, len: usize, arrival_us: i64) -> usize {
        let origin = Origin {
            sequence: place.sequence,
            arrival_us,
            marker: packet.marker,
            begins: place.restarted,
            recovered: false,
        };
        let stateful = self.config.codec.is_stateful();
        while if stateful { !self.queue.room_for_payload(packet.payload.len()) } else { !self.queue.room_for(len) } {
            self.drop_first();
        }
        // What was dropped may have taken the place of the start of this packet.
        let late = self.next.map_or(0, |next| next.saturating_sub(place.at).clamp(0, len as i64)) as usize;
        let at = place.at + late as i64;
        if late == len {
            return 0;
        }
        if stateful {
            return self.queue.insert_payload(at, origin, len - late, late, packet.payload);
        }
        let Ok(decoded) = self.decoder.decode_into(packet.payload, &mut self.decoded) else { return 0 };
        self.queue.insert(at, origin, &self.decoded[late..decoded])
    }

    /// How many samples a payload decodes to, if it can be held.
    fn samples_in(&self, payload: &[u8]) -> Option<usize> {
        let codec = self.config.codec;
        let bytes = if codec.is_stateful() { payload.len() } else { 0 };
        let holds = |&len: &usize| len > 0 && len <= self.decoded.len() && self.queue.fits(len, bytes);
        codec.checked_samples_in(payload).filter(holds)
    }

    const fn media_us(&self, samples: i64) -> i64 {
        samples * 1_000_000 / self.config.codec.rate().hz() as i64
    }
}

/// A tick, in microseconds.
const FRAME_US: i64 = 20_000;
/// How many frames are looked at before they are played.
const LOOK_AHEAD: usize = 4;
/// The longest packet that a receiver should take (RFC 3551, section 4.2), in frames.
const LONGEST_PACKET_FRAMES: usize = 10;
/// Chunks of decoded samples where payloads wait undecoded: what is looked ahead in pieces of 2.5 ms, and a packet.
const DECODED_CHUNKS: usize = 8 * LOOK_AHEAD + 2 * LONGEST_PACKET_FRAMES;
/// How much more than the longest delay may come at once, in milliseconds, and how large that may be: 256 kbit/s.
const STALL_MS: usize = 400;
const PAYLOAD_BYTES_PER_MS: usize = 32;
