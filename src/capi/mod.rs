//! The C library: check pointers, convert, call the core, convert. One file a C type.
//!
//! `include/talkpath.h` is generated from here by cbindgen and holds the conventions for C programmers in its own head
//! (`include/cbindgen.toml`). In short: every function that can fail returns a [`TalkpathStatus`](status::TalkpathStatus) and writes its outputs
//! only on success; a panic becomes a status; what was wrong is kept as a text per thread. No rule about audio lives here.
#![allow(unsafe_code)]

pub mod agent;
pub mod audiosocket;
pub mod bus;
mod check;
pub mod codec;
pub mod event;
pub mod g711;
pub mod jitter;
pub mod level;
pub mod opus;
pub mod process;
pub mod receipt;
pub mod resampler;
pub mod server;
pub mod session;
pub mod session_config;
pub mod speech_gate;
pub mod status;
pub mod vad;
pub mod version;
