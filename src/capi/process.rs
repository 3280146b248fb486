//! `TalkpathProcessManager` and `TalkpathProcess`: programs that are started, read, written to and ended.
//!
//! What is read is lent: it stays with the process until the next read, so that a line of any length has room.

use std::ffi::{CString, OsStr, c_char};
use std::mem::offset_of;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::bus::TalkpathBus;
use super::check::{self, Failure, Out, c_text};
use super::status::{TalkpathStatus, guard};
use crate::system::process::{
    Exit, ExitStatus, LimitKind, ManagerConfig, Overflow, Process, ProcessManager, ProcessSpec, Stderr, Stream,
    TerminalSize, Tier, Typed,
};
use crate::{Error, ErrorKind};

/// Descendants are kept together by a parent that adopts them; needs no privilege.
pub const TALKPATH_TIER_SUBREAPER: i32 = 1;
/// Each process has a control group, too; needs a writable one.
pub const TALKPATH_TIER_CGROUP: i32 = 2;
/// Each process has namespaces of its own; needs a system that allows it.
pub const TALKPATH_TIER_STRICT: i32 = 3;

/// The process waits until its output is read.
pub const TALKPATH_OUTPUT_BLOCK: i32 = 0;
/// The oldest output is dropped, and counted.
pub const TALKPATH_OUTPUT_DROP_OLDEST: i32 = 1;
/// No output is held.
pub const TALKPATH_OUTPUT_DISCARD: i32 = 2;

/// Errors go where the output goes.
pub const TALKPATH_STDERR_STDOUT: i32 = 0;
/// Errors are a stream of their own.
pub const TALKPATH_STDERR_SEPARATE: i32 = 1;
/// Errors go nowhere.
pub const TALKPATH_STDERR_DISCARD: i32 = 2;

/// Standard output, and errors unless they are separate.
pub const TALKPATH_STREAM_STDOUT: i32 = 0;
/// Errors, where they are separate.
pub const TALKPATH_STREAM_STDERR: i32 = 1;

/// No limit was reached.
pub const TALKPATH_LIMIT_NONE: i32 = 0;
/// The limit of processes was reached.
pub const TALKPATH_LIMIT_PROCESSES: i32 = 1;
/// The limit of memory was reached.
pub const TALKPATH_LIMIT_MEMORY: i32 = 2;
/// The limit of processor time was reached.
pub const TALKPATH_LIMIT_CPU_TIME: i32 = 3;
/// The limit of time was reached.
pub const TALKPATH_LIMIT_WALL_TIME: i32 = 4;
/// The limit of output was reached.
pub const TALKPATH_LIMIT_OUTPUT: i32 = 5;

/// Starts processes and keeps them until it is freed: then they end, and all that they have started. They end as well when
/// the program does, also when it is killed.
pub struct TalkpathProcessManager {
    manager: ProcessManager,
}

/// One process. Freeing it does not end it. Any thread may call its functions at any time, but for freeing it; reads lend
/// what they read, so one thread reads.
pub struct TalkpathProcess {
    process: Process,
    id: CString,
    item: Mutex<Vec<u8>>,
}

/// How a process is started; 0 or NULL is the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathProcessConfig {
    /// The size of this structure, as the program knows it.
    pub size: usize,
    /// Where it starts (where the program is).
    pub cwd: *const c_char,
    /// Variables that it gets, `NAME=VALUE` each, the last one followed by NULL; beside `PATH`, `HOME`, `LANG` and their
    /// like, which are all that it inherits.
    pub env: *const *const c_char,
    /// The session under which its output goes to the manager's bus, on channel `console` (none).
    pub console: *const c_char,
    /// How much output of a stream is held, in bytes (1 MiB).
    pub buffer_bytes: usize,
    /// Bytes of resident memory that its tree may use (no limit).
    pub limit_memory_bytes: u64,
    /// Bytes that it may write (no limit).
    pub limit_output_bytes: u64,
    /// Milliseconds that it may run (no limit).
    pub limit_wall_ms: u64,
    /// Seconds of processor time that its tree may use (no limit).
    pub limit_cpu_s: u64,
    /// Processes that its tree may have, itself among them (no limit).
    pub limit_processes: u32,
    /// How long a line may stand without its newline until it is handed out as it is, in milliseconds (40; -1: for ever).
    pub prompt_ms: i32,
    /// What happens to output that nobody reads, one of `TALKPATH_OUTPUT_…`.
    pub output: i32,
    /// Where its errors go, one of `TALKPATH_STDERR_…`.
    pub stderr_to: i32,
    /// How many lines its terminal has; 0 gives it pipes and no terminal.
    pub rows: u16,
    /// How many characters a line of its terminal has (80).
    pub columns: u16,
}

