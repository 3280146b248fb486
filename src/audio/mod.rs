//! Samples in, samples out: no I/O, no clock, and no allocation after `new()`.
//!
//! Everything here works on 16-bit mono samples in the machine's order; bytes and wire formats end in [`codec`].

pub mod audioop;
pub mod codec;
pub mod frame;
pub mod level;
pub mod resample;
pub mod vad;
