//! The AudioSocket server: takes calls from Asterisk and hands their agent ends to the program.
//!
//! [`AudioSocketServer::bind`] starts a door thread, which accepts connections and reads their ids, and media threads,
//! which carry calls. The program owns none of them: it waits for the [`Notifier`], takes new [`Call`]s and looks at those
//! that have news. What a call's audio means is the agent's business, what its bytes mean the protocol's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::audio::codec::{Codec, Encoding};
use crate::io::door::Door;
use crate::io::log::{LogRecord, LogRing};
use crate::io::notify::Notifier;
use crate::io::stats::{ServerCounters, ServerStats};
use crate::protocol::audiosocket::Kind;
use crate::protocol::call_id::CallId;
use crate::session::{self, Agent};
use crate::{Error, Result};

/// How a server listens, and what it puts up with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen; port 0 for any free one. AudioSocket has neither encryption nor passwords, so the default is the
    /// loopback address, port 8090: open it to a network only if that network is trusted.
    pub listen: SocketAddr,
    /// How each call's session works.
    pub session: session::Config,
    /// How many calls there may be at once; the next is refused with a hangup. 1 to 65,536.
    pub max_calls: usize,
    /// How many connections may be waiting that have given no id yet. When there are more, the oldest is closed: Asterisk
    /// sends its id at once, so a crowd of connections that send nothing keeps no real call out.
    pub max_pending: usize,
    /// How long a new connection may take to give its id.
    pub handshake_timeout: Duration,
    /// How long a call's peer may send nothing. It should be longer than anything that keeps a healthy call quiet: a
    /// caller on hold, silence suppression, a prompt played on the channel (Asterisk holds back the caller's audio then).
    /// A peer that is gone is found sooner, as it no longer acknowledges what it is sent.
    pub idle_timeout: Duration,
    /// How many threads carry calls; 1 to 64. One carries a thousand calls on an ordinary processor.
    pub media_threads: usize,
    /// Whether media threads ask to run before others (`SCHED_FIFO`, or else nice −10). A system that refuses is no
    /// error: [`ServerStats::priority`] and the log say what was granted.
    pub realtime_priority: bool,
}

impl Default for ServerConfig {
    /// Loopback, port 8090; 2,000 calls; a media thread for each processor, up to two.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            session: session::Config::default(),
            max_calls: 2_000,
            max_pending: 512,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            media_threads: processors.min(2),
            realtime_priority: true,
        }
    }
}

impl ServerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the first value out of its range.
    pub fn validate(&self) -> Result<()> {
        self.session.validate()?;
        if let Some(rate) = self.session.output_rate
            && Kind::Audio(rate).to_byte().is_none()
        {
            return Err(Error::invalid(format!("output rate of {rate}, wanted one that AudioSocket has a kind for")));
        }
        if let Some(codec) = self.session.codec
            && !matches!(codec, Codec::Plain { encoding: Encoding::Slin, rate } if Kind::Audio(rate).to_byte().is_some())
        {
            return Err(Error::invalid(format!(
                "codec {codec}, wanted slin at a rate that AudioSocket has a kind for"
            )));
        }
        within("max_calls", self.max_calls, 1, 65_536)?;
        within("max_pending", self.max_pending, 1, 65_536)?;
        within("media_threads", self.media_threads, 1, 64)?;
        for (name, timeout) in [("handshake_timeout", self.handshake_timeout), ("idle_timeout", self.idle_timeout)] {
            if !(Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&timeout) {
                return Err(Error::invalid(format!("{name} of {timeout:?}, wanted 10 ms to a day")));
            }
        }
        Ok(())
    }
}

/// A call that has begun.
pub struct Call {
    /// What [`AudioSocketServer::poll_ready`] calls it; never used twice by a server.
    pub key: u64,
    /// The id that Asterisk gave it.
    pub id: CallId,
    /// Who calls.
    pub peer: SocketAddr,
    /// The end that the program holds.
    pub agent: Agent,
}

/// A running AudioSocket server.
///
/// All methods return at once. Dropping it ends all calls and waits for its threads: a few milliseconds, and up to a fifth of a
/// second if there are peers that do not close after they were told that the call is over.
pub struct AudioSocketServer {
    shared: Arc<Shared>,
    begun: Receiver<Call>,
    stops: Sender<Duration>,
    local_addr: SocketAddr,
    door: Option<JoinHandle<()>>,
}

