//! Canaries: secrets in every dress, none of which may come through, and what is no secret, which must stay as it is.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod json;
mod known;
mod text;

use talkpath::system::redact::{REDACTED, Redactor};

const CANARY: &str = "Xq7hunter2Zz";

fn redact(text: &str) -> String {
    Redactor::default().redact_text(text).0.into_owned()
}

fn redact_json(json: &str) -> String {
    Redactor::default().redact_json(json).expect("it is JSON").0.into_owned()
}

#[track_caller]
fn assert_gone(text: &str) {
    let redacted = redact(text);
    assert!(!redacted.contains(CANARY) && redacted.contains(REDACTED), "{text:?} became {redacted:?}");
}
