//! Tells whoever waits for a process that there is something new: by a descriptor, once until it is heard.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{Error, Result};

/// An eventfd, opened when it is first asked for: who waits in a thread needs none.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    event: OnceLock<EventFd>,
    is_rung: AtomicBool,
}

impl Bell {
    /// Says that there is news; a system call only if the last news was heard.
    pub(crate) fn ring(&self) {
        if let Some(event) = self.event.get()
            && !self.is_rung.swap(true, AcqRel)
        {
            // It cannot overflow, as it is written once between two reads.
            let _ = event.write(1);
        }
    }

    /// Makes the descriptor unreadable. Look at what is new after this, not before.
    pub(crate) fn hush(&self) {
        if let Some(event) = self.event.get() {
            // The descriptor first: emptied after the flag, it could swallow news that the flag then holds back.
            let _ = event.read();
            self.is_rung.store(false, std::sync::atomic::Ordering::Release);
        }
    }

    /// The descriptor, readable while there is news; at first it always is.
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        if self.event.get().is_none() {
            let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
                .map_err(|errno| Error::io("open an eventfd", errno.into()))?;
            // Another thread may have been quicker: then this one is closed again.
            let _ = self.event.set(event);
            self.ring();
        }
        self.event.get().map(|event| event.as_fd()).ok_or_else(|| Error::invalid("no eventfd"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn it_rings_once_until_it_is_heard() {
        let bell = Bell::default();
        bell.ring();
        let is_rung =
            || poll(&mut [PollFd::new(bell.fd().unwrap(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0;
        assert!(is_rung());
        bell.hush();
        assert!(!is_rung());
        bell.ring();
        bell.ring();
        assert!(is_rung());
        bell.hush();
        assert!(!is_rung());
    }
}
