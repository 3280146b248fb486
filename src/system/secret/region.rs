//! Memory that only this process can read: no debugger, no core dump, no swap, no child.
//!
//! `memfd_secret(2)` takes the pages out of the kernel's own map: neither ptrace nor `/proc/PID/mem` nor another process
//! reaches them, with whatever rights. Where it is missing, pages are locked and left out of core dumps, which is less:
//! [`Protection`] says which it is. What is put in, and when it is wiped, is the caller's.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect, munmap};
use nix::unistd::{SysconfVar, ftruncate, sysconf};
use zeroize::Zeroize as _;

use super::heirless::Heirless;
use crate::{Error, Result};

/// How well the memory of opened secrets and of their key is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `memfd_secret(2)`: out of reach of debuggers, core dumps, swap and the kernel's own map.
    SecretMemory,
    /// Degraded: locked against swap and left out of core dumps, but a debugger of the same user can read it.
    Locked,
    /// Degraded further: left out of core dumps alone, because the limit of locked memory (`ulimit -l`) is reached.
    Unlocked,
}

/// Pages of their own between two that cannot be touched, zero at first, wiped when dropped.
#[derive(Debug)]
pub(super) struct Region {
    start: NonNull<u8>,
    len: usize,
    protection: Protection,
    mark: &'static ForkMark,
    heirless: &'static Heirless,
}

/// Tells a process from what is forked from it: a byte that the kernel clears in the child.
///
/// By the kernel and not by `pthread_atfork`, which misses a raw clone: a miss here would be a fault, not an error.
#[derive(Debug)]
pub(super) struct ForkMark {
    byte: NonNull<u8>,
}

