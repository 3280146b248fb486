//! From the agent to the wire: one frame a tick, whatever the agent's code does.
//!
//! The agent writes in bursts, late, or not at all; here it becomes a steady stream: audio is gathered until a prebuffer
//! is full (learned from the underruns it would have prevented), played without a gap, and surrounded by silence. At every
//! edit (start, end, underrun, interruption, pause) 5 ms of fade keep the ear from hearing a click: forwards by a ramp, and
//! where audio just stops, by the last 5 ms played backwards and faded out, which joins without a step.
//!
//! It works on the wire's samples alone: resampling was done by whoever wrote.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringbuf::traits::{Consumer, Split};
use ringbuf::{HeapCons, HeapRb};

use super::NoticeWriter;
use super::acks::Acks;
use super::config::{Config, FarEnd};
use super::event::Notice;
use super::keypad::{Keypad, MAX_KEYS};
use super::position::Mark;
use super::rings::{Chunk, OutboundRings, QueuedMark};
use super::shared::{HangupRequest, Shared};
use super::stats::bump32;
use crate::Timestamp;
use crate::audio::frame::SampleRate;

/// The outbound half of a session's media end.
pub(super) struct Outbound {
    shared: Arc<Shared>,
    chunks: HeapCons<Arc<Chunk>>,
    marks: HeapCons<QueuedMark>,
    rate: SampleRate,
    /// The chunk that playout is in; kept until the next one comes, for its tail.
    current: Option<Arc<Chunk>>,
    /// Where playout stands, as last agreed with the shared cursor.
    at: Mark,
    state: State,
    /// Since when the agent has been speaking without a longer pause.
    speaking_since: Option<Timestamp>,
    tag: Option<u32>,
    dry: Option<Dry>,
    prebuffer: Prebuffer,
    frame: Vec<i16>,
    fade: Fade,
    keypad: Keypad,
    /// What a far end that confirms has confirmed.
    acks: Option<Acks>,
    /// Where the end lies that the far end is yet to confirm, for [`Notice::Drained`].
    drains_at: Option<Mark>,
    /// The far end's queue is to be dropped.
    flush: bool,
    /// When something was last sent or confirmed.
    moved_at: Timestamp,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    /// How many of its samples are the agent's.
    pub(super) agents: usize,
    /// Whether there is anything in it: agent audio, the fade that ends it, or a key's tone.
    pub(super) sounds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing waits.
    Idle,
    /// Something waits, but not yet enough of it.
    Gathering { since: Timestamp },
    /// One frame a tick goes out.
    Playing,
}

/// Playout has run dry: the end of what was said, or an underrun. What follows tells.
#[derive(Clone, Copy, Debug)]
struct Dry {
    at: Timestamp,
    generation: u16,
    tag: Option<u32>,
    expected: bool,
}

impl Outbound {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> (Self, OutboundRings) {
        let rate = shared.format.output.rate();
        let samples = shared.format.output.samples_per_frame(config.ptime);
        let (chunks, chunks_end) = HeapRb::new(MAX_CHUNKS).split();
        let (marks, marks_end) = HeapRb::new(MAX_MARKS).split();
        let (keys, keys_end) = HeapRb::new(MAX_KEYS).split();
        let FarEnd { acks, takes_dtmf } = shared.far_end;
        let prebuffer =
            Prebuffer { now: config.prebuffer, floor: config.prebuffer.min(FLOOR), max: config.prebuffer_max };
        let mut outbound = Self {
            shared,
            chunks: chunks_end,
            marks: marks_end,
            rate,
            current: None,
            at: Mark { generation: 0, samples: 0 },
            state: State::Idle,
            speaking_since: None,
            tag: None,
            dry: None,
            prebuffer,
            frame: vec![0; samples],
            fade: Fade::new(rate),
            keypad: Keypad::new(keys_end, rate, samples, takes_dtmf),
            acks: acks.then(Acks::new),
            drains_at: None,
            flush: false,
            moved_at: Timestamp::ZERO,
        };
        outbound.publish_prebuffer();
        (outbound, OutboundRings { chunks, marks, keys })
    }

