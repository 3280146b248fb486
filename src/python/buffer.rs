//! Borrows audio from any Python object that has a buffer, and lends a frame's samples out in the same way.
//!
//! It exists because a call on 20 ms of audio takes some tens of nanoseconds: PyO3's own buffer type allocates, and
//! asks for shapes and strides that a contiguous view does not need. This is the one file of the Python layer with
//! `unsafe` in it; it owns no audio.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::{ptr, slice};

use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyErr, ffi};

use crate::Error;

/// Whether borrowed memory can never change: then work on it may let go of the interpreter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constant(bool);

impl Constant {
    /// Runs `work`, detached from the interpreter if that is allowed and `bytes` of it are worth the switch.
    pub(super) fn run<T: Send>(self, py: Python<'_>, bytes: usize, work: impl FnOnce() -> T + Send) -> T {
        if self.0 && bytes >= WORTH_DETACHING { py.detach(work) } else { work() }
    }
}

/// From this many bytes on a call lets other Python threads run meanwhile; below it the switch costs more than the work.
const WORTH_DETACHING: usize = 64 * 1024;

/// What the items of a borrowed buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// Bytes: PCM is the little-endian pairs of them.
    Byte,
    /// 16-bit integers in the machine's order.
    Sample,
}

/// A borrowed, contiguous buffer of a Python object, released when dropped.
struct View {
    raw: ffi::Py_buffer,
}

impl View {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut raw = MaybeUninit::<ffi::Py_buffer>::uninit();
        let flags = ffi::PyBUF_C_CONTIGUOUS | ffi::PyBUF_FORMAT;
        // SAFETY: the object is alive and we are attached; on 0 CPython has filled all of `raw`.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), raw.as_mut_ptr(), flags) } == 0 {
            // SAFETY: filled by the call above.
            return Ok(Self { raw: unsafe { raw.assume_init() } });
        }
        let error = PyErr::fetch(object.py());
        if error.is_instance_of::<PyTypeError>(object.py()) {
            let name = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "audio of type {name}, wanted bytes-like PCM (16-bit little-endian) or a buffer of 16-bit integers"
            )));
        }
        Err(error)
    }

    /// The bytes that the object holds.
    ///
    /// # Safety
    /// Nothing may write to the object's memory while the slice is in use: stay attached, and call no Python.
    unsafe fn bytes(&self) -> &[u8] {
        if self.raw.len == 0 {
            return &[];
        }
        // SAFETY: a contiguous buffer is `len` readable bytes at `buf` until it is released, which `drop` does.
        unsafe { slice::from_raw_parts(self.raw.buf.cast::<u8>(), self.raw.len as usize) }
    }

    fn format(&self) -> &CStr {
        if self.raw.format.is_null() {
            return c"B";
        }
        // SAFETY: a non-null format is a C string that lives as long as the buffer.
        unsafe { CStr::from_ptr(self.raw.format) }
    }

    fn item(&self) -> PyResult<Item> {
        let format = self.format().to_bytes();
        let wrong = match format {
            b"B" | b"b" | b"c" => return Ok(Item::Byte),
            b"h" | b"@h" | b"=h" => return Ok(Item::Sample),
            b"<h" if cfg!(target_endian = "little") => return Ok(Item::Sample),
            b"f" | b"<f" | b"=f" | b"@f" | b"d" | b"<d" | b"=d" | b"@d" | b"e" | b"<e" => {
                "audio as floats, wanted 16-bit integers: scale to ±32767, round and convert first, \
                 as with (x * 32767).astype('int16')"
                    .to_string()
            }
            other => format!(
                "audio with items of format {:?}, wanted 16-bit integers ('h') or bytes",
                String::from_utf8_lossy(other)
            ),
        };
        Err(PyTypeError::new_err(wrong))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: got by PyObject_GetBuffer and released once; every View lives and dies while attached.
        unsafe { ffi::PyBuffer_Release(&mut self.raw) }
    }
}

