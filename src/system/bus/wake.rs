//! Who is told when there is something to read: a descriptor, or whatever a language has in its place.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{Error, Result};

/// What is told that a subscription has something to read: once, until its reader has found nothing more.
///
/// It is called on the publisher's thread, which holds no lock: it must neither wait nor run for long.
pub trait Wake: Send + Sync {
    /// Says that there is something to read, or room again for a publisher who found none.
    fn wake(&self);

    /// Whether nobody will ever read again, so that the subscription can be closed. Asked by a publisher who finds it full.
    fn is_gone(&self) -> bool {
        false
    }
}

/// The ways by which one subscription's reader is told.
#[derive(Default)]
pub(super) struct Bell {
    /// Opened when it is first asked for: most readers have another way.
    descriptor: OnceLock<EventFd>,
    listener: OnceLock<Arc<dyn Wake>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        if let Some(descriptor) = self.descriptor.get() {
            // It cannot overflow: it is written once between two reads, and once more at the end.
            let _ = descriptor.write(1);
        }
        if let Some(listener) = self.listener.get() {
            listener.wake();
        }
    }

    /// Makes the descriptor unreadable again.
    pub(super) fn hush(&self) {
        if let Some(descriptor) = self.descriptor.get() {
            let _ = descriptor.read();
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.listener.get().is_some_and(|listener| listener.is_gone())
    }

    /// Sets who is told; false if someone is already.
    pub(super) fn set_listener(&self, listener: Arc<dyn Wake>) -> bool {
        self.listener.set(listener).is_ok()
    }

    pub(super) fn has_no_descriptor(&self) -> bool {
        self.descriptor.get().is_none()
    }

    /// The descriptor, opened now if it is not yet.
    pub(super) fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        if self.has_no_descriptor() {
            let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
                .map_err(|errno| Error::io("open an eventfd", errno.into()))?;
            // Another thread may have been quicker: then this one is closed again.
            let _ = self.descriptor.set(event);
        }
        self.descriptor.get().map(|event| event.as_fd()).ok_or_else(|| Error::invalid("no eventfd"))
    }
}
