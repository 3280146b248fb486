//! What a guardian keeps, and what it leaves: nothing.

mod harness;
mod scene;
mod spawning;
mod stopping;
mod survivors;
