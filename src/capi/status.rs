//! `TalkpathStatus`: how a call went, and the text of what was wrong, kept for each thread.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::check::{self, Failure};
use crate::ErrorKind;

/// How a call went.
///
/// Numbers are never changed or reused; later versions may add some, so treat an unknown one as a failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkpathStatus {
    /// It was done, and all outputs are written.
    Ok = 0,
    /// There is nothing now; ask again later. No output is written, and there is no error text.
    Empty = 1,
    /// A pointer was NULL that must not be.
    NullPointer = 2,
    /// An argument is not one that talkpath takes.
    InvalidArgument = 3,
    /// An output has not the room. Nothing was done.
    BufferTooSmall = 4,
    /// The far end broke its protocol.
    Protocol = 5,
    /// The session has ended.
    SessionEnded = 6,
    /// A bounded queue or count is full.
    LimitExceeded = 7,
    /// The operating system refused; the text has its words.
    Io = 8,
    /// Something took longer than it may.
    Timeout = 9,
    /// A defect in talkpath.
    Internal = 10,
    /// A defect in talkpath, which panicked. What was called is not to be used again, but for freeing it.
    Panic = 11,
    /// This build of the library lacks the feature.
    NotSupported = 12,
    /// An interruption has come between; nothing was done. There is no error text.
    Stale = 13,
    /// A secret, its store or its key is refused.
    AccessDenied = 14,
    /// There is nothing of that name.
    NotFound = 15,
}

impl TalkpathStatus {
    const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::Protocol => Self::Protocol,
            ErrorKind::SessionEnded => Self::SessionEnded,
            ErrorKind::LimitExceeded => Self::LimitExceeded,
            ErrorKind::Io => Self::Io,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::AccessDenied => Self::AccessDenied,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// Says in English what a status means; any number is taken, and the text is static.
#[unsafe(no_mangle)]
pub extern "C" fn talkpath_status_str(status: i32) -> *const c_char {
    let text: &CStr = match status {
        0 => c"done",
        1 => c"nothing there now",
        2 => c"a pointer was NULL",
        3 => c"an argument is not one that talkpath takes",
        4 => c"an output has not the room",
        5 => c"the far end broke its protocol",
        6 => c"the session has ended",
        7 => c"a bounded queue or count is full",
        8 => c"the operating system refused",
        9 => c"something took longer than it may",
        10 => c"a defect in talkpath",
        11 => c"a defect in talkpath: a panic",
        12 => c"this build of the library lacks the feature",
        13 => c"an interruption has come between",
        14 => c"a secret, its store or its key is refused",
        15 => c"there is nothing of that name",
        _ => c"a status of a later version of talkpath",
    };
    text.as_ptr()
}

/// Copies the text of the last failure on this thread into `out`, cut to fit and always ended by a zero byte.
///
/// `needed` gets the length of the whole text without the zero byte: 0 if nothing has failed on this thread. `out` may be
/// NULL if `out_len` is 0. A successful call does not clear the text.
///
/// # Safety
/// `out` must be writable for `out_len` bytes, `needed` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_last_error(out: *mut c_char, out_len: usize, needed: *mut usize) -> TalkpathStatus {
    // Not by `guard`, whose failures would replace the very text that is asked for.
    if needed.is_null() || (out.is_null() && out_len > 0) {
        return TalkpathStatus::NullPointer;
    }
    LAST_ERROR.with_borrow(|text| {
        if out_len > 0 {
            let copied = text.len().min(out_len - 1);
            // SAFETY: `out` is not null and, as the caller promises, writable for `out_len` bytes, of which at most
            // `copied + 1` are written; the text is our own, so the two do not overlap.
            unsafe {
                std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, copied);
                out.add(copied).write(0);
            }
        }
        // SAFETY: checked for NULL above, and writable as the caller promises.
        unsafe { needed.write(text.len()) };
    });
    TalkpathStatus::Ok
}

/// Runs the body of a C function: failures become a status and a text, and so does a panic.
#[inline]
pub(super) fn guard(body: impl FnOnce() -> check::Result<()>) -> TalkpathStatus {
    // What comes out of it is a number, so that a call that goes well writes no failure's worth of memory.
    let guarded = || body().map_or_else(failed, |()| TalkpathStatus::Ok);
    catch_unwind(AssertUnwindSafe(guarded)).unwrap_or_else(panicked)
}

#[cold]
fn failed(failure: Failure) -> TalkpathStatus {
    let (status, text) = match failure {
        Failure::Empty => return TalkpathStatus::Empty,
        Failure::Stale => return TalkpathStatus::Stale,
        Failure::Null(name) => (TalkpathStatus::NullPointer, format!("{name} is NULL, wanted a pointer")),
        Failure::Room { name, got, wanted } => {
            (TalkpathStatus::BufferTooSmall, format!("{name} of {got}, wanted at least {wanted}"))
        }
        Failure::Core(error) => (TalkpathStatus::of(error.kind()), error.to_string()),
    };
    remember(text);
    status
}

#[cold]
fn panicked(panic: Box<dyn Any + Send>) -> TalkpathStatus {
    remember(format!("panic: {}", text_of(&*panic)));
    TalkpathStatus::Panic
}

fn remember(text: String) {
    // A thread that is ending has no place left for it.
    let _ = LAST_ERROR.try_with(|last| last.replace(text));
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("without a text")
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}
