//! The free ports of a range: whoever proves on one of them that he sends RTP has a call there.
//!
//! All ports are open from the start, so that a port which somebody else has taken shows at once, and no call waits for a
//! socket. When a call is over its port is free again, but what the far end still sends to it begins no other.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::link::RtpLink;
use super::ports::Ports;
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::entrance;
use crate::io::server::hall::{Guest, Hall};
use crate::io::server::link::Link;
use crate::io::server::{PortRange, ServerConfig};
use crate::protocol::call_id::CallId;
use crate::protocol::rtp::{Early, Endpoint, Format, Packet, PayloadTypes, Probation, Proved};
use crate::session::{FarEnd, WireFormat};
use crate::{Error, ErrorKind, Result, Timestamp};

/// The ports of a range.
pub(crate) struct Entrance {
    places: Vec<Place>,
    types: Arc<PayloadTypes>,
    ptime: Duration,
    random: File,
    buffer: Box<[u8]>,
    /// The place after the one that was kept last: each has its turn, so that a port rests after a call.
    next_kept: usize,
    is_closed: bool,
}

/// One port, for one call at a time.
struct Place {
    local: SocketAddr,
    /// Its sockets, while no call has them.
    free: Option<Ports>,
    /// The call that it is kept for, and until when.
    expected: Option<(CallId, Timestamp)>,
    probation: Probation,
}

impl Entrance {
    /// Opens every port of the range.
    pub(crate) fn bind(range: PortRange, config: &ServerConfig) -> Result<Self> {
        let mut places = Vec::new();
        for port in range.calls() {
            let failed = |error| Error::io(format!("open the ports {port} and {} of {}", port + 1, range.host), error);
            let ports = Ports::bind(range.host, port).map_err(failed)?;
            places.push(Place {
                local: ports.local,
                free: Some(ports),
                expected: None,
                probation: Probation::default(),
            });
        }
        Ok(Self {
            places,
            types: Arc::new(config.payload_types.clone()),
            ptime: config.session.ptime,
            random: File::open("/dev/urandom").map_err(|error| Error::io("open /dev/urandom", error))?,
            buffer: vec![0; MAX_DATAGRAM_LEN].into_boxed_slice(),
            next_kept: 0,
            is_closed: false,
        })
    }

    fn watch(ports: &Ports, place: usize, hall: &Hall) -> nix::Result<()> {
        let event = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        hall.epoll().add(&ports.rtp, event(place as u64 * 2))?;
        hall.epoll().add(&ports.rtcp, event(place as u64 * 2 + 1))
    }

    fn unwatch(ports: &Ports, hall: &Hall) {
        let _ = hall.epoll().delete(&ports.rtp);
        let _ = hall.epoll().delete(&ports.rtcp);
    }

    /// Makes a call of a source that has proved itself.
    fn admit(&mut self, place: usize, proved: Proved, hall: &mut Hall) {
        let Proved { from, early } = proved;
        let now = Clock::now();
        let Some(ports) = self.places[place].free.take() else { return };
        Self::unwatch(&ports, hall);
        let mut random = [0; 24];
        if let Err(error) = self.random.read_exact(&mut random) {
            let os_error = error.raw_os_error().unwrap_or(0);
            hall.log(LogLevel::Error, None, LogEvent::ConnectionFailed { os_error });
            return self.free(place, ports, hall);
        }
        let (id, seed) = random.split_at(16);
        let id = match self.places[place].expected {
            Some((id, _)) => id,
            None => CallId::from_random(id.try_into().unwrap_or_default()),
        };
        if !hall.has_room() {
            hall.refuse(id, LogEvent::TooManyCalls { peer: from, limit: hall.config.max_calls });
            // RTP has no word for it: what it still sends is not looked at, until it has given up.
            if let Some(packet) = early.first().and_then(|early| Packet::parse(&early.datagram).ok()) {
                self.places[place].probation.shun(from, packet.header.ssrc, now);
            }
            return self.free(place, ports, hall);
        }
        self.places[place].expected = None;
        let seed = u64::from_ne_bytes(seed.try_into().unwrap_or_default());
        let local = ports.local;
        let endpoint = Endpoint::new(Arc::clone(&self.types), self.ptime, from, seed, now);
        let format = if hall.config.session.codec.is_none() { self.format_of(&early) } else { None };
        let link = Box::new(RtpLink::new(ports, place, endpoint, early.into()));
        let takes_dtmf = self.types.number_of(Format::TelephoneEvent).is_some();
        let far_end = FarEnd { acks: false, takes_dtmf };
        if let Err(link) = hall.admit(Guest { id, peer: from, local, link, far_end, format }) {
            self.take_link(link, hall);
        }
    }

