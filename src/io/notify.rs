//! Wakes another thread's event loop: once per batch, however much there is to tell.
//!
//! A file descriptor can be waited for by asyncio, epoll and C alike. The flag beside it keeps media threads from paying
//! a system call for news that the other side has not looked at yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{Error, Result};

/// An eventfd that is written once until it is taken.
///
/// Any number of threads may [`notify`](Self::notify); one at a time should [`take`](Self::take). Whatever was published
/// before a `notify` is seen after the `take` that it caused.
#[derive(Debug)]
pub struct Notifier {
    event: EventFd,
    is_pending: AtomicBool,
}

impl Notifier {
    /// Opens the descriptor.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if the process has no descriptor left.
    pub fn new() -> Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(|errno| Error::io("open an eventfd", errno.into()))?;
        Ok(Self { event, is_pending: AtomicBool::new(false) })
    }

    /// The descriptor to wait for; readable while there is news. Only [`take`](Self::take) may read it.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Says that there is news; a system call only if the last news has been taken.
    pub fn notify(&self) {
        if !self.is_pending.swap(true, AcqRel) {
            // The counter cannot overflow, as it is written once between two reads.
            let _ = self.event.write(1);
        }
    }

    /// Takes the news: says whether there was any, and lets the next [`notify`](Self::notify) through. Look at what was
    /// published after this, not before.
    pub fn take(&self) -> bool {
        // The descriptor first: emptied after the flag, it could swallow a notification that the flag then holds back.
        let _ = self.event.read();
        self.is_pending.swap(false, AcqRel)
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(notifier: &Notifier) -> bool {
        poll(&mut [PollFd::new(notifier.fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn many_notifications_are_one() {
        let notifier = Notifier::new().unwrap();
        assert!(!is_readable(&notifier) && !notifier.take());
        notifier.notify();
        notifier.notify();
        assert!(is_readable(&notifier));
        assert!(notifier.take());
        assert!(!is_readable(&notifier) && !notifier.take());
        notifier.notify();
        assert!(is_readable(&notifier));
    }

    #[test]
    fn no_news_is_lost_between_threads() {
        use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
        let notifier = Notifier::new().unwrap();
        let published = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    published.fetch_add(1, SeqCst);
                    notifier.notify();
                }
            });
            let limit = PollTimeout::from(5_000_u16);
            while published.load(SeqCst) < 20_000 {
                let before = published.load(SeqCst);
                assert!(poll(&mut [PollFd::new(notifier.fd(), PollFlags::POLLIN)], limit).unwrap() > 0, "at {before}");
                notifier.take();
            }
        });
    }
}
