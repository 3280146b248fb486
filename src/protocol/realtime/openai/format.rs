//! The formats of audio that the provider takes and gives.

use std::time::Duration;

use serde_json::{Value, json};

use crate::audio::codec::Codec;
use crate::audio::frame::SampleRate;

/// How audio is written, the same both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// 16-bit little-endian samples at 24 kHz.
    Pcm24k,
    /// G.711 mu-law at 8 kHz.
    Pcmu,
    /// G.711 A-law at 8 kHz.
    Pcma,
}

impl AudioFormat {
    /// The format for a call: G.711 goes through as it is, all else is resampled to 24 kHz.
    #[must_use]
    pub fn for_codec(codec: Codec) -> Self {
        match codec {
            Codec::PCMU => Self::Pcmu,
            Codec::PCMA => Self::Pcma,
            _ => Self::Pcm24k,
        }
    }

    /// The codec that reads and writes it.
    #[must_use]
    pub fn codec(self) -> Codec {
        match self {
            Self::Pcm24k => Codec::slin(SampleRate::HZ_24000),
            Self::Pcmu => Codec::PCMU,
            Self::Pcma => Codec::PCMA,
        }
    }

    /// How long so many bytes last.
    #[must_use]
    pub fn duration_of(self, bytes: usize) -> Duration {
        let bytes_per_ms = match self {
            Self::Pcm24k => 48,
            Self::Pcmu | Self::Pcma => 8,
        };
        Duration::from_micros(bytes as u64 * 1_000 / bytes_per_ms)
    }

    /// Its name in a session's configuration.
    #[must_use]
    pub fn to_json(self) -> Value {
        match self {
            Self::Pcm24k => json!({"type": "audio/pcm", "rate": 24_000}),
            Self::Pcmu => json!({"type": "audio/pcmu"}),
            Self::Pcma => json!({"type": "audio/pcma"}),
        }
    }
}
