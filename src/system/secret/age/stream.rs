//! The payload of an age file: chunks of 64 KiB, each sealed with its number and whether it is the last.

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};

use super::{Error, PAYLOAD_NONCE_BYTES};

/// How many bytes of plaintext a payload holds, its nonce included in what is given.
pub(super) fn plain_len(payload: &[u8]) -> Result<usize, Error> {
    let sealed = payload.len() - PAYLOAD_NONCE_BYTES;
    let tags = sealed.div_ceil(CHUNK_BYTES + TAG_BYTES).max(1) * TAG_BYTES;
    sealed.checked_sub(tags).ok_or(Error::Truncated)
}

/// Encrypts `plain` in place and appends the chunks to `out`.
pub(super) fn encrypt(key: &[u8; 32], plain: &mut [u8], out: &mut Vec<u8>) {
    let cipher = ChaCha20Poly1305::new(key.into());
    let mut number = 0;
    let mut rest = plain;
    loop {
        let (chunk, after) = rest.split_at_mut(rest.len().min(CHUNK_BYTES));
        let tag = cipher
            .encrypt_inout_detached(&nonce(number, after.is_empty()), b"", (&mut *chunk).into())
            .expect("a chunk is not too long");
        out.extend_from_slice(chunk);
        out.extend_from_slice(&tag);
        if after.is_empty() {
            return;
        }
        number += 1;
        rest = after;
    }
}

/// Decrypts `chunks` into `plain`, which is as long as [`plain_len`] said.
pub(super) fn decrypt(key: &[u8; 32], chunks: &[u8], plain: &mut [u8]) -> Result<(), Error> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let (mut chunks, mut plain) = (chunks, plain);
    for number in 0.. {
        let (sealed, later) = chunks.split_at(chunks.len().min(CHUNK_BYTES + TAG_BYTES));
        let (sealed, tag) = sealed.split_at_checked(sealed.len().wrapping_sub(TAG_BYTES)).ok_or(Error::Truncated)?;
        let (place, after) = plain.split_at_mut(sealed.len());
        place.copy_from_slice(sealed);
        let tag = Tag::try_from(tag).expect("as long as a tag");
        cipher
            .decrypt_inout_detached(&nonce(number, later.is_empty()), b"", place.into(), &tag)
            .map_err(|_| Error::ContentsChanged)?;
        if later.is_empty() {
            // An empty chunk is allowed only where it is the whole payload.
            return if sealed.is_empty() && number > 0 { Err(Error::ContentsChanged) } else { Ok(()) };
        }
        (chunks, plain) = (later, after);
    }
    Ok(())
}

/// Seals all but the last sixteen bytes of `key_and_tag` in place; those become the tag.
pub(super) fn wrap(wrap_key: &[u8; 32], key_and_tag: &mut [u8; 32]) {
    let (key, tag) = key_and_tag.split_at_mut(16);
    let sealed = ChaCha20Poly1305::new(wrap_key.into()).encrypt_inout_detached(&Nonce::default(), b"", key.into());
    tag.copy_from_slice(&sealed.expect("a key is not too long"));
}

/// Undoes [`wrap`]; whether the key was the right one.
pub(super) fn unwrap(wrap_key: &[u8; 32], key_and_tag: &mut [u8; 32]) -> bool {
    let (key, tag) = key_and_tag.split_at_mut(16);
    let tag = Tag::try_from(&*tag).expect("as long as a tag");
    ChaCha20Poly1305::new(wrap_key.into()).decrypt_inout_detached(&Nonce::default(), b"", key.into(), &tag).is_ok()
}

/// Eleven bytes of number, big-endian, and one that says whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
