//! Finds secrets in a text by their looks: the keys and tokens of well-known services, JSON web tokens, private keys.

use std::ops::Range;

use super::disjoint;

/// Where in `text` they stand.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_token).map(|ahead| at + ahead) {
        let end = text[start..].find(|ch| !is_token(ch)).map_or(text.len(), |len| start + len);
        let word = &text[start..end];
        // `x=sk-…`: what stands before the sign is not the key's.
        let skipped = word.trim_end_matches('=').rfind('=').map_or(0, |sign| sign + 1);
        let word = &word[skipped..];
        if looks_secret(word) {
            found.push(start + skipped..end);
        } else if word.eq_ignore_ascii_case("bearer") {
            found.extend(bearer(text, end));
        }
        at = end;
    }
    found.extend(private_keys(text));
    disjoint(found)
}

fn looks_secret(word: &str) -> bool {
    let known = KEYS.iter().any(|(prefix, len)| word.starts_with(prefix) && word.len() >= prefix.len() + len);
    known || is_web_token(word) || is_nats_seed(word)
}

/// RFC 7519: three parts, of which the first two begin as base64 of `{"` does.
fn is_web_token(word: &str) -> bool {
    let mut parts = word.split('.');
    let (head, body, signature) = (parts.next(), parts.next(), parts.next());
    head.is_some_and(|part| part.starts_with("eyJ") && part.len() >= 8)
        && body.is_some_and(|part| part.starts_with("eyJ"))
        && signature.is_some()
}

/// The seed of a NATS key: 58 digits of base32, `S` and the kind first.
fn is_nats_seed(word: &str) -> bool {
    let kind = word.as_bytes().get(..2);
    word.len() == 58
        && kind.is_some_and(|kind| kind[0] == b'S' && b"UAOCNX".contains(&kind[1]))
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
}

/// What follows `Bearer`, unless it is a word of prose.
fn bearer(text: &str, at: usize) -> Option<Range<usize>> {
    let start = at + (text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len());
    let end = text[start..].find(|ch| !is_token(ch)).map_or(text.len(), |len| start + len);
    let word = &text[start..end];
    (start > at && (word.len() >= 20 || word.bytes().any(|byte| byte.is_ascii_digit()))).then_some(start..end)
}

/// From the first line of a private key to its last or, if that is not there, to the end.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("-----BEGIN ").map(|ahead| at + ahead) {
        let Some(line) = text[start + 11..].find("-----").map(|len| &text[start + 11..start + 11 + len]) else {
            break;
        };
        at = start + 11 + line.len() + 5;
        if line.ends_with("PRIVATE KEY") || line.ends_with("SEED") {
            let last = format!("-----END {line}-----");
            at = text[at..].find(&last).map_or(text.len(), |len| at + len + last.len());
            found.push(start..at);
        }
    }
    found
}

fn is_token(ch: char) -> bool {
    ch.is_ascii_alphanumeric() || "-._~+/=".contains(ch)
}

/// How a key begins, and how many characters follow at least.
const KEYS: [(&str, usize); 17] = [
    ("sk-", 16),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("AGE-SECRET-KEY-", 40),
    ("hf_", 30),
    ("gsk_", 30),
];
