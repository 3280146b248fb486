//! Which events a subscriber wants: names with `*` and `?` in them, compiled once.
//!
//! The answer for a session and a kind is kept by the bus, so that a pattern is asked once for each, not once an event.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A pattern of names: `*` stands for any run of characters, also none, `?` for one; everything else for itself.
///
/// ```
/// use talkpath::system::bus::Pattern;
///
/// let voice: Pattern = "voice:*".parse()?;
/// assert!(voice.matches("voice:mic_level") && !voice.matches("session:started"));
/// assert!(!Pattern::exact("voice:*").matches("voice:mic_level"));
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Form);

/// What a pattern comes down to: most are one of the first three, which cost a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    Glob(Box<[char]>),
}

/// Which events a subscriber wants: those whose session and kind both match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of which sessions.
    pub session: Pattern,
    /// Of which kinds.
    pub kind: Pattern,
}

impl Pattern {
    /// The pattern that matches every name.
    #[must_use]
    pub const fn any() -> Self {
        Self(Form::Any)
    }

    /// The pattern that matches this name alone, whatever characters it has.
    #[must_use]
    pub fn exact(name: &str) -> Self {
        Self(Form::Exact(name.into()))
    }

    /// Whether it matches `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Form::Any => true,
            Form::Exact(wanted) => **wanted == *name,
            Form::Prefix(prefix) => name.starts_with(&**prefix),
            Form::Glob(glob) => glob_matches(glob, name),
        }
    }
}

impl FromStr for Pattern {
    type Err = Error;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is empty or longer than 255 bytes.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(Error::invalid(format!("pattern of {} bytes, wanted 1 to {MAX_BYTES}", text.len())));
        }
        let wild = |text: &str| text.contains(['*', '?']);
        Ok(Self(match text.strip_suffix('*') {
            Some("") => Form::Any,
            Some(prefix) if !wild(prefix) => Form::Prefix(prefix.into()),
            None if !wild(text) => Form::Exact(text.into()),
            _ => Form::Glob(text.chars().collect()),
        }))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Any => f.write_str("*"),
            Form::Exact(name) => f.write_str(name),
            Form::Prefix(prefix) => write!(f, "{prefix}*"),
            Form::Glob(glob) => f.write_str(&glob.iter().collect::<String>()),
        }
    }
}

impl Filter {
    /// Compiles a filter of two patterns.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is no pattern.
    pub fn new(session: &str, kind: &str) -> Result<Self> {
        Ok(Self { session: session.parse()?, kind: kind.parse()? })
    }

    /// All events of the session with this very name.
    #[must_use]
    pub fn session(name: &str) -> Self {
        Self { session: Pattern::exact(name), kind: Pattern::any() }
    }

    /// All events.
    #[must_use]
    pub const fn all() -> Self {
        Self { session: Pattern::any(), kind: Pattern::any() }
    }
}

/// Goes back only to the last `*`, which is enough: an earlier one could take nothing that this one cannot.
fn glob_matches(glob: &[char], name: &str) -> bool {
    let mut rest = name.chars();
    let mut at = 0;
    let mut retry = None;
    loop {
        let before = rest.clone();
        match (glob.get(at), rest.next()) {
            (Some('*'), _) => {
                at += 1;
                retry = Some((at, before.clone()));
                rest = before;
            }
            (None, None) => return true,
            (Some(&wanted), Some(got)) if wanted == '?' || wanted == got => at += 1,
            _ => {
                let Some((after_star, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *after_star;
                rest = from.clone();
            }
        }
    }
}

/// How long a pattern may be: as long as the names that it is for.
const MAX_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(name)
    }

    #[test]
    fn stars_and_question_marks() {
        assert!(matches("*", "") && matches("*", "anything"));
        assert!(matches("a*", "a") && matches("a*", "abc") && !matches("a*", "ba"));
        assert!(matches("*:ended", "session:ended") && !matches("*:ended", "session:ended!"));
        assert!(matches("c?ll-*-x", "call-12-x") && !matches("c?ll-*-x", "cll-12-x"));
        assert!(matches("*ab*ab", "abxababxab") && !matches("*ab*ab", "abx"));
        assert!(matches("?", "é") && !matches("?", ""));
        assert!("".parse::<Pattern>().is_err() && "x".repeat(256).parse::<Pattern>().is_err());
        assert_eq!("a*b?".parse::<Pattern>().unwrap().to_string(), "a*b?");
    }

    /// The definition, with no thought for speed.
    fn slowly(glob: &[char], name: &[char]) -> bool {
        match (glob, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => slowly(rest, name) || (!name.is_empty() && slowly(glob, &name[1..])),
            ([wanted, rest @ ..], [got, after @ ..]) => (*wanted == '?' || wanted == got) && slowly(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn equals_the_definition(glob in "[ab*?]{1,8}", name in "[ab]{0,8}") {
            let (g, n): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&glob, &name), slowly(&g, &n));
        }
    }
}
