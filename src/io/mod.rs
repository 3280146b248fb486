//! The only room with sockets, threads and a clock.
//!
//! It carries bytes between sockets and [`session`](crate::session)s, which know neither. Media threads own their
//! connections and share nothing with each other; a door thread accepts, checks and buries connections, so that no
//! stranger and no clean-up ever costs a running call its frame.

pub mod audiosocket;
pub mod caller;
pub mod clock;
mod door;
mod driver;
pub mod log;
mod media;
pub mod notify;
pub mod priority;
mod socket;
pub mod stats;
