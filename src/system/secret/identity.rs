//! The key of a store: an X25519 identity of age, sealed in memory like any secret.
//!
//! Where it comes from is `source`'s; its text form is age's, so that `age-keygen` makes one and `age -d` takes one.

use super::age::text::{KEY_CHARACTERS, decode_bech32, encode_bech32};
use super::enclave::Enclave;
use super::passphrase::Derivation;
use super::trace::without_trace;
use super::vault::{Place, Vault, fill_random};
use crate::Result;

/// What opens a store, and what it is made for.
pub(super) struct Identity {
    secret: Enclave,
    recipient: [u8; 32],
    derivation: Option<Derivation>,
}

impl Identity {
    /// Makes a new one from the system's random bytes.
    pub(super) fn generate() -> Result<Self> {
        let mut secret = Vault::current()?.place(32)?;
        fill_random(&mut secret)?;
        Self::from_secret(secret, None)
    }

    /// Takes 32 secret bytes, and how they were derived from a passphrase if they were.
    pub(super) fn from_secret(secret: Place, derivation: Option<Derivation>) -> Result<Self> {
        let recipient = without_trace(|| {
            let secret: [u8; 32] = secret[..].try_into().expect("as long as a key");
            x25519_dalek::x25519(secret, x25519_dalek::X25519_BASEPOINT_BYTES)
        });
        Ok(Self { secret: Enclave::seal(secret)?, recipient, derivation })
    }

    /// Reads what `age-keygen` writes: comments, blank lines and one key; says what is wrong with it, never showing it.
    pub(super) fn from_text(text: &[u8]) -> Result<std::result::Result<Self, &'static str>> {
        let mut lines = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let Some(line) = lines.next() else { return Ok(Err("it holds no key")) };
        if lines.next().is_some() {
            return Ok(Err("it holds more than one key"));
        }
        let mut secret = Vault::current()?.place(32)?;
        if !without_trace(|| decode_bech32(IDENTITY_PREFIX, line, &mut secret)) {
            return Ok(Err("it holds something else than a key of age, AGE-SECRET-KEY-1 and 58 characters"));
        }
        Self::from_secret(secret, None).map(Ok)
    }

    /// The key as `age` reads it, and a line feed, in a protected place.
    pub(super) fn to_text(&self) -> Result<Place> {
        let mut text = Vault::current()?.place(IDENTITY_PREFIX.len() + KEY_CHARACTERS + 1)?;
        self.with_secret(|secret| {
            let len = encode_bech32("age-secret-key-", secret, &mut text);
            text[..len].make_ascii_uppercase();
            text[len] = b'\n';
        })?;
        Ok(text)
    }

    /// The public key, as 32 bytes.
    pub(super) fn recipient(&self) -> [u8; 32] {
        self.recipient
    }

    /// The public key as `age` writes it.
    pub(super) fn recipient_text(&self) -> String {
        let mut text = [0; 3 + KEY_CHARACTERS];
        encode_bech32("age", &self.recipient, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// How it was derived from a passphrase, if it was.
    pub(super) fn derivation(&self) -> Option<&Derivation> {
        self.derivation.as_ref()
    }

    /// Lends the secret key to `work`, and wipes what that leaves.
    pub(super) fn with_secret<R>(&self, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R> {
        let secret = self.secret.open()?;
        Ok(without_trace(|| work((&secret[..]).try_into().expect("as long as a key"))))
    }
}

const IDENTITY_PREFIX: &str = "AGE-SECRET-KEY-";
