//! What every C function checks of its arguments before the core sees them.
//!
//! NULL is found, and so is a length that no object can have; that a pointer leads to what it should is the caller's
//! promise, which each function's `# Safety` names.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use crate::audio::frame::SampleRate;
use crate::{Error, Timestamp};

/// Why a C function did not do what it was asked to.
pub(super) enum Failure {
    /// There is nothing now.
    Empty,
    /// This argument is NULL.
    Null(&'static str),
    /// It was interrupted meanwhile.
    Stale,
    /// This output is too small.
    Room { name: &'static str, got: usize, wanted: usize },
    /// The core refused.
    Core(Error),
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

/// Reads `len` items; NULL is taken for none.
///
/// # Safety
/// `ptr` must be readable for `len` items of its type for as long as the result is used, unless it is NULL.
#[inline]
pub(super) unsafe fn slice<'a, T>(name: &'static str, ptr: *const T, len: usize) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check(name, ptr, len)?;
    // SAFETY: not null, aligned, of a possible length, and readable as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// Writes up to `len` items; NULL is taken for no room.
///
/// # Safety
/// `ptr` must be writable for `len` items of its type, and nothing else may use them for as long as the result is used,
/// unless it is NULL.
#[inline]
pub(super) unsafe fn slice_mut<'a, T>(name: &'static str, ptr: *mut T, len: usize) -> Result<&'a mut [T]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(name, ptr, len)?;
    // SAFETY: not null, aligned, of a possible length, and ours alone as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
}

/// An object that was made by a `_new` function.
///
/// # Safety
/// `ptr` must come from the type's `_new`, not have been freed, and not be in use by another call, unless it is NULL.
pub(super) unsafe fn object_mut<'a, T>(name: &'static str, ptr: *mut T) -> Result<&'a mut T> {
    // SAFETY: as the caller promises; NULL becomes the failure.
    unsafe { ptr.as_mut() }.ok_or(Failure::Null(name))
}

/// An object that is only looked at.
///
/// # Safety
/// `ptr` must come from the type's `_new` and not have been freed, and no other call may be changing it, unless it is NULL.
pub(super) unsafe fn object<'a, T>(name: &'static str, ptr: *const T) -> Result<&'a T> {
    // SAFETY: as the caller promises; NULL becomes the failure.
    unsafe { ptr.as_ref() }.ok_or(Failure::Null(name))
}

/// Where an output goes to: checked before the work is done, so that nothing is done in vain.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Takes the pointer of the output called `name`.
    ///
    /// # Safety
    /// `ptr` must be writable until [`set`](Self::set), unless it is NULL.
    pub(super) unsafe fn new(name: &'static str, ptr: *mut T) -> Result<Self> {
        check(name, ptr, 1)?;
        Ok(Self(ptr))
    }

    /// Writes the output; what was there is not read or dropped.
    pub(super) fn set(self, value: T) {
        // SAFETY: `new` has checked it for NULL and alignment, and its caller has promised the rest.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Hands a new object over; C frees it by the type's `_free`.
    pub(super) fn give(self, object: T) {
        self.set(Box::into_raw(Box::new(object)));
    }
}

/// Frees an object that [`Out::give`] handed over; NULL is nothing to free.
///
/// # Safety
/// `ptr` must come from the type's `_new` and not have been freed, and no other call may be using it, unless it is NULL.
pub(super) unsafe fn free<T>(ptr: *mut T) {
    if !ptr.is_null() {
        // SAFETY: it came out of a box by `give`, and is given back once, as the caller promises.
        drop(unsafe { Box::from_raw(ptr) });
    }
}

/// A zero-ended text in UTF-8.
///
/// # Safety
/// `ptr` must lead to a zero-ended text that stays as it is while the result is used, unless it is NULL.
pub(super) unsafe fn text<'a>(name: &'static str, ptr: *const c_char) -> Result<&'a str> {
    if ptr.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: not null, and ended by a zero byte as the caller promises.
    let text = unsafe { CStr::from_ptr(ptr) };
    text.to_str().map_err(|_| Error::invalid(format!("{name} of {text:?}, wanted utf-8")).into())
}

/// A time on the caller's own clock.
pub(super) const fn time(us: u64) -> Timestamp {
    Timestamp::from_micros(us)
}

/// A length of time as C has it, in whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A text of ours as C reads it; a zero byte in it, which none of ours has, would end it.
pub(super) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Copies a text into an array of C, ended by a zero byte and cut to fit.
pub(super) fn c_array<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (to, from) in array[..N - 1].iter_mut().zip(text.bytes()) {
        *to = from as c_char;
    }
    array
}

/// A sample rate in Hz.
pub(super) fn rate(hz: u32) -> Result<SampleRate> {
    Ok(SampleRate::new(hz)?)
}

/// A key of a telephone.
pub(super) fn key(digit: u8) -> Result<char> {
    let key = char::from(digit);
    if "0123456789*#ABCD".contains(key) {
        return Ok(key);
    }
    Err(Error::invalid(format!("key {key:?}, wanted one of 0 to 9, *, #, A to D")).into())
}

/// That an output has the room.
pub(super) fn room(name: &'static str, got: usize, wanted: usize) -> Result<()> {
    if got < wanted { Err(Failure::Room { name, got, wanted }) } else { Ok(()) }
}

#[inline]
fn check<T>(name: &'static str, ptr: *const T, len: usize) -> Result<()> {
    let fits = len.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    if !ptr.is_null() && ptr.is_aligned() && fits { Ok(()) } else { Err(refusal(name, ptr, len)) }
}

#[cold]
fn refusal<T>(name: &'static str, ptr: *const T, len: usize) -> Failure {
    if ptr.is_null() {
        return Failure::Null(name);
    }
    if ptr.is_aligned() {
        return Error::invalid(format!("{name} of {len} items, wanted what memory can hold")).into();
    }
    let wanted = align_of::<T>();
    Error::invalid(format!("{name} at an odd address, wanted a multiple of {wanted}")).into()
}
