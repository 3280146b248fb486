//! The state machines of one call: what is heard, what is said, and who interrupts whom.
//!
//! A session has two ends. The **media end**, [`Session`], is driven by whoever owns the clock and the socket: it takes
//! [`Input`]s, and answers with [`Output`]s. The **agent end**, [`Agent`], is what Python, C or a provider holds. Rings
//! without locks join them, so neither ever waits for the other; an interruption is one compare-and-swap, and exact.
//!
//! Nothing here reads a clock, opens a socket or starts a thread: `now` is passed in, and a test runs an hour's call in a
//! second.
//!
//! # Drain
//! After each [`Session::handle_input`], and whenever the last [`Output::Timeout`] is due, call
//! [`Session::poll_output`] until it answers [`Output::Timeout`] or [`Output::Ended`].
//!
//! # Pacing
//! From the first frame to the end, one frame goes out each packet time, silence if there is nothing to say. A late
//! driver gets the frame at once, and the next is due one packet time after the missed deadline. Up to
//! three missed frames are caught up; what is beyond that is skipped and counted, and nothing queued is lost by it.
//! What comes in packets is heard on a tick of its own, every 20 ms whatever the packet time.

mod acks;
mod agent;
mod barge_in;
mod config;
mod event;
mod event_json;
mod exchange;
mod inbound;
mod keypad;
mod listener;
mod network;
mod outbound;
mod position;
mod rings;
mod shared;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

pub use agent::{Agent, AgentControl, AgentEvents, AgentInput, AgentOutput, HeardFrame, Written};
pub use config::{BargeInConfig, Config, EchoConfig, FarEnd, VadConfig};
pub use event::{EndReason, Event, InterruptCause};
pub use exchange::{Input, Output};
pub use network::{NetworkStats, RemoteReport};
pub use position::{Certainty, Receipt, Segment};
pub use shared::WireFormat;
pub use stats::{LatenessHistogram, Stats};

use crate::Timestamp;
use crate::audio::codec::{Codec, Encoder};
use crate::audio::level::Level;
use crate::jitter::{self, Playout};
use barge_in::BargeIn;
use event::Notice;
use inbound::Inbound;
use outbound::{Filled, Outbound, PATIENCE};
use shared::{HangupRequest, Shared};
use stats::{add64, bump32};

/// The media end of one call.
pub struct Session {
    config: Config,
    far_end: FarEnd,
    /// The packet time: the configured one, or the next shorter that the codec has.
    ptime: Duration,
    /// When the next frame is due.
    due: Timestamp,
    began: Timestamp,
    /// `None` until the wire's format is known.
    call: Option<Call>,
    agent: Option<Agent>,
    encoder: Encoder,
    payload: Vec<u8>,
    /// The frame that is sent until the wire's format is known.
    silence: Vec<i16>,
    /// How many frames were made so far.
    frames: u64,
    started: bool,
    wake: bool,
    /// Since when the far end's queue has been full, if it is.
    congested: Option<Timestamp>,
    /// The key of the coming frame has been pressed.
    has_pressed: bool,
    /// The server stops, and the call with it.
    draining: bool,
    ending: Ending,
}

/// A call whose format is known.
struct Call {
    shared: Arc<Shared>,
    inbound: Inbound,
    outbound: Outbound,
    /// Whether there was anything in the last frame.
    was_agent: bool,
    barge_in: BargeIn,
    notices: NoticeWriter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// The far end is to be told, then it is over.
    Hangup(EndReason),
    /// Over, but the driver does not know yet.
    Due(EndReason),
    Over(EndReason),
}

/// The agent's end of the ring of notices.
type NoticeReader = HeapCons<Notice>;

/// The media end's writer of notices: a slow reader loses some, and is told how many.
struct NoticeWriter {
    ring: HeapProd<Notice>,
    shared: Arc<Shared>,
    fresh: bool,
}

