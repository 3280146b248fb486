//! A credential that systemd has put where only this service can read it.
//!
//! `$CREDENTIALS_DIRECTORY` is the one variable that this room reads, and it is no secret: it is the path of a directory
//! (systemd.exec(5), "Credentials"). It is read only if a source `systemd:NAME` is asked for.

use std::path::PathBuf;

use crate::system::secret::file::{Rights, read_protected};
use crate::system::secret::vault::Place;
use crate::{Error, ErrorKind, Result};

/// Reads the credential.
pub(super) fn read(name: &str) -> Result<Place> {
    if !is_name(name) {
        return Err(Error::invalid(
            "a credential's name is 1 to 255 characters without a slash, and begins with no dot",
        ));
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).ok_or_else(|| {
        let message = "not started by systemd with credentials (LoadCredential=): CREDENTIALS_DIRECTORY is not set";
        Error::new(ErrorKind::AccessDenied, message)
    })?;
    read_protected("credential", &PathBuf::from(directory).join(name), Rights::Credential)
}

/// Whether it names a file directly in the directory.
pub(super) fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\0', ':'])
}
