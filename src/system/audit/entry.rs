//! What a record says of an event, with its secrets taken out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::chain::sha256_hex;
use crate::system::redact::Redactor;

/// An event, as it is to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The session that it is of.
    pub session: &'a str,
    /// Its number in the session, from 1.
    pub sequence: u64,
    /// What sort of event it is, such as `session:speech_started`.
    pub kind: &'a str,
    /// When it happened, in microseconds since 1970.
    pub time_us: u64,
    /// Where it came from, if another process published it: that one's name, and its number there.
    pub origin: Option<(&'a str, u64)>,
    /// What it says.
    pub payload: EntryPayload<'a>,
}

/// What an event says.
#[derive(Clone, Copy, Debug)]
pub enum EntryPayload<'a> {
    /// JSON; a text that is none is recorded as a string.
    Json(&'a str),
    /// Bytes; recorded as base64.
    Bytes(&'a [u8]),
}

impl Entry<'_> {
    /// The event as an object of JSON, its secrets replaced and their number said as `redacted`.
    ///
    /// A payload of more than 4 MiB is replaced by its length, and its hash after redaction.
    #[must_use]
    pub fn to_json(&self, redactor: &Redactor) -> String {
        let (session, in_session) = redactor.redact_text(self.session);
        let (kind, in_kind) = redactor.redact_text(self.kind);
        let (payload, in_payload) = self.payload.to_json(redactor);
        let mut json = String::with_capacity(payload.len() + session.len() + kind.len() + 128);
        json.push_str("{\"session\":");
        push_text(&mut json, &session);
        let _ = write!(json, ",\"sequence\":{},\"kind\":", self.sequence);
        push_text(&mut json, &kind);
        let _ = write!(json, ",\"time_us\":{}", self.time_us);
        if let Some((name, sequence)) = self.origin {
            json.push_str(",\"origin\":{\"name\":");
            push_text(&mut json, name);
            let _ = write!(json, ",\"sequence\":{sequence}}}");
        }
        let redacted = in_session + in_kind + in_payload;
        if redacted > 0 {
            let _ = write!(json, ",\"redacted\":{redacted}");
        }
        json.push_str(",\"payload\":");
        json.push_str(&payload);
        json.push('}');
        json
    }
}

impl EntryPayload<'_> {
    fn to_json(self, redactor: &Redactor) -> (String, usize) {
        let (json, count) = match self {
            Self::Json(json) => match redactor.redact_json(json) {
                Some((json, count)) => (json.into_owned(), count),
                None => {
                    let (text, count) = redactor.redact_text(json);
                    (serde_json::Value::from(&*text).to_string(), count)
                }
            },
            Self::Bytes(bytes) => {
                let (bytes, count) = redactor.redact_bytes(bytes);
                (format!("{{\"base64\":\"{}\"}}", STANDARD.encode(bytes)), count)
            }
        };
        if json.len() <= MAX_PAYLOAD_LEN {
            return (json, count);
        }
        (format!("{{\"left_out_bytes\":{},\"sha256\":\"{}\"}}", json.len(), sha256_hex(json.as_bytes())), count)
    }
}

fn push_text(json: &mut String, text: &str) {
    // Most are plain, and then they are their own JSON.
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

const MAX_PAYLOAD_LEN: usize = 4 << 20;
