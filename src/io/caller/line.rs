//! One call as the caller has it: its socket, what it sends next, and when what came back should have come.
//!
//! It knows no other call and keeps no time; the engine says when, and lends the prepared messages.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{CallerReport, FRAME, RecordedFrame, Recording};
use crate::Timestamp;
use crate::audio::codec::slin;
use crate::audio::frame::SampleRate;
use crate::audio::level::Level;
use crate::protocol::audiosocket::{Decoder, Kind, Message, encode_into};
use crate::protocol::call_id::CallId;

/// A call's progress.
pub(super) struct Line {
    stream: TcpStream,
    id: CallId,
    pub(super) stage: Stage,
    /// When its next frame is due.
    pub(super) due: Timestamp,
    connecting_since: Timestamp,
    /// When its first frame was due.
    first_due: Timestamp,
    next_frame: usize,
    next_key: usize,
    unsent: Vec<u8>,
    decoder: Decoder,
    arrivals: Arrivals,
    pub(super) recording: Option<Recording>,
    pub(super) sent_level: f32,
    pub(super) received_level: f32,
    is_watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Talking,
    Over,
}

/// When frames came, against when they should have.
#[derive(Default)]
struct Arrivals {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    /// When frame 0 would have come if all had been as punctual as the most punctual one.
    anchor_us: i64,
}

/// What all calls say, encoded once.
pub(super) struct Script {
    /// One message a frame, all of the same length.
    messages: Vec<u8>,
    message_len: usize,
    silence: Vec<u8>,
    is_looped: bool,
    pub(super) duration: Duration,
    pub(super) keys: Vec<(Duration, char)>,
}

impl Script {
    pub(super) fn new(audio: &[i16], rate: SampleRate, is_looped: bool) -> Self {
        let frame_len = rate.frame_len();
        let encode = |samples: &[i16]| {
            let mut payload = vec![0; frame_len * 2];
            for (bytes, sample) in payload.chunks_exact_mut(2).zip(samples) {
                bytes.copy_from_slice(&sample.to_le_bytes());
            }
            let mut message = vec![0; payload.len() + 3];
            // The caller has checked that the rate has a kind, and the room is exact.
            let _ = encode_into(Kind::Audio(rate), &payload, &mut message);
            message
        };
        let silence = encode(&[]);
        let messages = audio.chunks(frame_len).flat_map(encode).collect();
        let message_len = silence.len();
        Self { messages, message_len, silence, is_looped, duration: Duration::ZERO, keys: Vec::new() }
    }

    /// The message of frame `index`.
    fn message(&self, index: usize) -> &[u8] {
        let frames = self.messages.len() / self.message_len;
        let index = if self.is_looped && frames > 0 { index % frames } else { index };
        self.messages.chunks_exact(self.message_len).nth(index).unwrap_or(&self.silence)
    }
}

