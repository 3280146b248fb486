//! Secrets, such as a provider's key: sealed while they are held, in plain only where one is used.
//!
//! A key in an environment variable is in `/proc/self/environ`, in every child and in every crash report; a key in a
//! string is in core dumps and swap, and is copied each time the string is. A [`SecretRef`] is neither: its bytes are
//! encrypted (XChaCha20-Poly1305) under a key that lives in memory which no other process, no debugger and not even the
//! kernel's own map of memory reaches, and they are in plain only in such memory, only while [`SecretRef::expose`] runs.
//!
//! There is no fall-back to environment variables. Where plaintext may not be is told from the file on: `region` holds
//! the memory, `trace` wipes what work leaves in registers and on the stack, `vault` holds the key, `enclave` seals.

mod enclave;
mod reference;
mod region;
mod trace;
mod vault;

pub use reference::{Exposed, MAX_VALUE_BYTES, SecretRef};
pub use region::Protection;
pub use vault::protection;
