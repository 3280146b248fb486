//! The audit log: what a writer writes verifies, and nothing that was changed does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod harness;
mod killed;
mod recording;
mod resume;
mod rotation;
mod tampering;
mod writing;
