//! Where a store's key comes from: only where the caller says, one source after the other.
//!
//! There is no default and no fall-back: a source that is not named is not looked at, and the environment holds no
//! secret. When none gives the key, the error says for each what was tried and why it failed.

mod keyring;
mod systemd;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::file::{self, Rights};
use super::identity::Identity;
use super::passphrase::Derivation;
use super::prompt;
use super::reference::SecretRef;
use super::vault::Place;
use crate::{Error, ErrorKind, Result};

/// One place to get a store's key from.
///
/// As text: `file:PATH`, `systemd:NAME`, `keyring:NAME` or `passphrase`.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file of mode 0600 that is ours, as `age-keygen` writes it.
    File(PathBuf),
    /// A credential that systemd gave this service (`LoadCredential=`, `LoadCredentialEncrypted=`), by its name.
    Systemd(String),
    /// A key of type `user` in the kernel's keyring of our user (`keyctl show @u`), by its description.
    ///
    /// The kernel's rather than a desktop's Secret Service: agents run on servers, where there is no session bus.
    Keyring(String),
    /// A passphrase that is asked for on the terminal, by Argon2id.
    Prompt,
    /// A passphrase that is there already, by Argon2id.
    Passphrase(SecretRef),
}

impl KeySource {
    /// Gets the key; `derivation` is how the store says it comes from a passphrase.
    pub(super) fn load(&self, derivation: Option<&Derivation>) -> Result<Identity> {
        match self {
            Self::File(path) => self.read(file::read_protected("key file", path, Rights::Private)?),
            Self::Systemd(name) => self.read(systemd::read(name)?),
            Self::Keyring(name) => self.read(keyring::read(name)?),
            Self::Prompt => derivation_of(derivation)?.identity(&prompt::ask("Passphrase of the secret store: ")?),
            Self::Passphrase(passphrase) => derivation_of(derivation)?.identity(&passphrase.open()?),
        }
    }

    /// Makes a new key and puts it there; what is there already is left and refused.
    pub(super) fn create(&self) -> Result<Identity> {
        match self {
            Self::File(path) => {
                let identity = Identity::generate()?;
                file::create("key file", path, &identity.to_text()?)?;
                Ok(identity)
            }
            Self::Keyring(name) => {
                let identity = Identity::generate()?;
                keyring::create(name, &identity.to_text()?)?;
                Ok(identity)
            }
            Self::Systemd(name) => Err(Error::invalid(format!(
                "systemd's credentials cannot be written by a service: make a key file, then \
                 systemd-creds encrypt --name={name} KEYFILE {name}.cred"
            ))),
            Self::Prompt => {
                let first = prompt::ask("New passphrase of the secret store: ")?;
                check_passphrase(&first)?;
                let first = SecretRef::from_place("passphrase", first)?;
                if !first.matches(&prompt::ask("The same once more: ")?)? {
                    return Err(Error::invalid("the two passphrases differ"));
                }
                Derivation::generate()?.identity(&first.open()?)
            }
            Self::Passphrase(passphrase) => {
                let passphrase = passphrase.open()?;
                check_passphrase(&passphrase)?;
                Derivation::generate()?.identity(&passphrase)
            }
        }
    }

    fn read(&self, text: Place) -> Result<Identity> {
        Identity::from_text(&text)?.map_err(|why| Error::new(ErrorKind::AccessDenied, why))
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
            Self::Keyring(name) => write!(f, "keyring:{name}"),
            Self::Prompt | Self::Passphrase(_) => f.write_str("passphrase"),
        }
    }
}

impl FromStr for KeySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("systemd", name)) if systemd::is_name(name) => Ok(Self::Systemd(name.into())),
            Some(("keyring", name)) if !name.is_empty() && !name.contains('\0') => Ok(Self::Keyring(name.into())),
            None if text == "passphrase" => Ok(Self::Prompt),
            // Not shown: it may be a secret that somebody has put in the wrong place.
            _ => Err(Error::invalid(
                "a key source of another form than file:PATH, systemd:NAME, keyring:NAME or passphrase",
            )),
        }
    }
}

/// Gets the key from the first source that has it; else says of each why it has not.
pub(super) fn load_first(sources: &[KeySource], derivation: Option<&Derivation>) -> Result<Identity> {
    let mut failures = Vec::new();
    for source in sources {
        match source.load(derivation) {
            Ok(identity) => return Ok(identity),
            Err(error) => failures.push(format!("{source}: {error}")),
        }
    }
    let message = match failures.is_empty() {
        true => "no source of the key was named: wanted file:PATH, systemd:NAME, keyring:NAME or passphrase".into(),
        false => format!("no key: {}", failures.join("; ")),
    };
    Err(Error::new(ErrorKind::AccessDenied, message))
}

fn derivation_of(derivation: Option<&Derivation>) -> Result<&Derivation> {
    derivation.ok_or_else(|| Error::new(ErrorKind::AccessDenied, "the store was not made with a passphrase"))
}

fn check_passphrase(passphrase: &[u8]) -> Result<()> {
    if passphrase.len() < LEAST_PASSPHRASE_BYTES {
        return Err(Error::invalid(format!("a passphrase of under {LEAST_PASSPHRASE_BYTES} bytes")));
    }
    Ok(())
}

/// What is shorter is guessed in spite of Argon2id.
const LEAST_PASSPHRASE_BYTES: usize = 8;
