//! The chain: one hash over all that a log holds so far, carried from record to record and from file to file.
//!
//! Without a key anybody can compute it: it shows accidents, and changes by whoever does not redo the rest. With a key
//! ([`ChainKey`]) only who has the key can make a chain that holds.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// How long a chain value is, in bytes.
pub const CHAIN_LEN: usize = 32;

/// One link: what it is equal to, everything before it is equal to.
pub type ChainValue = [u8; CHAIN_LEN];

/// What links are made with: SHA-256, or HMAC-SHA-256 under a key.
#[derive(Clone, Default)]
pub struct ChainKey(Option<Box<Hmac<Sha256>>>);

impl ChainKey {
    /// Makes a chain that whoever has the files can compute.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Makes a chain under a key.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a key of less than 16 bytes.
    pub fn new(key: &[u8]) -> Result<Self> {
        if key.len() < MIN_KEY_LEN {
            return Err(Error::invalid(format!("a key of {} bytes, wanted at least {MIN_KEY_LEN}", key.len())));
        }
        let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::invalid("a key that HMAC does not take"))?;
        Ok(Self(Some(Box::new(mac))))
    }

    /// Whether there is a key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// The link after `previous` for what `parts` hold.
    #[must_use]
    pub(super) fn link(&self, previous: &ChainValue, parts: &[&[u8]]) -> ChainValue {
        match &self.0 {
            None => {
                let mut hash = Sha256::new();
                hash.update(previous);
                parts.iter().for_each(|part| hash.update(part));
                hash.finalize().into()
            }
            Some(mac) => {
                let mut mac = Hmac::clone(mac);
                mac.update(previous);
                parts.iter().for_each(|part| mac.update(part));
                mac.finalize().into_bytes().into()
            }
        }
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_keyed() { "ChainKey(hmac-sha-256)" } else { "ChainKey(sha-256)" })
    }
}

/// SHA-256 of `bytes`, for people: lower-case hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const MIN_KEY_LEN: usize = 16;
