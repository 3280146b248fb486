//! Where AudioSocket connections come in: accepting, the first message, and leaving in good order.
//!
//! A connection becomes a call once it has given a valid id that no other call has. A call that is over leaves by here,
//! too, such that what it was told last still arrives.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::link::{AudioSocketLink, HANGUP};
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::ServerConfig;
use crate::io::server::entrance;
use crate::io::server::hall::{Guest, Hall};
use crate::io::server::link::Link;
use crate::io::socket;
use crate::protocol::audiosocket::{Decoder, ID_MESSAGE_LEN, Message};
use crate::protocol::call_id::CallId;
use crate::session::FarEnd;
use crate::{Error, Result, Timestamp};

/// The listening socket, and the connections that are no calls.
pub(crate) struct Entrance {
    listener: Option<TcpListener>,
    address: SocketAddr,
    max_pending: usize,
    handshake_timeout: Duration,
    /// Until when no connection is accepted, as the system had no descriptor left.
    resting_until: Option<Timestamp>,
    /// Connections that are no calls, oldest first.
    visitors: BTreeMap<u64, Visitor>,
    /// How many of them have given no id.
    pending: usize,
    next_visitor: u64,
}

/// A connection that is no call: not yet, or not any more.
struct Visitor {
    stream: TcpStream,
    peer: SocketAddr,
    stage: Stage,
    deadline: Timestamp,
}

enum Stage {
    /// Its id has not come whole yet.
    Pending { decoder: Decoder, received: usize },
    /// A call with the same id has just ended, or will in a moment.
    AwaitingTurn(CallId, Decoder),
    /// Told to go; what it still sends is read, as closing on unread data would reset the connection and lose our goodbye.
    Leaving,
}

impl Entrance {
    /// Listens.
    pub(crate) fn bind(address: SocketAddr, config: &ServerConfig) -> Result<Self> {
        let failed = |error| Error::io(format!("listen on {address}"), error);
        let listener = socket::listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener: Some(listener),
            address,
            max_pending: config.max_pending,
            handshake_timeout: config.handshake_timeout,
            resting_until: None,
            visitors: BTreeMap::new(),
            pending: 0,
            next_visitor: FIRST_VISITOR,
        })
    }

    fn accept(&mut self, hall: &mut Hall) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = &self.listener else {
                return;
            };
            match listener.accept() {
                Ok((stream, peer)) => self.welcome(stream, peer, hall),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The peer went away while it stood in the queue, or a signal came.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.rest(&error, hall);
                    return;
                }
            }
        }
    }

    /// Stops accepting for a while: the system has no descriptor or memory left, and trying again at once would spin.
    fn rest(&mut self, error: &std::io::Error, hall: &Hall) {
        let event = LogEvent::AcceptFailed { os_error: error.raw_os_error().unwrap_or(0) };
        hall.log(LogLevel::Error, None, event);
        self.evict_oldest(hall);
        if let Some(listener) = &self.listener {
            let _ = hall.epoll().delete(listener);
        }
        self.resting_until = Some(Clock::now() + REST);
    }

    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr, hall: &mut Hall) {
        if socket::prepare(&stream).is_err() {
            return;
        }
        if self.pending >= self.max_pending {
            self.evict_oldest(hall);
        }
        let key = self.next_visitor;
        self.next_visitor += 1;
        if hall.epoll().add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key)).is_err() {
            return;
        }
        let deadline = Clock::now() + self.handshake_timeout;
        let stage = Stage::Pending { decoder: Decoder::new(), received: 0 };
        self.visitors.insert(key, Visitor { stream, peer, stage, deadline });
        self.pending += 1;
        // Asterisk's id is mostly there already.
        self.attend_visitor(key, hall);
    }

    fn evict_oldest(&mut self, hall: &Hall) {
        let oldest = self.visitors.iter().find(|(_, visitor)| matches!(visitor.stage, Stage::Pending { .. }));
        if let Some((&key, visitor)) = oldest {
            self.reject(key, LogLevel::Warning, LogEvent::PendingEvicted { peer: visitor.peer }, hall);
        }
    }

    /// Closes a connection that never became a call.
    fn reject(&mut self, key: u64, level: LogLevel, event: LogEvent, hall: &Hall) {
        hall.reject(level, event);
        self.forget(key, hall);
    }

    fn forget(&mut self, key: u64, hall: &Hall) -> Option<Visitor> {
        let visitor = self.visitors.remove(&key)?;
        let _ = hall.epoll().delete(&visitor.stream);
        self.pending -= usize::from(matches!(visitor.stage, Stage::Pending { .. }));
        Some(visitor)
    }

    /// Reads what a visitor has sent.
    fn attend_visitor(&mut self, key: u64, hall: &mut Hall) {
        let Some(visitor) = self.visitors.get_mut(&key) else {
            return;
        };
        let peer = visitor.peer;
        let (decoder, received) = match &mut visitor.stage {
            Stage::Pending { decoder, received } => (decoder, received),
            Stage::AwaitingTurn(..) => return,
            Stage::Leaving => {
                let mut discarded = [0; 16_384];
                match visitor.stream.read(&mut discarded) {
                    Ok(n) if n > 0 => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => drop(self.forget(key, hall)),
                }
                return;
            }
        };
        // Not a byte more than the id: what follows is for the media thread to read.
        let mut bytes = [0; ID_MESSAGE_LEN];
        let read = match visitor.stream.read(&mut bytes[*received..]) {
            Ok(n) if n > 0 => n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            _ => return self.reject(key, LogLevel::Debug, LogEvent::ClosedBeforeId { peer }, hall),
        };
        let fresh = &bytes[*received..][..read];
        *received += read;
        match decoder.poll(&mut &*fresh) {
            Ok(Some(Message::Id(id))) => self.admit(key, id, hall),
            Ok(_) => {}
            Err(error) => self.reject(key, LogLevel::Warning, LogEvent::BadStream { peer, error }, hall),
        }
    }

    /// Makes a call of a visitor that has given its id, if it may be one.
    fn admit(&mut self, key: u64, id: CallId, hall: &mut Hall) {
        let Some(mut visitor) = self.forget(key, hall) else {
            return;
        };
        let (Stage::Pending { decoder, .. } | Stage::AwaitingTurn(_, decoder)) = visitor.stage else {
            return;
        };
        let peer = visitor.peer;
        if hall.carries(id) {
            // A dialplan that calls again with the same id can be faster than the end of its last call.
            visitor.stage = Stage::AwaitingTurn(id, decoder);
            visitor.deadline = Clock::now() + TURN_WAIT;
            self.visitors.insert(key, visitor);
            return;
        }
        if !hall.has_room() {
            let limit = hall.config.max_calls;
            return self.refuse(key, id, visitor.stream, peer, LogEvent::TooManyCalls { peer, limit }, hall);
        }
        let link = Box::new(AudioSocketLink::new(visitor.stream, peer, decoder));
        // Should the hall not take it after all, closing it is all that is left.
        let _ = hall.admit(Guest { id, peer, local: self.address, link, far_end: FarEnd::default() });
    }

    fn refuse(&mut self, key: u64, id: CallId, stream: TcpStream, peer: SocketAddr, event: LogEvent, hall: &Hall) {
        hall.refuse(id, event);
        let _ = (&stream).write(&HANGUP);
        self.see_off(key, stream, peer, hall);
    }

    /// Closes a connection such that what was sent last still arrives.
    fn see_off(&mut self, key: u64, stream: TcpStream, peer: SocketAddr, hall: &Hall) {
        let is_open = stream.shutdown(Shutdown::Write).is_ok();
        if is_open && hall.epoll().add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key)).is_ok() {
            let wait = if self.listener.is_some() { LEAVE_WAIT } else { LAST_LEAVE_WAIT };
            let deadline = Clock::now() + wait;
            self.visitors.insert(key, Visitor { stream, peer, stage: Stage::Leaving, deadline });
        }
    }

    fn let_next_in(&mut self, id: CallId, hall: &mut Hall) {
        let waits = |visitor: &Visitor| matches!(visitor.stage, Stage::AwaitingTurn(awaited, _) if awaited == id);
        if let Some((&key, _)) = self.visitors.iter().find(|(_, visitor)| waits(visitor)) {
            self.admit(key, id, hall);
        }
    }
}

