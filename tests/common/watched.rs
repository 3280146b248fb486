//! A server under test, over real sockets and threads: waits for the thing itself, never for time to pass.
//!
//! What its far ends say, each transport's own harness knows.
#![allow(dead_code, reason = "each transport uses what it needs")]

use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::io::clock::Clock;
use talkpath::io::log::LogRecord;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{self, Call, Listen, ServerConfig};
use talkpath::session::{Agent, EndReason, Event};

/// After how long a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A server, the bell it rings, and what it has logged.
pub(crate) struct Watched {
    pub(crate) server: server::Server,
    pub(crate) notifier: Arc<Notifier>,
    lines: Vec<LogRecord>,
}

impl Watched {
    /// A server with one media thread of ordinary priority.
    pub(crate) fn bind(listen: Listen, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig {
            listen,
            media_threads: 1,
            realtime_priority: false,
            max_calls: 64,
            ..ServerConfig::default()
        };
        change(&mut config);
        let notifier = Arc::new(Notifier::new().unwrap());
        let server = server::Server::bind(config, Arc::clone(&notifier)).unwrap();
        Self { server, notifier, lines: Vec::new() }
    }

    /// Looks again and again, at the latest every few milliseconds, until `look` finds something.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&server::Server) -> Option<T>) -> T {
        let began = Clock::now();
        loop {
            if let Some(found) = look(&self.server) {
                return found;
            }
            assert!(Clock::now().since(began) < LIMIT, "waited in vain for {what}; the log: {:#?}", self.log());
            let mut fds = [PollFd::new(self.notifier.fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(2_u16));
            self.notifier.take();
        }
    }

    pub(crate) fn wait_for_call(&mut self) -> Call {
        self.wait_for("a call", server::Server::accept)
    }

    /// Waits until the log has a line with `part` in it.
    pub(crate) fn wait_for_line(&mut self, part: &str) -> String {
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line.contains(part)) {
                return line;
            }
            let record = self.wait_for(part, server::Server::poll_log);
            self.lines.push(record);
        }
    }

    /// All lines that were logged by now.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.lines.extend(std::iter::from_fn(|| self.server.poll_log()));
        self.lines.iter().map(ToString::to_string).collect()
    }

    /// Waits until the agent's end says that the call is over.
    pub(crate) fn wait_for_end(&mut self, agent: &mut Agent) -> EndReason {
        self.wait_for_event(agent, |event| match event {
            Event::Ended { reason } => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn wait_for_event<T>(&mut self, agent: &mut Agent, mut want: impl FnMut(&Event) -> Option<T>) -> T {
        self.wait_for("an event", |_| {
            while let Some(event) = agent.events.poll(&mut agent.output) {
                if let Some(found) = want(&event) {
                    return Some(found);
                }
            }
            None
        })
    }
}
