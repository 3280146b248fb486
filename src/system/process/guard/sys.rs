//! The system calls of `talkpath-guard` that the standard library has no name for, each in a safe dress.
//!
//! The program is compiled by the build script with the standard library alone, so that the C library is declared here:
//! these few functions, constants and layouts. A test compares every one with the `libc` crate for the machine it runs
//! on. Calls newer than the C library may be are made by number; from 424 on the numbers are the same on every machine.
//! What is unsafe in the program is in this file, and nowhere else.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// How a child ended, as `waitpid` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitStatus(pub(crate) c_int);

impl WaitStatus {
    /// The code it left with, if it left by itself.
    pub(crate) fn code(self) -> Option<i32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) & 0xff)
    }

    /// The signal that ended it, and whether its memory was written down.
    pub(crate) fn signal(self) -> (i32, bool) {
        (self.0 & 0x7f, self.0 & 0x80 != 0)
    }
}

/// What a turn of waiting for a child brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// This child has ended, and is no more.
    Child(i32, WaitStatus),
    /// There are children, and none has ended.
    NoneYet,
    /// There are no children.
    NoChildren,
}

/// Forks; 0 in the child. Only a process with a single thread may go on as usual in the child.
pub(crate) fn fork() -> Result<i32> {
    // SAFETY: the program has a single thread, so that the child finds every lock of the C library free.
    check(unsafe { raw::fork() })
}

/// Forks into new namespaces; 0 in the child.
pub(crate) fn fork_into(namespaces: u64) -> Result<i32> {
    let arguments = CloneArguments { flags: namespaces, exit_signal: SIGCHLD as u64, ..CloneArguments::default() };
    // SAFETY: without shared memory and with no stack named this is a fork; `arguments` is as long as is said.
    let pid = unsafe { raw::syscall(SYS_CLONE3, &raw const arguments, size_of::<CloneArguments>()) };
    if pid < 0 { Err(Error::last_os_error()) } else { Ok(pid as i32) }
}

/// Ends the process at once, with no more said.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes nothing and does not return.
    unsafe { raw::_exit(code) }
}

/// Waits for any child without blocking.
pub(crate) fn reap() -> Reaped {
    loop {
        let mut status = 0;
        // SAFETY: `status` is writable.
        match unsafe { raw::waitpid(-1, &mut status, WNOHANG) } {
            0 => return Reaped::NoneYet,
            pid if pid > 0 => return Reaped::Child(pid, WaitStatus(status)),
            _ if Error::last_os_error().raw_os_error() == Some(EINTR) => {}
            _ => return Reaped::NoChildren,
        }
    }
}

/// Signals a process that cannot be another by now: a child of this process that it has not reaped.
pub(crate) fn kill(child: i32, signal: i32) -> Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { raw::kill(child, signal) }).map(drop)
}

/// Opens a descriptor that stands for the process that now has this id.
pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: takes numbers.
    owned(unsafe { raw::syscall(SYS_PIDFD_OPEN, c_long::from(pid), 0 as c_long) } as c_int)
}

/// Signals the process a pidfd stands for; signal 0 only asks whether it is there.
pub(crate) fn pidfd_signal(pidfd: &OwnedFd, signal: i32) -> Result<()> {
    let (fd, signal, none) = (c_long::from(pidfd.as_raw_fd()), c_long::from(signal), ptr::null::<c_void>());
    // SAFETY: the information is absent, the rest are numbers.
    check(unsafe { raw::syscall(SYS_PIDFD_SEND_SIGNAL, fd, signal, none, 0 as c_long) } as c_int).map(drop)
}

/// Closes the descriptors from `first` to `last`.
pub(crate) fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the callers own every descriptor of their process and use none in that range any more.
    check(unsafe { raw::syscall(SYS_CLOSE_RANGE, c_ulong::from(first), c_ulong::from(last), 0 as c_ulong) } as c_int)
        .map(drop)
}

/// Closes one descriptor by its number.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: as for `close_range`.
    unsafe { raw::close(fd) };
}

