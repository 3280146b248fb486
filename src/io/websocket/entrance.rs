//! Where WebSocket connections come in, and where they are made: up to the channel's start, and after the call.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::greeting::{Greeting, Introduction, Rules};
use super::link::WebSocketLink;
use super::outlet::is_not_now;
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::hall::{Guest, Hall};
use crate::io::server::link::Link;
use crate::io::server::{ServerConfig, Target, WebSocketListen, entrance};
use crate::io::socket;
use crate::io::tcp::{ACCEPTS_AT_ONCE, Accepted, Leavers, Listener};
use crate::protocol::call_id::CallId;
use crate::protocol::websocket::handshake::basic_authorization;
use crate::session::{FarEnd, WireFormat};
use crate::{Error, ErrorKind, Result, Timestamp};

/// The listening socket, if there is one, and the connections that are no calls.
pub(crate) struct Entrance {
    listener: Option<Listener>,
    path: String,
    authorization: Option<String>,
    max_pending: usize,
    handshake_timeout: Duration,
    /// Connections that are no calls yet, oldest first.
    visitors: BTreeMap<u64, Visitor>,
    /// How many of them have come by themselves.
    pending: usize,
    leavers: Leavers,
    next_token: u64,
    is_closed: bool,
}

/// A connection that is no call yet.
struct Visitor {
    stream: TcpStream,
    peer: SocketAddr,
    greeting: Greeting,
    deadline: Timestamp,
    /// Who waits for it to become a call, if we made it.
    attempt: Option<u64>,
    /// Our connecting has not succeeded yet.
    is_connecting: bool,
}

impl Entrance {
    /// Listens.
    pub(crate) fn bind(listen: &WebSocketListen, config: &ServerConfig) -> Result<Self> {
        let listener = Listener::bind(listen.address, LISTENER)?;
        let authorization = listen.credentials.as_deref().map(basic_authorization);
        Ok(Self {
            listener: Some(listener),
            path: listen.path.clone(),
            authorization,
            ..Self::without_listener(config)
        })
    }

    /// Only makes connections.
    pub(crate) fn without_listener(config: &ServerConfig) -> Self {
        Self {
            listener: None,
            path: String::new(),
            authorization: None,
            max_pending: config.max_pending,
            handshake_timeout: config.handshake_timeout,
            visitors: BTreeMap::new(),
            pending: 0,
            leavers: Leavers::default(),
            next_token: FIRST_VISITOR,
            is_closed: false,
        }
    }

    fn accept(&mut self, hall: &mut Hall) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = &mut self.listener else { return };
            match listener.accept(hall) {
                Accepted::Connection(stream, peer) => self.welcome(stream, peer, hall),
                Accepted::Nobody => return,
                Accepted::Exhausted => return self.evict_oldest(hall),
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream, peer: SocketAddr, hall: &mut Hall) {
        if self.pending >= self.max_pending {
            self.evict_oldest(hall);
        }
        let greeting = Greeting::of_server(peer);
        let deadline = Clock::now() + self.handshake_timeout;
        let visitor = Visitor { stream, peer, greeting, deadline, attempt: None, is_connecting: false };
        if let Some(token) = self.let_wait(visitor, EpollFlags::EPOLLIN, hall) {
            self.pending += 1;
            // The request is mostly there already.
            self.attend_visitor(token, hall);
        }
    }

    fn let_wait(&mut self, visitor: Visitor, flags: EpollFlags, hall: &Hall) -> Option<u64> {
        let token = self.next_token();
        hall.epoll().add(&visitor.stream, EpollEvent::new(flags, token)).ok()?;
        self.visitors.insert(token, visitor);
        Some(token)
    }

    fn evict_oldest(&mut self, hall: &mut Hall) {
        let oldest = self.visitors.iter().find(|(_, visitor)| visitor.attempt.is_none());
        if let Some((&token, visitor)) = oldest {
            self.fail(token, LogEvent::PendingEvicted { peer: visitor.peer }, hall);
        }
    }

    fn forget(&mut self, token: u64, hall: &Hall) -> Option<Visitor> {
        let visitor = self.visitors.remove(&token)?;
        let _ = hall.epoll().delete(&visitor.stream);
        self.pending -= usize::from(visitor.attempt.is_none());
        Some(visitor)
    }

