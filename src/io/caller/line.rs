//! One call as the caller has it: when it says what, over which wire, and what it hears.
//!
//! It knows no other call and keeps no time; the engine says when, and lends the script.

use std::time::Duration;

use super::flight::Flight;
use super::hearing::Hearing;
use super::script::Script;
use super::wire::{Read, Sent, Wire};
use super::{CallerReport, FRAME};
use crate::Timestamp;
use crate::audio::codec::{Codec, Decoder};
use crate::audio::level::Level;

/// A call's progress.
pub(super) struct Line {
    wire: Wire,
    codec: Codec,
    pub(super) stage: Stage,
    /// When it has something to do.
    pub(super) due: Timestamp,
    connecting_since: Timestamp,
    /// When its first frame was due.
    first_due: Timestamp,
    /// How much longer its second is than everybody's.
    drift: f64,
    next_frame: usize,
    next_key: usize,
    /// What is under way, if the network between is made worse.
    flight: Option<Flight>,
    pub(super) hearing: Hearing,
    /// What its last frame said, in dB of full scale; only if somebody looks.
    pub(super) sent_level: f32,
    meter: Option<Decoder>,
    message: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Talking,
    Over,
}

impl Line {
    /// Makes a call that is being placed.
    pub(super) fn new(
        wire: Wire,
        codec: Codec,
        flight: Option<Flight>,
        drift_ppm: f64,
        hearing: Hearing,
        now: Timestamp,
    ) -> Self {
        let meter = hearing.recording.is_some().then(|| Decoder::new(codec));
        Self {
            wire,
            codec,
            stage: Stage::Connecting,
            due: now + CONNECT_LIMIT,
            connecting_since: now,
            first_due: now,
            drift: drift_ppm * 1e-6,
            next_frame: 0,
            next_key: 0,
            flight,
            hearing,
            sent_level: Level::FLOOR_DBFS,
            meter,
            message: Vec::new(),
        }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Goes on once the wire is connected; frames follow from `first_due` on.
    pub(super) fn connected(&mut self, first_due: Timestamp, now: Timestamp, report: &mut CallerReport) {
        if let Err(failure) = self.wire.greet() {
            self.fail(failure, report);
            return;
        }
        if self.wire.must_connect() {
            report.connecting.record(now.since(self.connecting_since));
            report.connected += 1;
        }
        self.stage = Stage::Talking;
        self.connecting_since = now;
        self.first_due = first_due;
        self.due = first_due;
    }

    /// Does what is due: the next frame, keys before it, what arrives at the end of a worse network, or hanging up.
    pub(super) fn send(&mut self, script: &Script, now: Timestamp, report: &mut CallerReport) {
        match self.stage {
            Stage::Connecting => return self.fail(format!("no connection within {CONNECT_LIMIT:?}"), report),
            Stage::Over => return,
            Stage::Talking => {}
        }
        let is_over = self.position() >= script.duration;
        if !is_over && self.frame_due() <= now {
            self.say(script, now, report);
        }
        self.deliver(now, report);
        if self.stage == Stage::Over {
            return;
        }
        self.wire.tend(now);
        let landing = self.flight.as_ref().and_then(Flight::next);
        let next = self.frame_due();
        match landing {
            // What is under way arrives before the call ends.
            Some(landing) => self.due = if is_over { landing } else { landing.min(next) },
            None if is_over && next <= now => self.finish(now, report),
            None => self.due = next,
        }
    }

    /// Says the next frame.
    fn say(&mut self, script: &Script, now: Timestamp, report: &mut CallerReport) {
        let (position, due) = (self.position(), self.frame_due());
        while let Some(&(_, key)) = script.keys.get(self.next_key).filter(|(at, _)| *at <= position) {
            self.next_key += 1;
            if let Some(message) = self.wire.press(key) {
                self.launch(&message, due, false, report);
            }
        }
        let frame = script.frame(self.next_frame);
        if let Some(Ok(samples)) = self.meter.as_mut().map(|meter| meter.decode(frame)) {
            self.sent_level = Level::measure(&samples).rms_dbfs();
        }
        let mut message = std::mem::take(&mut self.message);
        // Its own clock counts whole frames, however long its second is.
        self.wire.wrap(self.codec, frame, self.first_due + position, &mut message);
        self.launch(&message, due, true, report);
        self.message = message;
        report.send_lateness.record(now.since(due));
        self.next_frame += 1;
    }

    /// Sends a message, on a worse network if there is one between.
    fn launch(&mut self, message: &[u8], due: Timestamp, is_frame: bool, report: &mut CallerReport) {
        match &mut self.flight {
            Some(flight) => report.frames_withheld += u64::from(flight.launch(message, due) == 0 && is_frame),
            None => self.put(message, due, report),
        }
    }

    /// Sends what has come to the end of the worse network.
    fn deliver(&mut self, now: Timestamp, report: &mut CallerReport) {
        while let Some(message) = self.flight.as_mut().and_then(|flight| flight.land(now)) {
            self.put(&message, now, report);
            if let Some(flight) = &mut self.flight {
                flight.recycle(message);
            }
        }
    }

    /// Sends a message now.
    fn put(&mut self, message: &[u8], now: Timestamp, report: &mut CallerReport) {
        match self.wire.send(message) {
            // AudioSocket's message for a key is the only one that is so short.
            Sent::Whole => report.frames_sent += u64::from(message.len() > 4),
            Sent::Blocked => report.frames_blocked += 1,
            Sent::Gone(error) => self.lose(&error, now, report),
        }
    }

    /// Reads what has come.
    pub(super) fn read(&mut self, scratch: &mut [u8], now: Timestamp, report: &mut CallerReport) {
        if self.stage != Stage::Talking {
            return;
        }
        let Self { wire, hearing, .. } = self;
        let must_connect = wire.must_connect();
        let (since, first_due) = (self.connecting_since, self.first_due);
        let read = wire.read(scratch, now, |codec, payload| {
            if hearing.is_silent() {
                report.first_audio.record(now.since(since));
                // Nothing but an answer tells that there is somebody.
                report.connected += usize::from(!must_connect);
            }
            hearing.hear(codec, payload, now.since(first_due), now, report);
        });
        match read {
            Read::All => {}
            Read::Ended => self.end_early(now, report),
            Read::Gone(error) => self.lose(&error, now, report),
        }
    }

    /// Hangs up.
    pub(super) fn finish(&mut self, now: Timestamp, report: &mut CallerReport) {
        if self.stage == Stage::Talking {
            self.wire.hang_up(now);
            if !self.wire.must_connect() && self.hearing.is_silent() {
                return self.fail("no answer".into(), report);
            }
            report.silent += usize::from(self.hearing.is_silent());
            report.frames_lost += self.hearing.lost();
            if let Some(remote) = self.wire.remote() {
                report.far_end_lost += u64::try_from(remote.packets_lost).unwrap_or(0);
                remote.round_trip.into_iter().for_each(|time| report.round_trip.record(time));
            }
        }
        self.stage = Stage::Over;
    }

    /// Ends a call whose far end is gone; one that never was there could not be placed.
    fn lose(&mut self, error: &std::io::Error, now: Timestamp, report: &mut CallerReport) {
        if self.stage == Stage::Over {
            return;
        }
        if !self.wire.must_connect() && self.hearing.is_silent() {
            self.fail(error.to_string(), report);
        } else {
            self.end_early(now, report);
        }
    }

    fn end_early(&mut self, now: Timestamp, report: &mut CallerReport) {
        report.ended_early += 1;
        self.finish(now, report);
    }

    fn fail(&mut self, failure: String, report: &mut CallerReport) {
        self.stage = Stage::Over;
        report.failed += 1;
        report.failure.get_or_insert(failure);
    }

    /// How far it has come on its own clock.
    fn position(&self) -> Duration {
        FRAME * self.next_frame as u32
    }

    /// When its next frame is due.
    fn frame_due(&self) -> Timestamp {
        self.first_due + self.position().mul_f64(1.0 + self.drift)
    }
}

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
