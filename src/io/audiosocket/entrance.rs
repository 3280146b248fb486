//! Where AudioSocket connections come in: accepting, the first message, and leaving in good order.
//!
//! A connection becomes a call once it has given a valid id that no other call has. A call that is over leaves by here,
//! too, such that what it was told last still arrives.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::link::{AudioSocketLink, HANGUP};
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::ServerConfig;
use crate::io::server::entrance;
use crate::io::server::hall::{Guest, Hall};
use crate::io::server::link::Link;
use crate::io::tcp::{ACCEPTS_AT_ONCE, Accepted, Leavers, Listener};
use crate::protocol::audiosocket::{Decoder, ID_MESSAGE_LEN, Message};
use crate::protocol::call_id::CallId;
use crate::session::FarEnd;
use crate::{Result, Timestamp};

/// The listening socket, and the connections that are no calls.
pub(crate) struct Entrance {
    listener: Listener,
    max_pending: usize,
    handshake_timeout: Duration,
    /// Connections that are no calls yet, oldest first.
    visitors: BTreeMap<u64, Visitor>,
    /// How many of them have given no id.
    pending: usize,
    leavers: Leavers,
    next_token: u64,
}

/// A connection that is no call yet.
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
}

impl Entrance {
    /// Listens.
    pub(crate) fn bind(address: SocketAddr, config: &ServerConfig) -> Result<Self> {
        Ok(Self {
            listener: Listener::bind(address, LISTENER)?,
            max_pending: config.max_pending,
            handshake_timeout: config.handshake_timeout,
            visitors: BTreeMap::new(),
            pending: 0,
            leavers: Leavers::default(),
            next_token: FIRST_VISITOR,
        })
    }

    fn accept(&mut self, hall: &mut Hall) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match self.listener.accept(hall) {
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
        let key = self.next_token();
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
        let (Stage::Pending { decoder, .. } | Stage::AwaitingTurn(_, decoder)) = visitor.stage;
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
            return self.refuse(id, visitor.stream, LogEvent::TooManyCalls { peer, limit }, hall);
        }
        let link = Box::new(AudioSocketLink::new(visitor.stream, peer, decoder));
        // Should the hall not take it after all, closing it is all that is left.
        let _ = hall.admit(Guest {
            id,
            peer,
            local: self.listener.address(),
            link,
            far_end: FarEnd::default(),
            format: None,
        });
    }

    fn refuse(&mut self, id: CallId, stream: TcpStream, event: LogEvent, hall: &Hall) {
        hall.refuse(id, event);
        let _ = (&stream).write(&HANGUP);
        let token = self.next_token();
        self.leavers.see_off(token, stream, hall);
    }

    fn next_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token - 1
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
        self.listener.open(hall)
    }

    fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    fn attend(&mut self, token: u64, hall: &mut Hall) {
        if token == LISTENER {
            self.accept(hall);
        } else if !self.leavers.attend(token, hall) {
            self.attend_visitor(token, hall);
        }
    }

    fn take_back(&mut self, id: CallId, _peer: SocketAddr, link: Box<dyn Link>, hall: &mut Hall) {
        if let Ok(link) = link.into_any().downcast::<AudioSocketLink>() {
            let token = self.next_token();
            self.leavers.see_off(token, link.into_stream(), hall);
        }
        self.let_next_in(id, hall);
    }

    fn keep_deadlines(&mut self, now: Timestamp, hall: &mut Hall) {
        self.listener.keep_deadlines(now, hall);
        self.leavers.keep_deadlines(now, hall);
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
                        self.refuse(id, visitor.stream, LogEvent::DuplicateId { peer }, hall);
                    }
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let visitors = self.visitors.values().map(|visitor| visitor.deadline);
        visitors.chain(self.leavers.next_deadline()).chain(self.listener.next_deadline()).min()
    }

    fn close(&mut self, _hall: &mut Hall) {
        self.listener.close();
        self.visitors.clear();
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

const LISTENER: u64 = 0;
const FIRST_VISITOR: u64 = 1;
/// How long a call with the id of a running one waits for that to end.
const TURN_WAIT: Duration = Duration::from_millis(250);
