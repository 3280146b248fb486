//! Takes secrets out of what is to be kept or sent: by the names they stand under, by their looks, and by what they are.
//!
//! Four nets, each for what the others let through. A value under a name such as `password` or `api_key` is replaced,
//! whatever it is. In texts, so is what follows such a name (`token=…`, `Authorization: …`, `--password …`), a password in
//! a URL, and what looks like a key of a well-known kind. A secret that was made known by its value is found wherever it
//! stands, in base64, hexadecimal and percent-encoding, too. And there are patterns of one's own. What is kept of a known
//! secret is a fingerprint, never the secret.
//!
//! It cannot know a secret that has no name, no looks and was never made known, or one that is cut in two by the event's
//! edge.

mod fingerprint;
mod json;
mod names;
mod shapes;
mod text;

use std::borrow::Cow;
use std::ops::Range;

pub use fingerprint::{KnownSecrets, MIN_SECRET_LEN};

use names::Names;
use regex_lite::Regex;

use crate::{Error, Result};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// What is to be taken out beside what always is.
#[derive(Clone, Debug, Default)]
pub struct RedactorOptions {
    /// More names whose values are secret, such as `room_pin`; case, `_`, `-` and spaces do not matter.
    pub names: Vec<String>,
    /// Names whose values are not, though they look so, such as `token_count`; as a whole.
    pub except: Vec<String>,
    /// Regular expressions; what they match in a text is taken out or, if they have a group named `secret`, that group.
    pub patterns: Vec<String>,
    /// Secrets known by value; those of the whole process ([`KnownSecrets::of_process`]) are always known, too.
    pub secrets: KnownSecrets,
}

/// Takes secrets out of texts, bytes and JSON.
#[derive(Clone, Debug)]
pub struct Redactor {
    names: Names,
    patterns: Vec<Regex>,
    secrets: [KnownSecrets; 2],
}

impl Redactor {
    /// Makes one.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a pattern that is no regular expression, or a name
    /// without a letter or digit.
    pub fn new(options: RedactorOptions) -> Result<Self> {
        let compile = |pattern: &String| {
            Regex::new(pattern).map_err(|error| Error::invalid(format!("pattern {pattern:?}: {error}")))
        };
        Ok(Self {
            names: Names::new(&options.names, &options.except)?,
            patterns: options.patterns.iter().map(compile).collect::<Result<_>>()?,
            secrets: [KnownSecrets::of_process(), options.secrets],
        })
    }

    /// The text without secrets, and how many were taken out.
    #[must_use]
    pub fn redact_text<'a>(&self, text: &'a str) -> (Cow<'a, str>, usize) {
        let (mut text, mut count) = (Cow::Borrowed(text), 0);
        // A text that holds JSON, as console lines and providers' messages often do.
        if text.starts_with(['{', '['])
            && let Some((Cow::Owned(json), found)) = self.redact_json(&text)
        {
            (text, count) = (Cow::Owned(json), found);
        }
        count += replace(&mut text, |text| self.known(text.as_bytes()));
        count += replace(&mut text, |text| text::secrets(text, &self.names));
        count += replace(&mut text, shapes::secrets);
        for pattern in &self.patterns {
            count += replace(&mut text, |text| matches(pattern, text));
        }
        (text, count)
    }

    /// The bytes without the secrets that are known by value, and how many were taken out.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, usize) {
        let ranges = self.known(bytes);
        if ranges.is_empty() {
            return (Cow::Borrowed(bytes), 0);
        }
        let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
        for range in &ranges {
            out.extend_from_slice(&bytes[at..range.start]);
            out.extend_from_slice(REDACTED.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(&bytes[at..]);
        (Cow::Owned(out), ranges.len())
    }

    /// A text that is JSON without secrets, and how many were taken out; all else stays as it is, to the byte.
    ///
    /// Returns none if it is not JSON (`NaN` and the infinities, which Python writes, are taken for it), or nested more
    /// than 128 deep.
    #[must_use]
    pub fn redact_json<'a>(&self, json: &'a str) -> Option<(Cow<'a, str>, usize)> {
        json::redact(json, self)
    }

    fn known(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = self.secrets[0].find(bytes);
        ranges.extend(self.secrets[1].find(bytes));
        disjoint(ranges)
    }
}

impl Default for Redactor {
    /// The names and looks that are always taken out, and the secrets of the whole process.
    fn default() -> Self {
        let names = Names::default();
        Self { names, patterns: Vec::new(), secrets: [KnownSecrets::of_process(), KnownSecrets::default()] }
    }
}

/// Replaces what a net finds, and counts it.
fn replace(text: &mut Cow<'_, str>, net: impl Fn(&str) -> Vec<Range<usize>>) -> usize {
    let ranges = net(text);
    if ranges.is_empty() {
        return 0;
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in &ranges {
        // A secret that is no UTF-8 may begin or end within a character.
        let start = (0..=range.start).rfind(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let end = (range.end..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        out.push_str(&text[at.min(start)..start]);
        out.push_str(REDACTED);
        at = end;
    }
    out.push_str(&text[at..]);
    *text = Cow::Owned(out);
    ranges.len()
}

fn matches(pattern: &Regex, text: &str) -> Vec<Range<usize>> {
    let found = pattern.captures_iter(text);
    let found = found.filter_map(|groups| groups.name("secret").or_else(|| groups.get(0)).map(|group| group.range()));
    disjoint(found.filter(|range| !range.is_empty() && &text[range.clone()] != REDACTED).collect())
}

/// The same places in order, those that touch joined.
fn disjoint(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let joined = next.start < last.end;
        if joined {
            last.end = last.end.max(next.end);
        }
        joined
    });
    ranges
}
