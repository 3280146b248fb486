//! Control groups (version 2): a directory a guardian, and in it one a child, which the system kills as one.
//!
//! They are made below the group that the agent is in. Where the controller of memory is delegated, the system itself
//! bounds it; where not, the keeper counts.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::wire::Limits;

/// A control group of our own, removed by [`Group::remove`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes the guardian's own, below the group this process is in.
    ///
    /// # Errors
    /// If there are no control groups of version 2, or this one may not be divided, or it cannot be killed as one.
    pub(crate) fn of_guardian() -> Result<Self> {
        let (mounts, own) = (fs::read_to_string("/proc/self/mountinfo")?, fs::read_to_string("/proc/self/cgroup")?);
        let parent = locate(&mounts, &own).ok_or(Error::from(ErrorKind::Unsupported))?;
        let group = Self { path: parent.join(format!("{NAME_START}{}", std::process::id())) };
        fs::create_dir(&group.path)?;
        if !group.path.join("cgroup.kill").exists() {
            group.remove();
            return Err(Error::from(ErrorKind::Unsupported));
        }
        Ok(group)
    }

    /// Makes a child's, within the guardian's, with what the system itself can bound.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn of_child(&self, id: u64, limits: &Limits) -> Result<Self> {
        let group = Self { path: self.path.join(id.to_string()) };
        fs::create_dir(&group.path)?;
        if let Some(limit) = limits.memory_bytes {
            // Where the controller is not delegated there are no such files, and the keeper counts.
            let _ = overwrite(&group.path.join("memory.max"), &limit.to_string());
            let _ = overwrite(&group.path.join("memory.oom.group"), "1");
        }
        Ok(group)
    }

    /// Takes up one that another guardian left, if `path` is such a one.
    pub(crate) fn left_behind(path: &Path) -> Option<Self> {
        let ours = path.file_name()?.to_str()?.strip_prefix(NAME_START)?.parse::<u32>().is_ok();
        let plain = path.is_absolute() && path.components().all(|part| part != std::path::Component::ParentDir);
        (ours && plain && path.join("cgroup.kill").exists()).then(|| Self { path: path.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that a process writes itself into.
    pub(crate) fn procs(&self) -> Option<String> {
        self.path.join("cgroup.procs").to_str().map(str::to_owned)
    }

    /// Kills everything in it at once.
    pub(crate) fn kill(&self) {
        // What this does not reach, the walk over the tree that follows does.
        let _ = overwrite(&self.path.join("cgroup.kill"), "1");
    }

    /// Whether the system killed something in it for want of the memory it may have.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok());
        kills.is_some_and(|kills| kills > 0)
    }

    /// Removes it and those in it; false if somebody is in one, be it somebody who is about to end.
    pub(crate) fn try_remove(&self) -> bool {
        self.remove();
        !self.path.exists()
    }

    /// Removes it and those in it; they must be empty.
    pub(crate) fn remove(&self) {
        let inner = fs::read_dir(&self.path).into_iter().flatten().flatten();
        inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).for_each(|entry| {
            let _ = fs::remove_dir(entry.path());
        });
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where the group that `own` names is, by the list of what is mounted.
fn locate(mounts: &str, own: &str) -> Option<PathBuf> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (fields, filesystem) = line.split_once(" - ")?;
        if filesystem.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = fields.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = group.strip_prefix(root.trim_end_matches('/'))?;
        Some(Path::new(point).join(below.trim_start_matches('/')))
    })
}

/// Writes to a file that must be there.
fn overwrite(file: &Path, text: &str) -> Result<()> {
    std::io::Write::write_all(&mut fs::OpenOptions::new().write(true).open(file)?, text.as_bytes())
}

const NAME_START: &str = "talkpath-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_where_it_is_mounted() {
        let hybrid = "30 23 0:26 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(locate(hybrid, "1:cpu:/x\n0::/a/b\n"), Some(PathBuf::from("/sys/fs/cgroup/unified/a/b")));
        let bound = "30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(locate(bound, "0::/docker/1/x\n"), Some(PathBuf::from("/sys/fs/cgroup/x")));
        assert_eq!(locate(bound, "0::/elsewhere\n"), None);
        assert_eq!(locate("30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n"), None);
        assert_eq!(locate(hybrid, "1:cpu:/x\n"), None);
    }

    #[test]
    fn only_what_a_guardian_made_is_taken_for_left_behind() {
        for path in ["/", "/sys/fs/cgroup", "talkpath-1", "/sys/fs/cgroup/../talkpath-1", "/sys/fs/cgroup/talkpath-x"] {
            assert_eq!(Group::left_behind(Path::new(path)), None, "{path}");
        }
    }
}
