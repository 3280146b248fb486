//! `TalkpathServer`: takes calls by threads of its own, and hands their agents' ends over by poll or by callback.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::agent::TalkpathAgent;
use super::check::{self, Failure, Out};
use super::session_config::{TalkpathSessionConfig, config_of};
use super::status::{TalkpathStatus, guard};
use crate::io::log::LogLevel;
use crate::io::notify::Notifier;
use crate::io::server::{Call, Listen, Server, ServerConfig};
use crate::{Error, ErrorKind};

/// A running server of any transport. Its functions may be called by one thread at a time.
pub struct TalkpathServer {
    server: Server,
    notifier: Arc<Notifier>,
    ready: Vec<u64>,
}

/// What can be set of a server; 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathServerConfig {
    /// The size of this structure, as the program knows it.
    pub size: usize,
    /// How each call's session works; NULL is the default.
    pub session: *const TalkpathSessionConfig,
    /// How many calls there may be at once.
    pub max_calls: usize,
    /// How many threads carry calls.
    pub media_threads: usize,
    /// How long a call's peer may send nothing.
    pub idle_timeout_ms: u32,
    /// How long a new connection may take to say which call it brings.
    pub handshake_timeout_ms: u32,
    /// Whether the media threads do not ask for real-time priority.
    pub normal_priority: bool,
}

/// What there is to say of a call that has begun.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathCallInfo {
    /// The number that [`talkpath_server_poll_ready`] has for it.
    pub key: u64,
    /// Its id: a UUID, ended by a zero byte.
    pub id: [c_char; 40],
    /// Who calls, host:port, ended by a zero byte.
    pub peer: [c_char; 64],
    /// Where the call came in, host:port, ended by a zero byte.
    pub local: [c_char; 64],
}

/// What [`talkpath_server_dispatch`] calls, on the thread that calls it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathServerCallbacks {
    /// A call has begun: the agent's end is yours, to be freed once.
    pub on_call:
        Option<unsafe extern "C" fn(agent: *mut TalkpathAgent, info: *const TalkpathCallInfo, user: *mut c_void)>,
    /// The call with this key has something new: frames, events, or room. May be NULL.
    pub on_ready: Option<unsafe extern "C" fn(key: u64, user: *mut c_void)>,
    /// Something was logged: severity 0 (debug) to 3 (error). May be NULL.
    pub on_log: Option<unsafe extern "C" fn(severity: i32, line: *const c_char, user: *mut c_void)>,
    /// What each of them is given.
    pub user: *mut c_void,
}

/// Listens, starts the threads, and hands the server over in `server`. Free it by [`talkpath_server_free`].
///
/// `listen` is an address such as `audiosocket://127.0.0.1:8090`, `rtp://127.0.0.1:18080-18099` or
/// `ws://127.0.0.1:8787/media`; `config` may be NULL: the defaults.
///
/// # Safety
/// `listen` must lead to a zero-ended text; `config` and what it leads to must be readable, or NULL; `server` must be
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_new(
    listen: *const c_char,
    config: *const TalkpathServerConfig,
    server: *mut *mut TalkpathServer,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (listen, config, server) =
            unsafe { (check::text("listen", listen)?, server_config_of(config)?, Out::new("server", server)?) };
        let notifier = Arc::new(Notifier::new()?);
        let config = ServerConfig { listen: Listen::resolve(listen)?, ..config };
        let running = Server::bind(config, Arc::clone(&notifier))?;
        server.give(TalkpathServer { server: running, notifier, ready: Vec::new() });
        Ok(())
    })
}

/// Writes where the server listens, host:port, to `out`, cut to fit and ended by a zero byte; `port` gets the port.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `out` must be writable for `out_len`
/// bytes, `port` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_address(
    server: *const TalkpathServer,
    out: *mut c_char,
    out_len: usize,
    port: *mut u16,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, out, port) = unsafe {
            (
                check::object("server", server)?,
                check::slice_mut("out", out.cast::<u8>(), out_len)?,
                Out::new("port", port)?,
            )
        };
        let address = server.server.local_addr();
        copy_text(&address.to_string(), out);
        port.set(address.port());
        Ok(())
    })
}

