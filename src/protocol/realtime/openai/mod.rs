//! OpenAI Realtime over WebSocket, as generally available: its messages, and what to do when.
//!
//! [`ClientEvent`] and [`ServerEvent`] are the messages, the latter with room for what is not known yet: a new event must
//! not break a call. [`Conversation`] is the state of one conversation across reconnects: turns, responses, what was
//! received of them, and every rule that keeps the two sides agreed on it. The beta's shape is not spoken; its names of
//! audio events are understood, since compatible servers still use them.
//!
//! Source: the provider's reference of November 2026, and what its servers answered.

mod client;
mod config;
mod conversation;
mod fault;
mod format;
mod server;

pub use client::{ClientEvent, Role};
pub use config::{SessionConfig, TurnDetection};
pub use conversation::{Conversation, MAX_APPEND_BYTES, MAX_HELD, Notice, Output, Refused};
pub use fault::{Fault, close_is_recoverable};
pub use format::AudioFormat;
pub use server::{MAX_MESSAGE_BYTES, RateLimit, ResponseStatus, ServerEvent};