impl Session {
    /// Makes the media end of a call whose first frame is due at `now`.
    #[must_use]
    pub fn new(config: Config, far_end: FarEnd, now: Timestamp) -> Self {
        let codec = config.answer_to(config.expected_codec());
        Self {
            encoder: Encoder::new(codec),
            payload: Vec::with_capacity(codec.bytes_per_frame(config.ptime)),
            silence: vec![0; codec.samples_per_frame(config.ptime)],
            ptime: codec.ptime_within(config.ptime),
            config,
            far_end,
            due: now,
            began: now,
            call: None,
            agent: None,
            frames: 0,
            started: false,
            wake: false,
            congested: None,
            has_pressed: false,
            draining: false,
            ending: Ending::No,
        }
    }

    /// Takes what came from the wire.
    pub fn handle_input(&mut self, input: Input<'_>, now: Timestamp) {
        if !matches!(self.ending, Ending::No | Ending::Hangup(_)) {
            return;
        }
        match input {
            Input::Audio { codec, payload } => {
                let call = match &mut self.call {
                    Some(call) => call,
                    None => self.start(codec),
                };
                call.hear(codec, payload, now);
                self.wake = true;
            }
            Input::Packet { codec, packet } => {
                let tick = self.due;
                let call = match &mut self.call {
                    Some(call) => call,
                    None => self.start(codec),
                };
                call.inbound.handle_packet(codec, &packet, now, tick);
                if let Playout::Asap { .. } = self.config.playout {
                    self.listen(now);
                }
            }
            Input::ComfortNoise { packet, level } => {
                if let Some(call) = &mut self.call {
                    call.inbound.handle_comfort_noise(&packet, level, now);
                }
            }
            Input::Dtmf(digit) => {
                let call = match &mut self.call {
                    Some(call) => call,
                    None => self.start(self.config.expected_codec()),
                };
                let position = call.inbound.position();
                call.notices.push(Notice::Dtmf { digit, position });
                self.wake = true;
            }
            Input::Acked(number) => {
                if let Some(call) = &mut self.call {
                    call.outbound.confirm(number, now, &mut call.notices);
                }
            }
            Input::Report(report) => {
                if let Some(call) = &self.call {
                    call.shared.network.report(&report);
                }
            }
            Input::Congested(true) => _ = self.congested.get_or_insert(now),
            Input::Congested(false) => self.congested = None,
            Input::Drain => {
                self.draining = true;
                match &self.call {
                    Some(call) => call.shared.request_hangup(HangupRequest::AfterDrain),
                    None => self.ending = Ending::Hangup(EndReason::ServerStopping),
                }
            }
            Input::Ended(reason) => self.end(reason),
        }
    }

