//! The header of an age file: its stanzas, and the code that authenticates them.

use super::{Error, PAYLOAD_NONCE_BYTES, text};
use crate::system::secret::passphrase::Derivation;

/// A header, and what follows it.
pub(super) struct Header<'a> {
    pub(super) stanzas: Vec<Stanza<'a>>,
    /// All that the code is over: up to and with the three dashes.
    pub(super) authenticated: &'a [u8],
    pub(super) code: [u8; 32],
    /// The nonce and the chunks; no shorter than the nonce.
    pub(super) payload: &'a [u8],
}

/// One way to the file's key.
pub(super) struct Stanza<'a> {
    pub(super) kind: &'a str,
    pub(super) arguments: Vec<&'a str>,
    pub(super) body: Vec<u8>,
}

impl<'a> Header<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let mut rest = file.strip_prefix(VERSION.as_bytes()).ok_or(Error::NotAge)?;
        let mut stanzas = Vec::new();
        loop {
            let (line, after) = split_line(rest)?;
            if let Some(code) = line.strip_prefix("--- ") {
                let authenticated = &file[..file.len() - rest.len() + DASHES.len()];
                let code =
                    text::decode_base64(code).ok_or(Error::Header("an authentication code of other than 32 bytes"))?;
                if after.len() < PAYLOAD_NONCE_BYTES {
                    return Err(Error::Truncated);
                }
                return Ok(Self { stanzas, authenticated, code, payload: after });
            }
            let stanza = line.strip_prefix("-> ").ok_or(Error::Header("a line that is no stanza"))?;
            let mut words = stanza.split(' ');
            let kind = words.next().filter(|kind| !kind.is_empty()).ok_or(Error::Header("a stanza of no kind"))?;
            let arguments: Vec<_> = words.collect();
            if stanzas.len() == MAX_STANZAS || arguments.iter().any(|word| word.is_empty()) {
                return Err(Error::Header("a stanza too many, or one with an empty argument"));
            }
            let (body, after) = split_body(after)?;
            stanzas.push(Stanza { kind, arguments, body });
            rest = after;
        }
    }
}

/// Writes a header up to and with the three dashes.
pub(super) fn write(derivation: Option<&Derivation>, share: &[u8; 32], wrapped: &[u8]) -> Vec<u8> {
    let mut out = String::from(VERSION);
    if let Some(derivation) = derivation {
        // A stanza with an empty body: readers that do not know its kind pass over it.
        out.push_str(&format!("-> {} {}\n\n", Derivation::STANZA, derivation.arguments()));
    }
    out.push_str(&format!("-> X25519 {}\n{}\n{DASHES}", text::encode_base64(share), text::encode_base64(wrapped)));
    out.into_bytes()
}

/// Ends a header with its code.
pub(super) fn finish(header: &mut Vec<u8>, code: &[u8; 32]) {
    header.extend_from_slice(format!(" {}\n", text::encode_base64(code)).as_bytes());
}

fn split_line(rest: &[u8]) -> Result<(&str, &[u8]), Error> {
    let window = &rest[..rest.len().min(MAX_LINE_BYTES)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return Err(if window.len() < MAX_LINE_BYTES { Error::Truncated } else { Error::Header("a line without end") });
    };
    let line = &rest[..end];
    if !line.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(Error::Header("a character that is not printable ASCII"));
    }
    let line = std::str::from_utf8(line).map_err(|_| Error::Header("a character that is not ASCII"))?;
    Ok((line, &rest[end + 1..]))
}

/// A body's lines are full but for the last, which is shorter, if need be empty.
fn split_body(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Error> {
    let mut body = String::new();
    loop {
        let (line, after) = split_line(rest)?;
        rest = after;
        if line.len() > BODY_COLUMNS || body.len() > MAX_BODY_COLUMNS {
            return Err(Error::Header("a stanza with too long a body"));
        }
        body.push_str(line);
        if line.len() < BODY_COLUMNS {
            let body = text::decode_base64_vec(&body).ok_or(Error::Header("a stanza whose body is not base64"))?;
            return Ok((body, rest));
        }
    }
}

const VERSION: &str = "age-encryption.org/v1\n";
const DASHES: &str = "---";
const BODY_COLUMNS: usize = 64;

/// Bounds on a header, which is read before it is authenticated.
const MAX_STANZAS: usize = 64;
const MAX_LINE_BYTES: usize = 1_024;
const MAX_BODY_COLUMNS: usize = 8_192;
