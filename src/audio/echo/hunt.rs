//! When an echo is searched for, and what of the findings is believed.
//!
//! A search costs as much as some frames of cancelling, so a line that keeps showing none is asked less and less often.
//! One peak may be chance: a very clear one is believed at once, fainter ones only when several searches in a row find
//! them at the same place.

use super::EchoMode;
use super::delay::Peak;
use crate::audio::frame::SampleRate;

/// The search's schedule and memory in one call.
#[derive(Debug)]
pub(super) struct Hunt {
    /// Samples, heard while an echo could have been among them, since the last search.
    waited: usize,
    /// Samples from one search to the next.
    interval: usize,
    shortest: usize,
    /// The last peak's delay, and how clear the peaks in a row that were there have been in sum.
    last: usize,
    evidence: f32,
    /// Searches in a row that found nothing.
    misses: u32,
}

impl Hunt {
    pub(super) fn new(rate: SampleRate) -> Self {
        let shortest = rate.hz() as usize * SHORTEST_MS / 1_000;
        Self { waited: 0, interval: shortest, shortest, last: 0, evidence: 0.0, misses: 0 }
    }

    /// Takes note of `len` samples that may hold an echo; true if it is time to search. One that is known already is
    /// looked after less often.
    pub(super) fn is_due(&mut self, len: usize, is_known: bool) -> bool {
        self.waited += len;
        let interval = if is_known { self.interval.max(KNOWN * self.shortest) } else { self.interval };
        if self.waited < interval {
            return false;
        }
        self.waited = 0;
        true
    }

    /// Takes a search's result, while an echo at `known` is being cancelled by a filter of `span` samples.
    pub(super) fn judge(
        &mut self,
        peak: Option<Peak>,
        known: Option<usize>,
        mode: EchoMode,
        span: usize,
    ) -> Option<usize> {
        let Some(peak) = peak.filter(|peak| peak.clarity >= FAINT) else {
            self.evidence = 0.0;
            self.misses += 1;
            if self.misses.is_multiple_of(PATIENCE) {
                self.interval = (self.interval * 2).min(self.shortest * LONGEST);
            }
            return None;
        };
        self.misses = 0;
        self.interval = self.shortest;
        let last = std::mem::replace(&mut self.last, peak.delay);
        if last.abs_diff(peak.delay) > self.shortest / 40 {
            self.evidence = 0.0;
        }
        self.evidence += peak.clarity - FAINT;
        let is_sure = self.evidence >= SURE;
        let is_believed = match known {
            None => is_sure || peak.clarity >= CLEAR || mode == EchoMode::On,
            Some(known) => {
                let early = peak.delay + self.shortest / 12;
                let is_within = early >= known && early < known + span / 2;
                !is_within && is_sure && peak.clarity >= CLEAR
            }
        };
        is_believed.then_some(peak.delay)
    }
}

/// What is heard between two searches at first, and how much longer it may become.
const SHORTEST_MS: usize = 60;
const LONGEST: usize = 32;
const KNOWN: usize = 5;
/// So many searches without a result double the time to the next.
const PATIENCE: u32 = 8;
/// A peak less clear than this is none. Speech without an echo reaches 3.7.
const FAINT: f32 = 2.0;
/// How clear a peak is that is believed at once, and how much clearer than [`FAINT`] several must be in sum.
const CLEAR: f32 = 12.0;
const SURE: f32 = 40.0;
