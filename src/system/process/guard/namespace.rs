//! The strict tier: a keeper that is the first process of a PID namespace of its own.
//!
//! When it ends the system kills everything in there, and from within nothing else can be seen or signalled. Who is not
//! privileged gets a user namespace with it, in which there is only the user he is.

use std::fs;
use std::io::{Error, Result};
use std::os::fd::OwnedFd;

use crate::child::number;
use crate::sys::{self, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, Reaped};

/// How keepers are forked so that each has its namespaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespaces {
    flags: u64,
    /// The user and group to be in the user namespace, if there is one.
    user: Option<(u32, u32)>,
}

impl Namespaces {
    /// Finds out, with a process that ends at once, what the system allows: without a user namespace if it can be.
    ///
    /// # Errors
    /// What the system says if it allows neither.
    pub(crate) fn probe(watch: &OwnedFd) -> Result<Self> {
        let plain = Self { flags: CLONE_NEWPID | CLONE_NEWNS, user: None };
        let with_user = Self { flags: plain.flags | CLONE_NEWUSER, user: Some(sys::acting_as()) };
        plain.attempt(watch).or_else(|_| with_user.attempt(watch))
    }

    /// Forks into the namespaces; 0 in the child.
    pub(crate) fn fork(self) -> Result<i32> {
        sys::fork_into(self.flags)
    }

    /// Makes the new process at home in them.
    pub(crate) fn settle(self) -> Result<()> {
        if let Some((user, group)) = self.user {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
        }
        sys::mount_own_proc()
    }

    fn attempt(self, watch: &OwnedFd) -> Result<Self> {
        let pid = self.fork()?;
        if pid == 0 {
            sys::exit_now(self.settle().map_or_else(|error| number(&error), |()| 0));
        }
        loop {
            match sys::reap() {
                Reaped::Child(ended, status) if ended == pid => {
                    return match status.code() {
                        Some(0) => Ok(self),
                        code => Err(Error::from_raw_os_error(code.unwrap_or(sys::EIO))),
                    };
                }
                Reaped::Child(..) => {}
                Reaped::NoneYet => {
                    sys::poll(&mut [sys::PollFd::readable(std::os::fd::AsRawFd::as_raw_fd(watch))], -1);
                    sys::forget_signals(watch);
                }
                Reaped::NoChildren => return Err(Error::from_raw_os_error(sys::EIO)),
            }
        }
    }
}
