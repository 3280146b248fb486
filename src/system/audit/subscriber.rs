//! The bus's subscriber that writes an audit log: a thread that takes events in batches, and never drops one by itself.
//!
//! Who publishes waits for it when it falls behind (its queue is lossless), never the media path. While the disk refuses,
//! it keeps what it has, tries again at growing intervals, and says so on the bus, in its statistics and, if events had to
//! be dropped, in the log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::entry::{Entry, EntryPayload};
use super::log::{AuditLog, Head, LogOptions};
use super::record::RecordKind;
use crate::system::bus::{Bus, Delivery, Event, Filter, Gap, Options, Pattern, Payload, Policy, Subscription, Wake};
use crate::system::clock::Clock;
use crate::system::fork::Process;
use crate::system::redact::Redactor;
use crate::{Error, ErrorKind, Result, Timestamp};

/// How a bus is recorded.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// How the log is written.
    pub log: LogOptions,
    /// What is recorded: everything, unless it is said otherwise.
    pub filter: Filter,
    /// What takes the secrets out.
    pub redactor: Redactor,
    /// How many events may wait for the disk (65,536) before publishers do.
    pub capacity: usize,
    /// How many bytes they may count for (64 MiB).
    pub capacity_bytes: usize,
    /// What becomes of events while the disk refuses.
    pub when_full: WhenFull,
}

/// What becomes of events while the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// They wait, and once the queue is full so do publishers, as the bus says: in the end their publishing fails.
    #[default]
    Wait,
    /// They are counted and dropped; the log says how many once it can be written.
    Drop,
}

/// How a recording does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// How many events are in the file.
    pub events: u64,
    /// How many events were dropped, by the bus or as the disk refused; the log says so, too.
    pub lost: u64,
    /// How often the disk refused.
    pub refusals: u64,
    /// Why it refused last, while it does.
    pub stalled: Option<String>,
    /// How many events wait.
    pub waiting: usize,
}

/// A recording of a bus.
///
/// Dropping it closes the log, as [`close`](Self::close) does within five seconds. In a forked child it does nothing.
pub struct Audit {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
    process: Process,
}

struct Shared {
    state: Mutex<State>,
    /// Tells the thread that there is something to do.
    to_do: Condvar,
    /// Tells others that the thread has done something.
    done: Condvar,
}

struct State {
    news: bool,
    /// How many times a flush was asked for, and how many of these are done.
    flushes: (u64, u64),
    /// When the thread is to be at its end, once it is.
    close_by: Option<Timestamp>,
    ended: Option<Option<Head>>,
    head: Head,
    stats: AuditStats,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            log: LogOptions::default(),
            filter: Filter { session: Pattern::any(), kind: Pattern::any() },
            redactor: Redactor::default(),
            capacity: 65_536,
            capacity_bytes: 64 << 20,
            when_full: WhenFull::default(),
        }
    }
}

impl Audit {
    /// Opens the log at `path` and records what is published from now on.
    ///
    /// # Errors
    /// Those of [`AuditLog::open`] and of [`Bus::subscribe`].
    pub fn start(bus: &Bus, path: &Path, options: AuditOptions) -> Result<Self> {
        let log = AuditLog::open(path, options.log, Clock::unix_us())?;
        let queue = Options {
            policy: Policy::Lossless,
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            name: format!("the audit log {}", path.display()),
        };
        let subscription = Arc::new(bus.subscribe(options.filter, queue)?);
        let state = State {
            news: false,
            flushes: (0, 0),
            close_by: None,
            ended: None,
            head: log.head(),
            stats: AuditStats::default(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), to_do: Condvar::new(), done: Condvar::new() });
        subscription.set_wake(Arc::clone(&shared) as Arc<dyn Wake>)?;
        let writer = Writer {
            shared: Arc::clone(&shared),
            subscription: Arc::clone(&subscription),
            bus: bus.clone(),
            path: path.to_path_buf(),
            redactor: options.redactor,
            when_full: options.when_full,
            batch: Vec::new(),
            uncommitted: 0,
            lost: None,
            unsaid: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("talkpath-audit".into()).spawn(move || writer.run(log));
        let thread = thread.map_err(|error| Error::io("start the audit log's thread", error))?;
        let (thread, path) = (Mutex::new(Some(thread)), path.to_path_buf());
        Ok(Self { shared, subscription, thread, path, process: Process::current() })
    }