impl AudioSocketServer {
    /// Listens, and starts the threads; from here on calls are taken and hear silence until an agent speaks.
    ///
    /// `notifier` is notified when there is something for [`accept`](Self::accept) or [`poll_ready`](Self::poll_ready),
    /// and when the server has stopped; several servers may share one. The process's limit of open files is raised, up to
    /// its hard limit, if it is too low for the calls that the configuration allows.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a value out of range, [`Io`](crate::ErrorKind::Io) if
    /// the address cannot be listened on or a thread cannot be started.
    pub fn bind(config: ServerConfig, notifier: Arc<Notifier>) -> Result<Self> {
        config.validate()?;
        let (begun_sender, begun) = bounded(config.max_calls);
        let shared = Arc::new(Shared {
            notifier,
            door_bell: Notifier::new()?,
            log: LogRing::new(LOG_CAPACITY),
            counters: ServerCounters::new(config.media_threads),
            idle_timeout: config.idle_timeout,
            began: begun_sender,
            ready: (0..config.max_calls.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            keys: (0..config.max_calls).map(|_| AtomicU64::new(0)).collect(),
            finished: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        let (stops, stop_requests) = bounded(16);
        let (door, local_addr) = Door::open(config, Arc::clone(&shared), stop_requests)?;
        let door = std::thread::Builder::new()
            .name("talkpath-door".into())
            .spawn(move || door.run())
            .map_err(|error| Error::io("start the door thread", error))?;
        Ok(Self { shared, begun, stops, local_addr, door: Some(door) })
    }

    /// Where the server listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next call that began, if there is one.
    ///
    /// A call begins when its wire format is known: with its first audio, or 400 ms after its id. One that nobody takes
    /// waits here, up to as many as there may be calls; beyond that new ones end.
    #[must_use]
    pub fn accept(&self) -> Option<Call> {
        self.begun.try_recv().ok()
    }

    /// Adds to `out` the keys of calls whose agent end has something new since this was last asked, each once.
    ///
    /// A key may be of a call that was not [accepted](Self::accept) yet, or that the program has let go of.
    pub fn poll_ready(&self, out: &mut Vec<u64>) {
        self.shared.take_ready(out);
    }

    /// The next log record, if there is one.
    #[must_use]
    pub fn poll_log(&self) -> Option<LogRecord> {
        self.shared.log.poll()
    }

    /// Takes no more calls, and ends those there are: each as soon as what its agent has written is played, all that are
    /// left when `grace` is over. Asked again, the earlier end holds.
    pub fn stop(&self, grace: Duration) {
        // More requests than the channel holds change nothing.
        let _ = self.stops.try_send(grace);
        self.shared.door_bell.notify();
    }

    /// Whether a [`stop`](Self::stop) is complete: all calls have ended, all threads are done.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped.load(Ordering::Acquire)
    }

    /// The server's counters now.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.shared.counters.snapshot()
    }
}

impl Drop for AudioSocketServer {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}

/// What a server's threads and the program share.
pub(crate) struct Shared {
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) door_bell: Notifier,
    pub(crate) log: LogRing,
    pub(crate) counters: ServerCounters,
    pub(crate) idle_timeout: Duration,
    pub(crate) began: Sender<Call>,
    /// A bit for each place, set while its call has news.
    ready: Box<[AtomicU64]>,
    /// The key of the call in each place.
    keys: Box<[AtomicU64]>,
    /// Calls that ended: their places may have been given away before anyone asked.
    finished: Mutex<Vec<u64>>,
    pub(crate) is_stopped: AtomicBool,
}

impl Shared {
    /// Gives a place to a call.
    pub(crate) fn set_key(&self, slot: usize, key: u64) {
        self.keys[slot].store(key, Ordering::Release);
    }

    /// Says that the call in a place has news.
    pub(crate) fn set_ready(&self, slot: usize) {
        self.ready[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
    }

    /// Says that a call has ended, which nobody may miss.
    pub(crate) fn set_finished(&self, slot: usize, key: u64) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        self.ready[slot / 64].fetch_and(!(1 << (slot % 64)), Ordering::AcqRel);
        if finished.len() >= MAX_FINISHED {
            finished.clear();
        }
        finished.push(key);
    }

    fn take_ready(&self, out: &mut Vec<u64>) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, word) in self.ready.iter().enumerate() {
            let mut bits = if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) };
            while bits != 0 {
                let slot = i * 64 + bits.trailing_zeros() as usize;
                out.push(self.keys[slot].load(Ordering::Acquire));
                bits &= bits - 1;
            }
        }
        out.append(&mut finished);
    }
}

fn within(name: &str, got: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&got) {
        Ok(())
    } else {
        Err(Error::invalid(format!("{name} of {got}, wanted {min} to {max}")))
    }
}

/// How many log records wait for a reader.
const LOG_CAPACITY: usize = 4_096;
/// How many ended calls are remembered for a program that never asks.
const MAX_FINISHED: usize = 1 << 20;
