//! Runs other programs, and leaves none of them behind.
//!
//! [`guardian`] is the lower half: a process of its own that is the parent of every program, and its client.

pub mod guardian;
#[allow(dead_code, reason = "shared with talkpath-guard, which uses the other half")]
mod wire;