    /// Waits until everything that was published before is in the file, and the disk has it.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if that takes longer, as while the disk refuses;
    /// [`SessionEnded`](ErrorKind::SessionEnded) once it is closed.
    pub fn flush(&self, timeout: Duration) -> Result<Head> {
        self.check_process()?;
        let deadline = Clock::now() + timeout;
        let mut state = self.shared.lock();
        state.flushes.0 += 1;
        let mine = state.flushes.0;
        self.shared.to_do.notify_one();
        while state.flushes.1 < mine {
            if state.ended.is_some() {
                return Err(Error::new(ErrorKind::SessionEnded, "the audit log is closed"));
            }
            state = self.shared.wait(state, deadline).ok_or_else(|| self.timeout("flushed", timeout))?;
        }
        Ok(state.head)
    }

    /// Records what was published before, closes the log, and ends. Doing it twice does no more.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if the disk refuses all the while: then what could not be written is lost, and
    /// counted in the [`stats`](Self::stats).
    pub fn close(&self, timeout: Duration) -> Result<Head> {
        self.check_process()?;
        let deadline = Clock::now() + timeout;
        self.shared.lock().close_by.get_or_insert(deadline);
        self.shared.to_do.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread keeps to the deadline itself, but for a disk that does not answer at all.
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        loop {
            match state.ended {
                Some(Some(head)) => return Ok(head),
                Some(None) => return Err(self.timeout("closed", timeout)),
                None => {
                    state = self.shared.wait(state, deadline).ok_or_else(|| self.timeout("closed", timeout))?;
                }
            }
        }
    }

