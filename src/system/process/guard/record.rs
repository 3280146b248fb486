//! What the next guardian needs to know should this one, its keepers and the agent all be killed at once.
//!
//! A directory a guardian, named after the boot of the machine, the PID namespace, and the guardian's id and start; in it
//! an empty file a child, named after its id and start. They hold nothing else, so nothing in them has to be believed: a
//! process is only ever signalled if one with that id and that very start still is there. A lock that the guardian and its
//! keepers share says whether any of them is left to do the work itself.

use std::fs::{self, DirBuilder, File};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::cgroup::Group;
use crate::proc::Stat;
use crate::sys::{self, PollFd};
use crate::tree::{self, Member};

/// The records of this guardian.
pub(crate) struct Records {
    directory: PathBuf,
    lock: File,
}

impl Records {
    /// Begins them below `runtime`, which is made if it is not there.
    ///
    /// # Errors
    /// If the directory is not this user's alone, or cannot be written to.
    pub(crate) fn begin(runtime: &Path) -> Result<Self> {
        if !runtime.exists() {
            DirBuilder::new().mode(0o700).create(runtime)?;
        }
        let found = fs::symlink_metadata(runtime)?;
        if !found.is_dir() || found.uid() != sys::acting_as().0 || found.mode() & 0o077 != 0 {
            return Err(Error::from(ErrorKind::PermissionDenied));
        }
        let name = own_name().ok_or(Error::from(ErrorKind::Unsupported))?;
        let directory = runtime.join(name.to_text());
        DirBuilder::new().mode(0o700).create(&directory)?;
        let lock = File::create_new(directory.join(LOCK))?;
        sys::lock(lock.as_raw_fd())?;
        Ok(Self { directory, lock })
    }

    /// The descriptor of the lock, which keepers keep open.
    pub(crate) fn lock(&self) -> RawFd {
        self.lock.as_raw_fd()
    }

    /// Notes the guardian's control group.
    pub(crate) fn note_group(&self, group: &Group) {
        use std::os::unix::ffi::OsStrExt;
        // Without it the next start finds the processes all the same.
        let _ = fs::write(self.directory.join(GROUP), group.path().as_os_str().as_bytes());
    }

    /// Notes a child that has just been started; returns what is to be removed when its tree is gone.
    pub(crate) fn note(&self, pid: i32) -> Option<PathBuf> {
        let file = self.directory.join(format!("{pid}.{}", Stat::read(pid)?.started));
        File::create_new(&file).ok().map(|_| file)
    }

    /// Ends them: nothing is left.
    pub(crate) fn end(&self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Kills what guardians that are no more have left, and removes their records.
pub(crate) fn sweep(runtime: &Path) {
    let Some(own) = own_name() else { return };
    let Ok(entries) = fs::read_dir(runtime) else { return };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
        let directory = entry.path();
        if name.boot != own.boot {
            // The machine was started anew since: there is nothing left.
            let _ = fs::remove_dir_all(&directory);
        } else if name.namespace == own.namespace && !lives(name.pid, name.started) {
            sweep_one(&directory);
        }
    }
}

fn sweep_one(directory: &Path) {
    // Held to the end, so that of two guardians that start at once one does the work.
    let lock = File::open(directory.join(LOCK)).ok();
    if lock.as_ref().is_some_and(|lock| sys::lock(lock.as_raw_fd()).is_err()) {
        return;
    }
    let group = fs::read_to_string(directory.join(GROUP)).ok().and_then(|path| Group::left_behind(Path::new(&path)));
    if let Some(group) = &group {
        group.kill();
    }
    let mut dying = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((pid, started)) = name.to_str().and_then(parse_pair) else { continue };
        dying.extend(Member::hold(pid, started).map(tree::destroy_foreign).unwrap_or_default());
    }
    let until_ms = sys::now_ms() + SWEEP_WAIT_MS;
    for member in &dying {
        let left = until_ms.saturating_sub(sys::now_ms());
        sys::poll(&mut [PollFd::readable(member.pidfd().as_raw_fd())], left as i32);
    }
    // Whoever was killed a moment ago, the old guardian among them, is in it until the system has done with them.
    while group.as_ref().is_some_and(|group| !group.try_remove()) && sys::now_ms() < until_ms {
        sys::poll(&mut [], LOOK_AGAIN_MS);
    }
    let _ = fs::remove_dir_all(directory);
}

/// Whether the process with this id is the one that started then.
fn lives(pid: i32, started: u64) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.started == started && !stat.has_ended())
}

/// What a guardian's directory is called.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    boot: String,
    namespace: u64,
    pid: i32,
    started: u64,
}

impl Name {
    fn to_text(&self) -> String {
        format!("{}.{}.{}.{}", self.boot, self.namespace, self.pid, self.started)
    }

    fn parse(text: &str) -> Option<Self> {
        let (boot, rest) = text.split_once('.')?;
        let (namespace, process) = rest.split_once('.')?;
        let (pid, started) = parse_pair(process)?;
        Some(Self { boot: boot.to_owned(), namespace: namespace.parse().ok()?, pid, started })
    }
}

fn own_name() -> Option<Name> {
    let pid = std::process::id() as i32;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(Name { boot, namespace, pid, started: Stat::read(pid)?.started })
}

fn parse_pair(text: &str) -> Option<(i32, u64)> {
    let (pid, started) = text.split_once('.')?;
    Some((pid.parse().ok().filter(|pid| *pid > 1)?, started.parse().ok()?))
}

const LOCK: &str = "lock";
const GROUP: &str = "cgroup";
const SWEEP_WAIT_MS: u64 = 1_000;
const LOOK_AGAIN_MS: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is() {
        let name = own_name().expect("this machine");
        assert_eq!(Name::parse(&name.to_text()), Some(name));
        for text in ["", "lock", "b.1.2", "b.1.0.5", "b.1.1.5", "b.1.-7.5", "b.x.7.5", "b.1.7.x"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
