//! A server: threads that take calls in and carry them, whatever the transport.
//!
//! A door thread lets calls in, by the entrance of the transport; media threads carry them, each by a link of the
//! transport. The program owns none of them: it waits for the [`Notifier`], takes new [`Call`]s and looks at those that
//! have news. What a call's audio means is the agent's business, what its bytes mean the protocol's.

mod call;
pub(crate) mod config;
mod connection;
mod door;
pub(crate) mod entrance;
pub(crate) mod hall;
pub(crate) mod link;
mod listen;
mod media;
mod shared;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

pub use call::Call;
pub use config::ServerConfig;
pub use listen::{Listen, PortRange, WebSocketListen};
pub use target::Target;

use crate::io::clock::Clock;
use crate::io::log::LogRecord;
use crate::io::notify::Notifier;
use crate::io::stats::ServerStats;
use crate::protocol::call_id::CallId;
use crate::{Error, ErrorKind, Result};
use door::{Door, Request};
use entrance::Entrance;
use shared::Shared;

/// A running server, of any transport.
///
/// All methods return at once. Dropping it ends all calls and waits for its threads: a few milliseconds, and up to a fifth of a
/// second if there are peers that do not close after they were told that the call is over.
pub struct Server {
    shared: Arc<Shared>,
    begun: Receiver<Call>,
    requests: Sender<Request>,
    outcomes: Receiver<Outcome>,
    next_attempt: AtomicU64,
    local_addr: SocketAddr,
    makes_calls: bool,
    door: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the threads of a server whose calls come in by `entrance`.
    pub(crate) fn start(config: ServerConfig, entrance: Box<dyn Entrance>, notifier: Arc<Notifier>) -> Result<Self> {
        let (began, begun) = bounded(config.max_calls);
        let shared = Arc::new(Shared::new(&config, notifier, began)?);
        let (requests, receiver) = bounded(MAX_REQUESTS);
        let (outcome_sender, outcomes) = unbounded();
        let local_addr = entrance.local_addr();
        let makes_calls = entrance.makes_calls();
        let door = Door::open(config, Arc::clone(&shared), entrance, receiver, outcome_sender)?;
        let door = std::thread::Builder::new()
            .name("talkpath-door".into())
            .spawn(move || door.run())
            .map_err(|error| Error::io("start the door thread", error))?;
        let next_attempt = AtomicU64::new(0);
        Ok(Self { shared, begun, requests, outcomes, next_attempt, local_addr, makes_calls, door: Some(door) })
    }

    /// Where the server listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next call that began, if there is one.
    ///
    /// A call begins when its wire format is known: over WebSocket at once, otherwise with its first audio, or 400 ms after
    /// it came in. One that nobody takes
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

    /// Calls out: connects to a channel of Asterisk's that waits for it (`Dial(WebSocket/INCOMING/…)`), and returns the
    /// attempt's number, which [`poll_outcome`](Self::poll_outcome) tells the outcome of. The call then begins as any other,
    /// under the id that Asterisk gave the connection.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the server listens for another transport,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if too many attempts wait for the door thread.
    pub fn connect(&self, target: Target) -> Result<u64> {
        if !self.makes_calls {
            return Err(Error::invalid(
                "a server of this transport makes no calls, wanted one on ws://, or none at all",
            ));
        }
        let attempt = self.next_attempt.fetch_add(1, Ordering::Relaxed);
        let request = Request::Connect { attempt, target };
        self.requests.try_send(request).map_err(|_| {
            Error::new(ErrorKind::LimitExceeded, format!("more than {MAX_REQUESTS} requests wait for the server"))
        })?;
        self.shared.door_bell.notify();
        Ok(attempt)
    }

    /// The next attempt that is decided, if there is one: its number, and the call's id or why there is none.
    #[must_use]
    pub fn poll_outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Keeps a free port for a call, and answers which: where the far end is to send to, so that the program knows the call
    /// by its `id` when it comes. Over RTP, where nothing else says which call it is.
    ///
    /// The port is kept for `within`; whoever proves to send audio there first is taken for the call. It asks the door
    /// thread and waits for the answer, which takes as long as a call takes to come in, well below a millisecond.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the transport has not a port for each call, or a call with
    /// this id runs or is expected; [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if no port is free;
    /// [`Timeout`](crate::ErrorKind::Timeout) if the server is stopping or cannot keep up.
    pub fn expect(&self, id: CallId, within: Duration) -> Result<SocketAddr> {
        let late = || Error::new(ErrorKind::Timeout, "no answer from the door thread, wanted a server that runs");
        let (answer, answered) = bounded(1);
        let until = Clock::now() + within;
        self.requests.try_send(Request::Expect { id, until, answer }).map_err(|_| late())?;
        self.shared.door_bell.notify();
        answered.recv_timeout(EXPECT_WAIT).map_err(|_| late())?
    }

    /// Takes no more calls, and ends those there are: each as soon as what its agent has written is played, all that are
    /// left when `grace` is over. Asked again, the earlier end holds.
    pub fn stop(&self, grace: Duration) {
        // More requests than the channel holds change nothing.
        let _ = self.requests.try_send(Request::Stop { grace });
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

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}

/// What became of an attempt to [`connect`](Server::connect): its number, and the call's id or why there is none.
pub type Outcome = (u64, Result<CallId>);

/// How long the door thread may take to answer.
const EXPECT_WAIT: Duration = Duration::from_secs(1);
/// How many requests wait for the door thread.
const MAX_REQUESTS: usize = 1_024;