    /// Ends a connection that never became a call, and says why to whoever waits for it.
    fn fail(&mut self, token: u64, event: LogEvent, hall: &mut Hall) {
        let Some(visitor) = self.forget(token, hall) else { return };
        match visitor.attempt {
            Some(attempt) => hall.tell_outcome(attempt, Err(Error::new(kind_of(&event), event.to_string()))),
            None if matches!(event, LogEvent::ClosedBeforeId { .. }) => hall.reject(LogLevel::Debug, event),
            None => hall.reject(LogLevel::Warning, event),
        }
        if !visitor.is_connecting {
            let token = self.next_token();
            self.leavers.see_off(token, visitor.stream, hall);
        }
    }

    /// Ends an attempt whose connection could not be made.
    fn fail_to_connect(&mut self, token: u64, error: std::io::Error, hall: &mut Hall) {
        if let Some(Visitor { peer, attempt: Some(attempt), .. }) = self.forget(token, hall) {
            hall.tell_outcome(attempt, Err(Error::io(format!("connect to {peer}"), error)));
        }
    }

    /// Looks after a connection that has something to read, or that has been made.
    fn attend_visitor(&mut self, token: u64, hall: &mut Hall) {
        let Some(visitor) = self.visitors.get_mut(&token) else { return };
        let peer = visitor.peer;
        if visitor.is_connecting {
            match visitor.stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return self.fail_to_connect(token, error, hall),
            }
            visitor.is_connecting = false;
            let watched = hall.epoll().modify(&visitor.stream, &mut EpollEvent::new(EpollFlags::EPOLLIN, token));
            if let Err(errno) = watched {
                return self.fail_to_connect(token, errno.into(), hall);
            }
            return self.say(token, hall);
        }
        let mut bytes = [0; READ_LEN];
        let read = match visitor.stream.read(&mut bytes) {
            Ok(n) if n > 0 => n,
            Err(error) if is_not_now(&error) => return,
            _ => return self.fail(token, LogEvent::ClosedBeforeId { peer }, hall),
        };
        let rules = Rules {
            path: &self.path,
            authorization: self.authorization.as_deref(),
            has_room: hall.has_room(),
            carries: &|id| hall.carries(id),
        };
        match visitor.greeting.hear(&bytes[..read], &rules) {
            Ok(introduction) => {
                let was_probing = visitor.greeting.is_probing();
                if was_probing {
                    visitor.deadline = visitor.deadline.min(Clock::now() + PROBE_WAIT);
                }
                self.say(token, hall);
                if let Some(introduction) = introduction {
                    self.admit(token, introduction, hall);
                }
            }
            Err(event) => {
                self.say(token, hall);
                self.fail(token, event, hall);
            }
        }
    }

    /// Sends what the greeting has to say; a connection that does not even take that much is ended.
    fn say(&mut self, token: u64, hall: &mut Hall) {
        let Some(visitor) = self.visitors.get_mut(&token) else { return };
        let reply = visitor.greeting.take_reply();
        let peer = visitor.peer;
        if !reply.is_empty() && !matches!(visitor.stream.write(&reply), Ok(n) if n == reply.len()) {
            self.fail(token, LogEvent::ClosedBeforeId { peer }, hall);
        }
    }

    /// Makes a call of a visitor whose channel has started.
    fn admit(&mut self, token: u64, introduction: Introduction, hall: &mut Hall) {
        let Some(visitor) = self.forget(token, hall) else { return };
        let Visitor { stream, peer, attempt, .. } = visitor;
        let id = introduction.id;
        let Introduction { channel, channel_name, .. } = introduction;
        let local = stream.local_addr().unwrap_or_else(|_| self.unspecified());
        let far_end = FarEnd { acks: channel.acks, takes_dtmf: false };
        let link = Box::new(introduction.into_link(stream));
        let guest = Guest {
            id,
            peer,
            local,
            link,
            far_end,
            format: Some(WireFormat { input: channel.codec, output: channel.codec }),
        };
        let outcome = match hall.admit(guest) {
            Ok(()) => {
                let event = LogEvent::ChannelJoined { channel: channel_name, codec: channel.codec };
                hall.log(LogLevel::Info, Some(id), event);
                Ok(id)
            }
            Err(link) => {
                let event = if hall.carries(id) {
                    LogEvent::DuplicateId { peer }
                } else {
                    LogEvent::TooManyCalls { peer, limit: hall.config.max_calls }
                };
                hall.refuse(id, event);
                self.see_off(link, hall);
                Err(Error::new(ErrorKind::LimitExceeded, event.to_string()))
            }
        };
        if let Some(attempt) = attempt {
            hall.tell_outcome(attempt, outcome);
        }
    }

    fn see_off(&mut self, link: Box<dyn Link>, hall: &Hall) {
        if let Ok(link) = link.into_any().downcast::<WebSocketLink>() {
            let token = self.next_token();
            self.leavers.see_off(token, link.into_stream(), hall);
        }
    }

    fn next_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token - 1
    }

    fn unspecified(&self) -> SocketAddr {
        self.listener.as_ref().map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), Listener::address)
    }
}

