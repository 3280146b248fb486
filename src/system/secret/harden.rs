//! Keeps the process itself from others: no core dump, no debugger of the same user.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{Error, Result};

/// Forbids core dumps, debuggers of the same user, and reading `/proc/PID/mem` and `/proc/PID/environ`.
///
/// It sets `PR_SET_DUMPABLE` to 0 and the limit of core files to 0, for this process; children that run another program
/// get the former back and keep the latter. It is asked for, never done by itself: it also takes crash reports and profilers
/// away.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if the system refuses.
pub fn harden() -> Result<()> {
    let refused = |errno: nix::Error| Error::io("hardening the process", errno.into());
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(refused)?;
    prctl::set_dumpable(false).map_err(refused)
}

/// Whether [`harden`] is in force.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if the system does not say.
pub fn is_hardened() -> Result<bool> {
    let refused = |errno: nix::Error| Error::io("asking for core dumps", errno.into());
    let (core, _) = getrlimit(Resource::RLIMIT_CORE).map_err(refused)?;
    Ok(core == 0 && !prctl::get_dumpable().map_err(refused)?)
}
