//! Joins the event buses of many processes over NATS: what one publishes, the others' subscribers get.
//!
//! A [`NatsBridge`] sends on what is published in its own process, never what came from another one, so that there is no
//! loop however many bridges there are. Over core NATS what is lost is counted exactly, on both sides; over JetStream
//! ([`Mode::JetStream`]) nothing is lost that its stream keeps. `docs/nats.md` has the subjects, headers and guarantees.
//!
//! It is there in builds with the feature `nats`; in others [`NatsBridge::start`] refuses. It runs on a thread with a runtime of its own. Each connection has a new client and runtime: what a client held back
//! when its connection broke dies with it, and is sent anew from here, in order.

#[cfg(not(feature = "nats"))]
#[path = "absent.rs"]
mod bridge;
#[cfg(feature = "nats")]
mod bridge;
#[cfg(feature = "nats")]
mod connection;
#[cfg(feature = "nats")]
mod envelope;
#[cfg(feature = "nats")]
mod inbox;
mod options;
#[cfg(feature = "nats")]
mod outbox;
mod stats;
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "only the bridge uses all of it"))]
mod subject;

pub use bridge::NatsBridge;
pub use options::{Credentials, JetStream, Mode, NatsOptions, Tls};
pub use stats::NatsStats;
pub use subject::{name_from_token, token_from_name};
