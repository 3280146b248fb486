//! AudioSocket over TCP: how Asterisk's calls come in and are carried.
//!
//! Its messages are [`protocol::audiosocket`](crate::protocol::audiosocket)'s; here are its sockets, before a connection
//! has given its id ([`Entrance`]) and after.

mod entrance;
mod link;

pub(crate) use entrance::Entrance;
