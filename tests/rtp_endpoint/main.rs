//! Two ends of a call over RTP, in virtual time: who is listened to, what is sent, and what is reported.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod harness;
mod identity;
mod media;
mod payload_types;
mod probation;
mod properties;
mod reports;
