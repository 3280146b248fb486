//! A store of named secrets: one age file, opened by a key from a source that the caller names.
//!
//! Opening decrypts the file once, seals each secret by itself and wipes the rest. Each change reads the file anew under a
//! lock, so that two writers lose nothing of each other's, and replaces it whole. Rights and renaming are `file`'s, the
//! text is `document`'s, the encryption `age`'s.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::{self, Entries, Entry, MAX_DOCUMENT_BYTES};
use super::identity::Identity;
use super::source::{KeySource, load_first};
use super::vault::Vault;
use super::{age, file};
use crate::system::clock::Clock;
use crate::system::secret::SecretRef;
use crate::{Error, ErrorKind, Result};

/// Named secrets, kept in an age file.
///
/// What was got from it stays as it was when a secret is rotated or deleted, here or by another process;
/// [`reload`](Self::reload) reads the file anew.
///
/// ```
/// use talkpath::system::secret::{KeySource, SecretRef, SecretStore};
///
/// # let directory = std::env::temp_dir().join(format!("talkpath-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).unwrap();
/// let (path, key) = (directory.join("secrets.age"), KeySource::File(directory.join("key")));
/// let mut store = SecretStore::create(&path, &key)?;
/// store.set(&SecretRef::from_bytes("PROVIDER_KEY", &mut b"sk-test-123".to_vec())?)?;
///
/// let store = SecretStore::open(&path, &[key])?;
/// let header = store.get("PROVIDER_KEY")?.expose(|key| key.len())?;
/// assert_eq!(header, 11);
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), talkpath::Error>(())
/// ```
pub struct SecretStore {
    path: PathBuf,
    identity: Identity,
    entries: Entries,
}

/// What is known of a secret without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was first set, in seconds since 1970.
    pub created: u64,
    /// When its value was last replaced, in seconds since 1970.
    pub rotated: Option<u64>,
}

