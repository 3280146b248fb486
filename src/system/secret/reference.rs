//! [`SecretRef`]: what is handed to the code that needs a secret, instead of the secret.
//!
//! It can be cloned, stored, logged and sent between threads: it says its name and never its value. Where the bytes are
//! needed, [`SecretRef::expose`] lends them for the length of a closure. Where the bytes come from is the store's.

use std::fmt;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::enclave::Enclave;
use super::prompt;
use super::trace::{Wipe, deeper};
use super::vault::{Place, Vault};
use crate::system::redact::KnownSecrets;
use crate::{Error, Result};

/// A secret that is sealed until it is used.
///
/// A clone is the same sealed bytes. There is no `Display`, no `PartialEq` and no way to serialise it; `Debug` gives its
/// name alone. In a process forked from the one that sealed it, it cannot be opened.
///
/// ```
/// use talkpath::system::secret::SecretRef;
///
/// let key = SecretRef::from_bytes("PROVIDER_KEY", &mut b"sk-test-123".to_vec())?;
/// assert_eq!(format!("{key:?}"), "SecretRef(PROVIDER_KEY)");
/// assert_eq!(key.expose(|bytes| bytes.len())?, 11);
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone)]
pub struct SecretRef {
    name: Arc<str>,
    enclave: Arc<Enclave>,
}

/// A secret's bytes in plain, in protected memory, wiped when dropped.
///
/// `Debug` shows no byte of it.
pub struct Exposed {
    place: Place,
}

impl SecretRef {
    /// Seals `value` under a name that may be shown, and overwrites `value` with zeros.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is empty or longer than [`MAX_VALUE_BYTES`];
    /// [`Io`](crate::ErrorKind::Io) if the system gives no memory. `value` is overwritten all the same.
    pub fn from_bytes(name: &str, value: &mut [u8]) -> Result<Self> {
        let _wipe = Wipe;
        let sealed = Self::copied(value).and_then(|place| Self::from_place(name, place));
        value.zeroize();
        sealed
    }

    /// Asks the person at the terminal (`/dev/tty`) for it, without echo; `question` is shown.
    ///
    /// Backspace and Ctrl-U correct the line, Ctrl-C and Ctrl-D give up.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if there is no terminal; [`AccessDenied`](crate::ErrorKind::AccessDenied) if the person
    /// gives up; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty line.
    pub fn from_prompt(name: &str, question: &str) -> Result<Self> {
        Self::from_place(name, prompt::ask(question)?)
    }

    /// Reads it from a pipe or a file to its end, without the line feed that ends it, past any buffer of standard input.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if it cannot be read, [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is
    /// empty or longer than [`MAX_VALUE_BYTES`].
    pub fn from_descriptor(name: &str, input: impl AsFd) -> Result<Self> {
        Self::from_place(name, prompt::read(input)?)
    }

    /// Its name, which is no secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lends the bytes to `body`, and wipes them, and what `body` leaves in registers and on its stack, when it returns.
    ///
    /// The bytes are in protected memory for that time. What `body` copies elsewhere is its own to wipe. It takes some
    /// microseconds, and may run on several threads at once.
    ///
    /// # Errors
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied) in a process forked from the one that sealed it;
    /// [`Io`](crate::ErrorKind::Io) if the system gives no memory.
    pub fn expose<R>(&self, body: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let exposed = self.open()?;
        // What it leaves is wiped when `exposed` goes, also if it panics.
        Ok(deeper(|| body(&exposed)))
    }

    /// Opens it until the result is dropped; [`expose`](Self::expose) is to be preferred, which ends sooner and wipes more.
    ///
    /// # Errors
    /// As [`expose`](Self::expose).
    pub fn open(&self) -> Result<Exposed> {
        Ok(Exposed { place: self.enclave.open()? })
    }

    /// Whether its bytes are `candidate`, told in a time that depends on the lengths alone.
    ///
    /// # Errors
    /// As [`expose`](Self::expose).
    pub fn matches(&self, candidate: &[u8]) -> Result<bool> {
        self.expose(|bytes| bool::from(bytes.ct_eq(candidate)))
    }

    /// Seals what is in a protected place.
    pub(super) fn from_place(name: &str, value: Place) -> Result<Self> {
        check_length(value.len())?;
        // Wherever it turns up, no audit log shows it. What is too short to be told from other text is not found there.
        super::trace::without_trace(|| drop(KnownSecrets::of_process().add(&value)));
        Ok(Self { name: name.into(), enclave: Arc::new(Enclave::seal(value)?) })
    }

    /// The same secret under another name.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        Self { name: name.into(), enclave: Arc::clone(&self.enclave) }
    }

    /// How long it is.
    pub(super) fn sealed_len(&self) -> usize {
        self.enclave.len()
    }

    fn copied(value: &[u8]) -> Result<Place> {
        check_length(value.len())?;
        let mut place = Vault::current()?.place(value.len())?;
        place.copy_from_slice(value);
        Ok(place)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({})", self.name)
    }
}

impl Exposed {
    /// Overwrites the bytes with zeros, which stay readable.
    pub fn wipe(&mut self) {
        self.place.zeroize();
    }
}

impl Deref for Exposed {
    type Target = [u8];

    /// The bytes; none in a process that was forked while they were open.
    fn deref(&self) -> &[u8] {
        &self.place
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposed(..)")
    }
}

fn check_length(len: usize) -> Result<()> {
    if (1..=MAX_VALUE_BYTES).contains(&len) {
        return Ok(());
    }
    Err(Error::invalid(format!("a secret of {len} bytes, wanted 1 to {MAX_VALUE_BYTES}")))
}

/// The longest secret: a key, a token, a certificate chain; not a file of data.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;
