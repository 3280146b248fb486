//! Plays speech faster or slower by one frame without changing its pitch.
//!
//! A jitter buffer that must catch up, or wait, changes the playing time by a whole frame at once, so that packets stay
//! aligned with ticks and none waits for half of another. The speech before and the speech after the cut are bent until
//! their pitch periods meet, and faded. How well that went is told, so that the caller can leave speech alone that
//! cannot be stretched. When to stretch is the jitter buffer's business.

use super::bridge::{self, Bridge, Side, load};
use super::frame::SampleRate;
use super::pitch;

/// Shortens and lengthens speech; never allocates after [`Stretcher::new`].
///
/// ```
/// use talkpath::audio::{frame::SampleRate, stretch::Stretcher};
///
/// let tone: Vec<i16> = (0..640).map(|n| (8_000.0 * (n as f32 * 0.2).sin()) as i16).collect();
/// let mut stretcher = Stretcher::new(SampleRate::HZ_8000);
/// let mut shorter = [0; 160];
/// assert!(stretcher.accelerate(&tone[..160], &tone[160..], &mut shorter) > Some(0.9));
/// ```
#[derive(Clone, Debug)]
pub struct Stretcher {
    rate: SampleRate,
    bridge: Bridge,
    past: Vec<f32>,
    ahead: Vec<f32>,
    behind: Vec<f32>,
    reversed: Vec<f32>,
}

impl Stretcher {
    /// Makes a stretcher for samples at `rate`.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        let frame = rate.frame_len();
        let reach = frame + bridge::beyond(rate);
        let room = |len: usize| vec![0.0; len];
        Self {
            rate,
            bridge: Bridge::new(frame),
            past: room(2 * frame),
            ahead: room(reach),
            behind: room(reach),
            reversed: room(bridge::matched(rate)),
        }
    }

    /// Plays the first two frames of `next` in one, `out`; gives how alike the two were, 1 being the same.
    ///
    /// `played` is what was played before, at least a frame. What comes in `next` after the two frames is looked at, and is
    /// played unchanged; with less than 10 ms of it pitch periods are matched on one side only. `None`, and `out`
    /// untouched, if there is less than a frame and two.
    pub fn accelerate(&mut self, played: &[i16], next: &[i16], out: &mut [i16]) -> Option<f32> {
        let frame = self.rate.frame_len();
        if played.len() < frame || next.len() < 2 * frame || out.len() != frame {
            return None;
        }
        load(&mut self.ahead, next);
        // Backwards from the end of the second frame, through both, into what was played.
        let before = next[..2 * frame].iter().rev().chain(played.iter().rev());
        self.behind.iter_mut().zip(before).for_each(|(to, &from)| *to = f32::from(from));
        Some(self.join(played, &next[2 * frame..], out))
    }

    /// Makes up a frame, `out`, that can be played before `next`; gives how alike the two sides of it were.
    ///
    /// It repeats the last frame of `played` and leads into `next`. `None`, and `out` untouched, if either has less than
    /// two frames.
    pub fn expand(&mut self, played: &[i16], next: &[i16], out: &mut [i16]) -> Option<f32> {
        let frame = self.rate.frame_len();
        if played.len() < 2 * frame || next.len() < 2 * frame || out.len() != frame {
            return None;
        }
        // A frame later, what follows is known: it is what is played a frame earlier, and the other way about.
        load(&mut self.ahead, next);
        let end = played.iter().rev();
        self.behind.iter_mut().zip(end).for_each(|(to, &from)| *to = f32::from(from));
        Some(self.join(played, next, out))
    }

    fn join(&mut self, played: &[i16], after: &[i16], out: &mut [i16]) -> f32 {
        let matched = bridge::matched(self.rate);
        let len = self.past.len().min(played.len());
        load(&mut self.past[..len], &played[played.len() - len..]);
        let pitch = pitch::find(&self.past[..len], self.rate, self.rate.frame_len() / 2);
        let backwards = played.iter().rev().take(matched);
        self.reversed.iter_mut().zip(backwards).for_each(|(to, &from)| *to = f32::from(from));
        let known = if after.len() < matched { 0 } else { matched };
        load(&mut self.past[..known], &after[..known]);
        let earlier = Side { continued: &self.ahead, meets: &self.past[..known], pitch };
        let later = Side { continued: &self.behind, meets: &self.reversed, pitch };
        self.bridge.join(earlier, later, out)
    }
}
