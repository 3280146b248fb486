//! What an agent needs beside audio: other programs, events for everybody, a record of them, secrets that stay secret.
//!
//! This room is not on the media path: it may have threads, allocate, lock, wait and read a clock. It knows nobody but the
//! crate's errors and time; `io` and the languages know it.

pub mod audit;
pub mod bus;
pub mod clock;
mod fork;
pub mod nats;
pub mod process;
pub mod redact;
pub mod secret;