    /// Presses the next key if its turn has come, and answers it if the transport is to send it: before the next frame.
    pub(super) fn press_key(&mut self) -> Option<char> {
        self.keypad.press()
    }

    /// Whether the far end's queue is to be dropped now, because of an interruption.
    pub(super) fn take_flush(&mut self) -> bool {
        if self.acks.is_some() {
            self.follow_generation();
        }
        std::mem::take(&mut self.flush)
    }

    /// Fills the frame that is due at `now`, which is number `number` of the call.
    pub(super) fn fill(&mut self, now: Timestamp, number: u64, notices: &mut NoticeWriter) -> Filled {
        let taken = loop {
            let playout = self.follow_generation();
            // What is sent before the far end has dropped its queue would be dropped with it.
            let n = if self.flush { 0 } else { self.due(now, playout, notices) };
            if n == 0 {
                break 0;
            }
            // Whoever interrupts between the load and this has won, and the loop looks again.
            if let Ok(at) = self.shared.playout.advance(playout, n as u64) {
                self.copy(playout.samples, n, notices);
                self.at = at;
                break n;
            }
        };
        let fades = self.fade.apply(&mut self.frame, taken);
        let is_key = self.keypad.play(&mut self.frame);
        if let Some(acks) = &mut self.acks {
            acks.sent(number, self.at);
        }
        if taken > 0 && taken < self.frame.len() {
            self.run_dry(now, notices);
        }
        if taken > 0 {
            self.speaking_since.get_or_insert(now);
            self.moved_at = now;
        }
        self.pass_marks(notices);
        Filled { agents: taken, sounds: taken > 0 || fades || is_key }
    }

    /// Takes the far end's word that it has played every frame up to this one.
    pub(super) fn confirm(&mut self, number: u64, now: Timestamp, notices: &mut NoticeWriter) {
        let Some(acks) = &mut self.acks else { return };
        if !acks.confirm(number) {
            return;
        }
        self.shared.acked.store(acks.heard());
        self.moved_at = now;
        self.pass_marks(notices);
        let heard = self.heard();
        if self.drains_at.take_if(|end| end.generation == self.at.generation && end.samples <= heard).is_some() {
            notices.push(Notice::Drained);
        }
    }

    /// The frame that [`fill`](Self::fill) filled.
    pub(super) fn frame(&self) -> &[i16] {
        &self.frame
    }

    /// Drops all that waits; does nothing if nothing does.
    pub(super) fn interrupt(&mut self, notices: &mut NoticeWriter) {
        if self.state == State::Idle && self.shared.unplayed() == 0 {
            return;
        }
        let stopped = self.shared.playout.interrupt();
        let played = self.shared.played(stopped.generation, stopped.samples);
        self.shared.counters.interruptions.fetch_add(1, Ordering::Relaxed);
        notices.push(Notice::Interrupted { generation: stopped.generation, played });
    }

    /// Since when the agent has been speaking, if it speaks now.
    pub(super) fn speaking_since(&self) -> Option<Timestamp> {
        if self.state == State::Playing || self.is_unconfirmed() { self.speaking_since } else { None }
    }

    /// Whether nothing waits and nothing sounds; a far end that confirms is waited for, but not for ever.
    pub(super) fn is_silent(&self, now: Timestamp) -> bool {
        let has_sent = self.shared.queued() == 0 && self.state == State::Idle && !self.fade.sounding;
        has_sent && self.keypad.is_idle() && (!self.is_unconfirmed() || now.since(self.moved_at) > PATIENCE)
    }

    /// Whether something was sent that the far end may confirm and has not.
    fn is_unconfirmed(&self) -> bool {
        self.heard() < self.at.samples
    }

    /// How much of the generation that plays was heard.
    fn heard(&self) -> u64 {
        self.shared.played(self.at.generation, self.at.samples)
    }

    /// Where playout stands; what waits of generations before it is dropped.
    fn follow_generation(&mut self) -> Mark {
        let playout = self.shared.playout.load();
        if playout.generation != self.at.generation {
            self.drop_generation(playout);
        }
        playout
    }

