//! What a guardian keeps, and what it leaves: nothing.

mod harness;
mod spawning;