/// Writes the descriptor that becomes readable when there is news; only [`talkpath_server_take_news`] and
/// [`talkpath_server_dispatch`] may read it.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `fd` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_fd(server: *const TalkpathServer, fd: *mut i32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, fd) = unsafe { (check::object("server", server)?, Out::new("fd", fd)?) };
        fd.set(server.notifier.as_raw_fd());
        Ok(())
    })
}

/// Takes the news that made the descriptor readable: call it first, then accept and look at who is ready.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_take_news(server: *mut TalkpathServer) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("server", server) }?.notifier.take();
        Ok(())
    })
}

/// Hands over the next call that began; `TALKPATH_STATUS_EMPTY` if there is none.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `agent` and `info` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_accept(
    server: *mut TalkpathServer,
    agent: *mut *mut TalkpathAgent,
    info: *mut TalkpathCallInfo,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, agent, info) =
            unsafe { (check::object("server", server)?, Out::new("agent", agent)?, Out::new("info", info)?) };
        let call = server.server.accept().ok_or(Failure::Empty)?;
        info.set(info_of(&call));
        agent.give(TalkpathAgent::new(call.agent));
        Ok(())
    })
}

/// Writes the keys of calls that have something new, each once; `count` gets how many. What has no room waits for the next
/// time.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `keys` must be writable for `keys_len`
/// items, `count` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_poll_ready(
    server: *mut TalkpathServer,
    keys: *mut u64,
    keys_len: usize,
    count: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, keys, count) = unsafe {
            (check::object_mut("server", server)?, check::slice_mut("keys", keys, keys_len)?, Out::new("count", count)?)
        };
        server.server.poll_ready(&mut server.ready);
        let n = server.ready.len().min(keys.len());
        for (to, from) in keys.iter_mut().zip(server.ready.drain(..n)) {
            *to = from;
        }
        count.set(n);
        Ok(())
    })
}

/// Waits up to `timeout_ms` for news (-1: for ever, 0: not at all), and hands all of it to the callbacks, on this thread.
///
/// `TALKPATH_STATUS_SESSION_ENDED` once the server has stopped. A callback may use agents, but not the server.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `callbacks` must be readable, and
/// each callback in it must be NULL or a function of its type that returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_dispatch(
    server: *mut TalkpathServer,
    timeout_ms: i32,
    callbacks: *const TalkpathServerCallbacks,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, callbacks) =
            unsafe { (check::object_mut("server", server)?, *check::object("callbacks", callbacks)?) };
        let on_call = callbacks.on_call.ok_or(Failure::Null("callbacks.on_call"))?;
        let timeout = PollTimeout::try_from(timeout_ms).unwrap_or(PollTimeout::NONE);
        // A signal cuts the wait short, which is for the program to see.
        let _ = poll(&mut [PollFd::new(server.notifier.fd(), PollFlags::POLLIN)], timeout);
        server.notifier.take();
        while let Some(call) = server.server.accept() {
            let info = info_of(&call);
            let agent = Box::into_raw(Box::new(TalkpathAgent::new(call.agent)));
            // SAFETY: a function of its type, as the caller promises.
            unsafe { on_call(agent, &raw const info, callbacks.user) };
        }
        server.server.poll_ready(&mut server.ready);
        for key in server.ready.drain(..) {
            if let Some(on_ready) = callbacks.on_ready {
                // SAFETY: a function of its type, as the caller promises.
                unsafe { on_ready(key, callbacks.user) };
            }
        }
        while let Some(record) = server.server.poll_log() {
            if let Some(on_log) = callbacks.on_log {
                let line = check::c_text(&record.to_string());
                // SAFETY: a function of its type, as the caller promises; the line lives as long as the call.
                unsafe { on_log(severity(record.level), line.as_ptr(), callbacks.user) };
            }
        }
        if server.server.is_stopped() {
            return Err(Error::new(ErrorKind::SessionEnded, "the server has stopped").into());
        }
        Ok(())
    })
}

