//! What the agent says: written in any amount at any rate, played at the wire's own pace.
//!
//! Resampling happens here, on the writer's own time, so that the media end only copies. Each chunk is aligned with the
//! clock of the wire to the sample: the resampler's delay is skipped at the start of an utterance, and a chunk carries as
//! a provisional *tail* what the filter still holds; the media end plays the tail only if nothing follows in time.
//!
//! Chunks are shared by both ends and freed here: the media end never allocates nor frees.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringbuf::traits::{Observer, Producer};

use crate::audio::dtmf::DtmfGenerator;
use crate::audio::frame::SampleRate;
use crate::audio::resample::Resampler;
use crate::session::config::Config;
use crate::session::event::{Event, InterruptCause};
use crate::session::keypad::MAX_KEYS;
use crate::session::position::{Ledger, Mark, Receipt};
use crate::session::rings::{Chunk, OutboundRings, QueuedMark};
use crate::session::shared::{HangupRequest, Shared};
use crate::{Error, ErrorKind, Result};

/// The writing end of what the agent says.
pub struct AgentOutput {
    shared: Arc<Shared>,
    rings: OutboundRings,
    limit_samples: u64,
    generation: u16,
    ledger: Ledger,
    /// Ledgers of generations that the core interrupted, until their event has been read.
    retired: VecDeque<(u16, Ledger)>,
    resampler: Option<Feed>,
    /// The tail that the newest chunk carries; it becomes real when the rate changes.
    tail: Vec<i16>,
    /// Every chunk that the media end may still hold.
    alive: VecDeque<Arc<Chunk>>,
    names: VecDeque<(u32, String)>,
    next_number: u32,
    pub(super) own_events: VecDeque<Event>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many samples were taken; fewer than were given if the queue is full.
    Taken(usize),
    /// Nothing was taken: the generation has been interrupted.
    Stale,
}

/// A resampler, and how much of its ramp-up is still to be skipped.
struct Feed {
    resampler: Resampler,
    skip: usize,
}

impl AgentOutput {
    pub(super) fn new(shared: Arc<Shared>, config: &Config, rings: OutboundRings) -> Self {
        Self {
            ledger: Ledger::new(shared.format.output.rate()),
            limit_samples: (config.output_limit_bytes / size_of::<i16>()) as u64,
            shared,
            rings,
            generation: 0,
            retired: VecDeque::new(),
            resampler: None,
            tail: Vec::new(),
            alive: VecDeque::new(),
            names: VecDeque::new(),
            next_number: 0,
            own_events: VecDeque::new(),
        }
    }

    /// The generation that writes belong to now; every interruption, the agent's or the core's own, starts the next.
    pub fn generation(&mut self) -> u16 {
        self.catch_up();
        self.generation
    }

    /// Takes as much of `pcm` as there is room for, to be played after all that was written before.
    ///
    /// `generation` is what [`generation`](Self::generation) said when the writer began: if an interruption came between,
    /// nothing is taken. When less is taken than was given, the agent end is woken once there is room.
    ///
    /// # Errors
    /// [`SessionEnded`](ErrorKind::SessionEnded) once the call is over or is hanging up.
    pub fn try_write(&mut self, pcm: &[i16], rate: SampleRate, tag: &str, generation: u16) -> Result<Written> {
        self.check_open()?;
        self.free_played();
        self.catch_up();
        if generation != self.generation {
            return Ok(Written::Stale);
        }
        let taken = pcm.len().min(self.room(rate));
        if taken < pcm.len() {
            self.shared.wants_room.store(true, Ordering::Release);
        }
        if taken == 0 {
            return Ok(Written::Taken(0));
        }
        let number = self.number_of(tag);
        let (samples, wire) = self.resample(&pcm[..taken], rate);
        let start = self.ledger.end() - self.tail.len() as u64;
        let tail = self.provisional_tail();
        self.ledger.write(tag, number, rate, taken as u64, wire as u64);
        let chunk = Arc::new(Chunk { generation, tag: number, start, samples, tail: tail.clone() });
        self.tail = tail;
        self.alive.push_back(Arc::clone(&chunk));
        // There is a slot: `room` has looked, and this end alone fills the ring.
        let pushed = self.rings.chunks.try_push(chunk);
        debug_assert!(pushed.is_ok(), "a slot was there");
        self.shared.written.store(Mark { generation, samples: self.ledger.end() });
        self.ledger.forget_played(self.played());
        Ok(Written::Taken(taken))
    }