impl entrance::Entrance for Entrance {
    fn open(&mut self, hall: &mut Hall) -> Result<()> {
        self.listener.as_ref().map_or(Ok(()), |listener| listener.open(hall))
    }

    fn local_addr(&self) -> SocketAddr {
        self.unspecified()
    }

    fn attend(&mut self, token: u64, hall: &mut Hall) {
        if token == LISTENER {
            self.accept(hall);
        } else if !self.leavers.attend(token, hall) {
            self.attend_visitor(token, hall);
        }
    }

    fn makes_calls(&self) -> bool {
        true
    }

    fn connect(&mut self, attempt: u64, target: &Target, hall: &mut Hall) {
        let peer = target.address;
        if self.is_closed {
            return hall.tell_outcome(attempt, Err(Error::new(ErrorKind::SessionEnded, "the server stops")));
        }
        let stream = match socket::start_connect(peer).and_then(|stream| socket::prepare(&stream).map(|()| stream)) {
            Ok(stream) => stream,
            Err(error) => return hall.tell_outcome(attempt, Err(Error::io(format!("connect to {peer}"), error))),
        };
        let greeting = Greeting::of_client(peer, &target.url);
        let deadline = Clock::now() + self.handshake_timeout;
        let visitor = Visitor { stream, peer, greeting, deadline, attempt: Some(attempt), is_connecting: true };
        if self.let_wait(visitor, EpollFlags::EPOLLOUT, hall).is_none() {
            hall.tell_outcome(attempt, Err(Error::new(ErrorKind::Io, format!("cannot watch a connection to {peer}"))));
        }
    }

    fn take_back(&mut self, _id: CallId, _peer: SocketAddr, link: Box<dyn Link>, hall: &mut Hall) {
        self.see_off(link, hall);
    }

    fn keep_deadlines(&mut self, now: Timestamp, hall: &mut Hall) {
        if let Some(listener) = &mut self.listener {
            listener.keep_deadlines(now, hall);
        }
        self.leavers.keep_deadlines(now, hall);
        let overdue: Vec<u64> =
            self.visitors.iter().filter(|(_, visitor)| now >= visitor.deadline).map(|(&token, _)| token).collect();
        for token in overdue {
            let Some(visitor) = self.visitors.get_mut(&token) else { continue };
            let peer = visitor.peer;
            match visitor.greeting.introduce() {
                Some(introduction) => self.admit(token, introduction, hall),
                None => self.fail(token, LogEvent::NoStartInTime { peer }, hall),
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let visitors = self.visitors.values().map(|visitor| visitor.deadline);
        let listener = self.listener.as_ref().and_then(Listener::next_deadline);
        visitors.chain(self.leavers.next_deadline()).chain(listener).min()
    }

    fn close(&mut self, hall: &mut Hall) {
        self.is_closed = true;
        if let Some(listener) = &mut self.listener {
            listener.close();
        }
        for attempt in std::mem::take(&mut self.visitors).into_values().filter_map(|visitor| visitor.attempt) {
            hall.tell_outcome(attempt, Err(Error::new(ErrorKind::SessionEnded, "the server stops")));
        }
        self.pending = 0;
        self.leavers.hurry();
    }

    fn pending(&self) -> usize {
        self.pending
    }

    fn is_empty(&self) -> bool {
        self.visitors.is_empty() && self.leavers.is_empty()
    }
}

/// What sort of error it is that ends an attempt.
fn kind_of(event: &LogEvent) -> ErrorKind {
    match event {
        LogEvent::NoStartInTime { .. } => ErrorKind::Timeout,
        _ => ErrorKind::Protocol,
    }
}

const LISTENER: u64 = 0;
const FIRST_VISITOR: u64 = 1;
/// How much is read of a visitor at once.
const READ_LEN: usize = 4_096;
/// How long a channel may take to answer the first mark; Asterisk does at its next frame, within 20 ms.
const PROBE_WAIT: Duration = Duration::from_millis(100);
