//! Samples in, samples out: no I/O, no clock, and no allocation after `new()`.
//!
//! Everything here works on 16-bit mono samples in the machine's order; bytes and wire formats end in [`codec`].

pub mod audioop;
mod bridge;
pub mod codec;
pub mod conceal;
pub mod dtmf;
pub mod echo;
pub mod frame;
pub mod level;
mod pitch;
pub mod resample;
pub mod stretch;
pub mod vad;
