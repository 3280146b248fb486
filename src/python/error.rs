//! Maps each [`ErrorKind`] to the Python exception class that stands for it, and a panic to `InternalError`.
//!
//! The classes are written in `talkpath/errors.py`, because each has two bases there (`TalkpathError` and a builtin),
//! which an extension module cannot give its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

use crate::audio::audioop;
use crate::{Error, ErrorKind};

mod classes {
    use pyo3::import_exception;

    import_exception!(talkpath.errors, InvalidArgument);
    import_exception!(talkpath.errors, ProtocolError);
    import_exception!(talkpath.errors, SessionEnded);
    import_exception!(talkpath.errors, LimitExceeded);
    import_exception!(talkpath.errors, TalkpathOSError);
    import_exception!(talkpath.errors, Timeout);
    import_exception!(talkpath.errors, AccessDenied);
    import_exception!(talkpath.errors, InternalError);
    import_exception!(talkpath.errors, NotFound);
    import_exception!(talkpath.errors, AudioopError);
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::InvalidArgument => classes::InvalidArgument::new_err(message),
            ErrorKind::Protocol => classes::ProtocolError::new_err(message),
            ErrorKind::SessionEnded => classes::SessionEnded::new_err(message),
            ErrorKind::LimitExceeded => classes::LimitExceeded::new_err(message),
            ErrorKind::Io => match error.os_error() {
                Some(number) => classes::TalkpathOSError::new_err((number, message)),
                None => classes::TalkpathOSError::new_err(message),
            },
            ErrorKind::Timeout => classes::Timeout::new_err(message),
            ErrorKind::AccessDenied => classes::AccessDenied::new_err(message),
            ErrorKind::NotFound => classes::NotFound::new_err(message),
            ErrorKind::Internal => classes::InternalError::new_err(message),
        }
    }
}

impl From<audioop::Error> for PyErr {
    /// CPython's classes, so that what code catches stays the same.
    fn from(error: audioop::Error) -> Self {
        let message = error.to_string();
        match error {
            audioop::Error::BadState => PyValueError::new_err(message),
            audioop::Error::TooLarge => PyMemoryError::new_err(message),
            _ => classes::AudioopError::new_err(message),
        }
    }
}

/// Runs `body`; a panic in it becomes an `InternalError` with the panic's message, so that `except Exception` meets it.
///
/// PyO3's own answer to a panic is a `PanicException`, which derives from `BaseException` and would stop an event loop.
pub(super) fn guard<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        Err(classes::InternalError::new_err(format!("talkpath panicked: {said}")))
    })
}