impl SecretStore {
    /// Makes an empty store with a new key, which is put where `source` says.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if there is a file at `path` already or it cannot be written;
    /// [`AccessDenied`](ErrorKind::AccessDenied) if the source has a key already; and
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if it takes none, as systemd.
    pub fn create(path: &Path, source: &KeySource) -> Result<Self> {
        let _lock = file::lock(WHAT, path)?;
        if path.symlink_metadata().is_ok() {
            let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::io(format!("{WHAT} {}", path.display()), error));
        }
        let identity = source.create().map_err(|error| said_of(source, error))?;
        let store = Self { path: path.into(), identity, entries: Entries::new() };
        store.write(&store.entries)?;
        Ok(store)
    }

    /// Opens a store with the key from the first of `sources` that has it.
    ///
    /// # Errors
    /// [`AccessDenied`](ErrorKind::AccessDenied) if no source has the key, with what was tried and why it failed; if the key
    /// is not the store's; if the store was changed or cut short; if others may write it. [`Io`](ErrorKind::Io) if it
    /// cannot be read.
    pub fn open(path: &Path, sources: &[KeySource]) -> Result<Self> {
        let sealed = file::read_sealed(WHAT, path, MAX_FILE_BYTES)?;
        let derivation = age::derivation(&sealed).map_err(|error| refused(path, &error))?;
        let identity = load_first(sources, derivation.as_ref())
            .map_err(|error| Error::new(error.kind(), format!("{WHAT} {}: {error}", path.display())))?;
        let entries = decrypt(path, &sealed, &identity)?;
        Ok(Self { path: path.into(), identity, entries })
    }

    /// The secret of that name.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none.
    pub fn get(&self, name: &str) -> Result<&SecretRef> {
        self.entries.get(name).map(|entry| &entry.secret).ok_or_else(|| missing(name))
    }

    /// All secrets' names and times, by name.
    pub fn list(&self) -> impl ExactSizeIterator<Item = SecretInfo<'_>> {
        self.entries.iter().map(|(name, entry)| SecretInfo { name, created: entry.created, rotated: entry.rotated })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public key that the store is encrypted to, as `age` writes it (`age1…`).
    #[must_use]
    pub fn recipient(&self) -> String {
        self.identity.recipient_text()
    }

    /// Adds a secret under its own name.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) if there is one of that name, or the name is none;
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if the store is full; and as [`open`](Self::open) and writing have them.
    pub fn set(&mut self, secret: &SecretRef) -> Result<()> {
        self.set_all(std::slice::from_ref(secret))
    }

    /// Adds several secrets under their own names, all or none.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_all(&mut self, secrets: &[SecretRef]) -> Result<()> {
        let created = now();
        self.change(|entries| {
            for secret in secrets {
                document::check_name(secret.name())?;
                let entry = Entry { secret: secret.clone(), created, rotated: None };
                if entries.insert(secret.name().into(), entry).is_some() {
                    let name = secret.name();
                    return Err(Error::invalid(format!("the store has a secret {name} already: rotate it instead")));
                }
            }
            Ok(())
        })
    }

    /// Replaces the value of the secret of that name, and notes when.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name; else as [`set`](Self::set).
    pub fn rotate(&mut self, secret: &SecretRef) -> Result<()> {
        let rotated = now();
        self.change(|entries| {
            let entry = entries.get_mut(secret.name()).ok_or_else(|| missing(secret.name()))?;
            entry.secret = secret.clone();
            entry.rotated = Some(rotated);
            Ok(())
        })
    }

    /// Takes a secret out of the store.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name; else as [`set`](Self::set).
    pub fn delete(&mut self, name: &str) -> Result<()> {
        self.change(|entries| entries.remove(name).map(drop).ok_or_else(|| missing(name)))
    }

    /// Reads the file anew, for what other processes have changed; on failure, all stays as it was.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the key, which is kept.
    pub fn reload(&mut self) -> Result<()> {
        self.entries = self.read()?;
        Ok(())
    }

    fn change(&mut self, change: impl FnOnce(&mut Entries) -> Result<()>) -> Result<()> {
        let _lock = file::lock(WHAT, &self.path)?;
        let mut entries = self.read()?;
        change(&mut entries)?;
        self.write(&entries)?;
        self.entries = entries;
        Ok(())
    }

    fn read(&self) -> Result<Entries> {
        let sealed = file::read_sealed(WHAT, &self.path, MAX_FILE_BYTES)?;
        decrypt(&self.path, &sealed, &self.identity)
    }

    fn write(&self, entries: &Entries) -> Result<()> {
        let sealed = age::encrypt(&mut document::write(entries)?, &self.identity)?;
        file::replace(WHAT, &self.path, &sealed)
    }
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretStore").field("path", &self.path).field("secrets", &self.entries.len()).finish()
    }
}

fn decrypt(path: &Path, sealed: &[u8], identity: &Identity) -> Result<Entries> {
    let text = age::decrypt(sealed, identity, |len| {
        if len > MAX_DOCUMENT_BYTES {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("{WHAT} {} is too long", path.display())));
        }
        Vault::current()?.place(len)
    })?;
    let text = text.map_err(|error| refused(path, &error))?;
    document::read(&text).map_err(|error| Error::new(error.kind(), format!("{WHAT} {}: {error}", path.display())))
}

fn refused(path: &Path, error: &age::Error) -> Error {
    Error::new(ErrorKind::AccessDenied, format!("{WHAT} {}: {error}", path.display()))
}

fn said_of(source: &KeySource, error: Error) -> Error {
    match error.os_error() {
        Some(number) => Error::io(format!("a new key in {source}"), std::io::Error::from_raw_os_error(number)),
        None => Error::new(error.kind(), format!("a new key in {source}: {error}")),
    }
}

fn missing(name: &str) -> Error {
    match document::check_name(name) {
        Ok(()) => Error::new(ErrorKind::NotFound, format!("the store has no secret {name}")),
        Err(error) => error,
    }
}

fn now() -> u64 {
    Clock::unix_us() / 1_000_000
}

const WHAT: &str = "secret store";

/// The longest text, and what encryption adds.
const MAX_FILE_BYTES: u64 = MAX_DOCUMENT_BYTES as u64 + 64 * 1024;
