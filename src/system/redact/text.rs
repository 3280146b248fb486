//! Finds secrets in a text by the names before them: `token=…`, `Password: …`, `--api-key …`, a password in a URL.

use std::ops::Range;

use super::names::{Names, Secrecy};
use super::{REDACTED, disjoint};

/// Where in `text` they stand.
pub(super) fn secrets(text: &str, names: &Names) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let secret = match byte {
            b':' if bytes[at..].starts_with(b"://") => url_password(text, at + 3),
            b'=' | b':' if found.last().is_none_or(|last: &Range<usize>| at >= last.end) => assigned(text, at, names),
            b'-' if bytes[at..].starts_with(b"--") && (at == 0 || bytes[at - 1].is_ascii_whitespace()) => {
                flagged(text, at + 2, names)
            }
            _ => None,
        };
        found.extend(secret.filter(|range| !range.is_empty() && !is_taken_out(text, range)));
    }
    disjoint(found)
}

/// The value behind the `=` or `:` at `at`, if the name before it is a secret's.
fn assigned(text: &str, at: usize, names: &Names) -> Option<Range<usize>> {
    let before = text[..at].trim_end_matches([' ', '\t']);
    // A name in quotes may be in a text that was escaped, as part of another one.
    let quoted = before.strip_suffix(['"', '\'']).map(|name| name.trim_end_matches('\\'));
    let before = quoted.unwrap_or(before);
    let name = &before[before.rfind(|ch| !is_name(ch)).map_or(0, |last| last + char_len(before, last))..];
    let mut secrecy = names.secrecy(name);
    if secrecy == Secrecy::Open && is_prompt(before) {
        secrecy = Secrecy::Secret;
    }
    if secrecy == Secrecy::Open {
        return None;
    }
    let mut start = at + 1;
    start += blanks(&text[start..]);
    let spaced = start > at + 1;
    let rest = &text[start..];
    let marks = rest.len() - rest.trim_start_matches('\\').len();
    if let Some(quote) = rest[marks..].chars().next().filter(|ch| matches!(ch, '"' | '\'')) {
        let open = start + marks + 1;
        let end = text[open..].find(quote).map_or(text.len(), |len| open + len);
        return Some(open..open + text[open..end].trim_end_matches('\\').len());
    }
    // `token=abc&x=1` ends at the `&`; `Password: correct horse` and `Cookie: a=1; b=2` go to the end of the line.
    let whole_line = spaced && quoted.is_none();
    let ends = |ch: char| match whole_line {
        true => matches!(ch, '\n' | '\r'),
        false => ch.is_whitespace() || matches!(ch, ',' | ';' | '&' | ')' | '}' | ']' | '"' | '\''),
    };
    let mut end = rest.find(ends).map_or(text.len(), |len| start + len);
    if !whole_line && ["bearer", "basic", "token"].contains(&text[start..end].to_ascii_lowercase().as_str()) {
        let more = blanks(&text[end..]);
        end = text[end + more..].find(ends).map_or(text.len(), |len| end + more + len);
    }
    let value = text[start..end].trim_end();
    let harmless = matches!(value, "null" | "None" | "true" | "false" | "True" | "False")
        || secrecy == Secrecy::UnlessNumber
            && value.split([' ', '/', ',', ';']).next().is_some_and(|it| it.parse::<f64>().is_ok());
    (!harmless).then_some(start..start + value.len())
}

/// `[sudo] password for me`, `Enter passphrase for key '/x'`: what follows the colon was typed.
fn is_prompt(before: &str) -> bool {
    let line = before[before.rfind('\n').map_or(0, |end| end + 1)..].to_ascii_lowercase();
    line.len() < MAX_PROMPT_LEN
        && ["password for ", "passphrase for ", "passcode for "].iter().any(|ask| line.contains(ask))
}

/// The word after a flag such as `--password`, whose name begins at `at`.
fn flagged(text: &str, at: usize, names: &Names) -> Option<Range<usize>> {
    let rest = &text[at..];
    let len = rest.find(|ch| !is_name(ch)).unwrap_or(rest.len());
    if !rest[len..].starts_with(' ') || names.secrecy(&rest[..len]) == Secrecy::Open {
        return None;
    }
    let start = at + len + blanks(&rest[len..]);
    let end = text[start..].find(char::is_whitespace).map_or(text.len(), |len| start + len);
    (!text[start..end].starts_with('-')).then_some(start..end)
}

/// The password of a URL whose part after `://` begins at `at`.
fn url_password(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let host = rest.find(|ch: char| ch.is_whitespace() || matches!(ch, '/' | '?' | '#' | '"' | '\'' | '<' | '>'));
    let user = &rest[..host.unwrap_or(rest.len())];
    let user = &user[..user.rfind('@')?];
    let start = user.find(':').map_or(0, |colon| colon + 1);
    Some(at + start..at + user.len())
}

fn is_taken_out(text: &str, range: &Range<usize>) -> bool {
    let value = &text[range.clone()];
    value == REDACTED || text[range.start..].starts_with(REDACTED) && value.len() <= REDACTED.len()
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

fn is_name(ch: char) -> bool {
    ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.')
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

const MAX_PROMPT_LEN: usize = 200;
