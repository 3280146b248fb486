//! A phone network as it is: it loses packets, in bursts, holds them up, swaps and doubles them, on a clock of its own.
//!
//! Tests, `talkpath load --impair` and `talkpath simulate` send through a [`Network`] to see what a call makes of one.
//! [`Impairment`] says how bad it is, [`Network`] tells each packet's fate. All chance comes from a seed: the same seed
//! and the same packets meet the same fate, so that what was seen once can be looked at again. It owns no packet, queue
//! or clock: whoever sends keeps what is under way until it arrives.

mod chance;
mod impairment;
mod network;

pub use impairment::Impairment;
pub use network::Network;
