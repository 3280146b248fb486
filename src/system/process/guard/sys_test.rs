//! Holds the declarations of `sys` against the `libc` crate, for the machine the test runs on.

use std::mem::{offset_of, size_of};

use super::*;

#[cfg(target_env = "musl")]
type TheirResource = c_int;
#[cfg(not(target_env = "musl"))]
type TheirResource = libc::__rlimit_resource_t;

#[test]
fn constants_are_the_c_librarys() {
    macro_rules! same {
        ($($name:ident)*) => { $(assert_eq!($name as i128, libc::$name as i128, stringify!($name));)* };
    }
    same!(SIGHUP SIGKILL SIGTERM SIGCHLD SIGCONT SIGSTOP EAGAIN EACCES ENOENT ENOTDIR EINVAL EEXIST EBADMSG EIO EINTR);
    same!(RLIMIT_CPU RLIMIT_FSIZE RLIMIT_CORE RLIMIT_NOFILE CLONE_NEWNS CLONE_NEWUSER CLONE_NEWPID);
    same!(WNOHANG SIG_DFL SIG_SETMASK SFD_NONBLOCK SFD_CLOEXEC POLLIN POLLOUT AF_UNIX SOCK_SEQPACKET SOCK_CLOEXEC);
    same!(SOL_SOCKET SCM_RIGHTS MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_NOSIGNAL MSG_CMSG_CLOEXEC PR_SET_NAME);
    same!(PR_SET_CHILD_SUBREAPER TIOCSCTTY CLOCK_MONOTONIC LOCK_EX LOCK_NB MS_NOSUID MS_NODEV MS_NOEXEC MS_REC MS_PRIVATE);
    assert_eq!((SYS_PIDFD_SEND_SIGNAL, SYS_PIDFD_OPEN), (libc::SYS_pidfd_send_signal, libc::SYS_pidfd_open));
    assert_eq!((SYS_CLONE3, SYS_CLOSE_RANGE), (libc::SYS_clone3, libc::SYS_close_range));
    assert_eq!((SC_CLK_TCK, SC_PAGESIZE), (libc::_SC_CLK_TCK, libc::_SC_PAGESIZE));
    assert!(libc::SIGRTMAX() <= MAX_SIGNAL);
}

#[test]
fn layouts_are_the_c_librarys() {
    macro_rules! same {
        ($ours:ty = $theirs:ty: $($field:ident = $their_field:ident),*) => {
            assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($ours));
            $(assert_eq!(offset_of!($ours, $field), offset_of!($theirs, $their_field), stringify!($field));)*
        };
    }
    same!(PollFd = libc::pollfd: fd = fd, events = events, revents = revents);
    same!(IoVec = libc::iovec: base = iov_base, len = iov_len);
    same!(MessageHeader = libc::msghdr: name = msg_name, name_len = msg_namelen, parts = msg_iov,
        parts_len = msg_iovlen, control = msg_control, control_len = msg_controllen, flags = msg_flags);
    same!(ControlHeader = libc::cmsghdr: len = cmsg_len, level = cmsg_level, kind = cmsg_type);
    same!(ResourceLimit = libc::rlimit: soft = rlim_cur, hard = rlim_max);
    same!(TimeSpec = libc::timespec: seconds = tv_sec, nanoseconds = tv_nsec);
    // The system takes the first 64 bytes alone, too: CLONE_ARGS_SIZE_VER0.
    assert_eq!((size_of::<CloneArguments>(), offset_of!(libc::clone_args, tls) + 8), (64, 64));
    assert_eq!(offset_of!(CloneArguments, exit_signal), offset_of!(libc::clone_args, exit_signal));
    assert_eq!(size_of::<SignalSet>(), size_of::<libc::sigset_t>());
    assert_eq!(offset_of!(Control, fds), CONTROL_HEADER_LEN);
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::CMSG_LEN(4) } as usize, CONTROL_HEADER_LEN + 4);
}

#[test]
fn functions_are_the_c_librarys() {
    /// Whether both take and return as many values, each as wide: what the machine's calls go by.
    macro_rules! same {
        ($($name:ident($($argument:ty = $theirs:ty),*) -> $result:ty = $their_result:ty;)*) => { $(
            let _: unsafe extern "C" fn($($argument),*) -> $result = raw::$name;
            let _: unsafe extern "C" fn($($theirs),*) -> $their_result = libc::$name;
            $(assert_eq!(size_of::<$argument>(), size_of::<$theirs>(), stringify!($name));)*
            assert_eq!(size_of::<$result>(), size_of::<$their_result>(), stringify!($name));
        )* };
    }
    same! {
        fork() -> c_int = libc::pid_t;
        waitpid(c_int = libc::pid_t, *mut c_int = *mut c_int, c_int = c_int) -> c_int = libc::pid_t;
        kill(c_int = libc::pid_t, c_int = c_int) -> c_int = c_int;
        close(c_int = c_int) -> c_int = c_int;
        dup2(c_int = c_int, c_int = c_int) -> c_int = c_int;
        setsid() -> c_int = libc::pid_t;
        signal(c_int = c_int, usize = libc::sighandler_t) -> usize = libc::sighandler_t;
        sigfillset(*mut SignalSet = *mut libc::sigset_t) -> c_int = c_int;
        sigemptyset(*mut SignalSet = *mut libc::sigset_t) -> c_int = c_int;
        sigaddset(*mut SignalSet = *mut libc::sigset_t, c_int = c_int) -> c_int = c_int;
        sigprocmask(c_int = c_int, *const SignalSet = *const libc::sigset_t, *mut SignalSet = *mut libc::sigset_t)
            -> c_int = c_int;
        signalfd(c_int = c_int, *const SignalSet = *const libc::sigset_t, c_int = c_int) -> c_int = c_int;
        read(c_int = c_int, *mut c_void = *mut c_void, usize = usize) -> isize = isize;
        poll(*mut PollFd = *mut libc::pollfd, c_ulong = libc::nfds_t, c_int = c_int) -> c_int = c_int;
        socketpair(c_int = c_int, c_int = c_int, c_int = c_int, *mut c_int = *mut c_int) -> c_int = c_int;
        sendmsg(c_int = c_int, *const MessageHeader = *const libc::msghdr, c_int = c_int) -> isize = isize;
        recvmsg(c_int = c_int, *mut MessageHeader = *mut libc::msghdr, c_int = c_int) -> isize = isize;
        execve(*const c_char = *const c_char, *const *const c_char = *const *const c_char,
            *const *const c_char = *const *const c_char) -> c_int = c_int;
        chdir(*const c_char = *const c_char) -> c_int = c_int;
        getrlimit(Resource = TheirResource, *mut ResourceLimit = *mut libc::rlimit) -> c_int = c_int;
        setrlimit(Resource = TheirResource, *const ResourceLimit = *const libc::rlimit) -> c_int = c_int;
        clock_gettime(c_int = libc::clockid_t, *mut TimeSpec = *mut libc::timespec) -> c_int = c_int;
        sysconf(c_int = c_int) -> c_long = c_long;
        geteuid() -> u32 = libc::uid_t;
        getegid() -> u32 = libc::gid_t;
        flock(c_int = c_int, c_int = c_int) -> c_int = c_int;
        mount(*const c_char = *const c_char, *const c_char = *const c_char, *const c_char = *const c_char,
            c_ulong = c_ulong, *const c_void = *const c_void) -> c_int = c_int;
    }
}
