//! The HTTP upgrade that every WebSocket connection begins with (RFC 6455, section 4), on both sides.
//!
//! A head is read once it is there whole, and is bounded in length; what may follow it is frames already, and is left to
//! the decoder. This runs once a call and on no media thread, so it may allocate. Which path is served, and to whom, is
//! for the caller to say: [`Refusal`] has the answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// How long an HTTP head may be, in bytes.
pub const MAX_HEAD_LEN: usize = 8_192;

/// A request to speak WebSocket, checked but for its path and its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for, without the query; begins with `/`.
    pub path: &'a str,
    /// What follows the path's `?`.
    pub query: Option<&'a str>,
    /// What the answer proves to have read.
    pub key: &'a str,
    /// Whether the client asks for the sub-protocol that was looked for.
    pub offer: Offer,
    /// The `Authorization` header, as it came.
    pub authorization: Option<&'a [u8]>,
}

impl Request<'_> {
    /// Whether its `Authorization` header is `wanted`, such as [`basic_authorization`] makes one.
    ///
    /// How long this takes tells nothing about how much of it was right.
    #[must_use]
    pub fn has_authorization(&self, wanted: &str) -> bool {
        self.authorization.is_some_and(|got| got.ct_eq(wanted.as_bytes()).into())
    }
}

/// What a client says about sub-protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It names none.
    None,
    /// It names the one that was looked for.
    Wanted,
    /// It names others only.
    Others,
}

/// Why a request is not answered with an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not HTTP, or a header that the upgrade needs is missing or wrong.
    #[error("not a WebSocket request: {0}")]
    Malformed(&'static str),
    /// The head is longer than [`MAX_HEAD_LEN`], or has more than 64 fields.
    #[error("request head too long, wanted at most {MAX_HEAD_LEN} bytes and {MAX_FIELDS} fields")]
    TooLong,
    /// Another method than GET.
    #[error("method not allowed, wanted GET")]
    Method,
    /// HTTP without an upgrade, such as a browser's.
    #[error("this is a WebSocket endpoint for media, wanted an upgrade")]
    PlainHttp,
    /// A version of the protocol other than 13.
    #[error("WebSocket version not supported, wanted 13")]
    Version,
    /// Only sub-protocols that are not spoken here.
    #[error("sub-protocol not supported")]
    Subprotocol,
    /// Nothing is served at this path.
    #[error("nothing is served at this path")]
    Path,
    /// No credentials, or wrong ones.
    #[error("credentials missing or wrong")]
    Unauthorized,
    /// Another call has the id that was asked for.
    #[error("another call has this id")]
    Taken,
    /// The server has no place left.
    #[error("no place left for another call")]
    Busy,
}

impl Refusal {
    /// HTTP's status code for it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Subprotocol => 400,
            Self::Unauthorized => 401,
            Self::Path => 404,
            Self::Method => 405,
            Self::Taken => 409,
            Self::PlainHttp | Self::Version => 426,
            Self::TooLong => 431,
            Self::Busy => 503,
        }
    }

    /// Writes the whole answer, with a text for people; the connection is to be closed after it.
    #[must_use]
    pub fn to_response(self) -> Vec<u8> {
        let (phrase, fields) = match self {
            Self::Malformed(_) | Self::Subprotocol => ("Bad Request", ""),
            Self::Unauthorized => ("Unauthorized", "WWW-Authenticate: Basic realm=\"talkpath\"\r\n"),
            Self::Path => ("Not Found", ""),
            Self::Method => ("Method Not Allowed", "Allow: GET\r\n"),
            Self::Taken => ("Conflict", ""),
            Self::PlainHttp => ("Upgrade Required", "Upgrade: websocket\r\n"),
            Self::Version => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
            Self::TooLong => ("Request Header Fields Too Large", ""),
            Self::Busy => ("Service Unavailable", "Retry-After: 1\r\n"),
        };
        let connection = if self.status() == 426 { "Upgrade, close" } else { "close" };
        let body = format!("{self}\n");
        format!(
            "HTTP/1.1 {} {phrase}\r\n{fields}Connection: {connection}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.status(),
            body.len(),
        )
        .into_bytes()
    }
}

/// Why a server's answer is no upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not HTTP.
    #[error("answer is not HTTP")]
    Malformed,
    /// The head is longer than [`MAX_HEAD_LEN`], or has more than 64 fields.
    #[error("answer's head too long, wanted at most {MAX_HEAD_LEN} bytes and {MAX_FIELDS} fields")]
    TooLong,
    /// The server does not want to, for the reason that its status gives: 404, where Asterisk waits for no such id.
    #[error("answer has status {status}, wanted 101")]
    Status {
        /// HTTP's status code.
        status: u16,
    },
    /// A header of the upgrade is missing or wrong.
    #[error("answer's {0} header is missing or wrong")]
    Header(&'static str),
}

