//! WebSocket (RFC 6455): the HTTP upgrade, frames and messages, for a server and for a client.
//!
//! [`handshake`] reads and writes the two HTTP heads; from then on a [`Decoder`] turns the byte stream, in any pieces,
//! into [`Message`]s, and [`encode_into`] writes one message as one frame into a buffer of the caller's, so that it can go
//! out in one write. Neither allocates per message, and every length that a peer may claim has a limit. What messages mean
//! is the sub-protocol's business; random numbers (masks, keys) are passed in, as time is.
//!
//! Frames are written here rather than taken from `tungstenite`, whose messages own their payloads: one allocation each.
//! It is the peer that the tests hold this against.

pub mod handshake;

mod decoder;
mod frame;
mod url;

pub use decoder::{Close, DecodeError, Decoder, Message, Role};
pub use frame::{EncodeError, FrameError, Header, MAX_CONTROL_LEN, MAX_HEADER_LEN, Opcode, apply_mask, encode_into};
pub use url::Url;

/// Status codes of a closing (RFC 6455, section 7.4.1): those that talkpath sends.
pub mod close_code {
    /// The connection has done what it was for.
    pub const NORMAL: u16 = 1_000;
    /// The server stops.
    pub const GOING_AWAY: u16 = 1_001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1_002;
    /// The peer sent something that is not wanted here.
    pub const UNSUPPORTED: u16 = 1_003;
    /// A text was not UTF-8.
    pub const NOT_UTF8: u16 = 1_007;
    /// The peer broke a rule that has no code of its own.
    pub const POLICY: u16 = 1_008;
    /// A message was longer than it may be.
    pub const TOO_LONG: u16 = 1_009;
    /// The server has no place left: the peer may try again later.
    pub const TRY_AGAIN_LATER: u16 = 1_013;
}