    /// Says what to do next; see the module's head for how often to ask.
    pub fn poll_output(&mut self, now: Timestamp) -> Output<'_> {
        if self.call.is_none() && self.ending == Ending::No && now.since(self.began) >= FORMAT_WAIT {
            self.start(self.config.expected_codec());
        }
        if std::mem::take(&mut self.started) {
            return Output::Started;
        }
        match self.ending {
            Ending::No => {}
            Ending::Hangup(reason) => {
                self.end(reason);
                return Output::Hangup;
            }
            Ending::Due(reason) => {
                self.ending = Ending::Over(reason);
                return Output::Ended(reason);
            }
            Ending::Over(reason) => return Output::Ended(reason),
        }
        // Heard first: an interruption then spares the caller the frame that is due at the same time.
        let listens = self.call.as_ref().and_then(|call| call.inbound.due());
        if listens.is_some_and(|due| now >= due) {
            self.listen(now);
        }
        if let Some(call) = &mut self.call
            && call.outbound.take_flush()
        {
            call.was_agent = false;
            return Output::Flush;
        }
        if now >= self.due {
            if self.congested.is_some() {
                self.skip_tick(now);
            } else if let Some(key) = self.press_key() {
                return Output::Dtmf(key);
            } else {
                return self.transmit(now);
            }
        }
        let fresh = self.call.as_mut().is_some_and(|call| std::mem::take(&mut call.notices.fresh));
        if std::mem::take(&mut self.wake) | fresh {
            return Output::Wake;
        }
        self.obey_hangup(now);
        if self.ending != Ending::No {
            return self.poll_output(now);
        }
        let listens = self.call.as_ref().and_then(|call| call.inbound.due());
        Output::Timeout(listens.map_or(self.due, |due| due.min(self.due)))
    }

    /// The agent's end; `Some` once, after [`Output::Started`].
    pub fn take_agent(&mut self) -> Option<Agent> {
        self.agent.take()
    }

    /// The call's counters now; zeros before it has started.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.call.as_ref().map(|call| call.shared.stats()).unwrap_or_default()
    }

    /// What the jitter buffer has seen and done, for reports to the far end; nothing before the first packet.
    #[must_use]
    pub fn jitter_stats(&self) -> Option<jitter::Stats> {
        self.call.as_ref().and_then(|call| call.inbound.jitter_stats())
    }

    /// Makes both ends, now that the wire's format is known. This is the one place where a session allocates.
    fn start(&mut self, codec: Codec) -> &mut Call {
        let format = WireFormat { input: codec, output: self.config.answer_to(codec) };
        let shared = Shared::new(format, self.far_end, self.config.barge_in.automatic);
        let (ring, reader) = HeapRb::new(MAX_NOTICES).split();
        let mut notices = NoticeWriter { ring, shared: Arc::clone(&shared), fresh: false };
        notices.push(Notice::Started { codec });
        let (inbound, inbound_rings) = Inbound::new(Arc::clone(&shared), &self.config);
        let (outbound, outbound_rings) = Outbound::new(Arc::clone(&shared), &self.config);
        self.agent = Some(Agent::new(&shared, &self.config, inbound_rings, outbound_rings, reader));
        let barge_in = BargeIn::new(self.config.barge_in.clone());
        if self.encoder.codec() != format.output {
            self.encoder = Encoder::new(format.output);
        }
        self.silence = Vec::new();
        self.ptime = format.output.ptime_within(self.config.ptime);
        self.payload.reserve(format.output.bytes_per_frame(self.config.ptime));
        self.started = true;
        self.call.insert(Call { shared, inbound, outbound, was_agent: false, barge_in, notices })
    }

    /// Hears what is due out of the jitter buffer.
    fn listen(&mut self, now: Timestamp) {
        self.wake |= self.call.as_mut().is_some_and(|call| call.listen(now));
    }

    /// Lets the time of a frame pass that the far end has no room for; what would be in it waits.
    fn skip_tick(&mut self, now: Timestamp) {
        let ptime = self.ptime;
        let ticks = now.since(self.due).as_micros() / ptime.as_micros() + 1;
        self.due = self.due + ptime * ticks as u32;
    }

    /// The key that begins with the frame that is due, if the transport is to send it; asked once a frame.
    fn press_key(&mut self) -> Option<char> {
        if std::mem::replace(&mut self.has_pressed, true) {
            return None;
        }
        self.call.as_mut().and_then(|call| call.outbound.press_key())
    }

    /// Makes the frame that is due.
    fn transmit(&mut self, now: Timestamp) -> Output<'_> {
        let ptime = self.ptime;
        let lateness = now.since(self.due);
        let mut missed = 0;
        if lateness > CATCH_UP * ptime {
            missed = (lateness.as_micros() / ptime.as_micros()) as u32;
            self.due = self.due + missed * ptime;
        }
        let due = self.due;
        self.due = due + ptime;
        self.has_pressed = false;
        let number = self.frames;
        self.frames += 1;
        let (codec, is_agent, begins) = match &mut self.call {
            None => {
                encode(&mut self.encoder, &self.silence, &mut self.payload);
                (self.encoder.codec(), false, false)
            }
            Some(call) => {
                let counters = &call.shared.counters;
                counters.record_lateness(lateness);
                add64(&counters.missed_ticks, u64::from(missed));
                let is_agent = call.speak(now, number, &mut self.encoder, &mut self.payload);
                let was_agent = std::mem::replace(&mut call.was_agent, is_agent);
                (call.shared.format.output, is_agent, is_agent && !was_agent)
            }
        };
        self.obey_hangup(now);
        Output::Transmit { codec, payload: &self.payload, due, number, is_agent, begins }
    }

    /// Does what the agent asked for, once it is time.
    fn obey_hangup(&mut self, now: Timestamp) {
        let Some(call) = &self.call else { return };
        let is_stuck = self.congested.is_some_and(|since| now.since(since) > PATIENCE);
        let reason = match call.shared.hangup_request() {
            HangupRequest::None => return,
            HangupRequest::AfterDrain if !call.outbound.is_silent(now) && !is_stuck => return,
            HangupRequest::AfterDrain if self.draining => EndReason::ServerStopping,
            HangupRequest::AfterDrain | HangupRequest::Now => EndReason::AgentHangup,
            HangupRequest::Failed => EndReason::HandlerFailed,
        };
        if self.ending == Ending::No {
            self.ending = Ending::Hangup(reason);
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.ending = Ending::Due(reason);
        if let Some(call) = &mut self.call {
            call.inbound.publish();
            call.shared.end(reason);
        }
    }
}

