//! Subjects: `talkpath.<session>.<kind>`, and names as their tokens.
//!
//! NATS takes no spaces, dots, `*` and `>` in a token. Whatever byte is not a printable ASCII character other than these is
//! written as `%` and two hexadecimal digits, and so is `%`; everything else stays as it is, so that `voice:mic_level` does.

use crate::{Error, Result};

/// Writes a session's or kind's name as a token of a subject.
#[must_use]
pub fn token_from_name(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && !b".*>%".contains(&byte) {
            token.push(char::from(byte));
        } else {
            token.push('%');
            token.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
    }
    token
}

/// Reads a name from a token; none if no name is written so.
#[must_use]
pub fn name_from_token(token: &str) -> Option<String> {
    let mut name = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    let name = String::from_utf8(name).ok()?;
    // There is one way to write a name, so that two subjects never mean the same.
    (!name.is_empty() && token_from_name(&name) == token).then_some(name)
}

/// The subject of an event.
pub(super) fn of_event(prefix: &str, session: &str, kind: &str) -> String {
    format!("{prefix}.{}.{}", token_from_name(session), token_from_name(kind))
}

/// The session and kind of an event's subject.
pub(super) fn parse(prefix: &str, subject: &str) -> Option<(String, String)> {
    let (session, kind) = subject.strip_prefix(prefix)?.strip_prefix('.')?.split_once('.')?;
    Some((name_from_token(session)?, name_from_token(kind)?))
}

/// The subject of marks, which no event has: it is shorter, and no name is written so.
pub(super) fn of_marks(prefix: &str) -> String {
    format!("{prefix}.%mark")
}

/// Refuses a prefix that cannot begin a subject.
pub(super) fn check_prefix(prefix: &str) -> Result<()> {
    let tokens = prefix.split('.').all(|token| !token.is_empty() && token.bytes().all(is_plain));
    if tokens && prefix.len() <= 255 && !prefix.starts_with(['$', '_']) {
        return Ok(());
    }
    Err(Error::invalid(format!("prefix {prefix:?}, wanted tokens of letters, digits, - and _, with dots between")))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_names_stay_and_others_are_escaped() {
        assert_eq!(token_from_name("voice:mic_level"), "voice:mic_level");
        assert_eq!(token_from_name("a.b c*>%"), "a%2Eb%20c%2A%3E%25");
        assert_eq!(token_from_name("ß\n"), "%C3%9F%0A");
        for token in ["", "%", "%2", "%2e", "%41", "%FF", "a b", "ß"] {
            assert_eq!(name_from_token(token), None, "{token:?}");
        }
        assert_eq!(parse("x.y", "x.y.s%2E1.a:b"), Some(("s.1".into(), "a:b".into())));
        assert_eq!(parse("x", &of_marks("x")), None);
        assert!(check_prefix("talkpath.test-1").is_ok());
        for prefix in ["", ".", "a.", "a..b", "a b", "$SYS", "_INBOX", "a.*", ">"] {
            assert!(check_prefix(prefix).is_err(), "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(session in "\\PC{1,60}", kind in prop::string::string_regex("(?s).{1,60}").unwrap()) {
            let subject = of_event("talkpath", &session, &kind);
            prop_assert!(subject.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(subject.split('.').count(), 3);
            prop_assert_eq!(parse("talkpath", &subject), Some((session, kind)));
        }

        #[test]
        fn no_token_means_what_another_does(token in "[ -~]{1,20}") {
            if let Some(name) = name_from_token(&token) {
                prop_assert_eq!(token_from_name(&name), token);
            }
        }
    }
}
