//! What `async for` iterates over: events that are there already cost no coroutine, no task switch and no exception.
//!
//! Per event the interpreter asks an asynchronous iterator for an awaitable, that for an iterator, and that for a value. All
//! three are one object here, whose slots are written by hand: PyO3's would cost more than everything else of an event, and
//! it has none for `am_send`, by which CPython 3.11 takes a value without raising `StopIteration`. Where nothing is there,
//! the subscription's coroutine takes over. This is the one file of the bus's Python layer with `unsafe` in it.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{mem, ptr};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{ffi, intern};

use super::subscription::Reading;

/// The object, as CPython sees it.
#[repr(C)]
struct Iterator {
    head: ffi::PyObject,
    owned: Option<Box<Owned>>,
}

/// The type of the slot `am_send`.
type SendFunction =
    unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject, *mut *mut ffi::PyObject) -> ffi::PySendResult;

/// What it owns.
struct Owned {
    reading: Arc<Reading>,
    subscription: Py<PyAny>,
}

/// Makes an iterator over what `reading` hands out; `subscription` has the coroutine for when there is nothing.
pub(super) fn new<'py>(subscription: &Bound<'py, PyAny>, reading: &Arc<Reading>) -> PyResult<Bound<'py, PyAny>> {
    let py = subscription.py();
    let owned = Box::new(Owned { reading: Arc::clone(reading), subscription: subscription.clone().unbind() });
    let class = class(py)?.as_ptr().cast::<ffi::PyTypeObject>();
    // SAFETY: attached, and `class` is a type of ours. It answers a new object with zeroes behind its head, or an error.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0)) }?;
    // SAFETY: the object is of our layout, and ours alone yet; what is overwritten is zeroes: None, with nothing to drop.
    unsafe { ptr::addr_of_mut!((*object.as_ptr().cast::<Iterator>()).owned).write(Some(owned)) };
    Ok(object)
}

fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let mut slots = [
            slot(ffi::Py_tp_dealloc, dealloc as ffi::destructor as *mut c_void),
            slot(ffi::Py_tp_iter, itself as ffi::getiterfunc as *mut c_void),
            slot(ffi::Py_tp_iternext, next as ffi::iternextfunc as *mut c_void),
            slot(ffi::Py_am_aiter, itself as ffi::unaryfunc as *mut c_void),
            slot(ffi::Py_am_anext, anext as ffi::unaryfunc as *mut c_void),
            slot(ffi::Py_am_await, itself as ffi::unaryfunc as *mut c_void),
            slot(ffi::Py_am_send, send as SendFunction as *mut c_void),
            slot(0, ptr::null_mut()),
        ];
        let flags: c_ulong = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        let mut spec = ffi::PyType_Spec {
            name: c"talkpath._talkpath.BusIterator".as_ptr(),
            basicsize: mem::size_of::<Iterator>() as c_int,
            itemsize: 0,
            flags: flags as c_uint,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: attached; the specification, with a name that is static and slots of the types they are for, lives
        // through the call, which copies it. It answers a new reference, or an error.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)) }.map(Bound::unbind)
    })?;
    Ok(class.bind(py))
}

const fn slot(slot: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: function }
}

/// What the object at `slf` owns.
///
/// # Safety
/// `slf` must be an object of ours, which lives for as long as the result is used.
unsafe fn owned<'a>(slf: *mut ffi::PyObject) -> Option<&'a Owned> {
    // SAFETY: of our layout, as the caller promises; it is written once, before anyone else has the object.
    unsafe { (*slf.cast::<Iterator>()).owned.as_deref() }
}

unsafe extern "C" fn dealloc(slf: *mut ffi::PyObject) {
    // SAFETY: CPython calls this once, attached, with an object of ours that nobody has any more; its type is let go of as
    // that of every heap type's object must be.
    unsafe {
        let owned = (*slf.cast::<Iterator>()).owned.take();
        let class = ffi::Py_TYPE(slf);
        ffi::PyObject_Free(slf.cast());
        ffi::Py_DECREF(class.cast());
        // Dropping the subscription may run anything, so that PyO3 must know that this thread is attached; where the
        // interpreter is ending it stays.
        let mut owned = Some(owned);
        if Python::try_attach(|_| drop(owned.take())).is_none() {
            mem::forget(owned);
        }
    }
}

unsafe extern "C" fn itself(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: attached, with a living object.
    unsafe { ffi::Py_INCREF(slf) };
    slf
}

/// An awaitable for the next event: itself if there is one, otherwise a coroutine.
unsafe extern "C" fn anext(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with a living object of ours.
    match unsafe { owned(slf) } {
        Some(owned) if !owned.reading.is_empty() => {
            // SAFETY: as above.
            unsafe { itself(slf) }
        }
        // Runs Python, so that PyO3 must know that this thread is attached.
        Some(owned) => {
            Python::attach(|py| match caught(|| owned.subscription.call_method0(py, intern!(py, "_next"))) {
                Ok(waiting) => waiting.into_ptr(),
                Err(error) => {
                    error.restore(py);
                    ptr::null_mut()
                }
            })
        }
        None => ptr::null_mut(),
    }
}

/// Takes the next event for `await` of CPython 3.11.
unsafe extern "C" fn send(
    slf: *mut ffi::PyObject,
    _sent: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: CPython calls this attached, with a living object of ours and room for the result.
    unsafe {
        match take(slf) {
            Taken::Event(event) => {
                result.write(event);
                ffi::PySendResult::PYGEN_RETURN
            }
            Taken::Nothing => {
                result.write(ffi::Py_NewRef(ffi::Py_None()));
                ffi::PySendResult::PYGEN_NEXT
            }
            Taken::Failed => {
                result.write(ptr::null_mut());
                ffi::PySendResult::PYGEN_ERROR
            }
        }
    }
}

/// Takes the next event for `await` of CPython 3.12 and later: the value of a `StopIteration`.
unsafe extern "C" fn next(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with a living object of ours. The event is no tuple and no exception, so that it
    // becomes the exception's only argument, which keeps a reference of its own.
    unsafe {
        match take(slf) {
            Taken::Event(event) => {
                ffi::PyErr_SetObject(ffi::PyExc_StopIteration, event);
                ffi::Py_DECREF(event);
                ptr::null_mut()
            }
            Taken::Nothing => ffi::Py_NewRef(ffi::Py_None()),
            Taken::Failed => ptr::null_mut(),
        }
    }
}

enum Taken {
    /// A new reference.
    Event(*mut ffi::PyObject),
    /// Another task was quicker: to yield None is a turn of the loop, after which it is asked again.
    Nothing,
    /// The error is set.
    Failed,
}

/// # Safety
/// The thread must be attached, and `slf` a living object of ours.
unsafe fn take(slf: *mut ffi::PyObject) -> Taken {
    // SAFETY: as the caller promises.
    let (py, owned) = unsafe { (Python::assume_attached(), owned(slf)) };
    let Some(owned) = owned else { return Taken::Nothing };
    match caught(|| owned.reading.take(py)) {
        Ok(Some(event)) => Taken::Event(event.into_ptr()),
        Ok(None) => Taken::Nothing,
        Err(error) => {
            error.restore(py);
            Taken::Failed
        }
    }
}

/// Runs `body`; no panic of it may reach CPython.
fn caught<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(PyRuntimeError::new_err("talkpath panicked")))
}
