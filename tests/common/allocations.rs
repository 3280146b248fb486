//! Counts what is allocated and released, on this thread and on the others: the media path may do neither.
//!
//! A test program that has this module as its own counts from its start.
#![allow(dead_code, reason = "a test counts on its own thread or on the others")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// How often the calling thread has allocated, grown or released so far.
pub(crate) fn of_this_thread() -> u64 {
    HERE.with(Cell::get)
}

/// How often all threads have so far, but for those that asked to be [left out](leave_this_thread_out).
pub(crate) fn of_the_others() -> u64 {
    EVERYWHERE.load(SeqCst)
}

/// Counts the calling thread no longer among [`of_the_others`].
pub(crate) fn leave_this_thread_out() {
    IS_LEFT_OUT.with(|is_left_out| is_left_out.set(true));
}

struct Counting;

static EVERYWHERE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
    static IS_LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

fn note() {
    HERE.with(|count| count.set(count.get() + 1));
    if !IS_LEFT_OUT.with(Cell::get) {
        EVERYWHERE.fetch_add(1, SeqCst);
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        note();
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
