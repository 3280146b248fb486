//! A call without sockets or clocks: 20 ms a step, everything that was sent is kept.

use std::f32::consts::TAU;
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Decoder, Encoder};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::Packet;
use talkpath::session::{Agent, Config, EndReason, Event, FarEnd, Input, Output, Session};

/// One call.
pub(crate) struct Call {
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
    /// Everything that was sent since the agent came.
    pub(crate) wire: Vec<i16>,
    pub(crate) sent_at: Vec<Timestamp>,
    /// Each of those frames: its number, whether it is the agent's, whether that begins there.
    pub(crate) frames: Vec<(u64, bool, bool)>,
    pub(crate) keys: Vec<char>,
    pub(crate) flushes: usize,
    pub(crate) hung_up: bool,
    pub(crate) ended: Option<EndReason>,
    /// What the far end says and hears.
    encoder: Encoder,
    decoder: Option<Decoder>,
}

impl Call {
    /// A call in slin at `rate`, up to its start.
    pub(crate) fn start(config: Config, rate: SampleRate) -> (Self, Agent) {
        Self::with(config, FarEnd::default(), Codec::slin(rate))
    }

    /// A call whose far end speaks `codec`, up to its start.
    pub(crate) fn with(config: Config, far_end: FarEnd, codec: Codec) -> (Self, Agent) {
        config.validate().unwrap();
        let mut call = Self::unstarted(config, far_end, codec);
        call.hear(&vec![0; codec.rate().frame_len()]);
        let agent = call.take_agent();
        (call, agent)
    }

    /// A call whose far end speaks `codec`, in packets, up to its start: the first packet of `caller` has come.
    pub(crate) fn packets(config: Config, caller: &mut Caller) -> (Self, Agent) {
        config.validate().unwrap();
        let mut call = Self::unstarted(config, FarEnd::default(), caller.encoder.codec());
        let first = caller.say(&vec![0; caller.encoder.codec().rate().frame_len()]);
        call.receive(&first);
        call.idle(1);
        let agent = call.take_agent();
        (call, agent)
    }

    /// A call's media end, before anything has come.
    fn unstarted(config: Config, far_end: FarEnd, codec: Codec) -> Self {
        Self {
            session: Session::new(config, far_end, Timestamp::ZERO),
            now: Timestamp::ZERO,
            wire: vec![],
            sent_at: vec![],
            frames: vec![],
            keys: vec![],
            flushes: 0,
            hung_up: false,
            ended: None,
            encoder: Encoder::new(codec),
            decoder: None,
        }
    }

    fn take_agent(&mut self) -> Agent {
        self.wire.clear();
        self.frames.clear();
        self.session.take_agent().expect("the agent's end after the first audio")
    }

    /// A packet comes now.
    pub(crate) fn receive(&mut self, packet: &Sent) {
        self.session.handle_input(Input::Packet { codec: packet.codec, packet: packet.borrow() }, self.now);
    }

    /// Something comes now; what follows from it is done in the next step.
    pub(crate) fn take(&mut self, input: Input<'_>) {
        self.session.handle_input(input, self.now);
    }

    /// A call with the defaults at 8 kHz.
    pub(crate) fn phone() -> (Self, Agent) {
        Self::start(Config::default(), SampleRate::HZ_8000)
    }

    /// One step of 20 ms in which the caller says this.
    pub(crate) fn hear(&mut self, samples: &[i16]) {
        let payload = self.encoder.encode(samples).unwrap();
        self.session.handle_input(Input::Audio { codec: self.encoder.codec(), payload: &payload }, self.now);
        self.drain();
        self.now = self.now + Duration::from_millis(20);
    }

    /// `frames` steps in which the caller says nothing.
    pub(crate) fn quiet(&mut self, frames: usize) {
        for _ in 0..frames {
            self.hear(&vec![0; self.encoder.codec().rate().frame_len()]);
        }
    }

    /// Steps in which nothing comes from the wire at all.
    pub(crate) fn idle(&mut self, frames: usize) {
        for _ in 0..frames {
            self.drain();
            self.now = self.now + Duration::from_millis(20);
        }
    }

