//! What all calls say, encoded once: a thousand callers then cost little more than their system calls.

use std::time::Duration;

use super::FRAME;
use crate::Result;
use crate::audio::codec::{Codec, Encoder};

/// The frames of a call, its keys, and its end.
pub(super) struct Script {
    /// One frame after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    silence: Vec<u8>,
    is_looped: bool,
    pub(super) duration: Duration,
    pub(super) keys: Vec<(Duration, char)>,
}

impl Script {
    /// Encodes `audio` in frames, the last one filled up with silence.
    pub(super) fn new(audio: &[i16], codec: Codec, is_looped: bool) -> Result<Self> {
        let mut frame = vec![0; codec.samples_per_frame(FRAME)];
        let mut encoder = Encoder::new(codec);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for samples in audio.chunks(frame.len()) {
            frame[..samples.len()].copy_from_slice(samples);
            frame[samples.len()..].fill(0);
            bytes.extend(encoder.encode(&frame)?);
            ends.push(bytes.len());
        }
        frame.fill(0);
        let silence = encoder.encode(&frame)?;
        Ok(Self { bytes, ends, silence, is_looped, duration: Duration::ZERO, keys: Vec::new() })
    }

    /// Frame `index`; silence after the last.
    pub(super) fn frame(&self, index: usize) -> &[u8] {
        let count = self.ends.len();
        let index = if self.is_looped && count > 0 { index % count } else { index };
        let Some(&end) = self.ends.get(index) else { return &self.silence };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::Encoding;
    use crate::audio::frame::SampleRate;

    #[test]
    fn a_script_says_its_audio_in_whole_frames_and_then_silence() {
        let slin = Codec::Plain { encoding: Encoding::Slin, rate: SampleRate::HZ_8000 };
        let script = Script::new(&[0x0102; 200], slin, false).unwrap();
        assert_eq!(script.frame(0), [2, 1].repeat(160));
        assert_eq!(script.frame(1)[..80], [2, 1].repeat(40));
        assert_eq!(script.frame(1)[80..], [0; 240], "the last frame is filled up");
        assert_eq!(script.frame(2), [0; 320]);
        assert_eq!(script.frame(usize::MAX), [0; 320]);
        let looped = Script::new(&[0x0102; 200], slin, true).unwrap();
        assert_eq!(looped.frame(2), looped.frame(0));
    }

    #[test]
    fn frames_of_any_length_are_kept_apart() {
        let opus = Codec::opus(SampleRate::HZ_16000).unwrap();
        let audio: Vec<i16> = (0..320 * 10).map(|n| (n * n % 9_000) as i16).collect();
        let script = Script::new(&audio, opus, false).unwrap();
        for index in 0..12 {
            assert_eq!(opus.samples_in(script.frame(index)).unwrap(), 320, "{index}");
        }
    }
}
