//! What an event carries: JSON, bytes, or an object of the language that published it.
//!
//! Payloads are shared, never copied: an event with ten subscribers is there once.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Result;

/// What an event carries; cheap to clone.
#[derive(Clone)]
pub enum Payload {
    /// A text that is JSON; it is not checked.
    Json(Arc<str>),
    /// Any bytes, such as audio.
    Bytes(Arc<[u8]>),
    /// An object of the publisher's language, by reference.
    Object(Arc<dyn Opaque>),
}

/// An object of some language, which that language alone can look into.
pub trait Opaque: Any + Send + Sync {
    /// Writes it as JSON, for whoever does not speak the language.
    ///
    /// # Errors
    /// Whatever keeps the language from it, such as that it is shutting down.
    fn to_json(&self) -> Result<String>;

    /// About how many bytes it takes, for the bounds of queues; 256 unless it knows better.
    fn size_bytes(&self) -> usize {
        256
    }
}

impl Payload {
    /// Makes a payload of a text that is JSON.
    #[must_use]
    pub fn json(text: impl Into<Arc<str>>) -> Self {
        Self::Json(text.into())
    }

    /// Makes a payload of bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// The payload as JSON; bytes become `{"base64":"…"}`.
    ///
    /// # Errors
    /// Those of [`Opaque::to_json`].
    pub fn to_json(&self) -> Result<Cow<'_, str>> {
        match self {
            Self::Json(text) => Ok(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Ok(Cow::Owned(format!("{{\"base64\":\"{}\"}}", BASE64_STANDARD.encode(bytes)))),
            Self::Object(object) => object.to_json().map(Cow::Owned),
        }
    }

    /// About how many bytes it takes, for the bounds of queues.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Object(object) => object.size_bytes(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(text) => f.debug_tuple("Json").field(text).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Object(_) => f.write_str("Object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_form_in_json() {
        assert_eq!(Payload::json("{\"a\":1}").to_json().unwrap(), "{\"a\":1}");
        assert_eq!(Payload::bytes(*b"\x00\xff").to_json().unwrap(), "{\"base64\":\"AP8=\"}");
        assert_eq!(Payload::bytes(*b"abc").size_bytes(), 3);
        assert_eq!(format!("{:?}", Payload::bytes(*b"abc")), "Bytes(3 bytes)");
    }
}
