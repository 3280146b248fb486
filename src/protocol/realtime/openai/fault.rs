//! What goes wrong: the provider's errors, and how a connection ends.

use serde_json::Value;

/// An error that the provider reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its class, such as `invalid_request_error`.
    pub kind: String,
    /// Its name for programs.
    pub code: Option<String>,
    /// Its text for people.
    pub message: String,
    /// Which part of the request it is about.
    pub param: Option<String>,
}

impl Fault {
    /// Reads the `error` of a message; what is missing is empty.
    pub(super) fn read(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            kind: text("type").unwrap_or_default(),
            code: text("code"),
            message: text("message").unwrap_or_default(),
            param: text("param"),
        }
    }

    /// Its code, or nothing.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// Whether a connection that ended with this code of WebSocket's is worth another: the provider goes away, is restarted or
/// overloaded, or the network broke. All else, 4000 of the beta's shape among it, would end the same way again.
#[must_use]
pub fn close_is_recoverable(code: u16) -> bool {
    matches!(code, 1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 1015)
}
