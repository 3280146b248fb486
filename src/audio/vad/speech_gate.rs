//! Turns frame-by-frame verdicts into the edges of speech: one onset, one offset.
//!
//! A single voiced frame may be a click, and a single unvoiced one a stop consonant. [`SpeechGate`] wants some speech
//! before it says onset and some quiet before it says offset, and tells how long ago the edge really was, so that a
//! listener can reach back for the first syllable. It owns no audio and no clock: time is the length of the frames.

use std::time::Duration;

/// An edge of speech, found a little after it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Speech began.
    Onset {
        /// How long before the end of the frame just judged the first voiced frame of this run began.
        ago: Duration,
    },
    /// Speech ended.
    Offset {
        /// How long before the end of the frame just judged the last voiced frame ended.
        ago: Duration,
    },
}

/// Hysteresis over verdicts: speech must last to count, and quiet must last to end it.
#[derive(Clone, Debug)]
pub struct SpeechGate {
    min_speech: Duration,
    hangover: Duration,
    in_speech: bool,
    /// Voiced time in the present run, sure frames counted twice.
    voiced: Duration,
    /// Time since the present run began, gaps included.
    run: Duration,
    /// Unvoiced time since the last voiced frame.
    quiet: Duration,
}

impl SpeechGate {
    /// Speech that must be heard before an onset is reported, unless told otherwise.
    pub const MIN_SPEECH: Duration = Duration::from_millis(60);
    /// Quiet that must be heard before an offset is reported, unless told otherwise.
    pub const HANGOVER: Duration = Duration::from_millis(300);

    /// The score from which on a frame counts twice towards an onset.
    pub const SURE: f32 = 0.9;

    /// Makes a gate that wants `min_speech` of voiced frames for an onset and `hangover` of unvoiced ones for an
    /// offset.
    ///
    /// With a `min_speech` of zero the first voiced frame is an onset; with a `hangover` of zero the first unvoiced
    /// frame is an offset.
    #[must_use]
    pub fn new(min_speech: Duration, hangover: Duration) -> Self {
        Self {
            min_speech,
            hangover,
            in_speech: false,
            voiced: Duration::ZERO,
            run: Duration::ZERO,
            quiet: Duration::ZERO,
        }
    }

    /// Takes the verdict on the next frame, which is `frame` long, and returns an edge if it completes one.
    ///
    /// Before an onset, a gap of one 20 ms frame does not break a run, and a voiced frame whose `score` is at least
    /// [`SpeechGate::SURE`] counts twice: clear speech is known sooner than speech in noise.
    pub fn update(&mut self, speech: bool, score: f32, frame: Duration) -> Option<Edge> {
        if speech {
            self.voiced += if score >= Self::SURE { 2 * frame } else { frame };
            self.run += frame;
            self.quiet = Duration::ZERO;
        } else {
            self.quiet += frame;
            self.run += frame;
        }
        if self.in_speech {
            if !speech && self.quiet >= self.hangover {
                let ago = self.quiet;
                self.reset();
                return Some(Edge::Offset { ago });
            }
        } else if speech && self.voiced >= self.min_speech {
            self.in_speech = true;
            return Some(Edge::Onset { ago: self.run });
        } else if self.voiced.is_zero() || self.quiet > GAP {
            self.reset();
        }
        None
    }

    /// Forgets the present run; no edge is reported for it.
    pub fn reset(&mut self) {
        self.in_speech = false;
        self.voiced = Duration::ZERO;
        self.run = Duration::ZERO;
        self.quiet = Duration::ZERO;
    }

    /// Whether an onset has been reported and its offset has not.
    #[must_use]
    pub fn in_speech(&self) -> bool {
        self.in_speech
    }
}

impl Default for SpeechGate {
    fn default() -> Self {
        Self::new(Self::MIN_SPEECH, Self::HANGOVER)
    }
}

/// The longest gap that does not break a run before its onset: one frame, as between a stop and its vowel.
const GAP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn feed(gate: &mut SpeechGate, pattern: &str) -> Vec<(usize, Edge)> {
        let verdicts = pattern.chars().map(|c| c == '#').enumerate();
        verdicts.filter_map(|(i, speech)| Some((i, gate.update(speech, 0.0, FRAME)?))).collect()
    }

    #[test]
    fn an_onset_reaches_back_to_the_first_voiced_frame() {
        let mut gate = SpeechGate::default();
        assert_eq!(feed(&mut gate, "..###"), [(4, Edge::Onset { ago: Duration::from_millis(60) })]);
        assert!(gate.in_speech());
    }

    #[test]
    fn what_was_quiet_before_is_no_part_of_a_run() {
        for quiet in 0..4 {
            let edges = feed(&mut SpeechGate::default(), &(".".repeat(quiet) + "###"));
            assert_eq!(edges, [(quiet + 2, Edge::Onset { ago: Duration::from_millis(60) })]);
        }
    }

    #[test]
    fn one_missing_frame_does_not_break_a_run_but_two_do() {
        let edges = feed(&mut SpeechGate::default(), "##.#");
        assert_eq!(edges, [(3, Edge::Onset { ago: Duration::from_millis(80) })]);
        assert_eq!(feed(&mut SpeechGate::default(), "##..#"), []);
    }

    #[test]
    fn sure_frames_count_twice() {
        let mut gate = SpeechGate::default();
        assert_eq!(gate.update(true, SpeechGate::SURE, FRAME), None);
        assert_eq!(gate.update(true, 0.5, FRAME), Some(Edge::Onset { ago: 2 * FRAME }));
    }

    #[test]
    fn an_offset_waits_for_the_hangover() {
        let mut gate = SpeechGate::new(FRAME, Duration::from_millis(60));
        let edges = feed(&mut gate, "#..#...");
        let onset = (0, Edge::Onset { ago: FRAME });
        assert_eq!(edges, [onset, (6, Edge::Offset { ago: Duration::from_millis(60) })]);
        assert!(!gate.in_speech());
    }

    #[test]
    fn zero_limits_act_on_the_first_frame() {
        let mut gate = SpeechGate::new(Duration::ZERO, Duration::ZERO);
        let edges = feed(&mut gate, "#.");
        assert_eq!(edges, [(0, Edge::Onset { ago: FRAME }), (1, Edge::Offset { ago: FRAME })]);
    }
}
