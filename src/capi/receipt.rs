//! `TalkpathReceipt`: what was heard of what an agent said, tag by tag.

use std::ffi::{CString, c_char};

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::Error;
use crate::session::{Certainty, Receipt};

/// What became of everything written in one generation.
pub struct TalkpathReceipt {
    receipt: Receipt,
    tags: Vec<CString>,
}

/// How a position is known: it was written to the wire.
pub const TALKPATH_CERTAINTY_WRITTEN: i32 = 0;
/// How a position is known: the far end has confirmed it.
pub const TALKPATH_CERTAINTY_ACKED: i32 = 1;
/// How a position is known: it follows from the clock.
pub const TALKPATH_CERTAINTY_ESTIMATED: i32 = 2;

/// What a receipt says of all tags together.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathReceiptSummary {
    /// How many tags there are.
    pub segments: usize,
    /// How the position is known, one of `TALKPATH_CERTAINTY_…`.
    pub certainty: i32,
    /// The generation that this is about.
    pub generation: u16,
    /// How much went out.
    pub played_us: u64,
    /// How much never will.
    pub discarded_us: u64,
}

/// What became of the audio that was written with one tag.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathSegment {
    /// The tag; yours to read until the receipt is freed.
    pub tag: *const c_char,
    /// How much was written.
    pub received_us: u64,
    /// How much of it went out.
    pub played_us: u64,
    /// How much of it never will.
    pub discarded_us: u64,
}

impl TalkpathReceipt {
    pub(super) fn new(receipt: Receipt) -> Self {
        let tags = receipt.segments.iter().map(|segment| check::c_text(&segment.tag)).collect();
        Self { receipt, tags }
    }
}

/// Writes what a receipt says of all tags together. From any thread.
///
/// # Safety
/// `receipt` must have been handed over and not freed; `summary` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_receipt_summary(
    receipt: *const TalkpathReceipt,
    summary: *mut TalkpathReceiptSummary,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (receipt, summary) =
            unsafe { (&check::object("receipt", receipt)?.receipt, Out::new("summary", summary)?) };
        summary.set(TalkpathReceiptSummary {
            segments: receipt.segments.len(),
            certainty: match receipt.certainty {
                Certainty::Written => TALKPATH_CERTAINTY_WRITTEN,
                Certainty::Acked => TALKPATH_CERTAINTY_ACKED,
                Certainty::Estimated => TALKPATH_CERTAINTY_ESTIMATED,
            },
            generation: receipt.generation,
            played_us: check::micros(receipt.played()),
            discarded_us: check::micros(receipt.discarded()),
        });
        Ok(())
    })
}

/// Writes what a receipt says of its tag number `index`, in the order of writing. From any thread.
///
/// # Safety
/// `receipt` must have been handed over and not freed; `segment` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_receipt_segment(
    receipt: *const TalkpathReceipt,
    index: usize,
    segment: *mut TalkpathSegment,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (receipt, segment) = unsafe { (check::object("receipt", receipt)?, Out::new("segment", segment)?) };
        let count = receipt.tags.len();
        let unknown = || Error::invalid(format!("segment {index} of {count}, wanted a smaller number"));
        let (found, tag) = receipt.receipt.segments.get(index).zip(receipt.tags.get(index)).ok_or_else(unknown)?;
        segment.set(TalkpathSegment {
            tag: tag.as_ptr(),
            received_us: check::micros(found.received),
            played_us: check::micros(found.played),
            discarded_us: check::micros(found.discarded),
        });
        Ok(())
    })
}

/// Frees a receipt; NULL is nothing to free.
///
/// # Safety
/// `receipt` must have been handed over and not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_receipt_free(receipt: *mut TalkpathReceipt) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(receipt) };
        Ok(())
    });
}
