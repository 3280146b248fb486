//! Secrets, such as a provider's key: sealed while they are held, in plain only where one is used.
//!
//! A key in an environment variable is in `/proc/self/environ`, in every child and in every crash report; a key in a
//! string is in core dumps and swap, and is copied each time the string is. A [`SecretRef`] is neither: its bytes are
//! encrypted (XChaCha20-Poly1305) under a key that lives in memory which no other process, no debugger and not even the
//! kernel's own map of memory reaches, and they are in plain only in such memory, only while [`SecretRef::expose`] runs.
//!
//! A [`SecretStore`] keeps them at rest, in an age file whose key comes from where the caller says: a systemd credential, the
//! kernel's keyring, a key file, a passphrase. There is no fall-back to environment variables.
//!
//! Where plaintext may be is told from the bottom up: `region` holds the memory, `heirless` what a fork finds in its
//! place, `trace` wipes what work leaves in registers and on the stack, `vault` holds the key and gives places, `enclave`
//! seals; `age`, `document`, `file`, `identity`, `passphrase` and `source` make the store; `prompt` and `env_file` bring
//! secrets in.

mod age;
mod document;
mod enclave;
mod env_file;
mod file;
mod harden;
mod heirless;
mod identity;
mod passphrase;
mod prompt;
mod reference;
mod region;
mod source;
mod store;
mod trace;
mod vault;

pub use document::MAX_SECRETS;
pub use env_file::read_env_file;
pub use harden::{harden, is_hardened};
pub use reference::{Exposed, MAX_VALUE_BYTES, SecretRef};
pub use region::Protection;
pub use source::KeySource;
pub use store::{SecretInfo, SecretStore};
pub use vault::protection;
