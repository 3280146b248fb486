//! Carries inputs and outputs between one session and its link.
//!
//! A [`Connection`] has its link read what is there, has it send what the session wants sent, and ends the call when the
//! far end is gone, silent for too long, or takes nothing. How bytes become messages is the link's business, which
//! connection is served when the media thread's.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::Timestamp;
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::link::{Desk, Frame, Link};
use crate::protocol::call_id::CallId;
use crate::session::{Agent, EndReason, Input, Output, Session};

/// One call's link and session, as a media thread holds them.
pub(super) struct Connection {
    /// Which of the server's places for calls it has.
    pub(super) slot: usize,
    pub(super) key: u64,
    pub(super) id: CallId,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) began: Timestamp,
    pub(super) ended: Option<EndReason>,
    link: Box<dyn Link>,
    session: Session,
    /// Since when the link has sent nothing.
    blocked_since: Option<Timestamp>,
    dropped: u64,
    last_heard: Timestamp,
}

/// What one service of a connection left to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    /// [`Connection::take_agent`] has the agent's end.
    pub(super) has_begun: bool,
    /// The agent's end has something new.
    pub(super) wake: bool,
    /// When it wants to be served next; nothing once it has ended.
    pub(super) next: Option<Timestamp>,
}

impl Connection {
    /// Takes over a call that came by `link`; `place` is its slot and key, `addresses` are the peer's and ours.
    pub(super) fn new(
        place: (usize, u64),
        id: CallId,
        addresses: (SocketAddr, SocketAddr),
        link: Box<dyn Link>,
        session: Session,
        now: Timestamp,
    ) -> Self {
        Self {
            slot: place.0,
            key: place.1,
            id,
            peer: addresses.0,
            local: addresses.1,
            began: now,
            ended: None,
            link,
            session,
            blocked_since: None,
            dropped: 0,
            last_heard: now,
        }
    }

    /// Its sockets.
    pub(super) fn link(&self) -> &dyn Link {
        &*self.link
    }

    /// Reads a bounded amount of what has come, and hands it to the session; says whether there was anything.
    pub(super) fn read(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let now = Clock::now();
        match self.link.read(&mut self.session, desk, now) {
            Ok(true) => self.last_heard = now,
            Ok(false) => return false,
            Err(error) => self.fail(&error, desk, now),
        }
        true
    }

    /// Does what the session wants done, until it wants nothing until later.
    pub(super) fn serve(&mut self, desk: &mut Desk<'_>) -> Served {
        let mut served = Served::default();
        if self.ended.is_some() {
            return served;
        }
        let mut now = Clock::now();
        if now.since(self.last_heard) > desk.idle_timeout {
            desk.log(LogLevel::Warning, LogEvent::PeerSilent { silence: now.since(self.last_heard) });
            self.end(EndReason::IdleTimeout, now);
        }
        loop {
            match self.session.poll_output(now) {
                Output::Started => served.has_begun = true,
                Output::Transmit { codec, payload, due, number, is_agent, begins } => {
                    let frame = Frame { codec, payload, due, number, is_agent, begins };
                    let outcome = self.link.transmit(&frame, desk, now);
                    now = Clock::now();
                    match outcome {
                        Ok(true) => {
                            self.blocked_since = None;
                            desk.stats.frames_sent += 1;
                            desk.stats.lateness.record(now.since(due));
                        }
                        Ok(false) => self.note_dropped(desk, now),
                        Err(error) => self.fail(&error, desk, now),
                    }
                }
                Output::Dtmf(key) => {
                    if let Err(error) = self.link.send_dtmf(key, desk) {
                        self.fail(&error, desk, now);
                    }
                }
                Output::Flush => {
                    if let Err(error) = self.link.flush_far_end(desk) {
                        self.fail(&error, desk, now);
                    }
                }
                Output::Wake => served.wake = true,
                Output::Hangup => self.link.hang_up(now),
                Output::Ended(reason) => {
                    self.ended = Some(reason);
                    served.wake = true;
                    served.next = None;
                    return served;
                }
                Output::Timeout(when) => {
                    served.next = Some(when);
                    return served;
                }
            }
        }
    }

    /// The agent's end, once the call has begun; only once.
    pub(super) fn take_agent(&mut self) -> Option<Agent> {
        self.session.take_agent()
    }

    /// Tries to finish a message that the link could send only in part.
    pub(super) fn flush(&mut self, desk: &mut Desk<'_>) {
        if let Err(error) = self.link.flush() {
            self.fail(&error, desk, Clock::now());
        }
    }

    /// Whether part of a message is waiting for the link to take it.
    pub(super) fn has_unsent(&self) -> bool {
        self.link.has_unsent()
    }

    /// Tells the session to end as soon as what the agent has written is played; at once if there is no agent yet.
    pub(super) fn drain(&mut self, now: Timestamp) {
        self.session.handle_input(Input::Drain, now);
    }

    /// Tells the session that the server stops now, and the peer that the call is over.
    pub(super) fn stop(&mut self, now: Timestamp) {
        self.link.hang_up(now);
        self.end(EndReason::ServerStopping, now);
    }

    /// Tells the agent's end that the call is over, though the session has panicked.
    pub(super) fn give_up(&mut self) {
        let end = || self.session.handle_input(Input::Ended(EndReason::TransportError), Clock::now());
        let _ = catch_unwind(AssertUnwindSafe(end));
    }

    /// How many messages without meaning the peer sent.
    pub(super) fn skipped(&self) -> u64 {
        self.link.skipped()
    }

    /// Lets go of everything but the link.
    pub(super) fn into_link(self) -> Box<dyn Link> {
        self.link
    }

    fn note_dropped(&mut self, desk: &mut Desk<'_>, now: Timestamp) {
        self.dropped += 1;
        desk.stats.frames_dropped += 1;
        let since = *self.blocked_since.get_or_insert(now);
        if now.since(since) > BLOCKED_LIMIT {
            desk.log(LogLevel::Warning, LogEvent::PeerNotReading { dropped: self.dropped });
            self.end(EndReason::TransportError, now);
        }
    }

    fn end(&mut self, reason: EndReason, now: Timestamp) {
        self.session.handle_input(Input::Ended(reason), now);
    }

    fn fail(&mut self, error: &std::io::Error, desk: &mut Desk<'_>, now: Timestamp) {
        let hung_up = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        if !hung_up {
            let event = LogEvent::ConnectionFailed { os_error: error.raw_os_error().unwrap_or(0) };
            desk.log(LogLevel::Warning, event);
        }
        self.end(if hung_up { EndReason::CallerHangup } else { EndReason::TransportError }, now);
    }
}

/// How long a peer may take nothing before its call ends; the system's own buffers have held over a second by then.
const BLOCKED_LIMIT: Duration = Duration::from_secs(2);
