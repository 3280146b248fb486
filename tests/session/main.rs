//! Whole calls in virtual time: a session, its agent, and a wire that is a vector.

#![allow(clippy::unwrap_used)]

mod barge_in;
mod codecs;
mod drain;
mod events;
mod fades;
mod hangup;
mod harness;
mod input;
mod interrupt;
mod limits;
mod marks;
mod pacing;
mod prebuffer;
mod queue_properties;
mod resampling;
