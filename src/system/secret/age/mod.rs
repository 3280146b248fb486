//! The age v1 file format for one X25519 recipient: what keeps the store at rest, and what `age -d` and pyrage open.
//!
//! Source: <https://age-encryption.org/v1>. It is written here, over the same primitives, rather than taken from the crate
//! `age`: that one brings localisation, post-quantum and NIST recipients (some 150 crates, one of them a pre-release), and
//! keeps intermediate keys and plaintext on the ordinary heap. Here plaintext is encrypted and decrypted in the protected
//! place that it stands in, and what the work leaves on the stack and in registers is wiped.
//!
//! Stanzas of other kinds are passed over, as the format wants. Files, their locks and their rights are `file`'s.

mod header;
mod stream;
pub(super) mod text;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use self::header::Header;
use super::identity::Identity;
use super::passphrase::Derivation;
use super::trace::without_trace;
use super::vault::{Place, fill_random};
use crate::Result as CrateResult;

/// Why an age file is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("it is not an age v1 file: it begins with other bytes than age-encryption.org/v1")]
    NotAge,
    #[error("its header is damaged: {0}")]
    Header(&'static str),
    #[error("it was made for another key")]
    OtherKey,
    #[error("its header has been changed: the authentication code does not fit")]
    HeaderChanged,
    #[error("it has been cut short")]
    Truncated,
    #[error("its contents have been changed or cut short")]
    ContentsChanged,
}

/// How the file's key is derived from a passphrase, if its header says so.
pub(super) fn derivation(file: &[u8]) -> Result<Option<Derivation>, Error> {
    let header = Header::parse(file)?;
    let stanza = header.stanzas.iter().find(|stanza| stanza.kind == Derivation::STANZA);
    stanza.map(|stanza| Derivation::from_arguments(&stanza.arguments).map_err(Error::Header)).transpose()
}

/// Encrypts what stands in `plain` to the recipient of `identity`; the place is left with ciphertext.
pub(super) fn encrypt(plain: &mut Place, identity: &Identity) -> CrateResult<Vec<u8>> {
    without_trace(|| {
        let mut file_key = [0; FILE_KEY_BYTES];
        let mut ephemeral = [0; 32];
        let mut nonce = [0; PAYLOAD_NONCE_BYTES];
        fill_random(&mut file_key)?;
        fill_random(&mut ephemeral)?;
        fill_random(&mut nonce)?;

        let share = x25519_dalek::x25519(ephemeral, x25519_dalek::X25519_BASEPOINT_BYTES);
        let shared = x25519_dalek::x25519(ephemeral, identity.recipient());
        let mut wrapped = [0; WRAPPED_KEY_BYTES];
        wrapped[..FILE_KEY_BYTES].copy_from_slice(&file_key);
        stream::wrap(&wrap_key(&shared, &share, &identity.recipient()), &mut wrapped);

        let mut out = header::write(identity.derivation(), &share, &wrapped);
        let code = header_code(&file_key, &out);
        header::finish(&mut out, &code);
        out.extend_from_slice(&nonce);
        stream::encrypt(&derive(&file_key, &nonce, b"payload"), plain, &mut out);
        Ok(out)
    })
}

/// Decrypts a file into a protected place that `room` gives for as many bytes as it is asked for.
pub(super) fn decrypt(
    file: &[u8],
    identity: &Identity,
    room: impl FnOnce(usize) -> CrateResult<Place>,
) -> CrateResult<Result<Place, Error>> {
    let (header, payload_len) = match Header::parse(file).and_then(|header| {
        let len = stream::plain_len(header.payload)?;
        Ok((header, len))
    }) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Err(error)),
    };
    let mut place = room(payload_len)?;
    identity
        .with_secret(|secret| {
            let file_key = match file_key(&header, secret, &identity.recipient()) {
                Ok(key) => key,
                Err(error) => return Err(error),
            };
            if !bool::from(header_code(&file_key, header.authenticated).ct_eq(&header.code)) {
                return Err(Error::HeaderChanged);
            }
            let (nonce, chunks) = header.payload.split_at(PAYLOAD_NONCE_BYTES);
            stream::decrypt(&derive(&file_key, nonce, b"payload"), chunks, &mut place)
        })
        .map(|opened| opened.map(|()| place))
}

fn file_key(header: &Header<'_>, secret: &[u8; 32], recipient: &[u8; 32]) -> Result<[u8; FILE_KEY_BYTES], Error> {
    for stanza in header.stanzas.iter().filter(|stanza| stanza.kind == "X25519") {
        let [share] = stanza.arguments[..] else { return Err(Error::Header("an X25519 stanza wants one argument")) };
        let share = text::decode_base64::<32>(share).ok_or(Error::Header("an X25519 share of other than 32 bytes"))?;
        let mut wrapped: [u8; WRAPPED_KEY_BYTES] =
            stanza.body[..].try_into().map_err(|_| Error::Header("a wrapped key of other than 32 bytes"))?;
        let shared = x25519_dalek::x25519(*secret, share);
        if shared == [0; 32] {
            return Err(Error::Header("an X25519 share of low order"));
        }
        if stream::unwrap(&wrap_key(&shared, &share, recipient), &mut wrapped) {
            return Ok(wrapped[..FILE_KEY_BYTES].try_into().expect("sixteen bytes"));
        }
    }
    Err(Error::OtherKey)
}

fn wrap_key(shared: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> [u8; 32] {
    let mut salt = [0; 64];
    salt[..32].copy_from_slice(share);
    salt[32..].copy_from_slice(recipient);
    derive(shared, &salt, b"age-encryption.org/v1/X25519")
}

fn header_code(file_key: &[u8], authenticated: &[u8]) -> [u8; 32] {
    let mut code = Hmac::<Sha256>::new_from_slice(&derive(file_key, b"", b"header")).expect("any length is taken");
    code.update(authenticated);
    code.finalize().into_bytes().into()
}

fn derive(key: &[u8], salt: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(purpose, &mut out).expect("32 bytes are not too many");
    out
}

const FILE_KEY_BYTES: usize = 16;
const WRAPPED_KEY_BYTES: usize = FILE_KEY_BYTES + 16;
const PAYLOAD_NONCE_BYTES: usize = 16;
