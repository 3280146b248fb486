//! The bridge itself: what its users hold, and the thread that has connections, one after another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use super::connection::{Connection, Ending};
use super::inbox::Inbox;
use super::options::{Mode, NatsOptions};
use super::outbox::{Bounds, Outbox};
use super::stats::NatsStats;
use super::subject;
use crate::system::bus::{Bus, Delivery, Options, Origin, Payload, Policy, Subscription, Wake};
use crate::system::clock::Clock;
use crate::system::fork::Process;
use crate::system::redact::Redactor;
use crate::{Error, ErrorKind, Result, Timestamp};

/// A bridge between a bus and NATS.
///
/// Dropping it ends it at once; [`close`](Self::close) sends first what waits. In a forked child it does nothing.
pub struct NatsBridge {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    origin: Arc<str>,
    process: Process,
}

/// What the thread and the users share.
pub(super) struct Shared {
    /// Rung when there is something to do: news on the bus, room on it, or the end.
    pub(super) bell: Arc<Notify>,
    state: Mutex<State>,
    done: std::sync::Condvar,
}

#[derive(Default)]
struct State {
    stats: NatsStats,
    /// How many times a flush was asked for, and how many of these the thread has looked at the bus since.
    flushes: (u64, u64),
    close_by: Option<Timestamp>,
    /// Whether everything had been sent when it ended.
    ended: Option<bool>,
}

impl NatsBridge {
    /// Joins `bus` to NATS, from now on. It connects in its own time, again and again.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for options that cannot be;
    /// [`Io`](ErrorKind::Io) if there can be no thread.
    pub fn start(bus: &Bus, options: NatsOptions) -> Result<Self> {
        subject::check_prefix(&options.prefix)?;
        let origin: Arc<str> = origin(&options.name)?.into();
        let servers = super::connection::servers(&options.servers)?;
        if options.send.is_none() && options.receive.is_none() {
            return Err(Error::invalid("a bridge that neither sends nor receives, wanted one that does"));
        }
        if let Mode::JetStream(stream) = &options.mode {
            for (what, name) in [("stream", &stream.stream), ("durable", &stream.durable)] {
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                    return Err(Error::invalid(format!("{what} {name:?}, wanted letters, digits, - and _")));
                }
            }
        }
        let shared =
            Arc::new(Shared { bell: Arc::default(), state: Mutex::default(), done: std::sync::Condvar::new() });
        let subscription = match &options.send {
            None => None,
            Some(filter) => {
                let policy = if options.mode == Mode::Core { Policy::DropOldest } else { Policy::Lossless };
                let queue = Options { policy, name: format!("the NATS bridge {}", options.name), ..Options::default() };
                let subscription = bus.subscribe(filter.clone(), queue)?;
                subscription.set_wake(Arc::new(Bell::new(&shared)))?;
                Some(subscription)
            }
        };
        let bounds = Bounds { events: options.capacity, bytes: options.capacity_bytes };
        let link = Link {
            shared: Arc::clone(&shared),
            bus: bus.clone(),
            origin: Arc::clone(&origin),
            lossless: options.mode != Mode::Core,
            subscription,
            outbox: Outbox::new(bounds),
            inbox: Inbox::default(),
            batch: Vec::new(),
            redactor: Redactor::default(),
            options,
            servers,
        };
        let thread = std::thread::Builder::new().name("talkpath-nats".into()).spawn(move || link.run());
        let thread = thread.map_err(|error| Error::io("start the bridge's thread", error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), origin, process: Process::current() })
    }

    /// What others know it by: its name and a random part.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How it does.
    #[must_use]
    pub fn stats(&self) -> NatsStats {
        if self.process.is_current() { self.shared.lock().stats.clone() } else { NatsStats::default() }
    }

    /// Waits until it is connected, and has said so on the bus.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) with the reason, if it takes longer.
    pub fn wait_connected(&self, timeout: Duration) -> Result<()> {
        self.wait_until(timeout, |state| state.stats.connected)
    }

    /// Waits until everything that was published before has arrived at the server, or was dropped.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if it takes longer, as while the server is away.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let mine = {
            let mut state = self.shared.lock();
            state.flushes.0 += 1;
            state.flushes.0
        };
        self.shared.bell.notify_one();
        self.wait_until(timeout, |state| state.flushes.1 >= mine && state.stats.waiting == 0)
    }

    /// Sends what waits, up to `timeout`, and ends.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if something could not be sent.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        if !self.process.is_current() {
            return Err(Error::invalid("a bridge from before this process was forked, wanted one made after"));
        }
        self.shared.lock().close_by.get_or_insert(Clock::now() + timeout);
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        let ended = self.shared.lock().ended;
        if ended == Some(true) {
            return Ok(());
        }
        let waiting = self.shared.lock().stats.waiting;
        Err(Error::new(ErrorKind::Timeout, format!("{waiting} events were not sent within {timeout:?}")))
    }

    fn wait_until(&self, timeout: Duration, is_so: impl Fn(&State) -> bool) -> Result<()> {
        if !self.process.is_current() {
            return Err(Error::invalid("a bridge from before this process was forked, wanted one made after"));
        }
        let deadline = Clock::now() + timeout;
        let mut state = self.shared.lock();
        while !is_so(&state) {
            let left = Clock::until(deadline);
            if left.is_zero() || state.ended.is_some() {
                let why = state.stats.last_error.as_deref().unwrap_or("the server is slow");
                return Err(Error::new(ErrorKind::Timeout, format!("not within {timeout:?}: {why}")));
            }
            state = self.shared.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl std::fmt::Debug for NatsBridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsBridge").finish_non_exhaustive()
    }
}

