//! The jitter buffer, from packets to frames, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod codecs;
mod counters;
mod harness;
mod loss;
mod modes;
mod network;
mod pauses;
mod properties;