    /// Drops what waits of generations before the one that plays now.
    fn drop_generation(&mut self, playout: Mark) {
        self.at = playout;
        self.state = State::Idle;
        self.current = None;
        self.tag = None;
        self.dry = None;
        self.speaking_since = None;
        self.drains_at = None;
        if self.acks.is_some() {
            self.flush = true;
            // What would be faded from is dropped by the far end.
            self.fade.sounding = false;
        }
        while self.chunks.try_peek().is_some_and(|chunk| is_older(chunk.generation, playout.generation)) {
            self.chunks.try_pop();
        }
    }

    /// How many samples are to be played in this frame.
    fn due(&mut self, now: Timestamp, playout: Mark, notices: &mut NoticeWriter) -> usize {
        if self.keypad.is_busy() {
            return 0;
        }
        let hangup = self.shared.hangup_request() != HangupRequest::None;
        if self.shared.paused.load(Ordering::Acquire) && !hangup {
            return 0;
        }
        let written = self.shared.written.load();
        let queued =
            if written.generation == playout.generation { written.samples.saturating_sub(playout.samples) } else { 0 };
        if self.state == State::Idle && queued > 0 {
            self.state = State::Gathering { since: now };
            self.judge_gap(now, notices);
        }
        if let State::Gathering { since } = self.state {
            let complete = self.shared.complete.load() == written;
            let enough = self.rate.duration_of(queued) >= self.prebuffer.now || now.since(since) >= self.prebuffer.now;
            if !(enough || complete || hangup) {
                return 0;
            }
            self.state = State::Playing;
        }
        if self.state == State::Playing && queued == 0 {
            self.run_dry(now, notices);
        }
        self.frame.len().min(queued as usize)
    }

    /// Copies `n` samples from position `from` on into the frame.
    fn copy(&mut self, from: u64, n: usize, notices: &mut NoticeWriter) {
        let mut done = 0;
        while done < n {
            let position = from + done as u64;
            if self.current.as_ref().is_none_or(|chunk| position >= chunk.start + chunk.samples.len() as u64)
                && self.chunks.try_peek().is_some_and(|chunk| chunk.generation == self.at.generation)
            {
                self.current = self.chunks.try_pop();
                continue;
            }
            let Some(chunk) = &self.current else { break };
            let skip = (position - chunk.start) as usize;
            let part = match chunk.samples.get(skip..) {
                Some(part) if !part.is_empty() => part,
                _ => chunk.tail.get(skip - chunk.samples.len()..).unwrap_or_default(),
            };
            let m = part.len().min(n - done);
            if m == 0 {
                break;
            }
            self.frame[done..done + m].copy_from_slice(&part[..m]);
            if self.tag != Some(chunk.tag) {
                self.tag = Some(chunk.tag);
                notices.push(Notice::PlaybackStarted { tag: chunk.tag });
            }
            done += m;
        }
        // Cannot happen while both ends count alike; silence is the answer if it does.
        self.frame[done..n].fill(0);
    }

    /// Nothing is left to play.
    fn run_dry(&mut self, now: Timestamp, notices: &mut NoticeWriter) {
        self.state = State::Idle;
        // Its tail is out; letting go of it lets the agent's end free it.
        self.current = None;
        let expected = self.shared.complete.load() == self.shared.written.load();
        self.dry = Some(Dry { at: now, generation: self.at.generation, tag: self.tag, expected });
        if self.acks.is_some() {
            self.drains_at = Some(self.at);
        } else {
            notices.push(Notice::Drained);
        }
    }

    /// Something waits again: an underrun if it goes on where it ran dry a moment ago.
    fn judge_gap(&mut self, now: Timestamp, notices: &mut NoticeWriter) {
        let Some(dry) = self.dry.take() else { return };
        let gap = now.since(dry.at);
        if gap > GRACE {
            self.speaking_since = None;
            self.prebuffer.shrink();
            self.publish_prebuffer();
            return;
        }
        let tag = self.chunks.try_peek().map(|chunk| chunk.tag);
        if dry.generation != self.at.generation || dry.expected || tag.is_none() || tag != dry.tag {
            return;
        }
        if let Some(tag) = tag {
            bump32(&self.shared.counters.underruns);
            notices.push(Notice::Underrun { tag, gap });
            self.prebuffer.grow(gap);
            self.publish_prebuffer();
        }
    }