/// Takes over a descriptor by its number.
pub(crate) fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers were handed the descriptor under this number, once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Makes `to` another name of `from`, to be kept by programs that are executed.
pub(crate) fn duplicate_to(from: RawFd, to: RawFd) -> Result<()> {
    // SAFETY: takes numbers; `to` is one of the standard streams, which nobody owns here.
    check(unsafe { raw::dup2(from, to) }).map(drop)
}

/// Starts a session.
pub(crate) fn setsid() -> Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { raw::setsid() }).map(drop)
}

/// Makes the terminal the session's own.
pub(crate) fn control_terminal(terminal: RawFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    check(unsafe { raw::ioctl(terminal, TIOCSCTTY, 0 as c_int) }).map(drop)
}

/// Has orphaned descendants become children of this process.
pub(crate) fn become_subreaper() -> Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { raw::prctl(PR_SET_CHILD_SUBREAPER, 1 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) })
        .map(drop)
}

/// Names the process as `ps` shows it; 15 bytes at most.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: `name` ends with a zero byte.
    unsafe { raw::prctl(PR_SET_NAME, name.as_ptr(), 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
}

/// Blocks every signal that can be blocked.
pub(crate) fn block_signals() {
    let mut all = SignalSet::default();
    // SAFETY: the set is writable, and as long as the C library's.
    unsafe {
        raw::sigfillset(&mut all);
        raw::sigprocmask(SIG_SETMASK, &all, ptr::null_mut());
    }
}

/// Gives every signal its default effect and lets all through, as a program expects it at its start.
pub(crate) fn reset_signals() {
    let mut none = SignalSet::default();
    // SAFETY: the set is writable; the default effect is no function of ours. Those that cannot be changed stay.
    unsafe {
        for signal in 1..=MAX_SIGNAL {
            raw::signal(signal, SIG_DFL);
        }
        raw::sigemptyset(&mut none);
        raw::sigprocmask(SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// Opens a descriptor that is readable while the end of a child waits to be reaped.
pub(crate) fn watch_children() -> Result<OwnedFd> {
    let mut set = SignalSet::default();
    // SAFETY: the set is writable, and as long as the C library's.
    unsafe {
        raw::sigemptyset(&mut set);
        raw::sigaddset(&mut set, SIGCHLD);
        owned(raw::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC))
    }
}

/// Takes what `watch_children` has to tell, so that it waits for the next.
pub(crate) fn forget_signals(watch: &OwnedFd) {
    let mut buffer = [0_u8; 512];
    // SAFETY: the buffer is writable for as long as is said.
    while unsafe { raw::read(watch.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

/// Waits until one of the descriptors has what it is asked for, or `timeout_ms` have passed; -1 waits on.
pub(crate) fn poll(fds: &mut [PollFd], timeout_ms: c_int) {
    fds.iter_mut().for_each(|fd| fd.revents = 0);
    // SAFETY: the descriptors are as many as is said. Every signal is blocked: a failure would leave `revents` zero.
    unsafe { raw::poll(fds.as_mut_ptr(), fds.len() as c_ulong, timeout_ms) };
}

/// A connected pair of sockets that keep messages apart.
pub(crate) fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: there is room for two.
    check(unsafe { raw::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.as_mut_ptr()) })?;
    Ok((adopt(fds[0]), adopt(fds[1])))
}

/// Sends one message with at most one descriptor, without blocking.
pub(crate) fn send(socket: RawFd, bytes: &[u8], fd: Option<RawFd>) -> Result<()> {
    let mut part = IoVec { base: bytes.as_ptr().cast_mut().cast(), len: bytes.len() };
    let mut control = Control::default();
    let mut message = MessageHeader { parts: &mut part, parts_len: 1, ..MessageHeader::default() };
    if let Some(fd) = fd {
        control.header =
            ControlHeader { len: CONTROL_HEADER_LEN + size_of::<RawFd>(), level: SOL_SOCKET, kind: SCM_RIGHTS };
        control.fds[0] = fd;
        message.control = (&raw mut control).cast();
        message.control_len = CONTROL_HEADER_LEN + 8;
    }
    // SAFETY: `message` points to `part` and `control`, which point to what the arguments hold; none is written to.
    let sent = unsafe { raw::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) };
    if sent < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Receives one message without blocking: how long it is, its descriptors, and whether it came whole.
pub(crate) fn receive(socket: RawFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>, bool)> {
    let mut part = IoVec { base: buffer.as_mut_ptr().cast(), len: buffer.len() };
    let mut control = Control::default();
    let mut message = MessageHeader {
        parts: &mut part,
        parts_len: 1,
        control: (&raw mut control).cast(),
        control_len: size_of::<Control>(),
        ..MessageHeader::default()
    };
    // SAFETY: `message` points to `part` and `control`; both are writable for as long as they say.
    let len = unsafe { raw::recvmsg(socket, &mut message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) };
    if len < 0 {
        return Err(Error::last_os_error());
    }
    let mut fds = Vec::new();
    let ControlHeader { len: control_len, level, kind } = control.header;
    if message.control_len >= CONTROL_HEADER_LEN && level == SOL_SOCKET && kind == SCM_RIGHTS {
        let count = control_len.saturating_sub(CONTROL_HEADER_LEN) / size_of::<RawFd>();
        fds.extend(control.fds.iter().take(count).map(|fd| adopt(*fd)));
    }
    Ok((len as usize, fds, message.flags & (MSG_TRUNC | MSG_CTRUNC) == 0))
}

/// Executes a program in place of this one; returns only if that fails.
pub(crate) fn execute(program: &CStr, argv: &Strings<'_>, env: &Strings<'_>) -> Error {
    // SAFETY: both lists end with a null pointer, and what they point to ends with a zero byte.
    unsafe { raw::execve(program.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr()) };
    Error::last_os_error()
}

/// Changes the working directory.
pub(crate) fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: `path` ends with a zero byte.
    check(unsafe { raw::chdir(path.as_ptr()) }).map(drop)
}

/// The soft and the hard limit of a resource.
pub(crate) fn limit(resource: c_int) -> Result<(u64, u64)> {
    let mut limit = ResourceLimit { soft: 0, hard: 0 };
    // SAFETY: `limit` is writable.
    check(unsafe { raw::getrlimit(resource as _, &mut limit) })?;
    Ok((limit.soft, limit.hard))
}

/// Sets the soft and the hard limit of a resource.
pub(crate) fn set_limit(resource: c_int, soft: u64, hard: u64) -> Result<()> {
    let limit = ResourceLimit { soft, hard };
    // SAFETY: `limit` is readable.
    check(unsafe { raw::setrlimit(resource as _, &limit) }).map(drop)
}

/// Milliseconds of the monotonic clock.
pub(crate) fn now_ms() -> u64 {
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` is writable; the clock exists on every Linux.
    unsafe { raw::clock_gettime(CLOCK_MONOTONIC, &mut time) };
    time.seconds as u64 * 1_000 + time.nanoseconds as u64 / 1_000_000
}

/// Clock ticks a second, in which `/proc` counts processor time; and bytes of a page, in which it counts memory.
pub(crate) fn units() -> (u64, u64) {
    // SAFETY: takes numbers.
    let (ticks, page) = unsafe { (raw::sysconf(SC_CLK_TCK), raw::sysconf(SC_PAGESIZE)) };
    (u64::try_from(ticks).unwrap_or(100).max(1), u64::try_from(page).unwrap_or(4096).max(1))
}

/// The user and the group in whose name the process acts.
pub(crate) fn acting_as() -> (u32, u32) {
    // SAFETY: takes nothing.
    unsafe { (raw::geteuid(), raw::getegid()) }
}

/// Takes the lock of an open file for all who share it; fails if others hold it.
pub(crate) fn lock(file: RawFd) -> Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { raw::flock(file, LOCK_EX | LOCK_NB) }).map(drop)
}

/// Keeps what is mounted from now on to this mount namespace, and shows this PID namespace at `/proc`.
pub(crate) fn mount_own_proc() -> Result<()> {
    let nothing = ptr::null::<c_void>();
    // SAFETY: the paths end with a zero byte, and data may be absent.
    unsafe {
        check(raw::mount(c"none".as_ptr(), c"/".as_ptr(), ptr::null(), MS_REC | MS_PRIVATE, nothing))?;
        let (proc, flags) = (c"proc".as_ptr(), MS_NOSUID | MS_NODEV | MS_NOEXEC);
        check(raw::mount(proc, c"/proc".as_ptr(), proc, flags, nothing)).map(drop)
    }
}

/// Texts as `execve` takes them.
pub(crate) struct Strings<'a> {
    pointers: Vec<*const c_char>,
    /// What the pointers point to must stay.
    _texts: std::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Points to each of the texts.
    pub(crate) fn new(texts: impl IntoIterator<Item = &'a CStr>) -> Self {
        let pointers = texts.into_iter().map(CStr::as_ptr).chain([ptr::null()]).collect();
        Self { pointers, _texts: std::marker::PhantomData }
    }
}

fn check(result: c_int) -> Result<c_int> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: c_int) -> Result<OwnedFd> {
    check(fd).map(adopt)
}

/// A descriptor, and what is asked of it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollFd {
    fd: c_int,
    events: i16,
    revents: i16,
}

impl PollFd {
    /// Waits until it can be read from, or its other end is gone.
    pub(crate) fn readable(fd: RawFd) -> Self {
        Self { fd, events: POLLIN, revents: 0 }
    }

    /// Waits until it can be written to, or its other end is gone.
    pub(crate) fn writable(fd: RawFd) -> Self {
        Self { fd, events: POLLOUT, revents: 0 }
    }

    /// Waits until its other end is gone.
    pub(crate) fn hung_up(fd: RawFd) -> Self {
        Self { fd, events: 0, revents: 0 }
    }

    /// Whether it has what was asked for.
    pub(crate) fn ready(&self) -> bool {
        self.revents != 0
    }
}

#[repr(C)]
struct IoVec {
    base: *mut c_void,
    len: usize,
}

/// `struct msghdr` of glibc; musl's has an int and padding where this has a `size_t`, which is the same where the low
/// half comes first.
#[repr(C)]
struct MessageHeader {
    name: *mut c_void,
    name_len: u32,
    parts: *mut IoVec,
    parts_len: usize,
    control: *mut c_void,
    control_len: usize,
    flags: c_int,
}

impl Default for MessageHeader {
    fn default() -> Self {
        let (name, parts, control) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        Self { name, name_len: 0, parts, parts_len: 0, control, control_len: 0, flags: 0 }
    }
}

#[repr(C)]
#[derive(Default)]
struct ControlHeader {
    len: usize,
    level: c_int,
    kind: c_int,
}

/// Room for more descriptors than any request has: of what does not fit the system would close the rest and say so.
#[repr(C)]
#[derive(Default)]
struct Control {
    header: ControlHeader,
    fds: [RawFd; 8],
}

const CONTROL_HEADER_LEN: usize = size_of::<ControlHeader>();

#[repr(C)]
struct ResourceLimit {
    soft: u64,
    hard: u64,
}

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: c_long,
}

#[repr(C)]
#[derive(Default)]
struct SignalSet([u64; 16]);

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

pub(crate) const SIGHUP: c_int = 1;
pub(crate) const SIGKILL: c_int = 9;
pub(crate) const SIGTERM: c_int = 15;
pub(crate) const SIGCHLD: c_int = 17;
pub(crate) const SIGCONT: c_int = 18;
pub(crate) const SIGSTOP: c_int = 19;
const MAX_SIGNAL: c_int = 64;

pub(crate) const EAGAIN: i32 = 11;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const EBADMSG: i32 = 74;
pub(crate) const EIO: i32 = 5;
const EINTR: i32 = 4;

pub(crate) const RLIMIT_CPU: c_int = 0;
pub(crate) const RLIMIT_FSIZE: c_int = 1;
pub(crate) const RLIMIT_CORE: c_int = 4;
pub(crate) const RLIMIT_NOFILE: c_int = 7;

pub(crate) const CLONE_NEWNS: u64 = 0x0002_0000;
pub(crate) const CLONE_NEWUSER: u64 = 0x1000_0000;
pub(crate) const CLONE_NEWPID: u64 = 0x2000_0000;

const SYS_PIDFD_SEND_SIGNAL: c_long = 424;
const SYS_PIDFD_OPEN: c_long = 434;
const SYS_CLONE3: c_long = 435;
const SYS_CLOSE_RANGE: c_long = 436;

const WNOHANG: c_int = 1;
const SIG_DFL: usize = 0;
const SIG_SETMASK: c_int = 2;
const SFD_NONBLOCK: c_int = 0o4000;
const SFD_CLOEXEC: c_int = 0o2_000_000;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const AF_UNIX: c_int = 1;
const SOCK_SEQPACKET: c_int = 5;
const SOCK_CLOEXEC: c_int = 0o2_000_000;
const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;
const MSG_CTRUNC: c_int = 8;
const MSG_TRUNC: c_int = 0x20;
const MSG_DONTWAIT: c_int = 0x40;
const MSG_NOSIGNAL: c_int = 0x4000;
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
const PR_SET_NAME: c_int = 15;
const PR_SET_CHILD_SUBREAPER: c_int = 36;
const TIOCSCTTY: c_ulong = 0x540e;
const CLOCK_MONOTONIC: c_int = 1;
const SC_CLK_TCK: c_int = 2;
const SC_PAGESIZE: c_int = 30;
const LOCK_EX: c_int = 2;
const LOCK_NB: c_int = 4;
const MS_NOSUID: c_ulong = 2;
const MS_NODEV: c_ulong = 4;
const MS_NOEXEC: c_ulong = 8;
const MS_REC: c_ulong = 0x4000;
const MS_PRIVATE: c_ulong = 0x4_0000;

/// What glibc calls `enum __rlimit_resource` is as wide as musl's int, but has no sign.
#[cfg(target_env = "musl")]
type Resource = c_int;
#[cfg(not(target_env = "musl"))]
type Resource = std::ffi::c_uint;

/// A request of `ioctl` is an int for musl and a long for glibc.
mod raw {
    use super::*;

    unsafe extern "C" {
        pub(super) fn fork() -> c_int;
        pub(super) fn _exit(code: c_int) -> !;
        pub(super) fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        pub(super) fn kill(pid: c_int, signal: c_int) -> c_int;
        pub(super) fn syscall(number: c_long, ...) -> c_long;
        pub(super) fn close(fd: c_int) -> c_int;
        pub(super) fn dup2(from: c_int, to: c_int) -> c_int;
        pub(super) fn setsid() -> c_int;
        pub(super) fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
        pub(super) fn prctl(option: c_int, ...) -> c_int;
        pub(super) fn signal(signal: c_int, handler: usize) -> usize;
        pub(super) fn sigfillset(set: *mut SignalSet) -> c_int;
        pub(super) fn sigemptyset(set: *mut SignalSet) -> c_int;
        pub(super) fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
        pub(super) fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
        pub(super) fn signalfd(fd: c_int, set: *const SignalSet, flags: c_int) -> c_int;
        pub(super) fn read(fd: c_int, buffer: *mut c_void, len: usize) -> isize;
        pub(super) fn poll(fds: *mut PollFd, len: c_ulong, timeout_ms: c_int) -> c_int;
        pub(super) fn socketpair(domain: c_int, kind: c_int, protocol: c_int, fds: *mut c_int) -> c_int;
        pub(super) fn sendmsg(fd: c_int, message: *const MessageHeader, flags: c_int) -> isize;
        pub(super) fn recvmsg(fd: c_int, message: *mut MessageHeader, flags: c_int) -> isize;
        pub(super) fn execve(path: *const c_char, argv: *const *const c_char, env: *const *const c_char) -> c_int;
        pub(super) fn chdir(path: *const c_char) -> c_int;
        pub(super) fn getrlimit(resource: Resource, limit: *mut ResourceLimit) -> c_int;
        pub(super) fn setrlimit(resource: Resource, limit: *const ResourceLimit) -> c_int;
        pub(super) fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int;
        pub(super) fn sysconf(name: c_int) -> c_long;
        pub(super) fn geteuid() -> u32;
        pub(super) fn getegid() -> u32;
        pub(super) fn flock(fd: c_int, operation: c_int) -> c_int;
        pub(super) fn mount(
            source: *const c_char,
            target: *const c_char,
            kind: *const c_char,
            flags: c_ulong,
            data: *const c_void,
        ) -> c_int;
    }
}

#[cfg(test)]
#[path = "sys_test.rs"]
mod tests;