    /// Polls until nothing is left to do now.
    pub(crate) fn drain(&mut self) {
        loop {
            match self.session.poll_output(self.now) {
                Output::Transmit { codec, payload, number, is_agent, begins, .. } => {
                    self.frames.push((number, is_agent, begins));
                    let decoder = match &mut self.decoder {
                        Some(decoder) if decoder.codec() == codec => decoder,
                        _ => self.decoder.insert(Decoder::new(codec)),
                    };
                    self.wire.extend(decoder.decode(payload).unwrap());
                    self.sent_at.push(self.now);
                }
                Output::Dtmf(key) => self.keys.push(key),
                Output::Flush => self.flushes += 1,
                Output::Hangup => self.hung_up = true,
                Output::Ended(reason) => {
                    self.ended = Some(reason);
                    return;
                }
                Output::Timeout(when) => {
                    assert!(when > self.now, "a time-out lies ahead");
                    return;
                }
                Output::Started | Output::Wake => {}
            }
        }
    }

    /// Everything sent that is not silence, as a count of samples.
    pub(crate) fn sounding(&self) -> usize {
        self.wire.iter().filter(|&&sample| sample != 0).count()
    }
}

/// A far end that sends packets.
pub(crate) struct Caller {
    pub(crate) encoder: Encoder,
    sequence: u16,
    timestamp: u32,
}

/// A packet as it left.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    codec: Codec,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { encoder: Encoder::new(codec), sequence: 65_530, timestamp: u32::MAX - 1_000 }
    }

    /// The next packet.
    pub(crate) fn say(&mut self, samples: &[i16]) -> Sent {
        let codec = self.encoder.codec();
        let payload = self.encoder.encode(samples).unwrap();
        let sent = Sent { codec, sequence: self.sequence, timestamp: self.timestamp, payload };
        self.sequence = self.sequence.wrapping_add(1);
        self.pause(samples.len());
        sent
    }

    /// Says nothing for so many samples.
    pub(crate) fn pause(&mut self, samples: usize) {
        let codec = self.encoder.codec();
        let ticks = samples as u64 * u64::from(codec.rtp_clock().hz()) / u64::from(codec.rate().hz());
        self.timestamp = self.timestamp.wrapping_add(ticks as u32);
    }
}

impl Sent {
    pub(crate) fn borrow(&self) -> Packet<'_> {
        let Self { sequence, timestamp, ref payload, .. } = *self;
        Packet { ssrc: 7, sequence, timestamp, marker: false, payload }
    }
}

/// `ms` milliseconds of a tone that never is exactly zero.
pub(crate) fn tone(rate: SampleRate, ms: u64, hz: f32) -> Vec<i16> {
    let n = rate.samples_in(Duration::from_millis(ms));
    (0..n).map(|i| ((i as f32 * TAU * hz / rate.hz() as f32).sin() * 8000.0) as i16 | 1).collect()
}

/// Everything that has happened.
pub(crate) fn events(agent: &mut Agent) -> Vec<Event> {
    std::iter::from_fn(|| agent.events.poll(&mut agent.output)).collect()
}

/// Writes at 8 kHz, all of it, in the present generation.
pub(crate) fn say(agent: &mut Agent, samples: &[i16], tag: &str) {
    let generation = agent.output.generation();
    let written = agent.output.try_write(samples, SampleRate::HZ_8000, tag, generation).unwrap();
    assert_eq!(written, talkpath::session::Written::Taken(samples.len()));
}

/// The largest step between neighbouring samples.
pub(crate) fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// How alike two signals are, 0 to 1, at the best delay of up to `most` samples.
pub(crate) fn likeness(heard: &[i16], said: &[i16], most: usize) -> f64 {
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    (0..most)
        .map(|delay| {
            let n = said.len().min(heard.len() - delay);
            let (a, b) = (&heard[delay..delay + n], &said[..n]);
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        })
        .fold(0.0, f64::max)
}
