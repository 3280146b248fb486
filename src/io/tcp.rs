//! What every transport over TCP does at the door: accepting, and seeing off in good order.
//!
//! [`Listener`] accepts until the system has no descriptor left, and then rests. [`Leavers`] are connections that were
//! told to go: what they still send is read, as closing on unread data would reset the connection and lose our goodbye.
//! Who may come in is the transport's business.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::hall::Hall;
use crate::io::socket;
use crate::{Error, Result, Timestamp};

/// A listening socket, watched under one token.
pub(crate) struct Listener {
    socket: Option<TcpListener>,
    address: SocketAddr,
    token: u64,
    /// Until when no connection is accepted, as the system had no descriptor left.
    resting_until: Option<Timestamp>,
}

/// What came of accepting.
pub(crate) enum Accepted {
    /// A connection, ready for calls.
    Connection(TcpStream, SocketAddr),
    /// Nobody waits.
    Nobody,
    /// The system has no descriptor or memory left: it helps to close what is not needed.
    Exhausted,
}

impl Listener {
    /// Listens; `token` is what the socket will be watched under.
    pub(crate) fn bind(address: SocketAddr, token: u64) -> Result<Self> {
        let failed = |error| Error::io(format!("listen on {address}"), error);
        let socket = socket::listen(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket: Some(socket), address, token, resting_until: None })
    }

    /// Where it listens, or did.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has the hall watch it.
    pub(crate) fn open(&self, hall: &Hall) -> Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let watched = hall.epoll().add(socket, EpollEvent::new(EpollFlags::EPOLLIN, self.token));
        watched.map_err(|errno| Error::io(format!("listen on {}", self.address), errno.into()))
    }

    /// Accepts the next connection.
    pub(crate) fn accept(&mut self, hall: &Hall) -> Accepted {
        loop {
            let Some(socket) = &self.socket else {
                return Accepted::Nobody;
            };
            match socket.accept() {
                Ok((stream, peer)) if socket::prepare(&stream).is_ok() => return Accepted::Connection(stream, peer),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Accepted::Nobody,
                // The peer went away while it stood in the queue, or a signal came.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    // Trying again at once would spin.
                    let event = LogEvent::AcceptFailed { os_error: error.raw_os_error().unwrap_or(0) };
                    hall.log(LogLevel::Error, None, event);
                    let _ = hall.epoll().delete(socket);
                    self.resting_until = Some(Clock::now() + REST);
                    return Accepted::Exhausted;
                }
            }
        }
    }

    /// Goes on after a rest.
    pub(crate) fn keep_deadlines(&mut self, now: Timestamp, hall: &Hall) {
        if self.resting_until.is_some_and(|until| now >= until) {
            self.resting_until = None;
            let _ = self.open(hall);
        }
    }

    /// When a rest is over.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.resting_until
    }

    /// Accepts nobody from here on.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.resting_until = None;
    }
}

/// Connections that were told to go.
#[derive(Default)]
pub(crate) struct Leavers {
    streams: BTreeMap<u64, (TcpStream, Timestamp)>,
    /// Whether somebody waits for them to be gone.
    in_a_hurry: bool,
}

impl Leavers {
    /// Closes a connection such that what was sent last still arrives; `token` is what it will be watched under.
    pub(crate) fn see_off(&mut self, token: u64, stream: TcpStream, hall: &Hall) {
        let is_open = stream.shutdown(Shutdown::Write).is_ok();
        if is_open && hall.epoll().add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, token)).is_ok() {
            let wait = if self.in_a_hurry { LAST_WAIT } else { WAIT };
            self.streams.insert(token, (stream, Clock::now() + wait));
        }
    }

    /// Reads what one of them still sends, up to its end; says whether it is one of them.
    pub(crate) fn attend(&mut self, token: u64, hall: &Hall) -> bool {
        let Some((stream, _)) = self.streams.get_mut(&token) else {
            return false;
        };
        let mut discarded = [0; 16_384];
        match stream.read(&mut discarded) {
            Ok(n) if n > 0 => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            _ => self.forget(token, hall),
        }
        true
    }

    /// Closes those that take too long.
    pub(crate) fn keep_deadlines(&mut self, now: Timestamp, hall: &Hall) {
        let overdue: Vec<u64> =
            self.streams.iter().filter(|(_, (_, deadline))| now >= *deadline).map(|(&token, _)| token).collect();
        for token in overdue {
            self.forget(token, hall);
        }
    }

    /// When one of them has taken too long.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.streams.values().map(|(_, deadline)| *deadline).min()
    }

    /// Gives them less time: somebody waits for them to be gone.
    pub(crate) fn hurry(&mut self) {
        self.in_a_hurry = true;
        let latest = Clock::now() + LAST_WAIT;
        self.streams.values_mut().for_each(|(_, deadline)| *deadline = latest.min(*deadline));
    }

    /// Whether all of them are gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    fn forget(&mut self, token: u64, hall: &Hall) {
        if let Some((stream, _)) = self.streams.remove(&token) {
            let _ = hall.epoll().delete(&stream);
        }
    }
}

/// How many connections are accepted before those that are there are looked after again.
pub(crate) const ACCEPTS_AT_ONCE: usize = 64;
/// How long no connection is accepted once the system had no descriptor for one.
const REST: Duration = Duration::from_millis(100);
/// How long a peer that was told to go may take to close.
const WAIT: Duration = Duration::from_secs(1);
/// The same while the server stops, and somebody waits for that.
const LAST_WAIT: Duration = Duration::from_millis(200);
