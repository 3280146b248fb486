//! Asterisk's chan_websocket: how its calls come in, how they are called out for, and how they are carried.
//!
//! Asterisk connects to us (`Dial(WebSocket/…)` with a section of its `websocket_client.conf`), or waits for us to connect
//! to it (`Dial(WebSocket/INCOMING/…)`); from the channel's start on, both are alike. Messages are
//! [`protocol::websocket`](crate::protocol::websocket)'s, what they say is
//! [`protocol::chan_websocket`](crate::protocol::chan_websocket)'s; here are the sockets, before a connection is a call
//! ([`Entrance`]) and after.

mod entrance;
mod greeting;
mod link;
mod masks;
mod outlet;

pub(crate) use entrance::Entrance;
