//! Finds secrets that are known by value, without keeping them.
//!
//! Of each, and of what it looks like in base64, hexadecimal and percent-encoding, a keyed hash is kept. Where it may
//! stand is found by a hash that rolls over the first few bytes; only there is the whole compared, as a SHA-256.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// How short a secret may be that is known by value, in bytes; a shorter one would be found in every other text.
pub const MIN_SECRET_LEN: usize = 4;

/// Secrets known by value. A clone knows the same.
#[derive(Clone)]
pub struct KnownSecrets(Arc<RwLock<Prints>>);

struct Prints {
    key: [u8; 32],
    base: u64,
    windows: [Window; WINDOWS.len()],
    count: usize,
}

/// The secrets that are found by their first `len` bytes.
struct Window {
    len: usize,
    /// What the first byte of the window counts in the hash.
    weight: u64,
    /// A bit for each hash there is, to look no further in most cases.
    maybe: Box<[u64; BITS / 64]>,
    prints: HashMap<u64, Vec<(usize, [u8; 32])>>,
}

impl KnownSecrets {
    /// Makes a set that knows none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set that every redactor of the process knows.
    ///
    /// Whoever opens a secret adds it here, so that no record, log or bridge shows it, wherever it turns up.
    #[must_use]
    pub fn of_process() -> Self {
        static SECRETS: LazyLock<KnownSecrets> = LazyLock::new(KnownSecrets::default);
        SECRETS.clone()
    }

    /// Makes a secret known. It is not kept.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for one of less than [`MIN_SECRET_LEN`] bytes;
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) for more than 100,000.
    pub fn add(&self, secret: &[u8]) -> Result<()> {
        if secret.len() < MIN_SECRET_LEN {
            let got = secret.len();
            return Err(Error::invalid(format!("a secret of {got} bytes, wanted at least {MIN_SECRET_LEN}")));
        }
        let mut prints = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if prints.count >= MAX_SECRETS {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("more than {MAX_SECRETS} known secrets")));
        }
        prints.count += usize::from(prints.add(secret));
        for upper in [false, true] {
            prints.add(&written(2 * secret.len(), secret.iter().flat_map(|byte| hex_digits(*byte, upper))));
        }
        prints.add(&written(3 * secret.len(), secret.iter().flat_map(|byte| percent(*byte))));
        for before in 0..3 {
            // What comes before shifts the bits; the digits that are the secret's alone are the same whatever it is.
            let shifted = written(before + secret.len(), std::iter::repeat_n(0, before).chain(secret.iter().copied()));
            let own = (before * 8).div_ceil(6)..shifted.len() * 8 / 6;
            for engine in [&STANDARD, &URL_SAFE] {
                let text = Zeroizing::new(engine.encode(&*shifted));
                let own = &text.as_bytes()[own.clone()];
                if own.len() >= WINDOWS[0] {
                    prints.add(own);
                }
            }
        }
        Ok(())
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in `bytes` they stand, in order of their starts.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let prints = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if prints.count == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        prints.windows.iter().for_each(|window| prints.find(window, bytes, &mut found));
        found.sort_by_key(|range| range.start);
        found
    }
}

impl Default for KnownSecrets {
    fn default() -> Self {
        let mut random = Zeroizing::new([0; 40]);
        // Where there is no randomness the hashes are those of any other process: still no secrets.
        let _ = getrandom::fill(&mut *random);
        let (base, key) = random.split_at(8);
        let base = u64::from_le_bytes(base.try_into().unwrap_or_default()) % (PRIME - 1_000) + 500;
        let windows = WINDOWS.map(|len| Window::new(len, base));
        let key = key.try_into().unwrap_or_default();
        Self(Arc::new(RwLock::new(Prints { key, base, windows, count: 0 })))
    }
}

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownSecrets({})", self.len())
    }
}

impl Prints {
    /// Adds one appearance of a secret; false if it is known already.
    fn add(&mut self, bytes: &[u8]) -> bool {
        let digest = self.digest(bytes);
        let Some(window) = self.windows.iter_mut().find(|window| window.len <= bytes.len()) else {
            return false;
        };
        let hash = bytes[..window.len].iter().fold(0, |hash, byte| roll(hash, self.base, *byte));
        let prints = window.prints.entry(hash).or_default();
        if prints.contains(&(bytes.len(), digest)) {
            return false;
        }
        prints.push((bytes.len(), digest));
        window.maybe[hash as usize % BITS / 64] |= 1 << (hash % 64);
        true
    }

    fn find(&self, window: &Window, bytes: &[u8], found: &mut Vec<Range<usize>>) {
        if window.prints.is_empty() || bytes.len() < window.len {
            return;
        }
        let mut hash = bytes[..window.len - 1].iter().fold(0, |hash, byte| roll(hash, self.base, *byte));
        for (start, last) in bytes[window.len - 1..].iter().enumerate() {
            hash = roll(hash, self.base, *last);
            if window.maybe[hash as usize % BITS / 64] & (1 << (hash % 64)) != 0 {
                for (len, digest) in window.prints.get(&hash).into_iter().flatten() {
                    if bytes.get(start..start + len).is_some_and(|there| self.digest(there) == *digest) {
                        found.push(start..start + len);
                    }
                }
            }
            let gone = multiply(u64::from(bytes[start]) + 1, window.weight);
            hash = if hash >= gone { hash - gone } else { hash + PRIME - gone };
        }
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.key).chain_update(bytes).finalize().into()
    }
}

impl Window {
    fn new(len: usize, base: u64) -> Self {
        let weight = (1..len).fold(1, |weight, _| multiply(weight, base));
        Self { len, weight, maybe: Box::new([0; BITS / 64]), prints: HashMap::new() }
    }
}

fn roll(hash: u64, base: u64, byte: u8) -> u64 {
    (multiply(hash, base) + u64::from(byte) + 1) % PRIME
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let folded = (product as u64 & PRIME) + (product >> 61) as u64;
    if folded >= PRIME { folded - PRIME } else { folded }
}

/// Bytes that are wiped when they go; as there is room from the start, none are left behind where it was too small.
fn written(capacity: usize, bytes: impl Iterator<Item = u8>) -> Zeroizing<Vec<u8>> {
    let mut written = Zeroizing::new(Vec::with_capacity(capacity));
    bytes.for_each(|byte| written.push(byte));
    written
}

fn hex_digits(byte: u8, upper: bool) -> [u8; 2] {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

/// As it stands in a URL.
fn percent(byte: u8) -> impl Iterator<Item = u8> {
    let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let [high, low] = hex_digits(byte, true);
    let escaped = [if plain { byte } else { b'%' }, high, low];
    escaped.into_iter().take(if plain { 1 } else { 3 })
}

/// By how many first bytes secrets are found: the longer ones, and those that are too short for it.
const WINDOWS: [usize; 2] = [8, MIN_SECRET_LEN];
const BITS: usize = 1 << 12;
/// The Mersenne prime 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;
const MAX_SECRETS: usize = 100_000;