/// Calls `use_bytes` with the bytes of any bytes-like object, and with whether they can never change.
///
/// `use_bytes` must not run other Python code, and may let go of the interpreter only if the bytes never change.
pub(super) fn with_bytes<T>(
    object: &Bound<'_, PyAny>,
    use_bytes: impl FnOnce(&[u8], Constant) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return use_bytes(bytes.as_bytes(), Constant(true));
    }
    let view = View::new(object)?;
    if view.item()? != Item::Byte {
        return Err(PyTypeError::new_err("encoded audio as 16-bit integers, wanted bytes"));
    }
    // SAFETY: `use_bytes` stays attached, as it is told that the bytes may change, and runs no other Python code.
    use_bytes(unsafe { view.bytes() }, Constant(false))
}

/// Calls `use_bytes` with the memory of any contiguous buffer, whatever its items are: what `audioop` works on.
///
/// `use_bytes` must not run other Python code.
pub(super) fn with_memory<T>(object: &Bound<'_, PyAny>, use_bytes: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return use_bytes(bytes.as_bytes());
    }
    let view = View::new(object)?;
    // SAFETY: `use_bytes` stays attached and runs no other Python code.
    use_bytes(unsafe { view.bytes() })
}

/// Calls `use_bytes` with the bytes of a buffer that can be written, such as a `bytearray`; none if it is no such buffer.
///
/// `use_bytes` must not run other Python code.
pub(super) fn with_writable<T>(object: &Bound<'_, PyAny>, use_bytes: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
    let mut raw = MaybeUninit::<ffi::Py_buffer>::uninit();
    let flags = ffi::PyBUF_C_CONTIGUOUS | ffi::PyBUF_WRITABLE;
    // SAFETY: the object is alive and we are attached; on 0 CPython has filled all of `raw`.
    if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), raw.as_mut_ptr(), flags) } != 0 {
        drop(PyErr::take(object.py()));
        return None;
    }
    // SAFETY: filled by the call above.
    let view = View { raw: unsafe { raw.assume_init() } };
    if view.raw.len == 0 {
        return Some(use_bytes(&mut []));
    }
    // SAFETY: a contiguous, writable buffer is `len` bytes at `buf` until it is released, which `drop` does; `use_bytes`
    // stays attached and runs no other Python code.
    Some(use_bytes(unsafe { slice::from_raw_parts_mut(view.raw.buf.cast::<u8>(), view.raw.len as usize) }))
}

/// Borrows a descriptor that Python code says is open; a wrong number is an error of the first call with it.
pub(super) fn borrow_descriptor<'a>(fd: c_int) -> PyResult<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Error::invalid(format!("a descriptor of {fd}, wanted 0 or more")).into());
    }
    // SAFETY: not -1; whoever passes it keeps it open for the call, as with every function of Python's `os`.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lends `bytes`, which live as long as `owner`, as a read-only buffer.
///
/// # Safety
/// `view` is what CPython handed to `__getbuffer__` together with `flags`; `bytes` must not move while `owner` lives.
pub(super) unsafe fn lend_bytes(
    owner: Bound<'_, PyAny>,
    bytes: &[u8],
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    let start = bytes.as_ptr().cast_mut().cast::<c_void>();
    // SAFETY: `view` is valid by contract; a read-only request is granted for memory that `owner` keeps alive.
    match unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start, bytes.len() as ffi::Py_ssize_t, 1, flags) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(owner.py())),
    }
}

/// Calls `use_samples` with the samples of a bytes-like object (16-bit little-endian PCM) or a buffer of 16-bit
/// integers, and with whether they can never change.
///
/// The rules of [`with_bytes`] hold. Bytes at an odd address are copied first; nothing else is.
pub(super) fn with_samples<T>(
    object: &Bound<'_, PyAny>,
    use_samples: impl FnOnce(&[i16], Constant) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return with_pcm(bytes.as_bytes(), Constant(true), use_samples);
    }
    let view = View::new(object)?;
    view.item()?;
    // SAFETY: as in `with_bytes`.
    with_pcm(unsafe { view.bytes() }, Constant(false), use_samples)
}

