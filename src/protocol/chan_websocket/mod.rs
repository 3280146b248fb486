//! chan_websocket: what Asterisk says about a call beside its audio, and what it can be told.
//!
//! Asterisk's WebSocket channel driver (20.16, 22.6, 23.0 and later) sends and takes media as binary messages, in the
//! codec of the channel and without any header, and control messages as text: lines of words, or JSON where its
//! configuration or the dial string says so (`f(json)`, 22.8 and later). [`Event`] reads either, [`Command`] writes
//! either. The driver plays what it is sent at the pace of the call from a queue of its own, so that it can say how far
//! it is ([`Command::MarkMedia`]) and forget the rest ([`Command::FlushMedia`]); [`FarQueue`] keeps account of it. How messages are framed is
//! [`websocket`](super::websocket)'s business. The source is Asterisk 22's `chan_websocket.c` and its documentation.

mod command;
mod event;
mod fields;
mod queue;

use crate::audio::codec::{Codec, Encoding};
use crate::audio::frame::SampleRate;

pub use command::{Command, MAX_COMMAND_LEN};
pub use event::{Event, EventError, MediaStart, Status};
pub use queue::{FarQueue, Plan};

/// The sub-protocol that both sides name in the handshake.
pub const SUBPROTOCOL: &str = "media";

/// The longest message that Asterisk sends or takes, in bytes; it closes the connection on a longer one.
pub const MAX_MESSAGE_LEN: usize = 65_500;

/// How control messages are written; the same both ways in one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Lines of words: `MARK_MEDIA 7`. Asterisk's default, and to be removed one day.
    #[default]
    PlainText,
    /// JSON: `{"command":"MARK_MEDIA","correlation_id":"7"}`.
    Json,
}

impl Format {
    /// The format that a message is in: JSON begins with a brace.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Json } else { Self::PlainText }
    }
}

/// The codec that one of Asterisk's format names stands for; nothing for one that talkpath does not speak.
///
/// Opus is decoded to 24 kHz, all that speech synthesis has.
///
/// ```
/// use talkpath::audio::codec::Codec;
/// use talkpath::protocol::chan_websocket::codec_of;
///
/// assert_eq!(codec_of("ulaw"), Some(Codec::PCMU));
/// assert_eq!(codec_of("slin16").map(|codec| codec.rate().hz()), Some(16_000));
/// assert_eq!(codec_of("g729"), None);
/// ```
#[must_use]
pub fn codec_of(format: &str) -> Option<Codec> {
    match format {
        "ulaw" => Some(Codec::PCMU),
        "alaw" => Some(Codec::PCMA),
        "g722" => Some(Codec::G722),
        "opus" => Codec::opus(SampleRate::HZ_24000).ok(),
        _ => {
            let hz = match format.strip_prefix("slin")? {
                "" => 8_000,
                "12" => 12_000,
                "16" => 16_000,
                "24" => 24_000,
                "32" => 32_000,
                "44" => 44_100,
                "48" => 48_000,
                "96" => 96_000,
                "192" => 192_000,
                _ => return None,
            };
            // In the order of the machine's bytes, which is little-endian wherever Asterisk is packaged.
            SampleRate::new(hz).ok().map(|rate| Codec::Plain { encoding: Encoding::Slin, rate })
        }
    }
}