/// How a process ended: by a code or by a signal.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathExit {
    /// The exit code, -1 where a signal ended it.
    pub code: i32,
    /// The signal that ended it, 0 where it ended by itself. Without either, nobody knows.
    pub signal: i32,
    /// The limit for which it was ended, one of `TALKPATH_LIMIT_…`.
    pub limit: i32,
    /// Whether a core was dumped.
    pub core_dumped: bool,
}

/// Makes a manager and hands it over in `manager`; free it by [`talkpath_process_manager_free`].
///
/// `tier` is one of `TALKPATH_TIER_…`; one that the system does not allow is an error at the first start. `bus` is told of
/// processes with a console; it may be NULL.
///
/// # Safety
/// `bus` must come from [`talkpath_bus_new`](super::bus::talkpath_bus_new), or be NULL; `manager` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_manager_new(
    tier: i32,
    bus: *const TalkpathBus,
    manager: *mut *mut TalkpathProcessManager,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bus, out) = unsafe { (bus.as_ref(), Out::new("manager", manager)?) };
        let tier = match tier {
            TALKPATH_TIER_SUBREAPER => Tier::Subreaper,
            TALKPATH_TIER_CGROUP => Tier::Cgroup,
            TALKPATH_TIER_STRICT => Tier::Strict,
            other => return Err(Error::invalid(format!("tier {other}, wanted TALKPATH_TIER_…")).into()),
        };
        let bus = bus.map(|bus| bus.core().clone());
        out.give(TalkpathProcessManager { manager: ProcessManager::new(ManagerConfig { tier, bus })? });
        Ok(())
    })
}

/// Asks all processes and what they have started to end (SIGTERM), kills what is left after `grace_ms`, waits, and frees
/// the manager; NULL is nothing to free.
///
/// # Safety
/// `manager` must come from [`talkpath_process_manager_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_manager_free(manager: *mut TalkpathProcessManager, grace_ms: u32) {
    guard(|| {
        // SAFETY: as the caller promises.
        if let Some(manager) = unsafe { manager.as_ref() } {
            manager.manager.close(Duration::from_millis(grace_ms.into()));
        }
        // SAFETY: as the caller promises.
        unsafe { check::free(manager) };
        Ok(())
    });
}

/// Starts a program, waits until it runs, and hands it over in `process`; free it by [`talkpath_process_free`].
///
/// `argv` is the program and its arguments, the last one followed by NULL; no shell looks at them. `config` may be NULL.
/// `TALKPATH_STATUS_IO` if the program is not there or the system refuses. Any thread may call it at any time.
///
/// # Safety
/// `manager` must come from [`talkpath_process_manager_new`]; `argv` must lead to zero-ended texts and end with NULL; so
/// must `env` of `config`, which must be readable, or NULL; `process` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_start(
    manager: *const TalkpathProcessManager,
    argv: *const *const c_char,
    config: *const TalkpathProcessConfig,
    process: *mut *mut TalkpathProcess,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (manager, argv, config, out) = unsafe {
            (
                check::object("manager", manager)?,
                texts("argv", argv)?,
                config_of(config)?,
                Out::new("process", process)?,
            )
        };
        let mut spec = ProcessSpec::argv(argv.into_iter().map(OsStr::from_bytes));
        if let Some(config) = config {
            // SAFETY: as the caller promises.
            unsafe { apply(&config, &mut spec) }?;
        }
        let process = manager.manager.start(&spec)?;
        let id = c_text(process.id());
        out.give(TalkpathProcess { process, id, item: Mutex::default() });
        Ok(())
    })
}

