//! Puts zeros, in a forked child, where its parent had protected pages.
//!
//! A child has not got those pages, so that a view of opened bytes that it inherits, such as Python's memoryview, would end
//! it by SIGSEGV at the first touch. It reads zeros instead. A fork that goes past the C library is not seen; there the
//! pages are missing, as safe and less polite.
#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Once, OnceLock};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// Pages that a child must not miss; used again when they are gone, never freed: a fork may come at any time.
#[derive(Debug)]
pub(super) struct Heirless {
    /// Null unless they are mapped.
    start: AtomicPtr<u8>,
    /// Zero if this is free to be used again.
    len: AtomicUsize,
    next: OnceLock<&'static Self>,
}

impl Heirless {
    /// Notes that `len` bytes at `start` are mapped and not inherited.
    pub(super) fn note(start: NonNull<u8>, len: usize) -> &'static Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            // It fails only without memory; then pages are missing, as said above.
            // SAFETY: the function given keeps to what a forked child of many threads may do.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(fill_with_zeros)) };
        });
        let mut next = &FIRST;
        let noted = loop {
            let Some(known) = next.get() else {
                let made = Self { start: AtomicPtr::default(), len: len.into(), next: OnceLock::new() };
                let made: &'static Self = Box::leak(Box::new(made));
                match next.set(made) {
                    Ok(()) => break made,
                    // Another thread has added one; ours, which is leaked, was for nothing.
                    Err(_) => continue,
                }
            };
            if known.len.compare_exchange(0, len, Acquire, Relaxed).is_ok() {
                break known;
            }
            next = &known.next;
        };
        noted.start.store(start.as_ptr(), Release);
        noted
    }

    /// Forgets them; to be called before they are unmapped.
    pub(super) fn forget(&self) {
        self.start.store(ptr::null_mut(), Release);
        self.len.store(0, Release);
    }
}

/// Runs in the child before anything else does: atomics and a system call are all that it may use.
extern "C" fn fill_with_zeros() {
    let mut next = FIRST.get();
    while let Some(pages) = next {
        let (start, len) =
            (NonZeroUsize::new(pages.start.load(Acquire).addr()), NonZeroUsize::new(pages.len.load(Acquire)));
        if let (Some(start), Some(len)) = (start, len) {
            let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
            // SAFETY: it replaces no mapping; the child has none there.
            let _ = unsafe { mmap_anonymous(Some(start), len, access, flags) };
        }
        next = pages.next.get();
    }
}

static FIRST: OnceLock<&'static Heirless> = OnceLock::new();
