//! Echo cancellation: takes out of what is heard what was sent a moment ago.
//!
//! What an agent says comes back from the hybrids of analogue lines and from speaker-phones, 20 to 500 ms late; a
//! detector takes it for the caller, and the agent interrupts itself. [`EchoCanceller`] is told what was sent, finds out
//! whether it comes back and when (`delay`), subtracts it (`filter`), and says of each piece what it is made of.
//! A line without echo costs next to nothing: nothing is searched while either side is quiet, and nothing is filtered
//! until an echo was found. While the agent is silent, and on such lines always, samples pass untouched.
//!
//! Why no crate: the ways to speexdsp's canceller want cmake and libclang, or a library of the system, and rest since
//! 2024 (`aec-rs`) and 2020 (`speexdsp-sys`); ports of WebRTC's AEC3 (`sonora`, `aec3`) are maintained, but suppress
//! the caller, too, while both speak, which is the very moment that counts here.
//!
//! It owns no clock. Both streams are counted in samples; of a gap in one of them it learns by the counts running apart.

mod delay;
mod fft;
mod filter;
mod hunt;
mod past;
mod trust;

use std::str::FromStr;
use std::time::Duration;

use crate::audio::frame::SampleRate;
use crate::{Error, Result};
use delay::Search;
use filter::{Filter, Powers};
use hunt::Hunt;
use past::{Alignment, Past};
use trust::Trust;

/// When echo is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoMode {
    /// From when the line has shown an echo to when it no longer does.
    #[default]
    Auto,
    /// From the first sign of an echo on, and for good: for lines that are known to have one.
    On,
    /// Never.
    Off,
}

impl FromStr for EchoMode {
    type Err = Error;

    /// The mode of this name: "auto", "on" or "off".
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is none of these.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            other => Err(Error::invalid(format!("echo canceller {other:?}, wanted \"auto\", \"on\" or \"off\""))),
        }
    }
}

/// What a piece of audio is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// No echo is known, or none can be in it.
    #[default]
    Clear,
    /// Nothing is left but the remains of echo.
    Echo,
    /// More is left than echo leaves, or there is none in it.
    Caller,
    /// There is echo, but the canceller does not know it well enough yet to tell what is left.
    Unsure,
}

/// The echo canceller of one call; see the module's head.
#[derive(Debug)]
pub struct EchoCanceller {
    mode: EchoMode,
    block: usize,
    sent: Past,
    heard: Past,
    alignment: Alignment,
    /// Until so many samples were sent, something loud may come back.
    active_until: u64,
    search: Search,
    hunt: Hunt,
    /// By how much the echo comes late, in samples, once it is known.
    delay: Option<usize>,
    filter: Filter,
    trust: Trust,
    /// Where in what was sent the filter's newest window ends.
    fed: i64,
    window: Vec<f32>,
    /// The block that is worked on.
    work: Vec<f32>,
    /// For pieces that do not fit the blocks: the last block, which comes out while the next one comes in.
    late: Vec<i16>,
    filled: usize,
    is_late: bool,
}

impl EchoCanceller {
    /// Makes a canceller for a line whose samples come at `rate`; `None` if it is off, or at a rate of which 10 ms are no
    /// whole number of samples (11.025 and 22.05 kHz).
    #[must_use]
    pub fn new(rate: SampleRate, mode: EchoMode) -> Option<Self> {
        if mode == EchoMode::Off || !rate.hz().is_multiple_of(100) {
            return None;
        }
        let block = rate.samples_in(BLOCK);
        let search = Search::new(rate);
        let filter = Filter::new(block, rate.samples_in(TAIL));
        let looked_back = search.longest() + search.heard_len().max(filter.window() + filter.slots() * block);
        Some(Self {
            mode,
            block,
            sent: Past::new(looked_back + rate.samples_in(LATEST)),
            heard: Past::new(search.heard_len()),
            alignment: Alignment::new(rate),
            active_until: 0,
            hunt: Hunt::new(rate),
            delay: None,
            trust: Trust::new(),
            fed: NOWHERE,
            window: vec![0.0; filter.window()],
            work: vec![0.0; block],
            late: vec![0; block],
            filled: 0,
            is_late: false,
            search,
            filter,
        })
    }

    /// Takes note of what was sent, silence too, at the rate of what is heard.
    pub fn handle_sent(&mut self, samples: &[i16]) {
        self.sent.push(samples);
        if mean_square(samples) >= LEAST_SENT {
            self.active_until = self.sent.total() + (self.search.longest() + self.filter.slots() * self.block) as u64;
        }
    }

