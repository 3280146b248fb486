//! What a store holds, as text: JSON of version 1, read and written in a protected place.
//!
//! ```json
//! {"version":1,"secrets":{"PROVIDER_KEY":{"value":"c2stLi4u","created":1795260000,"rotated":1795270000}}}
//! ```
//! Values are base64, because a secret may be any bytes, and because text that needs no unescaping is read where it stands:
//! nothing of it is copied to the ordinary heap. Times are seconds since 1970.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_core::Deserialize;
use serde_core::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::reference::{MAX_VALUE_BYTES, SecretRef};
use super::trace::without_trace;
use super::vault::{Place, Vault};
use crate::{Error, ErrorKind, Result};

/// One secret of a store, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) secret: SecretRef,
    pub(super) created: u64,
    pub(super) rotated: Option<u64>,
}

/// All of a store, by name.
pub(super) type Entries = BTreeMap<String, Entry>;

/// Reads a store's text and seals each value.
pub(super) fn read(text: &[u8]) -> Result<Entries> {
    // serde_json unescapes into a buffer of its own.
    if text.contains(&b'\\') {
        return Err(refused("its contents have a backslash, which no name, number or base64 has"));
    }
    let document = without_trace(|| serde_json::from_slice::<Document<'_>>(text)).map_err(|error| {
        // Not the error's own words: they quote what was read.
        refused(format!(
            "its contents are no store of version {VERSION}: line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    if document.version != VERSION {
        return Err(refused(format!("it is of version {}, wanted {VERSION}", document.version)));
    }
    let mut entries = Entries::new();
    for (name, fields) in document.secrets {
        check_name(name)?;
        let secret = decode(name, fields.value)?;
        entries.insert(name.into(), Entry { secret, created: fields.created, rotated: fields.rotated });
    }
    check_count(entries.len())?;
    Ok(entries)
}

/// Writes a store's text.
pub(super) fn write(entries: &Entries) -> Result<Place> {
    check_count(entries.len())?;
    let base64_len = |entry: &Entry| entry.secret.sealed_len().div_ceil(3) * 4;
    let room: usize = entries.iter().map(|(name, entry)| name.len() + base64_len(entry) + FIELDS_BYTES).sum();
    if room > MAX_DOCUMENT_BYTES {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("a store of {room} bytes of text, wanted {MAX_DOCUMENT_BYTES} at most"),
        ));
    }
    let mut place = Vault::current()?.place(room + FIELDS_BYTES)?;
    let mut len = put(&mut place, 0, format_args!("{{\"version\":{VERSION},\"secrets\":{{"));
    for (index, (name, entry)) in entries.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        len = put(&mut place, len, format_args!("{comma}\n\"{name}\":{{\"value\":\""));
        len += entry.secret.expose(|value| STANDARD.encode_slice(value, &mut place[len..]).expect("room"))?;
        len = put(&mut place, len, format_args!("\",\"created\":{}", entry.created));
        if let Some(rotated) = entry.rotated {
            len = put(&mut place, len, format_args!(",\"rotated\":{rotated}"));
        }
        len = put(&mut place, len, format_args!("}}"));
    }
    len = put(&mut place, len, format_args!("\n}}}}\n"));
    place.truncate(len);
    Ok(place)
}

/// Refuses what is no name of a secret.
pub(super) fn check_name(name: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    let rest = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter));
    if first && rest && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    // Not shown: it may be a value in the place of a name.
    Err(Error::invalid(format!(
        "a name of a secret that is not 1 to {MAX_NAME_BYTES} letters, digits, '_', '.' or '-', the first a letter or '_'"
    )))
}

fn check_count(count: usize) -> Result<()> {
    if count > MAX_SECRETS {
        let message = format!("a store of {count} secrets, wanted {MAX_SECRETS} at most");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(())
}

fn decode(name: &str, value: &str) -> Result<SecretRef> {
    let longest = value.len() / 4 * 3 + 3;
    if longest > MAX_VALUE_BYTES + 3 {
        return Err(refused(format!("{name} is longer than {MAX_VALUE_BYTES} bytes")));
    }
    let mut place = Vault::current()?.place(longest)?;
    let len = without_trace(|| STANDARD.decode_slice(value, &mut place));
    place.truncate(len.map_err(|_| refused(format!("{name} is not base64")))?);
    SecretRef::from_place(name, place)
}

fn put(place: &mut Place, at: usize, text: fmt::Arguments<'_>) -> usize {
    let mut rest = &mut place[at..];
    let before = rest.len();
    rest.write_fmt(text).expect("room");
    at + before - rest.len()
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::AccessDenied, message)
}

/// Borrowed from the text.
struct Document<'a> {
    version: u64,
    secrets: Vec<(&'a str, Fields<'a>)>,
}

struct Fields<'a> {
    value: &'a str,
    created: u64,
    rotated: Option<u64>,
}

/// Visits a JSON object as `T`, which says how.
struct Object<T>(PhantomData<T>);

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Object::<Self>(PhantomData))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Object<Document<'a>> {
    type Value = Document<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut document = Document { version: 0, secrets: Vec::new() };
        while let Some(field) = map.next_key::<&'de str>()? {
            match field {
                "version" if document.version == 0 => document.version = map.next_value()?,
                // What a later version holds, and how, is not ours to read.
                _ if document.version != VERSION => drop(map.next_value::<IgnoredAny>()?),
                "secrets" if document.secrets.is_empty() => document.secrets = map.next_value::<Secrets<'de>>()?.0,
                _ => return Err(A::Error::custom("unknown or repeated")),
            }
        }
        Ok(document)
    }
}

struct Secrets<'a>(Vec<(&'a str, Fields<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Secrets<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Object::<Self>(PhantomData))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Object<Secrets<'a>> {
    type Value = Secrets<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secrets by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut secrets: Vec<(&'de str, Fields<'de>)> = Vec::new();
        while let Some((name, fields)) = map.next_entry()? {
            if secrets.len() >= MAX_SECRETS || secrets.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("too many, or one twice"));
            }
            secrets.push((name, fields));
        }
        Ok(Secrets(secrets))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Object::<Self>(PhantomData))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Object<Fields<'a>> {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let (mut value, mut created, mut rotated) = (None, None, None);
        while let Some(field) = map.next_key::<&'de str>()? {
            match field {
                "value" if value.is_none() => value = Some(map.next_value::<&'de str>()?),
                "created" if created.is_none() => created = Some(map.next_value()?),
                "rotated" if rotated.is_none() => rotated = Some(map.next_value()?),
                _ => return Err(A::Error::custom("unknown or repeated")),
            }
        }
        let missing = || A::Error::custom("a secret wants a value and when it was created");
        Ok(Fields { value: value.ok_or_else(missing)?, created: created.ok_or_else(missing)?, rotated })
    }
}

const VERSION: u64 = 1;

/// The longest name of a secret.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// The most secrets in one store.
pub const MAX_SECRETS: usize = 1_024;

/// The longest text of a store: it is in protected memory, which is scarce, while a store is read or written.
pub(super) const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// Room for all of an entry but its name and value.
const FIELDS_BYTES: usize = 128;
