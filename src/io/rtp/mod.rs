//! RTP over UDP: how the calls of Asterisk's externalMedia, and of any RTP peer, come in and are carried.
//!
//! RTP has no call set-up. Each port of a range is a place for one call: whoever proves on a free one that he sends RTP
//! ([`Entrance`]) has a call there until he is gone. Who is listened to then, and what is sent, is
//! [`protocol::rtp`](crate::protocol::rtp)'s; here are the sockets.

mod entrance;
mod link;
mod ports;

pub(crate) use entrance::Entrance;
pub(crate) use ports::Ports;
