//! What every transport does alike, seen from the door thread: the trait [`Entrance`].
//!
//! An entrance owns the sockets on which calls come in, and whoever has not become a call yet, or is not one any more. It
//! decides who may come in; where a call is carried is the [`Hall`]'s business.

use std::net::SocketAddr;

use crate::io::server::Target;
use crate::io::server::hall::Hall;
use crate::io::server::link::Link;
use crate::protocol::call_id::CallId;
use crate::{Error, Result, Timestamp};

/// How calls come in, on one transport.
pub(crate) trait Entrance: Send {
    /// Has the hall watch its sockets; from here on calls come in.
    fn open(&mut self, hall: &mut Hall) -> Result<()>;

    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;

    /// Looks after the socket that it had watched under this token.
    fn attend(&mut self, token: u64, hall: &mut Hall);

    /// Whether it can [`connect`](Self::connect).
    fn makes_calls(&self) -> bool {
        false
    }

    /// Calls out, and tells the hall what becomes of it; only of an entrance that makes calls.
    fn connect(&mut self, _attempt: u64, _target: &Target, _hall: &mut Hall) {}

    /// Keeps a port for the call with this id until then, and answers which; only on a transport with a port for each call.
    fn expect(&mut self, _id: CallId, _until: Timestamp, _hall: &Hall) -> Result<SocketAddr> {
        Err(Error::invalid(format!(
            "a port kept on {}, wanted a transport with a port for each call",
            self.local_addr()
        )))
    }

    /// Takes back the link of a call that has ended: says goodbye, reuses what can be.
    fn take_back(&mut self, id: CallId, peer: SocketAddr, link: Box<dyn Link>, hall: &mut Hall);

    /// Does what is due.
    fn keep_deadlines(&mut self, now: Timestamp, hall: &mut Hall);

    /// When something is due next.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Lets nobody in from here on; whoever is being seen off may still leave.
    fn close(&mut self, hall: &mut Hall);

    /// How many have come and are no call yet.
    fn pending(&self) -> usize;

    /// Whether there is nobody left to see off.
    fn is_empty(&self) -> bool;
}