impl Call {
    fn hear(&mut self, codec: Codec, payload: &[u8], now: Timestamp) {
        let Self { inbound, outbound, barge_in, notices, .. } = self;
        let speaking = outbound.speaking_since();
        let mut interrupt = false;
        inbound.handle_audio(codec, payload, notices, |heard| interrupt |= barge_in.heard(heard, speaking, now));
        if interrupt {
            self.barge_in();
        }
    }

    /// Hears what is due out of the jitter buffer; says whether that was anything.
    fn listen(&mut self, now: Timestamp) -> bool {
        let Self { inbound, outbound, barge_in, notices, .. } = self;
        let speaking = outbound.speaking_since();
        let mut interrupt = false;
        let has_heard = inbound.listen(now, notices, |heard| interrupt |= barge_in.heard(heard, speaking, now));
        if interrupt {
            self.barge_in();
        }
        has_heard
    }

    /// The caller interrupts, if the agent leaves that to the core.
    fn barge_in(&mut self) {
        if self.shared.automatic_barge_in.load(std::sync::atomic::Ordering::Relaxed) {
            self.outbound.interrupt(&mut self.notices);
        }
    }

    /// Makes the frame that is due; says whether there is anything in it.
    fn speak(&mut self, now: Timestamp, number: u64, encoder: &mut Encoder, payload: &mut Vec<u8>) -> bool {
        let counters = &self.shared.counters;
        let Filled { agents, sounds } = self.outbound.fill(now, number, &mut self.notices);
        let frame = self.outbound.frame();
        let level = Level::measure(frame).rms_dbfs();
        self.barge_in.sent(level);
        self.inbound.sent(frame);
        counters.set_output_level(level);
        add64(&counters.frames_sent, 1);
        if agents == 0 {
            add64(&counters.silence_frames_sent, 1);
        }
        encode(encoder, frame, payload);
        let room = self.shared.wants_room.load(std::sync::atomic::Ordering::Relaxed);
        if room && agents > 0 {
            self.shared.wants_room.store(false, std::sync::atomic::Ordering::Relaxed);
            self.notices.fresh = true;
        }
        sounds
    }
}

/// Encodes a frame into `payload`, in place of what was there.
fn encode(encoder: &mut Encoder, frame: &[i16], payload: &mut Vec<u8>) {
    payload.resize(encoder.codec().bytes_for(frame.len()), 0);
    // The frame is what the codec takes, and the room is enough, so this cannot fail.
    let encoded = encoder.encode_into(frame, payload).unwrap_or(0);
    payload.truncate(encoded);
}

impl NoticeWriter {
    fn push(&mut self, notice: Notice) {
        self.fresh = true;
        if self.ring.try_push(notice).is_err() {
            bump32(&self.shared.counters.events_lost);
        }
    }
}

/// How long the first audio is waited for before 8 kHz is assumed.
const FORMAT_WAIT: Duration = Duration::from_millis(400);
/// How many missed frames are caught up.
const CATCH_UP: u32 = 3;
/// How many events wait for an agent that does not read them.
const MAX_NOTICES: usize = 128;