/// Frees the process, which goes on; NULL is nothing to free.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_free(process: *mut TalkpathProcess) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(process) };
        Ok(())
    });
}

/// Lends the id of the process, until it is freed: no other process of any program's has it.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `id` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_id(
    process: *const TalkpathProcess,
    id: *mut *const c_char,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, id) = unsafe { (check::object("process", process)?, Out::new("id", id)?) };
        id.set(process.id.as_ptr());
        Ok(())
    })
}

/// Writes the system's number for the process; once it has ended, another one may have it.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `pid` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_pid(process: *const TalkpathProcess, pid: *mut i32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, pid) = unsafe { (check::object("process", process)?, Out::new("pid", pid)?) };
        pid.set(process.process.pid().ok_or(Failure::Empty)?);
        Ok(())
    })
}

/// Writes the descriptor that is readable when there is something new: output, room, an end. Only
/// [`talkpath_process_hush`] may read it; call that first, then look.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `fd` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_fd(process: *const TalkpathProcess, fd: *mut i32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, fd) = unsafe { (check::object("process", process)?, Out::new("fd", fd)?) };
        fd.set(process.process.fd()?.as_raw_fd());
        Ok(())
    })
}

/// Makes the descriptor unreadable until there is more.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_hush(process: *const TalkpathProcess) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("process", process) }?.process.hush();
        Ok(())
    })
}

/// Lends the next line of a stream, one of `TALKPATH_STREAM_…`, until the next read: `len` bytes with the newline, not ended
/// by a zero byte. Without a newline it is a prompt, a piece of a line of more than 64 KiB, or the last.
///
/// It waits up to `timeout_ms` (-1: for ever). `TALKPATH_STATUS_EMPTY` if nothing came, `TALKPATH_STATUS_SESSION_ENDED` at
/// the end. `dropped_bytes` gets how much was dropped before the line; it may be NULL.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `line` and `len` must be writable, `dropped_bytes` too, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_read_line(
    process: *const TalkpathProcess,
    stream: i32,
    timeout_ms: i32,
    line: *mut *const u8,
    len: *mut usize,
    dropped_bytes: *mut u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, line, len) =
            unsafe { (check::object("process", process)?, Out::new("line", line)?, Out::new("len", len)?) };
        // SAFETY: as the caller promises.
        let dropped = unsafe { optional("dropped_bytes", dropped_bytes) }?;
        let stream = match stream {
            TALKPATH_STREAM_STDOUT => Stream::Stdout,
            TALKPATH_STREAM_STDERR => Stream::Stderr,
            other => return Err(Error::invalid(format!("stream {other}, wanted TALKPATH_STREAM_…")).into()),
        };
        let mut item = process.item.lock().unwrap_or_else(PoisonError::into_inner);
        if !process.process.wait_output(stream, timeout(timeout_ms))? {
            return Err(Failure::Empty);
        }
        let Some(gap) = process.process.read_item(stream, &mut item) else {
            return Err(Error::new(ErrorKind::SessionEnded, "the output has ended").into());
        };
        line.set(item.as_ptr());
        len.set(item.len());
        if let Some(dropped) = dropped {
            dropped.set(gap.bytes);
        }
        Ok(())
    })
}

/// Writes to the input of the process, and waits up to `timeout_ms` (-1: for ever) until all was taken.
///
/// `TALKPATH_STATUS_TIMEOUT` if it was not: what was not taken is taken back. `TALKPATH_STATUS_IO` if it does not read any
/// more. At a terminal a line may be of any length.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `data` must be readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_write(
    process: *const TalkpathProcess,
    data: *const u8,
    len: usize,
    timeout_ms: i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, data) = unsafe { (check::object("process", process)?, check::slice("data", data, len)?) };
        Ok(process.process.write(Typed::Bytes(data.to_vec()), timeout(timeout_ms))?)
    })
}

/// Ends the input of the process, once all that was written is taken.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_close_input(process: *const TalkpathProcess) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("process", process) }?.process.close_input();
        Ok(())
    })
}

