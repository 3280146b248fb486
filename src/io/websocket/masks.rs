//! Random bits for what a client sends: masks, and the key of a handshake.
//!
//! RFC 6455 (section 10.3) wants masks that nobody can foretell, so that a page in a browser cannot choose what a proxy
//! sees. The standard library's keyed hash, whose keys come from the system, makes one from each number without a call to
//! the system.

use std::hash::{BuildHasher as _, RandomState};

/// A source of random bits.
pub(super) struct Masks {
    keys: RandomState,
    count: u64,
}

impl Masks {
    pub(super) fn new() -> Self {
        Self { keys: RandomState::new(), count: 0 }
    }

    /// The mask of the next frame.
    pub(super) fn next(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next_bytes();
        [a, b, c, d]
    }

    /// Bytes for a key or an id.
    pub(super) fn next_16(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_bytes());
        bytes[8..].copy_from_slice(&self.next_bytes());
        bytes
    }

    fn next_bytes(&mut self) -> [u8; 8] {
        self.count += 1;
        self.keys.hash_one(self.count).to_ne_bytes()
    }
}
