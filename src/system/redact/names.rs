//! Which names stand for secrets.
//!
//! A name is read as its words (`x-api-key`, `apiKey`, `API_KEY`), so that `client_secret` is one and `secretary` is not.

use crate::{Error, Result};

/// Whether the value under a name is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It is not.
    Open,
    /// Texts are, numbers are not: `tokens`, `token_count`.
    UnlessNumber,
    /// It is, whatever it holds.
    Secret,
}

/// The names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    more: Vec<String>,
    except: Vec<String>,
}

impl Names {
    pub(super) fn new(more: &[String], except: &[String]) -> Result<Self> {
        let compact = |name: &String| {
            let compact = compact(name);
            let empty = || Error::invalid(format!("name {name:?}, wanted one with a letter or a digit"));
            if compact.is_empty() { Err(empty()) } else { Ok(compact) }
        };
        Ok(Self {
            more: more.iter().map(compact).collect::<Result<_>>()?,
            except: except.iter().map(compact).collect::<Result<_>>()?,
        })
    }

    /// What the value under `name` is.
    pub(super) fn secrecy(&self, name: &str) -> Secrecy {
        if name.len() > MAX_NAME_LEN {
            return Secrecy::Open;
        }
        let (mut all, mut word_start, mut before) = (String::with_capacity(name.len()), 0, ' ');
        let mut found = None;
        for ch in name.chars().chain([' ']) {
            let turns = before.is_alphanumeric()
                && (!ch.is_alphanumeric()
                    || before.is_lowercase() && ch.is_uppercase()
                    || before.is_numeric() != ch.is_numeric());
            if turns {
                if let Some(plural) = self.ends_in_secret(&all, word_start) {
                    found = Some((all.len(), plural));
                }
                word_start = all.len();
            }
            if ch.is_alphanumeric() {
                all.extend(ch.to_lowercase());
            }
            before = ch;
        }
        match found {
            None => Secrecy::Open,
            Some(_) if self.except.contains(&all) => Secrecy::Open,
            Some((end, false)) if end == all.len() => Secrecy::Secret,
            Some(_) => Secrecy::UnlessNumber,
        }
    }

    /// Whether what is read so far ends as a secret's name does, and whether in its plural.
    fn ends_in_secret(&self, all: &str, word_start: usize) -> Option<bool> {
        let ends = |text: &str| {
            LONG.iter().any(|name| text.ends_with(name))
                || self.more.iter().any(|name| text.ends_with(name.as_str()))
                || text.get(word_start..).is_some_and(|word| SHORT.contains(&word))
        };
        if ends(all) {
            return Some(false);
        }
        all.strip_suffix('s').is_some_and(ends).then_some(true)
    }
}

fn compact(name: &str) -> String {
    name.chars().filter(|ch| ch.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A word may end in these: `clientsecret`.
const LONG: [&str; 17] = [
    "accesskey",
    "apikey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "encryptionkey",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "sessionkey",
    "signingkey",
    "token",
];

/// These are words of their own only: `pin`, not `spin`.
const SHORT: [&str; 9] = ["auth", "cvc", "cvv", "jwt", "otp", "pass", "pin", "pwd", "ssn"];

/// Nobody names a thing so long; a text that long is no name.
const MAX_NAME_LEN: usize = 256;
