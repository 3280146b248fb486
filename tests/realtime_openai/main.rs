//! OpenAI Realtime, without a network: the messages, and a conversation held to the rules that keep both sides agreed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod connection;
mod harness;
mod messages;
mod properties;
mod turns;
