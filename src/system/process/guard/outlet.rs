//! How the guardian and its keepers tell the agent something: one packet a notice, on the socket all of them share.

use std::os::fd::RawFd;

use crate::sys::{self, PollFd};
use crate::wire::Notice;

/// The way to the agent.
#[derive(Clone, Copy)]
pub(crate) struct Outlet {
    socket: RawFd,
    /// Has something once there is no more point in waiting for an agent that does not read.
    end: PollFd,
}

impl Outlet {
    /// Tells the agent at the other end of `socket`, for as long as `end` has nothing.
    pub(crate) fn new(socket: RawFd, end: PollFd) -> Self {
        Self { socket, end }
    }

    /// Tells it, with a descriptor if there is one, and waits while the agent has not read what came before.
    pub(crate) fn tell(self, notice: &Notice, fd: Option<RawFd>) {
        let mut bytes = Vec::with_capacity(32);
        notice.encode(&mut bytes);
        // Any other failure is that the agent no longer listens; that is seen, and acted upon, where it is listened to.
        while sys::send(self.socket, &bytes, fd).is_err_and(|error| error.raw_os_error() == Some(sys::EAGAIN)) {
            let mut fds = [PollFd::writable(self.socket), self.end];
            sys::poll(&mut fds, -1);
            if fds[1].ready() {
                return;
            }
        }
    }
}