impl Region {
    /// Maps at least `len` bytes, whole pages, which the process that set `mark` alone will see.
    pub(super) fn new(len: usize, mark: &'static ForkMark) -> Result<Self> {
        let refused = |doing: &str, errno: nix::Error| Error::io(format!("protected memory: {doing}"), errno.into());
        let page = page_size();
        let len = len.max(1).next_multiple_of(page);
        let whole = NonZeroUsize::new(len + 2 * page).expect("two pages at least");
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let outer = unsafe { mmap_anonymous(None, whole, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
            .map_err(|errno| refused("reserving addresses", errno))?;
        // SAFETY: one page into a mapping of three at least.
        let start = unsafe { outer.cast::<u8>().add(page) };
        let mapped = map_secret(start, len).map_or_else(|| map_locked(start, len), Ok);
        let kept_from_children = mapped.and_then(|protection| {
            // SAFETY: advice on pages of this mapping, which changes what a fork copies and nothing here.
            unsafe { madvise(start.cast(), len, MmapAdvise::MADV_DONTFORK) }.map(|()| protection)
        });
        match kept_from_children {
            Ok(protection) => Ok(Self { start, len, protection, mark, heirless: Heirless::note(start, len) }),
            Err(errno) => {
                // SAFETY: the mapping made above, which nobody else knows.
                let _ = unsafe { munmap(outer, whole.get()) };
                Err(refused("mapping pages", errno))
            }
        }
    }

    /// How well these pages are kept.
    pub(super) fn protection(&self) -> Protection {
        self.protection
    }

    /// Overwrites all of it with zeros, in a way that the compiler does not leave out.
    pub(super) fn wipe(&mut self) {
        if !self.mark.is_forked() {
            self.zeroize();
        }
    }
}

impl Deref for Region {
    type Target = [u8];

    /// The bytes; none in a process that was forked from the owner, which has not got these pages.
    fn deref(&self) -> &[u8] {
        let len = if self.mark.is_forked() { 0 } else { self.len };
        // SAFETY: `start` is the first of `len` mapped, initialised bytes that live as long as self; in a forked
        // process, where they are not mapped, the slice is empty.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), len) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = if self.mark.is_forked() { 0 } else { self.len };
        // SAFETY: as in `deref`, and self is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // A forked process has no pages there, and may have put something else in their place.
        if !self.mark.is_forked() {
            self.wipe();
            self.heirless.forget();
            let page = page_size();
            // SAFETY: the mapping that `new` made, guard pages included; self, its only user, ends here.
            let _ = unsafe { munmap(self.start.sub(page).cast(), self.len + 2 * page) };
        }
    }
}

// SAFETY: a Region owns its pages as a Box would, and hands them out by the rules of borrowing alone.
unsafe impl Send for Region {}
// SAFETY: as above; a shared Region gives shared slices only.
unsafe impl Sync for Region {}

impl ForkMark {
    /// Sets a mark in this process, for as long as it runs.
    ///
    /// The page is never given back: what was made under the mark may be asked for in a forked process at any time.
    pub(super) fn set() -> Result<&'static Self> {
        let refused = |errno: nix::Error| Error::io("protected memory: a page that forks see", errno.into());
        let page = NonZeroUsize::new(page_size()).expect("a page has bytes");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let byte = unsafe { mmap_anonymous(None, page, access, MapFlags::MAP_PRIVATE) }.map_err(refused)?;
        // SAFETY: advice on the page just mapped, which changes what a fork copies and nothing here.
        unsafe { madvise(byte, page.get(), MmapAdvise::MADV_WIPEONFORK) }.map_err(refused)?;
        let mark = Self { byte: byte.cast() };
        mark.load().store(1, Relaxed);
        Ok(Box::leak(Box::new(mark)))
    }

    /// Whether this process was forked from the one that set the mark.
    pub(super) fn is_forked(&self) -> bool {
        self.load().load(Relaxed) == 0
    }

    fn load(&self) -> &AtomicU8 {
        // SAFETY: the first byte of a page that stays mapped, readable and writable, until the process ends.
        unsafe { AtomicU8::from_ptr(self.byte.as_ptr()) }
    }
}

// SAFETY: the byte is an atomic.
unsafe impl Send for ForkMark {}
// SAFETY: the byte is an atomic.
unsafe impl Sync for ForkMark {}

/// Puts secret memory in the place of `len` reserved bytes at `start`; none where the kernel has none.
fn map_secret(start: NonNull<u8>, len: usize) -> Option<Protection> {
    // SAFETY: a system call that takes flags alone; its result is a descriptor of our own or negative.
    let file = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let file = i32::try_from(file).ok().filter(|file| *file >= 0)?;
    // SAFETY: a descriptor that the kernel has just given us.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    ftruncate(&file, i64::try_from(len).ok()?).ok()?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
    // SAFETY: replaces pages that `Region::new` has reserved and nobody uses.
    unsafe { mmap(Some(start.addr()), NonZeroUsize::new(len)?, access, flags, &file, 0) }.ok()?;
    Some(Protection::SecretMemory)
}

/// Makes `len` reserved bytes at `start` usable, out of core dumps and, if the limit allows it, out of swap.
fn map_locked(start: NonNull<u8>, len: usize) -> nix::Result<Protection> {
    let at: NonNull<c_void> = start.cast();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // A `memfd_secret` that failed half-way may have replaced the reservation.
    // SAFETY: replaces pages that `Region::new` has reserved and nobody uses.
    unsafe {
        mmap_anonymous(
            Some(start.addr()),
            NonZeroUsize::new(len).ok_or(nix::Error::EINVAL)?,
            access,
            MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED,
        )
    }?;
    // SAFETY: these pages are ours; protection stays what the mapping was made with.
    unsafe { mprotect(at, len, access) }?;
    // SAFETY: advice on these pages, which changes what a core dump holds and nothing here.
    unsafe { madvise(at, len, MmapAdvise::MADV_DONTDUMP) }?;
    // SAFETY: locks these pages in memory and changes nothing else.
    Ok(match unsafe { mlock(at, len) } {
        Ok(()) => Protection::Locked,
        Err(_) => Protection::Unlocked,
    })
}

fn page_size() -> usize {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| size.try_into().ok()).unwrap_or(4_096)
}