/// Lends `samples`, which live as long as `owner`, as a read-only buffer of 16-bit integers.
///
/// # Safety
/// `view` is what CPython handed to `__getbuffer__` together with `flags`; `samples` must not move or change while
/// `owner` lives.
pub(super) unsafe fn lend(
    owner: Bound<'_, PyAny>,
    samples: &[i16],
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    let py = owner.py();
    let bytes = size_of_val(samples) as ffi::Py_ssize_t;
    let start = samples.as_ptr().cast_mut().cast::<c_void>();
    // SAFETY: `view` is valid by contract; a read-only request is granted for memory that `owner` keeps alive.
    let result = unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start, bytes, 1, flags) };
    if result != 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: `view` was filled by the call above. FillInfo describes bytes; we describe the same memory as samples.
    // `shape` needs a home that lives as long as the view: the view's own `internal` field is ours to use.
    unsafe {
        (*view).itemsize = 2;
        if flags & ffi::PyBUF_FORMAT != 0 {
            (*view).format = c"h".as_ptr().cast_mut();
        }
        if flags & ffi::PyBUF_ND != 0 {
            (*view).internal = ptr::without_provenance_mut(samples.len());
            (*view).shape = ptr::addr_of_mut!((*view).internal).cast();
        }
    }
    Ok(())
}

fn with_pcm<T>(
    bytes: &[u8],
    constant: Constant,
    use_samples: impl FnOnce(&[i16], Constant) -> PyResult<T>,
) -> PyResult<T> {
    if !bytes.len().is_multiple_of(2) {
        let message = format!("{} bytes of PCM, wanted an even number: two bytes make a sample", bytes.len());
        return Err(Error::invalid(message).into());
    }
    if cfg!(target_endian = "little") && bytes.as_ptr().align_offset(align_of::<i16>()) == 0 {
        // SAFETY: aligned, even in length, any two bytes are an i16, and the machine's order is little-endian.
        let samples = unsafe { slice::from_raw_parts(bytes.as_ptr().cast::<i16>(), bytes.len() / 2) };
        return use_samples(samples, constant);
    }
    let samples: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    use_samples(&samples, Constant(true))
}

/// Makes a bytes object of `len` bytes, which `fill` writes.
///
/// Not zeroed first, as that costs as much as decoding does: `fill` must write every byte before it returns `Ok`, and
/// read none; it must run no Python code.
pub(super) fn new_bytes<'py>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    let wanted = ffi::Py_ssize_t::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: attached; a null source asks for bytes to be filled in. It returns a new reference or null with an error.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(ptr::null(), wanted)) }?;
    // SAFETY: the object is ours alone and has `len` bytes at this address. They are not initialised: any byte is a
    // valid u8, and `fill` only writes.
    fill(unsafe { slice::from_raw_parts_mut(ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>(), len) })?;
    Ok(object.cast_into::<PyBytes>()?)
}

/// Makes a bytes object of `samples` samples of 16-bit little-endian PCM, which `fill` writes.
///
/// The rules of [`new_bytes`] hold.
pub(super) fn new_pcm<'py>(
    py: Python<'py>,
    samples: usize,
    fill: impl FnOnce(&mut [i16]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    new_bytes(py, samples * 2, |bytes| {
        if cfg!(target_endian = "little") && bytes.as_ptr().align_offset(align_of::<i16>()) == 0 {
            // SAFETY: aligned, and any two bytes are an i16; `bytes` is not used meanwhile, and `fill` only writes.
            let out = unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<i16>(), samples) };
            return fill(out);
        }
        let mut out = vec![0; samples];
        fill(&mut out)?;
        for (pair, sample) in bytes.chunks_exact_mut(2).zip(out) {
            pair.copy_from_slice(&sample.to_le_bytes());
        }
        Ok(())
    })
}
