//! The only room with sockets, threads and a clock.
//!
//! It carries bytes between sockets and [`session`](crate::session)s, which know neither. Media threads own their
//! connections and share nothing with each other; a door thread accepts, checks and buries connections, so that no
//! stranger and no clean-up ever costs a running call its frame.

mod audiosocket;
mod bind;
pub mod caller;
pub mod clock;
pub mod log;
pub mod notify;
pub mod priority;
mod rtp;
pub mod server;
pub mod short_text;
mod socket;
pub mod stats;
mod tcp;
mod websocket;
