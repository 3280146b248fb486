//! Whole calls in virtual time: a session, its agent, and a wire that is a vector.

#![allow(clippy::unwrap_used)]

mod acks;
mod anything;
mod barge_in;
mod codecs;
mod drain;
mod echo;
mod events;
mod fades;
mod hangup;
mod harness;
mod hour;
mod input;
mod interrupt;
mod keys;
mod limits;
mod marks;
mod pacing;
mod packets;
mod prebuffer;
mod queue_properties;
mod resampling;
mod stats;