impl Line {
    pub(super) fn new(stream: TcpStream, id: CallId, now: Timestamp, watched: Option<Recording>) -> Self {
        Self {
            stream,
            id,
            stage: Stage::Connecting,
            due: now + CONNECT_LIMIT,
            connecting_since: now,
            first_due: now,
            next_frame: 0,
            next_key: 0,
            unsent: Vec::new(),
            decoder: Decoder::of_answer(),
            arrivals: Arrivals::default(),
            is_watched: watched.is_some(),
            recording: watched,
            sent_level: Level::FLOOR_DBFS,
            received_level: Level::FLOOR_DBFS,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Goes on once the socket is writable: sends the id; frames follow from `first_due` on.
    pub(super) fn connected(&mut self, first_due: Timestamp, now: Timestamp, report: &mut CallerReport) {
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            self.fail(format!("connect: {error}"), report);
            return;
        }
        report.connecting.record(now.since(self.connecting_since));
        let mut message = [0; 19];
        let _ = encode_into(Kind::Id, self.id.as_bytes(), &mut message);
        if let Err(error) = self.stream.write_all(&message) {
            self.fail(format!("send the id: {error}"), report);
            return;
        }
        report.connected += 1;
        self.stage = Stage::Talking;
        self.connecting_since = now;
        self.first_due = first_due;
        self.due = first_due;
    }

    /// Does what is due: the next frame, keys before it, or hanging up.
    pub(super) fn send(&mut self, script: &Script, now: Timestamp, report: &mut CallerReport) {
        match self.stage {
            Stage::Connecting => self.fail(format!("no connection within {CONNECT_LIMIT:?}"), report),
            Stage::Over => {}
            Stage::Talking => {
                let position = self.due.since(self.first_due);
                if position >= script.duration {
                    self.finish(report);
                    return;
                }
                while let Some(&(at, key)) = script.keys.get(self.next_key).filter(|(at, _)| *at <= position) {
                    debug_assert!(at <= position);
                    self.write(&[0x03, 0, 1, key as u8], report);
                    self.next_key += 1;
                }
                let message = script.message(self.next_frame);
                self.write(message, report);
                if self.is_watched {
                    self.sent_level = level_of(&message[3..]);
                }
                report.send_lateness.record(now.since(self.due));
                self.next_frame += 1;
                self.due = self.due + FRAME;
            }
        }
    }

    fn write(&mut self, message: &[u8], report: &mut CallerReport) {
        let Self { stream, unsent, .. } = self;
        if !unsent.is_empty() {
            match stream.write(unsent) {
                Ok(n) => drop(unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.end_early(report),
            }
        }
        if !self.unsent.is_empty() {
            report.frames_blocked += 1;
            return;
        }
        match self.stream.write(message) {
            Ok(n) => {
                self.unsent.extend_from_slice(&message[n..]);
                report.frames_sent += u64::from(message.len() > 4);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => report.frames_blocked += 1,
            Err(_) => self.end_early(report),
        }
    }

    /// Reads what has come.
    pub(super) fn read(&mut self, scratch: &mut [u8], now: Timestamp, report: &mut CallerReport) {
        if self.stage != Stage::Talking {
            return;
        }
        let read = match self.stream.read(scratch) {
            Ok(n) if n > 0 => n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            _ => return self.end_early(report),
        };
        let mut input = &scratch[..read];
        loop {
            match self.decoder.poll(&mut input) {
                Ok(None) => return,
                Ok(Some(Message::Audio { rate, payload })) => {
                    if self.arrivals.count == 0 {
                        report.first_audio.record(now.since(self.connecting_since));
                    }
                    self.arrivals.record(now, report);
                    if self.is_watched {
                        self.received_level = level_of(payload);
                    }
                    if let Some(recording) = &mut self.recording {
                        recording.add(now.since(self.first_due), rate, payload);
                    }
                }
                Ok(Some(Message::Hangup)) | Err(_) => return self.end_early(report),
                Ok(Some(Message::Dtmf(_) | Message::Error { .. } | Message::Id(_))) => {}
            }
        }
    }

    /// Hangs up as Asterisk does: by closing.
    pub(super) fn finish(&mut self, report: &mut CallerReport) {
        if self.stage == Stage::Talking {
            report.silent += usize::from(self.arrivals.count == 0);
            report.frames_lost += self.arrivals.lost();
        }
        self.stage = Stage::Over;
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn end_early(&mut self, report: &mut CallerReport) {
        report.ended_early += 1;
        self.finish(report);
    }

    fn fail(&mut self, failure: String, report: &mut CallerReport) {
        self.stage = Stage::Over;
        report.failed += 1;
        report.failure.get_or_insert(failure);
    }
}

impl Arrivals {
    fn record(&mut self, now: Timestamp, report: &mut CallerReport) {
        let frame_us = FRAME.as_micros() as i64;
        let ideal = now.as_micros() as i64 - self.count as i64 * frame_us;
        report.frames_received += 1;
        if self.count == 0 {
            self.first = now;
            self.anchor_us = ideal;
        } else {
            let gap = now.since(self.last);
            report.gaps += u64::from(gap > FRAME * 3 / 2);
            report.longest_gap = report.longest_gap.max(gap);
        }
        self.anchor_us = self.anchor_us.min(ideal);
        if self.count >= WARM_UP {
            report.lateness.record(Duration::from_micros((ideal - self.anchor_us) as u64));
        }
        self.last = now;
        self.count += 1;
    }

    /// How many frames are missing between the first and the last.
    fn lost(&self) -> u64 {
        let span = self.last.since(self.first) + FRAME / 2;
        let expected = (span.as_micros() / FRAME.as_micros()) as u64 + 1;
        expected.saturating_sub(self.count)
    }
}

impl Recording {
    fn add(&mut self, at: Duration, rate: SampleRate, payload: &[u8]) {
        let start = self.samples.len();
        self.samples.resize(start + payload.len() / 2, 0);
        slin::decode_le(&payload[..payload.len() & !1], &mut self.samples[start..]);
        self.frames.push(RecordedFrame { at, rate, samples: payload.len() / 2 });
    }
}

fn level_of(payload: &[u8]) -> f32 {
    let mut samples = [0; 1_920];
    let count = (payload.len() / 2).min(samples.len());
    slin::decode_le(&payload[..count * 2], &mut samples[..count]);
    Level::measure(&samples[..count]).rms_dbfs()
}

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many frames it takes to find a call's grid: half a second.
const WARM_UP: u64 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(at_ms: impl IntoIterator<Item = u64>) -> (Arrivals, CallerReport) {
        let (mut arrivals, mut report) = (Arrivals::default(), CallerReport::default());
        at_ms.into_iter().for_each(|ms| arrivals.record(Timestamp::from_millis(ms), &mut report));
        (arrivals, report)
    }

    #[test]
    fn punctual_frames_are_never_late() {
        let (arrivals, report) = arrive((0..100).map(|i| 1_000 + i * 20));
        assert_eq!((arrivals.lost(), report.gaps, report.frames_received), (0, 0, 100));
        assert_eq!((report.lateness.count(), report.lateness.max()), (75, Duration::ZERO));
        assert_eq!(report.longest_gap, FRAME);
    }

    #[test]
    fn a_late_frame_is_late_against_the_grid_and_the_next_is_not() {
        let (arrivals, report) = arrive((0..100).map(|i| 1_000 + i * 20 + if i == 60 { 15 } else { 0 }));
        assert_eq!((arrivals.lost(), report.gaps), (0, 1));
        assert_eq!(report.lateness.max(), Duration::from_millis(15));
        assert!(report.lateness.quantile(0.98) < Duration::from_micros(20), "all the others");
    }

    #[test]
    fn a_late_start_does_not_make_the_rest_look_early() {
        let (_, report) = arrive((0..100).map(|i| 1_000 + i * 20 + if i == 0 { 12 } else { 0 }));
        assert_eq!(report.lateness.max(), Duration::ZERO);
    }

    #[test]
    fn a_missing_frame_is_lost_and_a_gap() {
        let (arrivals, report) = arrive((0..100).filter(|i| *i != 50 && *i != 51).map(|i| 1_000 + i * 20));
        assert_eq!((arrivals.lost(), report.gaps), (2, 1));
        assert_eq!(report.longest_gap, Duration::from_millis(60));
    }

    #[test]
    fn a_script_says_its_audio_in_whole_frames_and_then_silence() {
        let rate = SampleRate::HZ_8000;
        let script = Script::new(&[0x0102; 200], rate, false);
        assert_eq!(script.message(0)[..5], [0x10, 1, 64, 2, 1]);
        assert_eq!(script.message(1)[3 + 80..], [0; 240], "the last frame is filled up");
        assert_eq!(script.message(2)[3..], [0; 320]);
        assert_eq!(script.message(usize::MAX)[3..], [0; 320]);
        let looped = Script::new(&[0x0102; 200], rate, true);
        assert_eq!(looped.message(2), looped.message(0));
    }
}
