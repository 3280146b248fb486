//! Takes secrets out of JSON without reading it into a tree: what is no secret stays as it is, to the byte.
//!
//! A tree would reorder names and round numbers that it cannot hold, and a record must not.

use std::borrow::Cow;
use std::ops::Range;

use super::names::Secrecy;
use super::{REDACTED, Redactor};

/// See [`Redactor::redact_json`].
pub(super) fn redact<'a>(json: &'a str, redactor: &Redactor) -> Option<(Cow<'a, str>, usize)> {
    let mut walk = Walk { json, at: 0, redactor, edits: Vec::new(), count: 0 };
    walk.value(Secrecy::Open, MAX_DEPTH)?;
    walk.space();
    if walk.at != json.len() {
        return None;
    }
    if walk.edits.is_empty() {
        return Some((Cow::Borrowed(json), 0));
    }
    let (mut out, mut at) = (String::with_capacity(json.len()), 0);
    for (range, text) in &walk.edits {
        out.push_str(&json[at..range.start]);
        push_json_text(&mut out, text);
        at = range.end;
    }
    out.push_str(&json[at..]);
    Some((Cow::Owned(out), walk.count))
}

/// Adds `text` as JSON's string.
fn push_json_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

struct Walk<'a> {
    json: &'a str,
    at: usize,
    redactor: &'a Redactor,
    /// What is to be replaced, in order, and by which text.
    edits: Vec<(Range<usize>, String)>,
    count: usize,
}

impl<'a> Walk<'a> {
    fn value(&mut self, secrecy: Secrecy, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.space();
        let (start, edits, count) = (self.at, self.edits.len(), self.count);
        match self.peek()? {
            b'{' => self.object(secrecy, depth)?,
            b'[' => self.array(secrecy, depth)?,
            b'"' => {
                let text = self.string()?;
                if secrecy == Secrecy::Open {
                    self.text(start, &text);
                } else if !text.is_empty() && text != REDACTED {
                    self.take_out(start);
                }
                return Some(());
            }
            _ => {
                let literal = self.literal()?;
                let number = literal.starts_with(|ch: char| ch == '-' || ch.is_ascii_digit());
                if number && secrecy == Secrecy::Secret {
                    self.take_out(start);
                }
                return Some(());
            }
        }
        if secrecy == Secrecy::Secret {
            self.edits.truncate(edits);
            self.count = count;
            self.take_out(start);
        }
        Some(())
    }

    fn object(&mut self, inherited: Secrecy, depth: usize) -> Option<()> {
        self.at += 1;
        // {"name": "api_key", "value": "…"}
        let mut named = Secrecy::Open;
        if self.ends(b'}') {
            return Some(());
        }
        loop {
            self.space();
            let start = self.at;
            let name = self.string()?;
            self.text(start, &name);
            self.space();
            self.take(b':')?;
            self.space();
            let mut secrecy = stricter(inherited, self.redactor.names.secrecy(&name));
            if matches!(&*name, "value" | "Value") {
                secrecy = stricter(secrecy, named);
            }
            if matches!(&*name, "name" | "key" | "header" | "Name" | "Key") && self.peek() == Some(b'"') {
                let start = self.at;
                named = self.redactor.names.secrecy(&self.string()?);
                self.at = start;
            }
            self.value(secrecy, depth)?;
            if self.ends(b'}') {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    fn array(&mut self, inherited: Secrecy, depth: usize) -> Option<()> {
        self.at += 1;
        // ["--password", "…"] and ["Authorization", "…"]
        let (mut next, mut first) = (Secrecy::Open, true);
        if self.ends(b']') {
            return Some(());
        }
        loop {
            self.space();
            let secrecy = stricter(inherited, next);
            next = Secrecy::Open;
            if self.peek() == Some(b'"') {
                let start = self.at;
                let text = self.string()?;
                if (first || text.starts_with('-')) && !text.contains(['=', ':', ' ']) {
                    next = self.redactor.names.secrecy(&text);
                }
                self.at = start;
            }
            first = false;
            self.value(secrecy, depth)?;
            if self.ends(b']') {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    /// Reads a string, and what it says.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        // An escape that is not ASCII is none, and would leave us within a character.
        let raw = self.json.get(start..self.at)?;
        self.at += 1;
        if escaped { unescape(raw).map(Cow::Owned) } else { Some(Cow::Borrowed(raw)) }
    }

    /// Takes the secrets out of a string that was read from `start` on.
    fn text(&mut self, start: usize, text: &str) {
        let (redacted, found) = self.redactor.redact_text(text);
        if found > 0 {
            self.edits.push((start..self.at, redacted.into_owned()));
            self.count += found;
        }
    }

    fn literal(&mut self) -> Option<&'a str> {
        let rest = &self.json[self.at..];
        let len = rest.find(|ch: char| !(ch.is_ascii_alphanumeric() || "+-.".contains(ch))).unwrap_or(rest.len());
        self.at += len;
        let literal = &rest[..len];
        let word = matches!(literal, "true" | "false" | "null" | "NaN" | "Infinity" | "-Infinity");
        (word || literal.parse::<f64>().is_ok_and(|_| literal.as_bytes()[len - 1].is_ascii_digit())).then_some(literal)
    }

    fn take_out(&mut self, start: usize) {
        self.edits.push((start..self.at, REDACTED.into()));
        self.count += 1;
    }

    /// Whether what comes next is `end`, which is then read.
    fn ends(&mut self, end: u8) -> bool {
        self.space();
        self.take(end).is_some()
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}

fn stricter(a: Secrecy, b: Secrecy) -> Secrecy {
    if a == Secrecy::Secret || b == Secrecy::Open { a } else { b }
}

/// What an escaped string says; half a surrogate pair, which Python writes, as U+FFFD.
fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    let mut units = Vec::new();
    let settle = |units: &mut Vec<u16>, out: &mut String| {
        out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    };
    while let Some(ch) = chars.next() {
        let plain = if ch == '\\' {
            match chars.next()? {
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\u{8}',
                'f' => '\u{c}',
                same @ ('"' | '\\' | '/') => same,
                _ => return None,
            }
        } else {
            ch
        };
        settle(&mut units, &mut out);
        out.push(plain);
    }
    settle(&mut units, &mut out);
    Some(out)
}

const MAX_DEPTH: usize = 128;