impl Drop for NatsBridge {
    fn drop(&mut self) {
        if self.process.is_current() {
            let _ = self.close(Duration::ZERO);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rings the thread's bell.
pub(super) struct Bell(Arc<Notify>);

impl Bell {
    pub(super) fn new(shared: &Shared) -> Self {
        Self(Arc::clone(&shared.bell))
    }
}

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// What outlives a connection.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) bus: Bus,
    /// What this bridge is called by others: its name, and a random part.
    pub(super) origin: Arc<str>,
    pub(super) options: NatsOptions,
    pub(super) servers: Vec<async_nats::ServerAddr>,
    pub(super) lossless: bool,
    pub(super) subscription: Option<Subscription>,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    batch: Vec<Delivery>,
    redactor: Redactor,
}

impl Link {
    fn run(mut self) {
        let mut backoff = Duration::ZERO;
        loop {
            let runtime = Builder::new_current_thread().enable_all().build();
            let ending = match &runtime {
                Ok(runtime) => runtime.block_on(Connection::run(&mut self, backoff)),
                Err(error) => Ending::Failed { error: format!("no runtime: {error}"), was_connected: false },
            };
            if let Ok(runtime) = runtime {
                // What the client still held dies here; the outbox has it, too.
                runtime.shutdown_background();
            }
            self.outbox.begin_again();
            let Ending::Failed { error, was_connected } = ending else { break };
            backoff = if was_connected { FIRST_BACKOFF } else { (backoff * 2).max(FIRST_BACKOFF) };
            backoff = backoff.min(self.options.max_backoff);
            let (error, _) = self.redactor.redact_text(&error);
            self.update(|stats| {
                stats.connected = false;
                stats.last_error = Some(error.to_string());
            });
            if was_connected {
                self.say("nats:disconnected", &json!({"error": error}));
            }
            if self.close_by().is_some_and(|deadline| Clock::until(deadline).is_zero()) {
                break;
            }
        }
        let mut state = self.shared.lock();
        state.stats.connected = false;
        state.ended = Some(self.outbox.is_empty());
        drop(state);
        self.shared.done.notify_all();
    }

    /// Takes what is new on the bus, as far as there is room.
    pub(super) fn take_news(&mut self) {
        let flushes = self.shared.lock().flushes.0;
        let mut took_all = true;
        while let Some(subscription) = &self.subscription {
            // Where nothing may be dropped, one at a time as long as there is room: the rest waits on the bus.
            let max = if self.lossless { usize::from(self.outbox.has_room()) } else { BATCH };
            took_all = max > 0;
            if max == 0 || subscription.drain_on(max, &mut self.batch) == 0 {
                break;
            }
            for delivery in self.batch.drain(..) {
                match delivery {
                    // What came from elsewhere is not ours to send.
                    Delivery::Event(event) if event.origin.is_some() => {}
                    Delivery::Event(event) => self.outbox.push(event),
                    Delivery::Gap(gap) => self.outbox.skip(gap.count),
                }
            }
        }
        let mut state = self.shared.lock();
        (state.stats.waiting, state.stats.dropped) = (self.outbox.len(), self.outbox.dropped());
        if took_all {
            state.flushes.1 = flushes;
        }
        drop(state);
        self.shared.done.notify_all();
    }

    /// Everything of ours up to `count` has arrived.
    pub(super) fn confirm(&mut self, count: u64) {
        let confirmed = self.outbox.confirm(count);
        if confirmed > 0 {
            let waiting = self.outbox.len();
            self.update(|stats| {
                stats.sent += confirmed;
                stats.waiting = waiting;
            });
        }
    }

    /// Events of another bridge are missing: counts it, and says so on the bus.
    pub(super) fn missed(&self, origin: &str, (first, last): (u64, u64)) {
        let count = last - first + 1;
        self.update(|stats| stats.missing += count);
        self.say("nats:gap", &json!({"origin": origin, "count": count, "first": first, "last": last}));
    }

    /// Says something of the bridge itself on the bus, which it never sends.
    pub(super) fn say(&self, kind: &str, what: &serde_json::Value) {
        let origin = Origin { name: Arc::clone(&self.origin), sequence: 0, time_us: Clock::unix_us() };
        let publisher = self.bus.publisher(SESSION).map(|publisher| publisher.with_origin(origin));
        // Whoever has no room for it can still ask for the statistics.
        let _ = publisher.and_then(|publisher| publisher.try_publish(kind, Payload::json(what.to_string())));
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut NatsStats)) {
        change(&mut self.shared.lock().stats);
        self.shared.done.notify_all();
    }

    pub(super) fn close_by(&self) -> Option<Timestamp> {
        self.shared.lock().close_by
    }
}

/// A bridge's name and a random part, such as `agent-3f9c0a12b4d5e6f7`.
fn origin(name: &str) -> Result<String> {
    if !(1..=32).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(format!("name {name:?}, wanted 1 to 32 characters of ASCII without spaces")));
    }
    let random = getrandom::u64().map_err(|error| Error::io("get random bytes", error.into()))?;
    Ok(format!("{name}-{random:016x}"))
}

/// Under which session the bridge says on the bus how it does.
const SESSION: &str = "talkpath";
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const BATCH: usize = 1024;