    /// What each side sends, if the far end takes something else than what it sends.
    fn format_of(&self, early: &[Early]) -> Option<WireFormat> {
        let numbers = early.iter().filter_map(|early| Some(Packet::parse(&early.datagram).ok()?.header.payload_type));
        let mut formats = numbers.filter_map(|number| {
            let Format::Audio(input) = self.types.format(number)? else { return None };
            Some(WireFormat { input, output: self.types.answer_to(number)? })
        });
        // What is answered alike is left to the session, which may have a rate of its own to answer linear audio in.
        formats.find(|format| format.input != format.output)
    }

    /// Takes the sockets of a call that is over, or never was one.
    fn take_link(&mut self, link: Box<dyn Link>, hall: &mut Hall) {
        let Ok(link) = link.into_any().downcast::<RtpLink>() else { return };
        let (ports, place, remote, ssrc) = link.into_parts();
        if let Some(ssrc) = ssrc {
            self.places[place].probation.shun(remote, ssrc, Clock::now());
        }
        self.free(place, ports, hall);
    }

    /// Has a port watched again.
    fn free(&mut self, place: usize, ports: Ports, hall: &Hall) {
        if self.is_closed {
            return;
        }
        while ports.take_error().is_some() {}
        if let Err(errno) = Self::watch(&ports, place, hall) {
            hall.log(LogLevel::Error, None, LogEvent::AcceptFailed { os_error: errno as i32 });
        }
        self.places[place].free = Some(ports);
    }
}

impl entrance::Entrance for Entrance {
    fn open(&mut self, hall: &mut Hall) -> Result<()> {
        for (place, Place { local, free, .. }) in self.places.iter().enumerate() {
            if let Some(ports) = free {
                Self::watch(ports, place, hall).map_err(|errno| Error::io(format!("watch {local}"), errno.into()))?;
            }
        }
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        self.places[0].local
    }

    fn attend(&mut self, token: u64, hall: &mut Hall) {
        let place = token as usize / 2;
        let Some(Place { free: Some(ports), probation, .. }) = self.places.get_mut(place) else { return };
        if token % 2 == 1 {
            // Nobody is heard who could be believed; the next call must not find old reports.
            while ports.rtcp.recv(&mut self.buffer).is_ok() {}
            return;
        }
        let mut proved = None;
        for _ in 0..DATAGRAMS_AT_ONCE {
            match ports.rtp.recv_from(&mut self.buffer) {
                Ok((len, from)) => {
                    proved = probation.handle_datagram(&self.types, &self.buffer[..len], from, Clock::now());
                    if proved.is_some() {
                        break;
                    }
                }
                Err(_) if ports.take_error().is_some() => {}
                Err(_) => break,
            }
        }
        if let Some(proved) = proved {
            self.admit(place, proved, hall);
        }
    }

    fn expect(&mut self, id: CallId, until: Timestamp, hall: &Hall) -> Result<SocketAddr> {
        let is_expected = |place: &Place| place.expected.is_some_and(|(expected, _)| expected == id);
        if hall.carries(id) || self.places.iter().any(is_expected) {
            return Err(Error::invalid(format!("call id {id}, wanted one that no other call has")));
        }
        let count = self.places.len();
        let is_free = |place: &usize| self.places[*place].free.is_some() && self.places[*place].expected.is_none();
        let Some(kept) = (self.next_kept..self.next_kept + count).map(|place| place % count).find(is_free) else {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("all {count} ports are taken, wanted a free one"),
            ));
        };
        self.next_kept = kept + 1;
        self.places[kept].expected = Some((id, until));
        Ok(self.places[kept].local)
    }

    fn take_back(&mut self, _id: CallId, _peer: SocketAddr, link: Box<dyn Link>, hall: &mut Hall) {
        self.take_link(link, hall);
    }

    fn keep_deadlines(&mut self, now: Timestamp, _hall: &mut Hall) {
        for place in &mut self.places {
            place.expected = place.expected.filter(|(_, until)| now < *until);
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.places.iter().filter_map(|place| Some(place.expected?.1)).min()
    }

    fn close(&mut self, hall: &mut Hall) {
        self.is_closed = true;
        for ports in self.places.iter_mut().filter_map(|place| place.free.take()) {
            Self::unwatch(&ports, hall);
        }
    }

    fn pending(&self) -> usize {
        0
    }

    fn is_empty(&self) -> bool {
        true
    }
}

/// How many datagrams are read before other ports have their turn.
const DATAGRAMS_AT_ONCE: usize = 16;
/// As long as UDP can be.
const MAX_DATAGRAM_LEN: usize = 65_536;