    /// Takes the echo out of what was heard, and says what is left. Never allocates.
    ///
    /// Pieces of whole 10 ms come out as they went in. The first piece of another length delays everything from there
    /// on by 10 ms, once, with silence.
    pub fn cancel(&mut self, samples: &mut [i16]) -> Share {
        self.heard.push(samples);
        if self.alignment.update(self.sent.total(), self.heard.total(), samples.len()) {
            self.fed = NOWHERE;
            self.search.reset();
        }
        let is_active = self.sent.total() < self.active_until;
        if is_active {
            self.look_for_echo(samples);
        }
        if self.delay.is_none() && !self.is_late {
            return Share::Clear;
        }
        let begins = self.heard.total() - samples.len() as u64;
        let mut sum = Powers::default();
        let is_cancelling = is_active && self.delay.is_some();
        self.is_late |= !samples.len().is_multiple_of(self.block);
        if self.is_late {
            for (n, sample) in samples.iter_mut().enumerate() {
                std::mem::swap(sample, &mut self.late[self.filled]);
                self.filled += 1;
                if self.filled == self.block {
                    self.filled = 0;
                    if is_cancelling {
                        let mut block = std::mem::take(&mut self.late);
                        sum.add(self.cancel_block(begins + n as u64 + 1, &mut block));
                        self.late = block;
                    }
                }
            }
        } else if is_cancelling {
            let mut end = begins;
            for block in samples.chunks_exact_mut(self.block) {
                end += self.block as u64;
                sum.add(self.cancel_block(end, block));
            }
        }
        if !is_cancelling {
            return Share::Clear;
        }
        if sum.blocks > 0.0 {
            self.trust.update(&sum);
        }
        if self.trust.has_diverged() {
            self.filter.forget_path();
            self.trust.forget_path();
        }
        if self.mode == EchoMode::Auto && self.trust.is_idle() {
            self.delay = None;
            self.search.reset();
        }
        self.trust.share()
    }

    /// By how much the echo comes late, if there is one.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.delay.map(|delay| self.alignment.rate().duration_of(delay as u64))
    }

    /// By how much the last half second's echo was lessened, in dB (ERLE); 0 if there is no echo.
    #[must_use]
    pub fn erle_db(&self) -> f32 {
        if self.delay.is_some() { self.trust.erle_db() } else { 0.0 }
    }

    /// Decides, if it is time to, whether there is an echo, and where.
    fn look_for_echo(&mut self, samples: &[i16]) {
        let is_settled = self.delay.is_some() && self.trust.is_good();
        if is_settled || mean_square(samples) < LEAST_HEARD || !self.hunt.is_due(samples.len(), self.delay.is_some()) {
            return;
        }
        let end = self.heard.total();
        let peak = self.search.run(&self.heard, end as i64, &self.sent, self.alignment.sent_at(end));
        if let Some(delay) = self.hunt.judge(peak, self.delay, self.mode, self.filter.span()) {
            self.delay = Some(delay);
            self.filter.forget_path();
            self.trust = Trust::new();
            self.fed = NOWHERE;
        }
    }

    /// Cancels the block that ends with sample number `end` of what was heard.
    fn cancel_block(&mut self, end: u64, block: &mut [i16]) -> Powers {
        let Some(delay) = self.delay else { return Powers::default() };
        let newest = self.alignment.sent_at(end) - delay.saturating_sub(LEAD * self.block) as i64;
        let step = self.block as i64;
        let slots = if newest == self.fed + step { 1 } else { self.filter.slots() as i64 };
        for slot in (0..slots).rev() {
            let begin = newest - slot * step - self.window.len() as i64;
            self.sent.read(begin, &mut self.window);
            self.filter.sent(&self.window);
        }
        // What was not sent yet was taken for silence: it is read again with the next block.
        self.fed = if newest <= self.sent.total() as i64 { newest } else { NOWHERE };
        for (work, &sample) in self.work.iter_mut().zip(block.iter()) {
            *work = f32::from(sample);
        }
        let powers = self.filter.cancel(&mut self.work);
        // What an echo path that has changed makes louder stays as it came.
        if powers.echo > 0.0 && powers.left < LOUDER * powers.heard {
            for (sample, work) in block.iter_mut().zip(&self.work) {
                *sample = work.round_ties_even() as i16;
            }
        }
        powers
    }
}

fn mean_square(samples: &[i16]) -> f32 {
    samples.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>() / samples.len().max(1) as f32
}

/// Where no window ends.
const NOWHERE: i64 = i64::MIN / 2;
/// What is worked on at once.
const BLOCK: Duration = Duration::from_millis(10);
/// How many blocks before its peak an echo may begin: the strongest way back need not be the shortest.
const LEAD: usize = 3;
/// How long an echo may last.
const TAIL: Duration = Duration::from_millis(140);
/// How late what was heard may come by its count: a burst after a stall.
const LATEST: Duration = Duration::from_millis(300);
/// By how much a block may become louder.
const LOUDER: f32 = 4.0;
/// The mean square of what is loud enough to come back: -50 dBFS.
const LEAST_SENT: f32 = 1.1e4;
/// The mean square of what is loud enough to be an echo worth cancelling: -60 dBFS.
const LEAST_HEARD: f32 = 1.1e3;
