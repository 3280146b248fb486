//! The AudioSocket server over loopback: real sockets and threads, real time, one behaviour a file.
//!
//! Nothing here sleeps: a test waits for the thing itself, and gives up after [`watched::LIMIT`].
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod calls;
mod crowd;
mod ends;
mod harness;
mod hostile;
mod keys;
mod limits;
mod load;
mod news;
mod stop;
#[path = "../common/watched.rs"]
mod watched;
