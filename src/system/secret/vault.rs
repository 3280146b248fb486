//! The process's vault: the key that enclaves are sealed under, and the protected places where one is opened.
//!
//! There is one a process, made when its first secret is. A process that was forked has not got its parent's and makes
//! its own; what the parent sealed stays shut there. Sealing and opening is `enclave`'s.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, OnceLock, PoisonError};

use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305};

use super::region::{ForkMark, Protection, Region};
use super::trace::Wipe;
use crate::{Error, ErrorKind, Result};

/// Says how well this process keeps opened secrets and the key that the others are sealed under.
///
/// # Errors
/// [`ErrorKind::Io`] if the system gives no memory at all.
pub fn protection() -> Result<Protection> {
    Ok(Vault::current()?.key.protection())
}

/// The key, and places to open secrets in.
pub(super) struct Vault {
    mark: &'static ForkMark,
    process: u32,
    key: Region,
    spare: Mutex<Vec<Region>>,
    /// The vault of the process that was forked from this one's.
    heir: OnceLock<&'static Self>,
}

/// A protected place, whose bytes are zero before and wiped after.
pub(super) struct Place {
    /// Some until dropped.
    region: Option<Region>,
    len: usize,
    vault: &'static Vault,
}

impl Vault {
    /// The vault of this process, made if there is none yet.
    pub(super) fn current() -> Result<&'static Self> {
        let mut next = &FIRST;
        loop {
            let vault = match next.get() {
                Some(vault) => *vault,
                None => {
                    let made = Box::leak(Box::new(Self::new()?));
                    // Another thread may have been faster; ours is then an unused page.
                    let _ = next.set(made);
                    continue;
                }
            };
            if !vault.mark.is_forked() {
                return Ok(vault);
            }
            next = &vault.heir;
        }
    }

    /// A place for `len` bytes.
    pub(super) fn place(&'static self, len: usize) -> Result<Place> {
        self.check_process()?;
        let kept = if len <= KEPT_BYTES { self.spare().pop() } else { None };
        let region = kept.map_or_else(|| Region::new(len.max(KEPT_BYTES), self.mark), Ok)?;
        Ok(Place { region: Some(region), len, vault: self })
    }

    /// The cipher under this vault's key; to be used under `without_trace`, for it holds the key.
    pub(super) fn cipher(&self) -> Result<XChaCha20Poly1305> {
        self.check_process()?;
        let key: &Key = self.key[..KEY_BYTES].try_into().expect("as long as a key");
        Ok(XChaCha20Poly1305::new(key))
    }

    /// Refuses a process that was forked from this vault's.
    pub(super) fn check_process(&self) -> Result<()> {
        if self.mark.is_forked() {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                format!(
                    "the secret is sealed in process {}, from which this one, {}, was forked; open the store again here",
                    self.process,
                    std::process::id()
                ),
            ));
        }
        Ok(())
    }

    fn new() -> Result<Self> {
        let mark = ForkMark::set()?;
        let mut key = Region::new(KEY_BYTES, mark)?;
        fill_random(&mut key[..KEY_BYTES])?;
        Ok(Self { mark, process: std::process::id(), key, spare: Mutex::default(), heir: OnceLock::new() })
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Region>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Leaves the first `len` bytes; the others stay in protected memory, and are wiped with the rest.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Whose key may seal it.
    pub(super) fn vault(&self) -> &'static Vault {
        self.vault
    }
}

impl Deref for Place {
    type Target = [u8];

    /// The bytes; none in a process that was forked while the place was held.
    fn deref(&self) -> &[u8] {
        self.region.as_ref().and_then(|region| region.get(..self.len)).unwrap_or_default()
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.region.as_mut().and_then(|region| region.get_mut(..self.len)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _wipe = Wipe;
        let Some(mut region) = self.region.take().filter(|_| !self.vault.mark.is_forked()) else { return };
        region.wipe();
        let mut spare = self.vault.spare();
        if region.len() == KEPT_BYTES && spare.len() < KEPT_PLACES {
            spare.push(region);
        }
    }
}

/// Fills `out` with the system's random bytes.
pub(super) fn fill_random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|error| Error::io("random bytes from the system", error.into()))
}

/// A process's first vault, or that of the process it was forked from.
static FIRST: OnceLock<&'static Vault> = OnceLock::new();

const KEY_BYTES: usize = 32;

/// A place of this size is kept for the next opening: mapping one takes longer than all else.
const KEPT_BYTES: usize = 4_096;
/// As many are kept as there are secrets in plain at one time, in all but odd programs.
const KEPT_PLACES: usize = 8;