/// Reads a client's request, once it is there whole, and says how long it is; nothing before that.
///
/// # Errors
/// [`Refusal`] as soon as it can be no upgrade to this version of WebSocket.
///
/// ```
/// use talkpath::protocol::websocket::handshake::{Offer, Refusal, accept, read_request};
///
/// let head = b"GET /media?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let (request, len) = read_request(head, "media")?.expect("it is there whole");
/// assert_eq!((request.path, request.offer, len), ("/media", Offer::None, head.len()));
/// let answer = String::from_utf8(accept(&request, None)).expect("headers are ASCII");
/// assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
/// # Ok::<(), Refusal>(())
/// ```
pub fn read_request<'a>(bytes: &'a [u8], subprotocol: &str) -> Result<Option<(Request<'a>, usize)>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD_LEN => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_LEN => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
        Err(_) => return Err(Refusal::Malformed("no HTTP request")),
    };
    if head.method != Some("GET") {
        return Err(Refusal::Method);
    }
    let target = head.path.unwrap_or_default();
    if !target.starts_with('/') {
        return Err(Refusal::Malformed("no path"));
    }
    let fields = &*head.headers;
    if !has_token(fields, "Upgrade", "websocket") || !has_token(fields, "Connection", "upgrade") {
        return Err(Refusal::PlainHttp);
    }
    if head.version != Some(1) {
        return Err(Refusal::Malformed("not HTTP/1.1"));
    }
    if only(fields, "Sec-WebSocket-Version") != Some(b"13") {
        return Err(Refusal::Version);
    }
    let key = only(fields, "Sec-WebSocket-Key")
        .and_then(|key| std::str::from_utf8(key).ok())
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_LEN))
        .ok_or(Refusal::Malformed("no Sec-WebSocket-Key of 16 bytes"))?;
    let offer = match all(fields, SUBPROTOCOL).next() {
        None => Offer::None,
        Some(_) if all(fields, SUBPROTOCOL).any(|value| has_item(value, |item| item == subprotocol.as_bytes())) => {
            Offer::Wanted
        }
        Some(_) => Offer::Others,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let authorization = only(fields, "Authorization");
    Ok(Some((Request { path, query, key, offer, authorization }, len)))
}

/// Writes the answer that makes a WebSocket of the connection; names a sub-protocol if one was agreed.
#[must_use]
pub fn accept(request: &Request<'_>, subprotocol: Option<&str>) -> Vec<u8> {
    let named = subprotocol.map_or(String::new(), |name| format!("{SUBPROTOCOL}: {name}\r\n"));
    let key = accept_key(request.key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\n{named}\r\n"
    )
    .into_bytes()
}

/// The key of a request, from 16 random bytes.
#[must_use]
pub fn encode_key(random: [u8; KEY_LEN]) -> String {
    STANDARD.encode(random)
}

/// The value of an `Authorization` header for `user:password` (RFC 7617).
#[must_use]
pub fn basic_authorization(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Writes a client's request for `target` at `authority` (host and port), with its key and its one sub-protocol.
///
/// None of them may hold a line break; a [`Url`](super::Url)'s parts do not.
#[must_use]
pub fn request(authority: &str, target: &str, key: &str, subprotocol: &str, authorization: Option<&str>) -> Vec<u8> {
    let authorization = authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
    format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{SUBPROTOCOL}: {subprotocol}\r\n{authorization}\r\n"
    )
    .into_bytes()
}

/// Reads a server's answer, once it is there whole, and says how long it is; nothing before that.
///
/// An answer that names no sub-protocol is taken: Asterisk agrees without a word if it knows but one.
///
/// # Errors
/// [`AnswerError`] as soon as it can be no upgrade to what was asked for.
pub fn read_answer(bytes: &[u8], key: &str, subprotocol: &str) -> Result<Option<usize>, AnswerError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD_LEN => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_LEN => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(AnswerError::TooLong),
        Err(_) => return Err(AnswerError::Malformed),
    };
    let status = head.code.unwrap_or_default();
    if status != 101 {
        return Err(AnswerError::Status { status });
    }
    let fields = &*head.headers;
    if !has_token(fields, "Upgrade", "websocket") {
        return Err(AnswerError::Header("Upgrade"));
    }
    if !has_token(fields, "Connection", "upgrade") {
        return Err(AnswerError::Header("Connection"));
    }
    if only(fields, "Sec-WebSocket-Accept") != Some(accept_key(key).as_bytes()) {
        return Err(AnswerError::Header("Sec-WebSocket-Accept"));
    }
    if all(fields, "Sec-WebSocket-Extensions").any(|value| !value.is_empty()) {
        return Err(AnswerError::Header("Sec-WebSocket-Extensions"));
    }
    let named: Vec<_> = all(fields, SUBPROTOCOL).collect();
    if !matches!(*named, []) && *named != [subprotocol.as_bytes()] {
        return Err(AnswerError::Header(SUBPROTOCOL));
    }
    Ok(Some(len))
}

/// What proves that a server has read the request's key.
fn accept_key(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(GUID);
    STANDARD.encode(hash.digest().bytes())
}

/// The values of every field of that name, without the blanks around them.
fn all<'a>(fields: &'a [httparse::Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
}

/// The value of the only field of that name; nothing if there is none, or more than one.
fn only<'a>(fields: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some(field), None) => Some(field.value.trim_ascii()),
        _ => None,
    }
}

fn has_token(fields: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    all(fields, name).any(|value| has_item(value, |item| item.eq_ignore_ascii_case(token.as_bytes())))
}

fn has_item(list: &[u8], is_it: impl Fn(&[u8]) -> bool) -> bool {
    list.split(|&byte| byte == b',').any(|item| is_it(item.trim_ascii()))
}

/// How many fields a head may have.
const MAX_FIELDS: usize = 64;
/// How many bytes a key encodes.
const KEY_LEN: usize = 16;
const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
/// What RFC 6455 (section 1.3) has appended to a key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