    /// How it does.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        if !self.process.is_current() {
            return AuditStats::default();
        }
        let stats = self.shared.lock().stats.clone();
        AuditStats { waiting: stats.waiting + self.subscription.stats().waiting, ..stats }
    }

    /// The last record that is in the file; noted elsewhere, it shows later whether the end was cut off.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) in a forked child.
    pub fn head(&self) -> Result<Head> {
        self.check_process()?;
        Ok(self.shared.lock().head)
    }

    /// Where the live file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_process(&self) -> Result<()> {
        if self.process.is_current() {
            return Ok(());
        }
        Err(Error::invalid("an audit log from before this process was forked, wanted one made after"))
    }

    fn timeout(&self, done: &str, timeout: Duration) -> Error {
        let path = self.path.display();
        Error::new(ErrorKind::Timeout, format!("{path} was not {done} within {} s", timeout.as_secs_f64()))
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if self.process.is_current() {
            let _ = self.close(CLOSE_TIMEOUT);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the thread; none once the deadline has passed.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, deadline: Timestamp) -> Option<MutexGuard<'a, State>> {
        let left = Clock::until(deadline);
        if left.is_zero() {
            return None;
        }
        Some(self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Wake for Shared {
    fn wake(&self) {
        self.lock().news = true;
        self.to_do.notify_one();
    }
}

/// What the thread has.
struct Writer {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    bus: Bus,
    path: PathBuf,
    redactor: Redactor,
    when_full: WhenFull,
    batch: Vec<Delivery>,
    /// How many events were appended and not yet committed.
    uncommitted: u64,
    /// Events that were dropped and are not yet told of in the log: how many, since when, and why.
    lost: Option<(u64, u64, String)>,
    /// What is still to be said on the bus, for which there was no room: kinds and payloads.
    unsaid: VecDeque<(&'static str, String)>,
}

impl Writer {
    fn run(mut self, mut log: AuditLog) {
        let mut retry = FIRST_RETRY;
        loop {
            let (flush, close_by) = self.await_work(self.is_stalled().then_some(retry));
            match self.write_all(&mut log, flush.is_some() || close_by.is_some()) {
                Ok(()) => {
                    retry = FIRST_RETRY;
                    self.report(&log, flush, None);
                }
                Err(error) => {
                    retry = (retry * 2).min(LAST_RETRY);
                    self.report(&log, None, Some(error.to_string()));
                }
            }
            let over = self.subscription.is_over();
            if let Some(close_by) = close_by.or_else(|| over.then(Clock::now)) {
                if !self.is_stalled() || Clock::now() >= close_by {
                    return self.end(log);
                }
                retry = retry.min(Clock::until(close_by));
            }
        }
    }

    /// Waits until there is something to do: at most for `retry` after a refusal, else until the disk is to be waited for.
    fn await_work(&self, retry: Option<Duration>) -> (Option<u64>, Option<Timestamp>) {
        let deadline = Clock::now() + retry.unwrap_or(SYNC_CHECK);
        let mut state = self.shared.lock();
        loop {
            let flush = (state.flushes.0 > state.flushes.1).then_some(state.flushes.0);
            let left = Clock::until(deadline);
            // While the disk refuses, news change nothing, unless they are to be dropped.
            let news = state.news && (retry.is_none() || self.when_full == WhenFull::Drop);
            let asked = retry.is_none() && (flush.is_some() || state.close_by.is_some());
            if news || asked || left.is_zero() {
                state.news = false;
                return (flush, state.close_by);
            }
            state = self.shared.to_do.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes everything that waits; with `sync` the disk has it afterwards.
    fn write_all(&mut self, log: &mut AuditLog, sync: bool) -> Result<()> {
        loop {
            if let Err(error) = self.commit(log) {
                if self.when_full == WhenFull::Drop {
                    self.drop_all(&error);
                }
                return Err(error);
            }
            self.tell_lost(log)?;
            if self.subscription.drain_on(BATCH, &mut self.batch) == 0 {
                break;
            }
            self.append(log)?;
        }
        if sync { log.sync(Clock::unix_us()) } else { Ok(()) }
    }

    fn append(&mut self, log: &mut AuditLog) -> Result<()> {
        let now = Clock::unix_us();
        let mut batch = std::mem::take(&mut self.batch);
        for delivery in batch.drain(..) {
            match delivery {
                Delivery::Event(event) => {
                    log.append(RecordKind::Event, &event_json(&event, &self.redactor), now)?;
                    self.uncommitted += 1;
                }
                Delivery::Gap(gap) => {
                    self.shared.lock().stats.lost += gap.count;
                    log.append(RecordKind::Gap, &gap_json(&gap, &self.redactor), now)?;
                }
            }
        }
        self.batch = batch;
        Ok(())
    }

    fn commit(&mut self, log: &mut AuditLog) -> Result<()> {
        log.commit(Clock::unix_us())?;
        let events = std::mem::take(&mut self.uncommitted);
        let mut state = self.shared.lock();
        state.stats.events += events;
        state.head = log.head();
        Ok(())
    }

    /// Drops what waits, and counts it.
    fn drop_all(&mut self, error: &Error) {
        let (count, ..) = self.lost.get_or_insert_with(|| (0, Clock::unix_us(), error.to_string()));
        while self.subscription.drain_on(BATCH, &mut self.batch) > 0 {
            let dropped: u64 = self.batch.drain(..).map(|delivery| event_count(&delivery)).sum();
            *count += dropped;
            self.shared.lock().stats.lost += dropped;
        }
    }

    /// Tells in the log what was dropped.
    fn tell_lost(&mut self, log: &mut AuditLog) -> Result<()> {
        if let Some((events, since_us, reason)) = self.lost.take().filter(|(events, ..)| *events > 0) {
            let (reason, _) = self.redactor.redact_text(&reason);
            let json = json!({"events": events, "since_us": since_us, "reason": reason}).to_string();
            log.append(RecordKind::Lost, &json, Clock::unix_us())?;
            return self.commit(log);
        }
        Ok(())
    }

    fn is_stalled(&self) -> bool {
        self.shared.lock().stats.stalled.is_some()
    }

    /// Notes how it went, tells those who wait, and says on the bus when the disk begins or ceases to refuse.
    fn report(&mut self, log: &AuditLog, flush: Option<u64>, refusal: Option<String>) {
        let mut state = self.shared.lock();
        state.head = log.head();
        state.stats.waiting = self.uncommitted as usize;
        state.flushes.1 = flush.unwrap_or(state.flushes.1);
        state.stats.refusals += u64::from(refusal.is_some());
        let was_stalled = std::mem::replace(&mut state.stats.stalled, refusal.clone()).is_some();
        drop(state);
        self.shared.done.notify_all();
        let kind = match (was_stalled, &refusal) {
            (false, Some(_)) => Some("audit:stalled"),
            (true, None) => Some("audit:resumed"),
            _ => None,
        };
        if let Some(kind) = kind {
            let payload = json!({"path": self.path.to_string_lossy(), "error": refusal}).to_string();
            self.unsaid.push_back((kind, payload));
            if self.unsaid.len() > MAX_UNSAID {
                self.unsaid.pop_front();
            }
        }
        self.say();
    }

    /// Says on the bus what is to be said, in its order, as far as there is room: this log's own queue may be what is full.
    fn say(&mut self) {
        while let Some((kind, payload)) = self.unsaid.pop_front() {
            let is_full = |error: &Error| error.kind() == ErrorKind::LimitExceeded;
            if self.bus.try_publish(SESSION, kind, Payload::json(payload.as_str())).is_err_and(|error| is_full(&error))
            {
                self.unsaid.push_front((kind, payload));
                return;
            }
        }
    }

    fn end(mut self, log: AuditLog) {
        self.subscription.close();
        self.say();
        let head = log.close(Clock::unix_us());
        let mut state = self.shared.lock();
        if head.is_ok() {
            state.stats.events += std::mem::take(&mut self.uncommitted);
        }
        state.stats.lost += self.uncommitted;
        state.stats.waiting = 0;
        state.ended = Some(head.ok());
        state.head = state.ended.flatten().unwrap_or(state.head);
        drop(state);
        self.shared.done.notify_all();
    }
}

fn event_json(event: &Event, redactor: &Redactor) -> String {
    let json;
    let payload = match &event.payload {
        Payload::Bytes(bytes) => EntryPayload::Bytes(bytes),
        other => {
            json = other.to_json().unwrap_or_else(|error| json!({"not_json": error.to_string()}).to_string().into());
            EntryPayload::Json(&json)
        }
    };
    let Event { session, sequence, kind, time_us, .. } = event;
    let origin = event.origin.as_ref().map(|origin| (&*origin.name, origin.sequence));
    Entry { session, sequence: *sequence, kind, time_us: *time_us, origin, payload }.to_json(redactor)
}

fn gap_json(gap: &Gap, redactor: &Redactor) -> String {
    let session = gap.session.as_ref().map(|session| redactor.redact_text(session).0);
    let Gap { count, first_sequence, last_sequence, .. } = gap;
    json!({"session": session, "count": count, "first_sequence": first_sequence, "last_sequence": last_sequence})
        .to_string()
}

fn event_count(delivery: &Delivery) -> u64 {
    match delivery {
        Delivery::Event(_) => 1,
        Delivery::Gap(gap) => gap.count,
    }
}

/// Under which session it says on the bus what became of the log.
const SESSION: &str = "talkpath";
const BATCH: usize = 1024;
/// How many announcements wait for room: beyond that the oldest go, and the statistics know all the same.
const MAX_UNSAID: usize = 16;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How often it looks whether the disk is to be waited for, when nothing happens.
const SYNC_CHECK: Duration = Duration::from_secs(1);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
