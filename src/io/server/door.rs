//! The door thread: waits for whoever comes, buries calls that have ended, and stops when it is told to.
//!
//! Everything that costs time or memory and is not a frame happens on it: accepting, the first message, limits, memory for
//! sessions, and giving it back. A connection reaches a media thread only once its transport's [`Entrance`] has found it
//! valid, so that whatever a crowd of strangers does, it does not do it to running calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use nix::sys::epoll::{EpollEvent, EpollTimeout};

use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::config::ServerConfig;
use crate::io::server::entrance::Entrance;
use crate::io::server::hall::{BELL, Hall};
use crate::io::server::shared::Shared;
use crate::io::server::{Outcome, Target};
use crate::io::socket;
use crate::protocol::call_id::CallId;
use crate::{Result, Timestamp};

/// What the program asks of the door thread.
pub(super) enum Request {
    /// Call out.
    Connect { attempt: u64, target: Target },
    /// Let no more calls in, and end those there are, at the latest when `grace` is over.
    Stop { grace: Duration },
    /// Keep a port for the call with this id until then, and answer which.
    Expect { id: CallId, until: Timestamp, answer: Sender<Result<SocketAddr>> },
}

/// The door thread's own state.
pub(super) struct Door {
    shared: Arc<Shared>,
    hall: Hall,
    entrance: Box<dyn Entrance>,
    requests: Receiver<Request>,
    stopping: Stopping,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    Draining { until: Timestamp },
    Ending,
}

impl Door {
    /// Starts the media threads, and opens the entrance.
    pub(super) fn open(
        config: ServerConfig,
        shared: Arc<Shared>,
        mut entrance: Box<dyn Entrance>,
        requests: Receiver<Request>,
        outcomes: Sender<Outcome>,
    ) -> Result<Self> {
        socket::raise_descriptor_limit(config.max_calls * SOCKETS_A_CALL + config.max_pending + SPARE_DESCRIPTORS);
        let mut hall = Hall::open(config, Arc::clone(&shared), outcomes)?;
        entrance.open(&mut hall)?;
        hall.log(LogLevel::Info, None, LogEvent::Listening { address: entrance.local_addr() });
        Ok(Self { shared, hall, entrance, requests, stopping: Stopping::No })
    }

    /// Minds the door until a stop is complete.
    pub(super) fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); BATCH];
        while !(self.stopping == Stopping::Ending && self.hall.calls() == 0 && self.entrance.is_empty()) {
            let ready = self.hall.wait(&mut events, self.timeout());
            for event in &events[..ready] {
                match event.data() {
                    BELL => {
                        self.shared.door_bell.take();
                    }
                    token => self.entrance.attend(token, &mut self.hall),
                }
            }
            while let Some((id, peer, link)) = self.hall.bury_next() {
                self.entrance.take_back(id, peer, link, &mut self.hall);
            }
            self.obey_requests();
            self.entrance.keep_deadlines(Clock::now(), &mut self.hall);
            self.hall.publish(self.entrance.pending());
        }
    }

    fn obey_requests(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Connect { attempt, target } => self.entrance.connect(attempt, &target, &mut self.hall),
                Request::Stop { grace } => self.stop(grace),
                Request::Expect { id, until, answer } => {
                    // Who asked may have given up waiting; then the port is free again in time.
                    let _ = answer.try_send(self.entrance.expect(id, until, &self.hall));
                }
            }
        }
        if let Stopping::Draining { until } = self.stopping
            && (self.hall.calls() == 0 || Clock::now() >= until)
        {
            self.hall.stop();
            self.stopping = Stopping::Ending;
        }
    }

    fn stop(&mut self, grace: Duration) {
        let until = Clock::now() + grace;
        match &mut self.stopping {
            Stopping::No => {
                let event = LogEvent::Stopping { calls: self.hall.calls(), grace };
                self.hall.log(LogLevel::Info, None, event);
                self.entrance.close(&mut self.hall);
                self.hall.drain();
                self.stopping = Stopping::Draining { until };
            }
            Stopping::Draining { until: earlier } => *earlier = until.min(*earlier),
            Stopping::Ending => {}
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let draining = match self.stopping {
            Stopping::Draining { until } => Some(until),
            _ => None,
        };
        let Some(next) = self.entrance.next_deadline().into_iter().chain(draining).min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up, so that it is over when the wait is.
        let ms = next.since(Clock::now()).as_micros().div_ceil(1_000);
        EpollTimeout::try_from(ms.min(3_600_000)).unwrap_or(EpollTimeout::ZERO)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.hall.join();
        self.shared.log.push(LogLevel::Info, None, LogEvent::Stopped);
        self.shared.is_stopped.store(true, Release);
        self.shared.notifier.notify();
    }
}

const BATCH: usize = 64;
/// RTP has two: one for audio, one for reports.
const SOCKETS_A_CALL: usize = 2;
/// Descriptors for everything beside connections.
const SPARE_DESCRIPTORS: usize = 256;