impl entrance::Entrance for Entrance {
    fn open(&mut self, hall: &mut Hall) -> Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let watched = hall.epoll().add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
        watched.map_err(|errno| Error::io(format!("listen on {}", self.address), errno.into()))
    }

    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn attend(&mut self, token: u64, hall: &mut Hall) {
        match token {
            LISTENER => self.accept(hall),
            visitor => self.attend_visitor(visitor, hall),
        }
    }

    fn take_back(&mut self, id: CallId, peer: SocketAddr, link: Box<dyn Link>, hall: &mut Hall) {
        let visitor = self.next_visitor;
        self.next_visitor += 1;
        if let Ok(link) = link.into_any().downcast::<AudioSocketLink>() {
            self.see_off(visitor, link.into_stream(), peer, hall);
        }
        self.let_next_in(id, hall);
    }

    fn keep_deadlines(&mut self, now: Timestamp, hall: &mut Hall) {
        if self.resting_until.is_some_and(|until| now >= until) {
            self.resting_until = None;
            if let Some(listener) = &self.listener {
                let _ = hall.epoll().add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
            }
        }
        let overdue: Vec<u64> =
            self.visitors.iter().filter(|(_, visitor)| now >= visitor.deadline).map(|(&key, _)| key).collect();
        for key in overdue {
            let Some(visitor) = self.visitors.get(&key) else {
                continue;
            };
            let peer = visitor.peer;
            match visitor.stage {
                Stage::Pending { .. } => self.reject(key, LogLevel::Warning, LogEvent::NoIdInTime { peer }, hall),
                Stage::AwaitingTurn(id, _) => {
                    if let Some(visitor) = self.forget(key, hall) {
                        self.refuse(key, id, visitor.stream, peer, LogEvent::DuplicateId { peer }, hall);
                    }
                }
                Stage::Leaving => drop(self.forget(key, hall)),
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.visitors.values().map(|visitor| visitor.deadline).chain(self.resting_until).min()
    }

    fn close(&mut self, _hall: &mut Hall) {
        self.listener = None;
        self.resting_until = None;
        self.visitors.retain(|_, visitor| matches!(visitor.stage, Stage::Leaving));
        self.pending = 0;
        let latest = Clock::now() + LAST_LEAVE_WAIT;
        self.visitors.values_mut().for_each(|visitor| visitor.deadline = visitor.deadline.min(latest));
    }

    fn pending(&self) -> usize {
        self.pending
    }

    fn is_empty(&self) -> bool {
        self.visitors.is_empty()
    }
}

const LISTENER: u64 = 0;
const FIRST_VISITOR: u64 = 1;
/// How many connections are accepted before those that are there are looked after again.
const ACCEPTS_AT_ONCE: usize = 64;
/// How long no connection is accepted once the system had no descriptor for one.
const REST: Duration = Duration::from_millis(100);
/// How long a call with the id of a running one waits for that to end.
const TURN_WAIT: Duration = Duration::from_millis(250);
/// How long a peer that was told to go may take to close.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// The same while the server stops, and somebody waits for that.
const LAST_LEAVE_WAIT: Duration = Duration::from_millis(200);
