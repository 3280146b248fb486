//! What comes back in a call: when its frames came, against when they should have; and the audio of the one that is watched.

use std::time::Duration;

use super::{CallerReport, FRAME, RecordedFrame, Recording};
use crate::Timestamp;
use crate::audio::codec::{Codec, Decoder};
use crate::audio::level::Level;

/// What one call has heard.
pub(super) struct Hearing {
    arrivals: Arrivals,
    pub(super) recording: Option<Recording>,
    /// The level of the last frame, in dB of full scale; only if it is recorded.
    pub(super) level_dbfs: f32,
    decoder: Option<Decoder>,
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

impl Hearing {
    /// Nothing so far; the audio is kept in `recording`, if there is one.
    pub(super) fn new(recording: Option<Recording>) -> Self {
        Self { arrivals: Arrivals::default(), recording, level_dbfs: Level::FLOOR_DBFS, decoder: None }
    }

    /// Takes a frame that came now, `at` after the first one was sent.
    pub(super) fn hear(
        &mut self,
        codec: Codec,
        payload: &[u8],
        at: Duration,
        now: Timestamp,
        report: &mut CallerReport,
    ) {
        self.arrivals.record(now, report);
        let Some(recording) = &mut self.recording else { return };
        if self.decoder.as_ref().is_none_or(|decoder| decoder.codec() != codec) {
            self.decoder = Some(Decoder::new(codec));
        }
        // Half a sample at the end of a message, or an Opus packet that is none, is for the far end's own tests.
        let Some(Ok(samples)) = self.decoder.as_mut().map(|decoder| decoder.decode(payload)) else { return };
        self.level_dbfs = Level::measure(&samples).rms_dbfs();
        recording.frames.push(RecordedFrame { at, rate: codec.rate(), samples: samples.len() });
        recording.samples.extend_from_slice(&samples);
    }

    /// Whether nothing has come at all.
    pub(super) fn is_silent(&self) -> bool {
        self.arrivals.count == 0
    }

    /// How many frames are missing between the first and the last.
    pub(super) fn lost(&self) -> u64 {
        self.arrivals.lost()
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
}
