//! The user's audio while nobody can take it: the newest five seconds, the rest counted.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::format::AudioFormat;

/// How much audio is held while the provider is away.
pub const MAX_HELD: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped_bytes: u64,
}

impl Held {
    pub(super) fn push(&mut self, audio: &[u8], format: AudioFormat) {
        self.bytes += audio.len();
        self.pieces.push_back(audio.to_vec());
        while self.pieces.len() > 1 && format.duration_of(self.bytes) > MAX_HELD {
            let oldest = self.pieces.pop_front().map_or(0, |piece| piece.len());
            self.bytes -= oldest;
            self.dropped_bytes += oldest as u64;
        }
    }

    pub(super) fn take(&mut self) -> VecDeque<Vec<u8>> {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }

    /// How much was dropped because it came too early.
    pub(super) fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }
}
