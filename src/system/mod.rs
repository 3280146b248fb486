//! What an agent needs beside audio: secrets that stay secret.
//!
//! This room is not on the media path: it may allocate, lock and wait. It knows nobody but the crate's errors and time;
//! `io` and the languages know it.

pub mod secret;
