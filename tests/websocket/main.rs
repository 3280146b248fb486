//! Asterisk's chan_websocket over loopback: real sockets and threads, a far end by tungstenite, one behaviour a file.
//!
//! Nothing here sleeps: a test waits for the thing itself, and gives up after [`watched::LIMIT`].
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::result_large_err, reason = "tungstenite's signatures")]

mod calls;
mod connect;
mod control;
mod ends;
mod harness;
mod hostile;
mod marks;
#[path = "../common/watched.rs"]
mod watched;
