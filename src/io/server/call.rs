//! A call as a server hands it to the program.

use std::net::SocketAddr;

use crate::protocol::call_id::CallId;
use crate::session::Agent;

/// A call that has begun.
pub struct Call {
    /// What [`Server::poll_ready`](crate::io::server::Server::poll_ready) calls it; never used twice by a server.
    pub key: u64,
    /// The id that the far end gave it; a random one where the transport knows none.
    pub id: CallId,
    /// Who calls.
    pub peer: SocketAddr,
    /// Where the call came in: of a transport with a port for each call, that port.
    pub local: SocketAddr,
    /// What carries it, by [`Listen::transport`](crate::io::server::Listen::transport).
    pub transport: &'static str,
    /// The end that the program holds.
    pub agent: Agent,
}
