//! G.711 and levels of slin, without a state: what C programs need most often, in one call.

use super::check::{self, Out};
use super::status::{TalkpathStatus, guard};
use crate::audio::codec::Encoding;

/// Decodes `len` bytes of G.711 mu-law into `out`, one sample a byte.
///
/// `out_len` is the room in `out`, in samples, and must be at least `len`; `written` gets how many were written. Real-time
/// safe, from any thread.
///
/// # Safety
/// `input` must be readable for `len` bytes, `out` writable for `out_len` samples, `written` writable; `input` and `out`
/// must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_ulaw_decode(
    input: *const u8,
    len: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    guard(|| unsafe { decode(Encoding::Ulaw, input, len, out, out_len, written) })
}

/// Encodes `len` samples as G.711 mu-law into `out`, one byte a sample, exactly as CPython's `audioop` did.
///
/// `out_len` is the room in `out`, in bytes, and must be at least `len`; `written` gets how many were written. Real-time
/// safe, from any thread.
///
/// # Safety
/// `input` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `input` and `out`
/// must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_ulaw_encode(
    input: *const i16,
    len: usize,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    guard(|| unsafe { encode(Encoding::Ulaw, input, len, out, out_len, written) })
}

/// Decodes `len` bytes of G.711 A-law into `out`, one sample a byte.
///
/// `out_len` is the room in `out`, in samples, and must be at least `len`; `written` gets how many were written. Real-time
/// safe, from any thread.
///
/// # Safety
/// `input` must be readable for `len` bytes, `out` writable for `out_len` samples, `written` writable; `input` and `out`
/// must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_alaw_decode(
    input: *const u8,
    len: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    guard(|| unsafe { decode(Encoding::Alaw, input, len, out, out_len, written) })
}

/// Encodes `len` samples as G.711 A-law into `out`, one byte a sample, exactly as CPython's `audioop` did.
///
/// `out_len` is the room in `out`, in bytes, and must be at least `len`; `written` gets how many were written. Real-time
/// safe, from any thread.
///
/// # Safety
/// `input` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `input` and `out`
/// must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_alaw_encode(
    input: *const i16,
    len: usize,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    guard(|| unsafe { encode(Encoding::Alaw, input, len, out, out_len, written) })
}

/// # Safety
/// That of [`talkpath_ulaw_decode`].
#[inline]
unsafe fn decode(
    encoding: Encoding,
    input: *const u8,
    len: usize,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> check::Result<()> {
    // SAFETY: as the caller promises.
    let (input, out, written) = unsafe {
        (check::slice("input", input, len)?, check::slice_mut("out", out, out_len)?, Out::new("written", written)?)
    };
    check::room("out_len", out.len(), input.len())?;
    written.set(encoding.decode_into(input, out)?);
    Ok(())
}

/// # Safety
/// That of [`talkpath_ulaw_encode`].
#[inline]
unsafe fn encode(
    encoding: Encoding,
    input: *const i16,
    len: usize,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> check::Result<()> {
    // SAFETY: as the caller promises.
    let (input, out, written) = unsafe {
        (check::slice("input", input, len)?, check::slice_mut("out", out, out_len)?, Out::new("written", written)?)
    };
    check::room("out_len", out.len(), input.len())?;
    written.set(encoding.encode_into(input, out)?);
    Ok(())
}
