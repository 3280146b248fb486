//! talkpath carries the voice path of a phone call: from the caller's mouth to the agent's ear and back.

pub mod audio;
pub mod error;
pub mod protocol;
pub mod session;
pub mod time;

pub use error::{Error, ErrorKind, Result};
pub use time::Timestamp;
