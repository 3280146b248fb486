//! The program `talkpath-guard`, carried inside the library, and how it is started.
//!
//! It runs from a sealed memory file, so that nothing has to be installed and nothing can be put in its place. Where the
//! system does not execute those, it is written to a file of the user's own, removed as soon as it runs.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;

/// Starts the program with `socket` as its standard input; returns once it has detached itself.
///
/// It has no child of the caller's to leave behind: what was forked is waited for here.
///
/// # Errors
/// The system's, if it can be executed neither from memory nor from a file.
pub(super) fn start(socket: BorrowedFd<'_>) -> std::io::Result<()> {
    from_memory(socket).or_else(|_| from_disk(socket))
}

/// The directory where guardians leave records: of the user's own, gone when the machine is started anew if it can be.
pub(in crate::system::process) fn runtime_directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir()) {
        Some(path) => path.join("talkpath"),
        None => std::env::temp_dir().join(format!("talkpath-{}", rustix::process::geteuid().as_raw())),
    }
}

fn from_memory(socket: BorrowedFd<'_>) -> std::io::Result<()> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // A kernel before 6.3 does not know the wish to be executable; from then on it may insist on it.
    let executable = MFdFlags::from_bits_retain(MFD_EXEC);
    let file =
        memfd_create(c"talkpath-guard", flags | executable).or_else(|_| memfd_create(c"talkpath-guard", flags))?;
    let mut file = File::from(file);
    file.write_all(PROGRAM)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    // A file open for writing cannot be executed: go on with another descriptor of it.
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    run(format!("/proc/self/fd/{}", file.as_raw_fd()), socket)
}

fn from_disk(socket: BorrowedFd<'_>) -> std::io::Result<()> {
    let directory = runtime_directory().parent().map_or_else(std::env::temp_dir, Path::to_owned);
    let path = directory.join(format!("talkpath-guard-{}", std::process::id()));
    // One left by a process that had the same number; somebody else's is not removed, and then not opened either.
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    let written = file.write_all(PROGRAM);
    // A file still open for writing is not executed.
    drop(file);
    let started = written.and_then(|()| run(&path, socket));
    let _ = std::fs::remove_file(&path);
    started
}

fn run(path: impl AsRef<Path>, socket: BorrowedFd<'_>) -> std::io::Result<()> {
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(socket.as_raw_fd(), 0)?;
    for standard in [1, 2] {
        actions.add_open(standard, "/dev/null", OFlag::O_RDWR, Mode::empty())?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
    // Blocked from its first moment on, so that what is meant for the agent's group cannot end it half started.
    attributes.set_sigmask(&SigSet::all())?;
    attributes.set_sigdefault(&SigSet::all())?;
    let no_environment: [&std::ffi::CStr; 0] = [];
    let pid = posix_spawn(path.as_c_str(), &actions, &attributes, &[c"talkpath-guard"], &no_environment)?;
    // Whether it ended well is told by what it says; a host that ignores SIGCHLD, or reaps everybody, leaves nothing here.
    while waitpid(pid, None) == Err(Errno::EINTR) {}
    Ok(())
}

/// Compiled by the build script.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/talkpath-guard"));
/// `MFD_EXEC` of linux/memfd.h.
const MFD_EXEC: u32 = 0x10;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn it_runs_from_memory_and_from_disk() {
        type Way = fn(BorrowedFd<'_>) -> std::io::Result<()>;
        for way in [from_memory as Way, from_disk] {
            let (ours, theirs) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("sockets");
            // Before it could be said: a greeting that it does not understand, which it answers by a refusal.
            super::super::passing::send(ours.as_fd(), b"?", &[]).expect("sent");
            way(theirs.as_fd()).expect("it runs");
            drop(theirs);
            assert_eq!(super::super::wait(ours.as_fd(), nix::poll::PollFlags::POLLIN, 10_000), Ok(true));
            let mut buffer = [0; 64];
            let packet = super::super::passing::receive(ours.as_fd(), &mut buffer).expect("heard").expect("a packet");
            assert_eq!(buffer[..packet.len][..2], [1, super::super::Stage::Request as u8]);
        }
        assert!(!std::env::temp_dir().join(format!("talkpath-guard-{}", std::process::id())).exists());
    }
}
