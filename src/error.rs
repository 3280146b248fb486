//! The one table of errors that C status codes and Python exceptions are derived from.
//!
//! Each module has a small `thiserror` enum of its own where it can fail in more than one way; at the crate's edge they
//! all become [`Error`], whose [`kind`](Error::kind) is what other languages map. Loss, lateness and silence are values
//! and counters, never errors.

/// An error at the crate's edge: what was got, what was wanted, never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What sort of error it is; stable, and mapped exhaustively to C and Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value at the edge is not one that talkpath takes. Python: `ValueError`.
    InvalidArgument,
    /// A peer broke the wire protocol. Python: `ConnectionError`.
    Protocol,
    /// The session has ended; nothing more can be read or written. Python: `ConnectionError`.
    SessionEnded,
    /// A bounded queue or count is full. Python: `BufferError`.
    LimitExceeded,
    /// The operating system refused. Python: `OSError`.
    Io,
    /// Something took longer than it may. Python: `TimeoutError`.
    Timeout,
    /// A secret, its store or its key is refused: who may read it, what it was made with, or which process asks.
    /// Python: `PermissionError`.
    AccessDenied,
    /// There is nothing of that name. Python: `KeyError`.
    NotFound,
    /// A defect in talkpath itself. Python: `RuntimeError`.
    Internal,
}

/// A result whose error is the crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error with a message in lower case and no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Makes an [`ErrorKind::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Makes an [`ErrorKind::Io`] that says what was being done when the system refused.
    pub fn io(doing: impl std::fmt::Display, source: std::io::Error) -> Self {
        let message = format!("{doing}: {source}");
        Self { kind: ErrorKind::Io, message, source: Some(Box::new(source)) }
    }

    /// What sort of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The system's error number behind an [`ErrorKind::Io`], if there is one.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.source.as_ref()?.downcast_ref::<std::io::Error>()?.raw_os_error()
    }
}
