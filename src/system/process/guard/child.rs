//! From a fork to the program: what a child does to itself before it becomes what was asked for.
//!
//! It gets a session of its own, its three streams and nothing else open, every signal at its default and let through, no
//! core file, its limits, its working directory, and exactly the environment it was given. If any of this fails it says at
//! what, and why, through a pipe that is gone once the program runs.

use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys::{self, Strings};
use crate::wire::{Limits, SpawnSpec, Stage};

/// Why a program was not started: at what, and the system's number.
pub(crate) type Failure = (Stage, i32);

/// Starts the program and returns its process id once it runs.
///
/// `files_before` are the limits of open files that the agent has: those of the guardian may be higher. `group` is the
/// `cgroup.procs` of the control group it is to be in.
///
/// # Errors
/// At what it failed, and the system's number for why; there is no child then.
pub(crate) fn start(
    spec: &SpawnSpec,
    streams: &[OwnedFd],
    files_before: (u64, u64),
    group: Option<&str>,
) -> Result<i32, Failure> {
    let programs = candidates(spec);
    if programs.is_empty() || streams.len() != 3 {
        return Err((Stage::Request, sys::EINVAL));
    }
    let at = |stage| move |error: std::io::Error| (stage, number(&error));
    let (mut reader, writer) = std::io::pipe().map_err(at(Stage::Fork))?;
    let pid = sys::fork().map_err(at(Stage::Fork))?;
    if pid == 0 {
        let (stage, errno) = become_program(spec, &programs, streams, files_before, group, writer.as_raw_fd());
        let errno = errno.to_le_bytes();
        let report = [stage as u8, errno[0], errno[1], errno[2], errno[3]];
        // If even this fails the keeper sees an empty report, which it takes for a program that runs and has left at once.
        let _ = std::io::Write::write_all(&mut &writer, &report);
        sys::exit_now(127);
    }
    drop(writer);
    let mut report = Vec::new();
    let _ = reader.read_to_end(&mut report);
    match report[..] {
        [stage, a, b, c, d] => Err((Stage::from_byte(stage).unwrap_or(Stage::Exec), i32::from_le_bytes([a, b, c, d]))),
        _ => Ok(pid),
    }
}

/// Closes all descriptors above the standard ones but those in `keep`.
///
/// # Errors
/// The system's, if neither way to do so works.
pub(crate) fn close_all_but(keep: &mut [RawFd]) -> std::io::Result<()> {
    keep.sort_unstable();
    let mut first = 3;
    let gaps = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd >= 3);
    for fd in gaps.chain([u32::MAX]) {
        if fd > first {
            let last = if fd == u32::MAX { fd } else { fd - 1 };
            if sys::close_range(first, last).is_err() {
                return close_listed_but(keep);
            }
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// The number of a system's error; of others, that of an error of input and output.
pub(crate) fn number(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(sys::EIO)
}

/// Everything from the fork on; comes back only if something fails.
fn become_program(
    spec: &SpawnSpec,
    programs: &[CString],
    streams: &[OwnedFd],
    files_before: (u64, u64),
    group: Option<&str>,
    report: RawFd,
) -> Failure {
    let prepared = || -> Result<(), Failure> {
        let at = |stage| move |error: std::io::Error| (stage, number(&error));
        if let Some(procs) = group {
            std::fs::write(procs, "0").map_err(at(Stage::Cgroup))?;
        }
        sys::setsid().map_err(at(Stage::Terminal))?;
        for (to, stream) in (0..).zip(streams) {
            sys::duplicate_to(stream.as_raw_fd(), to).map_err(at(Stage::Descriptors))?;
        }
        if spec.pty {
            sys::control_terminal(0).map_err(at(Stage::Terminal))?;
        }
        close_all_but(&mut [report]).map_err(at(Stage::Descriptors))?;
        apply(&spec.limits, files_before).map_err(at(Stage::Limits))?;
        if let Some(cwd) = &spec.cwd {
            sys::change_directory(cwd).map_err(at(Stage::Directory))?;
        }
        Ok(())
    };
    if let Err(failure) = prepared() {
        return failure;
    }
    let argv = Strings::new(spec.argv.iter().map(CString::as_c_str));
    let env = Strings::new(spec.env.iter().map(CString::as_c_str));
    sys::reset_signals();
    // As execvp does: the next directory if there is none here; if one may not be executed, that is the answer unless a
    // later one may.
    let mut errno = sys::ENOENT;
    for program in programs {
        match number(&sys::execute(program, &argv, &env)) {
            sys::ENOENT | sys::ENOTDIR => {}
            sys::EACCES => errno = sys::EACCES,
            other => return (Stage::Exec, other),
        }
    }
    (Stage::Exec, errno)
}

/// Sets limits of the process itself, never above those in force.
fn apply(limits: &Limits, files_before: (u64, u64)) -> std::io::Result<()> {
    sys::set_limit(sys::RLIMIT_CORE, 0, 0)?;
    let (soft, hard) = files_before;
    let (soft, hard) = limits.open_files.map_or((soft, hard), |limit| (limit.min(hard), limit.min(hard)));
    sys::set_limit(sys::RLIMIT_NOFILE, soft, hard)?;
    // A second later than the keeper ends the whole tree, and says why.
    let cpu_seconds = limits.cpu_seconds.map(|seconds| seconds.saturating_add(1));
    for (resource, limit) in [(sys::RLIMIT_CPU, cpu_seconds), (sys::RLIMIT_FSIZE, limits.file_bytes)] {
        if let Some(limit) = limit {
            let limit = limit.min(sys::limit(resource)?.1);
            sys::set_limit(resource, limit, limit)?;
        }
    }
    Ok(())
}

/// The files that the program may be, in order; none if no program is named.
fn candidates(spec: &SpawnSpec) -> Vec<CString> {
    let Some(program) = spec.argv.first().filter(|program| !program.is_empty()) else { return Vec::new() };
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let path = spec.env.iter().map(CString::as_bytes).find_map(|variable| variable.strip_prefix(b"PATH="));
    let join = |directory: &[u8]| {
        // An empty entry is the working directory, as in any shell.
        let separator = if directory.is_empty() { &b"./"[..] } else { b"/" };
        CString::new([directory, separator, program.as_bytes()].concat()).ok()
    };
    path.unwrap_or(DEFAULT_PATH.to_bytes()).split(|byte| *byte == b':').filter_map(join).collect()
}

/// For kernels before 5.9, and sandboxes that know no `close_range`.
fn close_listed_but(keep: &[RawFd]) -> std::io::Result<()> {
    let listed: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2 && !keep.contains(fd))
        .collect();
    // The one that listed them is closed by now; to close it again does nothing in a process with one thread.
    listed.into_iter().for_each(sys::close);
    Ok(())
}

/// Where programs are looked for if the environment does not say.
const DEFAULT_PATH: &CStr = c"/usr/local/bin:/usr/bin:/bin";
