//! One secret, encrypted in ordinary memory: sealed under the vault's key, opened in a protected place.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes for each sealing. It knows no names and no files.

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{Tag, XNonce};

use super::trace::without_trace;
use super::vault::{Place, Vault, fill_random};
use crate::{Error, ErrorKind, Result};

/// A sealed secret.
pub(super) struct Enclave {
    vault: &'static Vault,
    nonce: XNonce,
    tag: Tag,
    sealed: Box<[u8]>,
}

impl Enclave {
    /// Seals the bytes of a protected place, which is wiped.
    pub(super) fn seal(mut plain: Place) -> Result<Self> {
        let vault = plain.vault();
        let mut nonce = XNonce::default();
        fill_random(&mut nonce)?;
        let tag = without_trace(|| {
            let place: &mut [u8] = &mut plain;
            vault.cipher()?.encrypt_inout_detached(&nonce, b"", place.into()).map_err(|_| defect("sealed"))
        })?;
        Ok(Self { vault, nonce, tag, sealed: plain.to_vec().into_boxed_slice() })
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        self.sealed.len()
    }

    /// Opens it in a protected place, which is wiped when it is dropped.
    pub(super) fn open(&self) -> Result<Place> {
        let mut place = self.vault.place(self.sealed.len())?;
        place.copy_from_slice(&self.sealed);
        without_trace(|| {
            let place: &mut [u8] = &mut place;
            let cipher = self.vault.cipher()?;
            cipher.decrypt_inout_detached(&self.nonce, b"", place.into(), &self.tag).map_err(|_| defect("opened"))
        })?;
        Ok(place)
    }
}

fn defect(doing: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a secret could not be {doing}: its memory has been overwritten"))
}
