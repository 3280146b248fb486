//! talkpath carries the voice path of a phone call: from the caller's mouth to the agent's ear and back.
//!
//! One promise orders everything: **audio flows on time whatever the agent's code does.** The caller hears one clean frame
//! every 20 ms, and when the caller speaks, the agent falls silent, knowing to the millisecond what was heard.
//!
//! # The flow
//! - **Caller to agent**: socket → `io` → [`protocol`] decoder → [`session::Input::Audio`] → detection → ring →
//!   [`session::AgentInput`].
//! - **Agent to caller**: [`session::AgentOutput`] → resampling → ring → one frame a tick from the media clock →
//!   [`session::Output::Transmit`] → [`protocol`] encoder → socket.
//! - **Interrupt**: the detector or the agent starts the next generation; what waits is dropped, late writes are refused,
//!   and a [`session::Receipt`] says what was heard.
//!
//! # The rooms
//! [`audio`], [`jitter`], [`protocol`], [`session`], [`channel`] and [`impair`] are pure: no socket, no clock, no thread;
//! time is passed in as [`Timestamp`]. `io` has those for calls, [`system`] for what an agent needs beside audio. Imports
//! run one way: `audio` ← `jitter` ← `session` ← `io` ← the languages; `protocol` and `impair` ← `io`; [`system`] ← `io`.
//!
//! # Drain
//! Whoever drives a [`session::Session`] calls [`poll_output`](session::Session::poll_output) after each input until it
//! answers [`Timeout`](session::Output::Timeout).
//!
//! ```
//! use talkpath::audio::{codec::Codec, frame::SampleRate};
//! use talkpath::session::{Config, FarEnd, Input, Output, Session};
//! use talkpath::Timestamp;
//!
//! let mut session = Session::new(Config::default(), FarEnd::default(), Timestamp::ZERO);
//! let rate = SampleRate::HZ_8000;
//! let (mut agent, mut frames) = (None, 0);
//! for ms in (0..1_000).step_by(20) {
//!     let now = Timestamp::from_millis(ms);
//!     session.handle_input(Input::Audio { codec: Codec::slin(rate), payload: &[0; 320] }, now);
//!     loop {
//!         match session.poll_output(now) {
//!             Output::Started => {
//!                 let mut end = session.take_agent().expect("once");
//!                 end.output.try_write(&[1_000; 8_000], rate, "greeting", 0)?;
//!                 agent = Some(end);
//!             }
//!             Output::Transmit { payload, .. } => frames += payload.len() / 320,
//!             Output::Timeout(_) => break,
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(frames, 50);
//! assert!(agent.is_some_and(|end| end.output.buffered().as_millis() < 100));
//! # Ok::<(), talkpath::Error>(())
//! ```

pub mod audio;
#[cfg(feature = "capi")]
pub mod capi;
pub mod channel;
pub mod error;
pub mod impair;
pub mod io;
pub mod jitter;
pub mod protocol;
#[cfg(feature = "python")]
mod python;
pub mod session;
pub mod system;
pub mod time;

pub use error::{Error, ErrorKind, Result};
pub use time::Timestamp;
