//! Realtime voice providers: their messages, and the state of one conversation with them. No socket, no clock.
//!
//! A provider stands where an agent stands: it hears the caller and speaks. What differs from one to the other is in its
//! own module; what [`Backoff`] says of a lost connection is the same for all.

mod backoff;
pub mod openai;

pub use backoff::Backoff;