/// Sets the size of its terminal.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_resize(
    process: *const TalkpathProcess,
    rows: u16,
    columns: u16,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let process = unsafe { check::object("process", process) }?;
        Ok(process.process.resize(TerminalSize { rows, columns })?)
    })
}

/// Sends a signal to the process and all that it has started; nothing happens if it has ended.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_signal(process: *const TalkpathProcess, signal: i32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("process", process) }?.process.signal(signal);
        Ok(())
    })
}

/// Asks the process and all that it has started to end (SIGTERM), and kills what is left after `grace_ms`; with 0 at once,
/// unasked. It does not wait: [`talkpath_process_wait`] does.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_stop(process: *const TalkpathProcess, grace_ms: u32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("process", process) }?.process.stop(Duration::from_millis(grace_ms.into()));
        Ok(())
    })
}

/// Waits up to `timeout_ms` (-1: for ever) until the process has ended, and writes how to `exit`; `TALKPATH_STATUS_EMPTY` if
/// it still runs. It is told after all of its output.
///
/// # Safety
/// `process` must come from [`talkpath_process_start`]; `exit` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_process_wait(
    process: *const TalkpathProcess,
    timeout_ms: i32,
    exit: *mut TalkpathExit,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (process, out) = unsafe { (check::object("process", process)?, Out::new("exit", exit)?) };
        match process.process.wait(timeout(timeout_ms)) {
            Ok(exit) => out.set(exit_of(exit)),
            Err(error) if error.kind() == ErrorKind::Timeout => return Err(Failure::Empty),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })
}

fn exit_of(exit: Exit) -> TalkpathExit {
    TalkpathExit {
        code: exit.code().unwrap_or(-1),
        signal: exit.signal().unwrap_or(0),
        limit: match exit.limit {
            None => TALKPATH_LIMIT_NONE,
            Some(LimitKind::Processes) => TALKPATH_LIMIT_PROCESSES,
            Some(LimitKind::Memory) => TALKPATH_LIMIT_MEMORY,
            Some(LimitKind::CpuTime) => TALKPATH_LIMIT_CPU_TIME,
            Some(LimitKind::WallTime) => TALKPATH_LIMIT_WALL_TIME,
            Some(LimitKind::Output) => TALKPATH_LIMIT_OUTPUT,
        },
        core_dumped: matches!(exit.status, ExitStatus::Signal { core_dumped: true, .. }),
    }
}

/// A time that is waited, none if it is below zero.
fn timeout(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// # Safety
/// `ptr` must be writable until it is set, or NULL.
unsafe fn optional<T>(name: &'static str, ptr: *mut T) -> check::Result<Option<Out<T>>> {
    // SAFETY: as the caller promises.
    if ptr.is_null() { Ok(None) } else { unsafe { Out::new(name, ptr) }.map(Some) }
}

/// A list of texts that ends with NULL.
///
/// # Safety
/// `list` must lead to pointers to zero-ended texts, the last of them NULL, that stay as they are; or be NULL.
unsafe fn texts<'a>(name: &'static str, list: *const *const c_char) -> check::Result<Vec<&'a [u8]>> {
    if list.is_null() {
        return Err(Failure::Null(name));
    }
    let mut texts = Vec::new();
    loop {
        // SAFETY: not beyond the NULL that ends the list, as the caller promises.
        let text = unsafe { list.add(texts.len()).read() };
        if text.is_null() {
            return Ok(texts);
        }
        // SAFETY: ended by a zero byte as the caller promises.
        texts.push(unsafe { std::ffi::CStr::from_ptr(text) }.to_bytes());
    }
}

