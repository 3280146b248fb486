//! Keys that the agent presses: one after the other, as tones in band or by the transport's own means.
//!
//! A key lasts 100 ms and its pause as long, so that any receiver tells two keys apart. Meanwhile what the agent says is
//! held back, not dropped: tones with speech over them are not heard as keys, and a transport that sends keys in place of
//! frames (RFC 4733) would drop what is in those frames. An interruption does not take keys back.

use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use crate::audio::dtmf::DtmfGenerator;
use crate::audio::frame::SampleRate;

/// The keys of one call, as the media end plays them.
pub(super) struct Keypad {
    waiting: HeapCons<char>,
    generator: DtmfGenerator,
    /// How many frames a key and its pause take if the transport sends it; `None`: keys are played as tones.
    frames: Option<usize>,
    /// How many of them are left.
    left: usize,
}

impl Keypad {
    /// Makes a keypad for frames of `frame` samples at `rate`.
    pub(super) fn new(waiting: HeapCons<char>, rate: SampleRate, frame: usize, takes_dtmf: bool) -> Self {
        let frames_in = |duration| rate.samples_in(duration).div_ceil(frame);
        // A transport repeats the end of a key, which takes two frames more at least.
        let frames = frames_in(DtmfGenerator::TONE) + frames_in(DtmfGenerator::PAUSE).max(2);
        let generator = DtmfGenerator::new(rate);
        Self { waiting, generator, frames: takes_dtmf.then_some(frames), left: 0 }
    }

    /// Presses the next key if its turn has come; answers it if the transport is to send it. To be asked before each frame.
    pub(super) fn press(&mut self) -> Option<char> {
        if self.is_busy() {
            return None;
        }
        let key = self.waiting.try_pop()?;
        if let Some(frames) = self.frames {
            self.left = frames;
            return Some(key);
        }
        // The writing end takes keys only, so this cannot fail.
        let _ = self.generator.press(key);
        None
    }

    /// Whether the frame that comes next belongs to a key.
    pub(super) fn is_busy(&self) -> bool {
        self.left > 0 || !self.generator.is_idle()
    }

    /// Whether no key sounds and none waits.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy() && self.waiting.is_empty()
    }

    /// Plays its part of a frame; says whether there is a tone in it.
    pub(super) fn play(&mut self, frame: &mut [i16]) -> bool {
        self.left = self.left.saturating_sub(1);
        let mut done = 0;
        let mut sounds = false;
        while !self.generator.is_idle() {
            sounds |= self.generator.is_sounding();
            done += self.generator.mix_into(&mut frame[done..]);
            if done == frame.len() {
                break;
            }
            // Keys follow each other on the sample, also where a packet time is no whole part of theirs.
            self.press();
        }
        sounds
    }
}

/// How many keys may wait.
pub(super) const MAX_KEYS: usize = 64;