    /// Reports the marks that playout has reached.
    fn pass_marks(&mut self, notices: &mut NoticeWriter) {
        let heard = self.heard();
        while let Some(&mark) = self.marks.try_peek() {
            let reached = mark.generation == self.at.generation && mark.at <= heard;
            if !reached && !is_older(mark.generation, self.at.generation) {
                return;
            }
            self.marks.try_pop();
            if reached {
                notices.push(Notice::MarkPlayed { mark: mark.number });
            }
        }
    }

    fn publish_prebuffer(&mut self) {
        self.shared.counters.prebuffer_us.store(self.prebuffer.now.as_micros() as u64, Ordering::Relaxed);
    }
}

/// How much is gathered before playout starts.
#[derive(Clone, Copy, Debug)]
struct Prebuffer {
    now: Duration,
    floor: Duration,
    max: Duration,
}

impl Prebuffer {
    /// An underrun of `gap` would not have been heard with that much more.
    fn grow(&mut self, gap: Duration) {
        self.now = (self.now * 3 / 2).max(self.now + gap).min(self.max);
    }

    fn shrink(&mut self) {
        self.now = (self.now * 7 / 8).max(self.floor);
    }
}

/// Fades at edits, so that none of them clicks.
#[derive(Debug)]
struct Fade {
    /// From 1 to 0 along a raised cosine.
    ramp: Vec<f32>,
    /// The last samples that went out.
    last: Vec<i16>,
    /// Whether the last frame ended in audio that has not been faded.
    sounding: bool,
}

impl Fade {
    fn new(rate: SampleRate) -> Self {
        let len = rate.samples_in(FADE);
        let step = std::f32::consts::PI / len as f32;
        let ramp = (0..len).map(|n| 0.5 + 0.5 * ((n as f32 + 0.5) * step).cos()).collect();
        Self { ramp, last: vec![0; len], sounding: false }
    }

    /// Joins a frame, of which the first `n` samples are audio, to the one before, and fills the rest; says whether it
    /// fades out.
    fn apply(&mut self, frame: &mut [i16], n: usize) -> bool {
        let len = self.ramp.len();
        if n > 0 && !self.sounding {
            for (sample, fade) in frame[..n].iter_mut().zip(self.ramp.iter().rev()) {
                *sample = (f32::from(*sample) * fade) as i16;
            }
        }
        if n >= len {
            self.last.copy_from_slice(&frame[n - len..n]);
        } else {
            self.last.rotate_left(n);
            self.last[len - n..].copy_from_slice(&frame[..n]);
        }
        let was_sounding = self.sounding;
        self.sounding = n == frame.len();
        if self.sounding {
            return false;
        }
        frame[n..].fill(0);
        let fades = n > 0 || was_sounding;
        if fades {
            let backwards = self.last.iter().rev().zip(&self.ramp);
            for (out, (sample, fade)) in frame[n..].iter_mut().zip(backwards) {
                *out = (f32::from(*sample) * fade) as i16;
            }
        }
        fades
    }
}

/// Whether a generation comes before another; they wrap around.
fn is_older(generation: u16, than: u16) -> bool {
    (generation.wrapping_sub(than) as i16) < 0
}

const FADE: Duration = Duration::from_millis(5);
/// Audio of the same tag that comes later than this is a new utterance, not the end of a gap.
const GRACE: Duration = Duration::from_millis(500);
/// The least that a prebuffer shrinks to.
const FLOOR: Duration = Duration::from_millis(40);
/// How many writes may wait; beyond it the writer waits as it does when the bytes are full.
const MAX_CHUNKS: usize = 1024;
const MAX_MARKS: usize = 64;
/// How long a far end may take nothing, or confirm nothing, before the end of a call waits for it no longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
