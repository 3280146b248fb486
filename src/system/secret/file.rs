//! Files of secrets: who may own and read them, how one is replaced, and how two writers are kept apart.
//!
//! A file is checked after it is opened, on its descriptor, so that nobody swaps it in between. What is in it is not this
//! file's to know.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollTimeout, poll};
use nix::unistd::geteuid;

use super::vault::{Place, Vault};
use crate::system::clock::Clock;
use crate::{Error, ErrorKind, Result};

/// Who may own a file, and who may do what with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rights {
    /// A key: ours, and nobody else may read or write it.
    Private,
    /// A credential that systemd put there: ours or root's, not for others, not writable by a group. (A group's right to
    /// read may be the mask of an access list that names us alone.)
    Credential,
    /// A store, which is encrypted: ours or root's, and nobody else may write it.
    Sealed,
}

/// Opens a file to read and refuses one of other rights than wanted; `what` says what it is, in messages.
pub(super) fn open_checked(what: &str, path: &Path, rights: Rights) -> Result<File> {
    let shown = format!("{what} {}", path.display());
    let failed = |error: std::io::Error| Error::io(&shown, error);
    // Not to wait for a writer if it is a pipe; it is refused below.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    let (owner, us, mode) = (data.uid(), geteuid().as_raw(), data.mode() & 0o7777);
    let denied = |what: String| Err(Error::new(ErrorKind::AccessDenied, format!("{shown} {what}")));
    if !data.is_file() {
        return denied("is no regular file".into());
    }
    let (owned, forbidden, wanted) = match rights {
        Rights::Private => (owner == us, 0o077, "0600"),
        Rights::Credential => (owner == us || owner == 0, 0o027, "0400"),
        Rights::Sealed => (owner == us || owner == 0, 0o022, "0600"),
    };
    if !owned {
        return denied(format!("belongs to user {owner}, wanted user {us}, who runs this"));
    }
    if mode & forbidden != 0 {
        return denied(format!("has mode {mode:04o}, which lets others at it; wanted {wanted} (chmod {wanted})"));
    }
    Ok(file)
}

/// Reads a whole small file into a protected place.
pub(super) fn read_protected(what: &str, path: &Path, rights: Rights) -> Result<Place> {
    let mut file = open_checked(what, path, rights)?;
    let mut place = Vault::current()?.place(MAX_KEY_FILE_BYTES)?;
    let mut len = 0;
    loop {
        match file.read(&mut place[len..]) {
            Ok(0) if len == place.len() => {
                let message = format!("{what} {} is longer than {MAX_KEY_FILE_BYTES} bytes", path.display());
                return Err(Error::new(ErrorKind::AccessDenied, message));
            }
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(format!("{what} {}", path.display()), error)),
        }
    }
    place.truncate(len);
    Ok(place)
}

/// Reads a whole file of at most `limit` bytes whose content is no secret.
pub(super) fn read_sealed(what: &str, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_checked(what, path, Rights::Sealed)?;
    let mut content = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut content);
    read.map_err(|error| Error::io(format!("{what} {}", path.display()), error))?;
    if content.len() as u64 > limit {
        let message = format!("{what} {} is longer than {limit} bytes", path.display());
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(content)
}

/// Writes a new file that only we may read; one that exists is left and refused.
pub(super) fn create(what: &str, path: &Path, content: &[u8]) -> Result<()> {
    let shown = format!("{what} {}", path.display());
    let mut file = create_private(path).map_err(|error| Error::io(&shown, error))?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(path);
        return Err(Error::io(shown, error));
    }
    Ok(())
}

/// Replaces a file whole or not at all, even if the machine stops in between. The caller holds its [`lock`].
pub(super) fn replace(what: &str, path: &Path, content: &[u8]) -> Result<()> {
    let failed = |doing: &str, error| Err(Error::io(format!("{what} {}: {doing}", path.display()), error));
    let temporary = beside(path, ".new");
    // One that a writer left behind when it was killed; under the lock nobody else is writing it.
    if let Err(error) = std::fs::remove_file(&temporary)
        && error.kind() != IoErrorKind::NotFound
    {
        return failed("removing what an earlier writer left", error);
    }
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        let _ = std::fs::remove_file(&temporary);
        return failed("writing it anew", error);
    }
    sync_directory(path).or_else(|error| failed("making its new name last", error))
}

/// Keeps other writers of `path` out until the result is dropped; waits for one that is there, but not for ever.
pub(super) fn lock(what: &str, path: &Path) -> Result<Flock<File>> {
    let name = beside(path, ".lock");
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&name);
    let mut file = opened.map_err(|error| Error::io(format!("lock {}", name.display()), error))?;
    let deadline = Clock::now() + LOCK_WAIT;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, errno)) if errno != Errno::EWOULDBLOCK && errno != Errno::EINTR => {
                return Err(Error::io(format!("lock {}", name.display()), errno.into()));
            }
            Err((again, _)) if !Clock::until(deadline).is_zero() => file = again,
            Err(_) => {
                let message = format!("another process has been writing {what} {} for {LOCK_WAIT:?}", path.display());
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
        // A lock tells nobody that it is free, so that it is asked again a little later.
        let _ = poll(&mut [], PollTimeout::from(LOCK_RETRY_MS));
    }
}

fn create_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A key and some lines of comment.
const MAX_KEY_FILE_BYTES: usize = 4_096;

/// Writing takes milliseconds; who holds the lock for longer hangs.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_RETRY_MS: u8 = 10;