/// Writes the next line of the log to `out`, cut to fit and ended by a zero byte; `severity` gets 0 (debug) to 3 (error).
///
/// `TALKPATH_STATUS_EMPTY` if there is none.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `out` must be writable for `out_len`
/// bytes, `severity` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_poll_log(
    server: *mut TalkpathServer,
    out: *mut c_char,
    out_len: usize,
    severity: *mut i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, out, level) = unsafe {
            (
                check::object("server", server)?,
                check::slice_mut("out", out.cast::<u8>(), out_len)?,
                Out::new("severity", severity)?,
            )
        };
        let record = server.server.poll_log().ok_or(Failure::Empty)?;
        copy_text(&record.to_string(), out);
        level.set(self::severity(record.level));
        Ok(())
    })
}

/// Takes no more calls, and ends those there are: each as soon as what its agent has written is played, all that are left
/// after `grace_ms`. Returns at once.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_stop(server: *mut TalkpathServer, grace_ms: u32) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::object("server", server) }?.server.stop(Duration::from_millis(grace_ms.into()));
        Ok(())
    })
}

/// Writes whether a stop is complete: all calls have ended, all threads are done.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`], and no other call may be using it; `is_stopped` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_is_stopped(
    server: *const TalkpathServer,
    is_stopped: *mut bool,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (server, is_stopped) = unsafe { (check::object("server", server)?, Out::new("is_stopped", is_stopped)?) };
        is_stopped.set(server.server.is_stopped());
        Ok(())
    })
}

/// Ends all calls, waits for the threads (up to a fifth of a second), and frees the server; NULL is nothing to free.
///
/// Agents' ends that were handed over stay, and learn that their calls are over; free them, too.
///
/// # Safety
/// `server` must come from [`talkpath_server_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_server_free(server: *mut TalkpathServer) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(server) };
        Ok(())
    });
}

/// # Safety
/// `config` must be readable for the size that it says it has, and so must what it leads to; or it is NULL.
unsafe fn server_config_of(config: *const TalkpathServerConfig) -> check::Result<ServerConfig> {
    let defaults = ServerConfig::default();
    if config.is_null() {
        return Ok(defaults);
    }
    // SAFETY: the size comes first, and is readable as the caller promises.
    let size = unsafe { config.cast::<usize>().read() };
    if size < OLDEST {
        let wanted = size_of::<TalkpathServerConfig>();
        return Err(
            Error::invalid(format!("config.size of {size}, wanted sizeof(TalkpathServerConfig), {wanted}")).into()
        );
    }
    let mut known = TalkpathServerConfig {
        size,
        session: std::ptr::null(),
        max_calls: 0,
        media_threads: 0,
        idle_timeout_ms: 0,
        handshake_timeout_ms: 0,
        normal_priority: false,
    };
    let n = size.min(size_of::<TalkpathServerConfig>());
    // SAFETY: `config` is readable for `size` bytes as the caller promises, `known` is as long as what is copied.
    unsafe { std::ptr::copy_nonoverlapping(config.cast::<u8>(), (&raw mut known).cast::<u8>(), n) };
    let config = known;
    // SAFETY: what it leads to is readable as the caller promises.
    let session = unsafe { config_of(config.session) }?;
    let count = |got: usize, default: usize| if got == 0 { default } else { got };
    let time = |got: u32, default: Duration| if got == 0 { default } else { Duration::from_millis(got.into()) };
    Ok(ServerConfig {
        session,
        max_calls: count(config.max_calls, defaults.max_calls),
        media_threads: count(config.media_threads, defaults.media_threads),
        idle_timeout: time(config.idle_timeout_ms, defaults.idle_timeout),
        handshake_timeout: time(config.handshake_timeout_ms, defaults.handshake_timeout),
        realtime_priority: !config.normal_priority,
        ..defaults
    })
}

fn info_of(call: &Call) -> TalkpathCallInfo {
    TalkpathCallInfo {
        key: call.key,
        id: check::c_array(&call.id.to_string()),
        peer: check::c_array(&call.peer.to_string()),
        local: check::c_array(&call.local.to_string()),
    }
}

fn copy_text(text: &str, out: &mut [u8]) {
    if let Some(room) = out.len().checked_sub(1) {
        let n = text.len().min(room);
        out[..n].copy_from_slice(&text.as_bytes()[..n]);
        out[n] = 0;
    }
}

const fn severity(level: LogLevel) -> i32 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warning => 2,
        LogLevel::Error => 3,
    }
}

/// How much of the structure the first version of the library had.
const OLDEST: usize = offset_of!(TalkpathServerConfig, normal_priority) + size_of::<bool>();