    /// Sets a mark after all that was written so far: [`Event::MarkPlayed`] says when playout has reached it. False if
    /// there is no room for another mark now.
    ///
    /// # Errors
    /// [`SessionEnded`](ErrorKind::SessionEnded) once the call is over or is hanging up.
    pub fn mark(&mut self, name: &str) -> Result<bool> {
        self.check_open()?;
        self.catch_up();
        if self.rings.marks.is_full() {
            return Ok(false);
        }
        let number = self.name(name);
        let mark = QueuedMark { generation: self.generation, number, at: self.ledger.end() };
        Ok(self.rings.marks.try_push(mark).is_ok())
    }

    /// Presses keys, `0` to `9`, `*`, `#` and `A` to `D`: 100 ms each and as much apart, beginning at once.
    ///
    /// They go by the transport's own means, or as tones. What the agent says meanwhile waits until they are over; they are
    /// no part of it in receipts, and an interruption does not take them back.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for what is no key, [`LimitExceeded`](ErrorKind::LimitExceeded) if
    /// more than 64 would wait, [`SessionEnded`](ErrorKind::SessionEnded) once the call is over or is hanging up; then none
    /// of them is pressed.
    pub fn send_dtmf(&mut self, keys: &str) -> Result<()> {
        self.check_open()?;
        if let Some(other) = keys.chars().find(|&key| !DtmfGenerator::is_key(key)) {
            return Err(Error::invalid(format!("key {other:?}, wanted one of 0 to 9, *, #, A to D")));
        }
        let room = self.rings.keys.vacant_len();
        if keys.len() > room {
            let message = format!("{} keys where {MAX_KEYS} may wait, wanted at most {room} now", keys.len());
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        self.rings.keys.push_iter(keys.chars());
        Ok(())
    }

    /// Says that what was written so far is complete: it plays at once, however short, and its end is no underrun.
    pub fn complete(&mut self) {
        self.catch_up();
        self.shared.complete.store(Mark { generation: self.generation, samples: self.ledger.end() });
    }

    /// Drops all that waits for playout, and says exactly what was heard. At once; a 5 ms fade follows on the wire.
    ///
    /// Of a far end that confirms what it plays, the queue is dropped too: what was not confirmed by now is discarded.
    pub fn interrupt(&mut self) -> Receipt {
        self.catch_up();
        let stopped = self.shared.playout.interrupt();
        if stopped.generation != self.generation {
            // The core was quicker by a moment: its own interruption is the one with a receipt.
            self.retire(stopped.generation);
        }
        let played = self.shared.played(stopped.generation, stopped.samples);
        let receipt = self.ledger.receipt(stopped.generation, played, self.shared.certainty(), true);
        self.begin(stopped.generation.wrapping_add(1));
        let counters = &self.shared.counters;
        counters.output_discarded_us.fetch_add(receipt.discarded().as_micros() as u64, Ordering::Relaxed);
        counters.interruptions.fetch_add(1, Ordering::Relaxed);
        self.own_events.push_back(Event::Interrupted { receipt: receipt.clone(), cause: InterruptCause::Agent });
        receipt
    }

    /// Stops playout where it is, with a fade; what waits keeps waiting.
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::Release);
    }

    /// Goes on where [`pause`](Self::pause) stopped.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::Release);
    }

    /// Whether playout is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.shared.paused.load(Ordering::Acquire)
    }

    /// Whether all that was written has been played or discarded; with a far end that confirms, what it has confirmed.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.shared.unplayed() == 0
    }

    /// How much waits for playout.
    #[must_use]
    pub fn buffered(&self) -> Duration {
        self.shared.format.output.rate().duration_of(self.shared.queued())
    }

    /// How much waits for playout, in bytes as held.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.shared.queued() as usize * size_of::<i16>()
    }

    /// How much may wait for playout, in bytes as held.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.limit_samples as usize * size_of::<i16>()
    }

    /// How many samples at `rate` would be taken now.
    #[must_use]
    pub fn room(&self, rate: SampleRate) -> usize {
        if self.rings.chunks.is_full() {
            return 0;
        }
        let wire = self.limit_samples.saturating_sub(self.shared.queued());
        (wire * u64::from(rate.hz()) / u64::from(self.shared.format.output.rate().hz())) as usize
    }

    /// What was received and played in the present generation.
    pub fn position(&mut self) -> Receipt {
        self.catch_up();
        self.ledger.receipt(self.generation, self.played(), self.shared.certainty(), false)
    }

    /// Why nothing can be written, if the call is over.
    fn check_open(&self) -> Result<()> {
        if let Some(reason) = self.shared.ended() {
            return Err(Error::new(ErrorKind::SessionEnded, format!("the session has ended ({reason})")));
        }
        if self.shared.hangup_request() != HangupRequest::None {
            return Err(Error::new(ErrorKind::SessionEnded, "the session is hanging up"));
        }
        Ok(())
    }

    /// Turns what the core interrupted by itself into a receipt.
    pub(super) fn settle(&mut self, generation: u16, played: u64) -> Receipt {
        self.catch_up();
        let retired = self.retired.iter().position(|(number, _)| *number == generation);
        let ledger = retired.and_then(|index| self.retired.remove(index)).map(|(_, ledger)| ledger);
        let ledger = ledger.unwrap_or_else(|| Ledger::new(self.shared.format.output.rate()));
        let receipt = ledger.receipt(generation, played, self.shared.certainty(), true);
        let discarded = receipt.discarded().as_micros() as u64;
        self.shared.counters.output_discarded_us.fetch_add(discarded, Ordering::Relaxed);
        receipt
    }

    /// The tag or mark that has this number.
    pub(super) fn name_of(&self, number: u32) -> String {
        self.names.iter().rev().find(|(n, _)| *n == number).map(|(_, name)| name.clone()).unwrap_or_default()
    }

    /// Takes note of an interruption by the core.
    fn catch_up(&mut self) {
        let now = self.shared.playout.load().generation;
        if now != self.generation {
            self.retire(now);
        }
    }

    /// Keeps the present ledger for the receipt to come, and begins the generation `now`.
    fn retire(&mut self, now: u16) {
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(self.shared.format.output.rate()));
        self.retired.push_back((self.generation, ledger));
        if self.retired.len() > KEPT_LEDGERS {
            self.retired.pop_front();
        }
        self.begin(now);
    }

    fn begin(&mut self, generation: u16) {
        self.generation = generation;
        self.ledger = Ledger::new(self.shared.format.output.rate());
        self.resampler = None;
        self.tail.clear();
        self.shared.written.store(Mark { generation, samples: 0 });
    }

    fn played(&self) -> u64 {
        let playout = self.shared.playout.load();
        if playout.generation != self.generation {
            return 0;
        }
        self.shared.played(playout.generation, playout.samples)
    }

    fn number_of(&mut self, tag: &str) -> u32 {
        match self.ledger.number_of(tag) {
            Some(number) => number,
            None => self.name(tag),
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.names.push_back((number, name.to_owned()));
        if self.names.len() > KEPT_NAMES {
            self.names.pop_front();
        }
        number
    }

    /// Resamples; answers the samples that are final now, and how many wire samples the input stands for in all.
    fn resample(&mut self, pcm: &[i16], rate: SampleRate) -> (Vec<i16>, usize) {
        let wire_rate = self.shared.format.output.rate();
        let same = self.resampler.as_ref().is_some_and(|feed| feed.resampler.from_rate() == rate);
        let mut samples = Vec::new();
        if !same {
            // What the old filter still held is final now: nothing of its rate follows.
            samples.extend_from_slice(&self.tail);
            let resampler = Resampler::new(rate, wire_rate);
            self.resampler = Some(Feed { skip: resampler.delay_samples(), resampler });
        }
        let Some(feed) = &mut self.resampler else { return (samples, 0) };
        let wire = feed.resampler.output_len(pcm.len());
        let skip = feed.skip.min(wire);
        feed.skip -= skip;
        let at = samples.len();
        samples.resize(at + wire, 0);
        // The room is exact, so this cannot fail.
        let _ = feed.resampler.process_into(pcm, &mut samples[at..]);
        samples.drain(at..at + skip);
        (samples, wire)
    }

    /// What the filter would give out if nothing followed: as much as makes the output as long as the input was.
    fn provisional_tail(&self) -> Vec<i16> {
        let Some(feed) = &self.resampler else { return Vec::new() };
        if feed.resampler.delay_samples() == 0 {
            return Vec::new();
        }
        let mut tail = feed.resampler.clone().flush();
        tail.drain(..feed.skip.min(tail.len()));
        tail
    }

    /// Frees the chunks that the media end has let go of.
    pub(super) fn free_played(&mut self) {
        while self.alive.front().is_some_and(|chunk| Arc::strong_count(chunk) == 1) {
            self.alive.pop_front();
        }
    }
}

impl Drop for AgentOutput {
    /// A session that nobody can speak into any more ends, unless a hangup was asked for.
    fn drop(&mut self) {
        if self.shared.hangup_request() == HangupRequest::None {
            self.shared.request_hangup(HangupRequest::Failed);
        }
    }
}

/// How many interrupted generations may wait for their events to be read.
const KEPT_LEDGERS: usize = 16;
/// How many names of tags and marks are remembered for events to come.
const KEPT_NAMES: usize = 1024;