/// # Safety
/// `config` must be readable for the size that it says it has; or it is NULL.
unsafe fn config_of(config: *const TalkpathProcessConfig) -> check::Result<Option<TalkpathProcessConfig>> {
    if config.is_null() {
        return Ok(None);
    }
    // SAFETY: the size comes first, and is readable as the caller promises.
    let size = unsafe { config.cast::<usize>().read() };
    if size < OLDEST {
        let wanted = size_of::<TalkpathProcessConfig>();
        let message = format!("config.size of {size}, wanted sizeof(TalkpathProcessConfig), {wanted}");
        return Err(Error::invalid(message).into());
    }
    let mut known = TalkpathProcessConfig {
        size,
        cwd: std::ptr::null(),
        env: std::ptr::null(),
        console: std::ptr::null(),
        buffer_bytes: 0,
        limit_memory_bytes: 0,
        limit_output_bytes: 0,
        limit_wall_ms: 0,
        limit_cpu_s: 0,
        limit_processes: 0,
        prompt_ms: 0,
        output: 0,
        stderr_to: 0,
        rows: 0,
        columns: 0,
    };
    let n = size.min(size_of::<TalkpathProcessConfig>());
    // SAFETY: `config` is readable for `size` bytes as the caller promises, `known` is as long as what is copied.
    unsafe { std::ptr::copy_nonoverlapping(config.cast::<u8>(), (&raw mut known).cast::<u8>(), n) };
    Ok(Some(known))
}

/// # Safety
/// The pointers of `config` must lead to zero-ended texts, and `env` to a list that ends with NULL; or be NULL.
unsafe fn apply(config: &TalkpathProcessConfig, spec: &mut ProcessSpec) -> check::Result<()> {
    if !config.cwd.is_null() {
        // SAFETY: ended by a zero byte as the caller promises.
        let cwd = unsafe { std::ffi::CStr::from_ptr(config.cwd) };
        spec.cwd = Some(OsStr::from_bytes(cwd.to_bytes()).into());
    }
    if !config.env.is_null() {
        // SAFETY: as the caller promises.
        for entry in unsafe { texts("env", config.env) }? {
            let at = entry.iter().position(|byte| *byte == b'=');
            let at = at.ok_or_else(|| Error::invalid("a variable without =, wanted NAME=VALUE"))?;
            let (name, value) = (OsStr::from_bytes(&entry[..at]), OsStr::from_bytes(&entry[at + 1..]));
            spec.env.insert(name.into(), value.into());
        }
    }
    if !config.console.is_null() {
        // SAFETY: ended by a zero byte as the caller promises.
        spec.console = Some(unsafe { check::text("console", config.console) }?.into());
    }
    if config.buffer_bytes > 0 {
        spec.buffer_bytes = config.buffer_bytes;
        spec.longest_line_bytes = spec.longest_line_bytes.min(config.buffer_bytes / 2);
    }
    spec.prompt_after = match config.prompt_ms {
        0 => spec.prompt_after,
        ms => timeout(ms),
    };
    match config.output {
        TALKPATH_OUTPUT_BLOCK => spec.overflow = Overflow::Block,
        TALKPATH_OUTPUT_DROP_OLDEST => spec.overflow = Overflow::DropOldest,
        TALKPATH_OUTPUT_DISCARD => spec.captures = false,
        other => return Err(Error::invalid(format!("output {other}, wanted TALKPATH_OUTPUT_…")).into()),
    }
    spec.stderr = match config.stderr_to {
        TALKPATH_STDERR_STDOUT => Stderr::Stdout,
        TALKPATH_STDERR_SEPARATE => Stderr::Separate,
        TALKPATH_STDERR_DISCARD => Stderr::Discard,
        other => return Err(Error::invalid(format!("stderr_to {other}, wanted TALKPATH_STDERR_…")).into()),
    };
    if config.rows > 0 {
        let columns = if config.columns > 0 { config.columns } else { TerminalSize::default().columns };
        spec.pty = Some(TerminalSize { rows: config.rows, columns });
    }
    let some = |limit: u64| (limit > 0).then_some(limit);
    spec.limits.memory_bytes = some(config.limit_memory_bytes);
    spec.limits.output_bytes = some(config.limit_output_bytes);
    spec.limits.wall_time = some(config.limit_wall_ms).map(Duration::from_millis);
    spec.limits.cpu_seconds = some(config.limit_cpu_s);
    spec.limits.processes = (config.limit_processes > 0).then_some(config.limit_processes);
    Ok(())
}

/// How much of the structure the first version of the library had.
const OLDEST: usize = offset_of!(TalkpathProcessConfig, columns) + size_of::<u16>();
