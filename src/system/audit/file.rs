//! The files of a log: their names, who may write, and how a new one comes to be whole or not at all.
//!
//! The live file has the log's own name; a full one gets its number behind it, `audit.log.000001`. One writer holds
//! `audit.log.lock`, which is beside them because the live file changes under a reader's feet.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, RenameFlags, renameat2};

use crate::{Error, ErrorKind, Result};

/// Lists the files of the log at `path`, in order: the full ones beside it, and the live one if there is one.
///
/// # Errors
/// [`Io`](ErrorKind::Io) if the folder cannot be read.
pub fn log_files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<_> = full_files(path)?.into_iter().map(|(_, file)| file).collect();
    if path.symlink_metadata().is_ok() {
        files.push(path.to_path_buf());
    }
    Ok(files)
}

/// The full files of a log with their numbers, in order.
pub(super) fn full_files(path: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder(path);
    let doing = || format!("list {}", folder.display());
    let name = path.file_name().unwrap_or_default().as_bytes();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io(doing(), error))? {
        let entry = entry.map_err(|error| Error::io(doing(), error))?.file_name();
        let number = entry.as_bytes().strip_prefix(name).and_then(|rest| rest.strip_prefix(b"."));
        if let Some(number) = number.filter(|digits| digits.len() >= DIGITS).and_then(decimal) {
            files.push((number, folder.join(entry)));
        }
    }
    files.sort();
    Ok(files)
}

/// What the live file is called once it is full.
pub(super) fn full_name(path: &Path, number: u64) -> PathBuf {
    with_suffix(path, &format!(".{number:0DIGITS$}"))
}

/// `path` with more behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
    name.push(suffix);
    PathBuf::from(name)
}

/// Keeps other writers away for as long as it lives.
#[derive(Debug)]
pub(super) struct WriterLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl WriterLock {
    /// Takes the lock of the log at `path`.
    ///
    /// # Errors
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if another writer has it, with its process id if it can be known.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let path = with_suffix(path, ".lock");
        let doing = || format!("lock {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE).custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(&path).map_err(|error| Error::io(doing(), error))?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another writer" } else { holder.trim() };
                let message = format!("{}: {holder} is writing the log, wanted one writer", path.display());
                return Err(Error::new(ErrorKind::LimitExceeded, message));
            }
            Err((_, errno)) => return Err(Error::io(doing(), errno.into())),
        };
        let say = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {}", std::process::id())
        };
        say(&mut lock).map_err(|error| Error::io(doing(), error))?;
        Ok(Self(lock))
    }
}

/// Opens a file of a log to write at its end.
pub(super) fn open_to_append(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path).map_err(|error| Error::io(format_args!("open {}", path.display()), error))
}

/// Makes the file that a log goes on in, under a name that no reader takes for one of its files: see [`publish`].
pub(super) fn prepare(path: &Path, header: &[u8]) -> io::Result<()> {
    let next = next_name(path);
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create_new(true).mode(MODE).open(&next)?;
    file.write_all(header)?;
    file.sync_all()
}

/// Gives what [`prepare`] made its name, and opens it.
pub(super) fn publish(path: &Path) -> io::Result<File> {
    rename_to_new(&next_name(path), path)?;
    sync_folder(path)?;
    open_to_append(path).map_err(io::Error::other)
}

/// Renames a file, never over another one.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // A file system without the flag: the lock keeps other writers away, and names are never used twice.
        Err(Errno::EINVAL | Errno::ENOSYS) if to.symlink_metadata().is_err() => std::fs::rename(from, to),
        other => Ok(other?),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn next_name(path: &Path) -> PathBuf {
    with_suffix(path, ".next")
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

const DIGITS: usize = 6;
/// What was said may be read by whom it is about to, and nobody else.
const MODE: u32 = 0o600;
