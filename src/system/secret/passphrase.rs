//! A store's key from a passphrase, by Argon2id.
//!
//! What is derived is an ordinary X25519 identity. The salt and the costs stand in the store's header, in a stanza of a
//! kind of its own that other readers of age pass over. age's own way, scrypt, would make the passphrase a second kind of
//! file; Argon2id (RFC 9106) is what is recommended for passphrases today.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize as _;

use super::age::text::{decode_base64, encode_base64};
use super::identity::Identity;
use super::trace::without_trace;
use super::vault::{Vault, fill_random};
use crate::{Error, ErrorKind, Result};

/// How a key is derived: what must be kept to derive it again, none of it secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Derivation {
    salt: [u8; 16],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Derivation {
    /// The kind of its stanza in an age header.
    pub(super) const STANZA: &str = "talkpath-argon2id";

    /// With a new salt, and RFC 9106's second recommendation: 64 MiB, three passes, four lanes.
    pub(super) fn generate() -> Result<Self> {
        let mut salt = [0; 16];
        fill_random(&mut salt)?;
        Ok(Self { salt, memory_kib: 64 * 1024, passes: 3, lanes: 4 })
    }

    /// Derives the identity.
    pub(super) fn identity(&self, passphrase: &[u8]) -> Result<Identity> {
        let failed = |error: argon2::Error| Error::new(ErrorKind::Internal, format!("argon2id: {error}"));
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(failed)?;
        let mut secret = Vault::current()?.place(32)?;
        let mut memory = vec![Block::default(); params.block_count()];
        let derived = without_trace(|| {
            let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon.hash_password_into_with_memory(passphrase, &self.salt, &mut secret, &mut memory[..])
        });
        memory.iter_mut().for_each(|block| block.zeroize());
        derived.map_err(failed)?;
        Identity::from_secret(secret, Some(*self))
    }

    /// The arguments of its stanza.
    pub(super) fn arguments(&self) -> String {
        format!("{} {} {} {}", encode_base64(&self.salt), self.memory_kib, self.passes, self.lanes)
    }

    /// Reads the arguments of its stanza, within bounds: they are used before anything is authenticated.
    pub(super) fn from_arguments(arguments: &[&str]) -> std::result::Result<Self, &'static str> {
        let [salt, memory_kib, passes, lanes] = arguments else {
            return Err("a passphrase stanza wants four arguments");
        };
        let salt = decode_base64(salt).ok_or("a passphrase stanza wants a salt of 16 bytes")?;
        let number = |text: &str, least: u32, most: u32| {
            text.parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or("a passphrase stanza with odd costs")
        };
        Ok(Self {
            salt,
            memory_kib: number(memory_kib, 19 * 1024, 1024 * 1024)?,
            passes: number(passes, 1, 16)?,
            lanes: number(lanes, 1, 16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_arguments_are_read_as_written_and_bounded() {
        let derivation = Derivation::generate().expect("random bytes");
        let written = derivation.arguments();
        let words: Vec<_> = written.split(' ').collect();
        assert_eq!(Derivation::from_arguments(&words), Ok(derivation));
        let odd = "a passphrase stanza with odd costs";
        for (at, wrong) in [(1, "1"), (1, "4194304"), (1, "x"), (2, "0"), (2, "1000"), (3, "0"), (3, "-1")] {
            let mut words = words.clone();
            words[at] = wrong;
            assert_eq!(Derivation::from_arguments(&words), Err(odd), "{wrong} at {at}");
        }
        assert!(Derivation::from_arguments(&words[..3]).is_err());
        assert!(Derivation::from_arguments(&["AAAA", "65536", "3", "4"]).is_err());
    }
}
