//! A server to test, and a peer that does as it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use talkpath::io::clock::Clock;
use talkpath::io::server::{Call, Listen, PortRange, ServerConfig};
use talkpath::protocol::rtcp::{Compound, Packet as Rtcp, Writer};
use talkpath::protocol::rtp::{Header, Packet};

pub(crate) use crate::watched::LIMIT;
use crate::watched::Watched;

pub(crate) struct Server {
    watched: Watched,
    /// Where calls come in.
    pub(crate) ports: Vec<SocketAddr>,
}

impl Server {
    /// A server with one port.
    pub(crate) fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::start_on(PortRange { host: IpAddr::V4(Ipv4Addr::LOCALHOST), first: 0, last: 0 }, change)
    }

    /// A server with so many ports.
    pub(crate) fn with_ports(count: u16, change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::start_on(free_range(count), change)
    }

    fn start_on(range: PortRange, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let watched = Watched::bind(Listen::Rtp(range), change);
        let ports = match range.first {
            0 => vec![watched.server.local_addr()],
            _ => range.calls().map(|port| SocketAddr::new(range.host, port)).collect(),
        };
        Self { watched, ports }
    }

    /// A peer whose call has begun on a port, and the call.
    pub(crate) fn call(&mut self, place: usize) -> (Peer, Call) {
        let mut peer = Peer::new(self.ports[place]);
        peer.send_audio(0);
        peer.send_audio(0);
        let call = self.wait_for_call();
        assert_eq!((call.peer, call.local), (peer.rtp.local_addr().unwrap(), self.ports[place]));
        (peer, call)
    }
}

impl Deref for Server {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.watched
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Watched {
        &mut self.watched
    }
}

/// So many pairs of ports that nobody has.
fn free_range(count: u16) -> PortRange {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let is_free = |port| UdpSocket::bind((host, port)).is_ok();
    let first = std::iter::repeat_with(|| UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap().port() & !1)
        .filter(|first| *first < u16::MAX - 2 * count)
        .find(|first| (*first..first + 2 * count).all(is_free));
    let first = first.unwrap();
    PortRange { host, first, last: first + 2 * count - 1 }
}

/// A peer over blocking sockets, which sends PCMU.
pub(crate) struct Peer {
    pub(crate) to: SocketAddr,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// A packet that a peer got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(to: SocketAddr) -> Self {
        let open = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            socket
        };
        Self { to, rtp: open(), rtcp: open(), ssrc: 0x7a1c, sequence: 65_530, timestamp: 4_294_967_000 }
    }

    /// Sends a packet and goes on by so many ticks.
    pub(crate) fn send(&mut self, payload_type: u8, payload: &[u8], ticks: u32) {
        let Self { ssrc, sequence, timestamp, .. } = *self;
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
        self.rtp.send_to(&datagram(header, payload), self.to).unwrap();
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(ticks);
    }

    /// Sends 20 ms of one value.
    pub(crate) fn send_audio(&mut self, value: i16) {
        let payload = talkpath::audio::codec::Encoding::Ulaw.encode(&[value; 160]);
        self.send(0, &payload, 160);
    }

    /// Sends a digit as telephones do: while it is held, and three times at its end.
    pub(crate) fn press(&mut self, code: u8) {
        for (flags, duration) in [(0, 160_u16), (0, 320), (0x80, 480), (0x80, 480), (0x80, 480)] {
            let [high, low] = duration.to_be_bytes();
            self.send(101, &[code, flags | 10, high, low], 0);
        }
        self.timestamp = self.timestamp.wrapping_add(640);
    }

    /// Says goodbye from the RTCP port.
    pub(crate) fn say_goodbye(&self) {
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        writer.receiver_report(self.ssrc, &[]).unwrap();
        writer.bye(self.ssrc, "").unwrap();
        let len = writer.len();
        self.rtcp.send_to(&out[..len], above(self.to)).unwrap();
    }

    /// The next packet.
    pub(crate) fn read(&self) -> Got {
        let mut datagram = [0; 65_536];
        let (len, from) = self.rtp.recv_from(&mut datagram).unwrap();
        assert_eq!(from, self.to, "it comes from where it was sent to");
        let packet = Packet::parse(&datagram[..len]).unwrap();
        Got { header: packet.header, payload: packet.payload.to_vec() }
    }

    /// Reads until a packet has sound in it.
    pub(crate) fn read_sound(&self) -> Got {
        loop {
            let got = self.read();
            if got.header.payload_type == 0 && got.payload.iter().any(|byte| *byte != 0xff) {
                return got;
            }
        }
    }

    /// Waits for the server's goodbye, on the port that reports go to.
    pub(crate) fn wait_for_goodbye(&self, socket: &UdpSocket) {
        let mut datagram = [0; 1_500];
        loop {
            let len = socket.recv(&mut datagram).unwrap();
            let Ok(compound) = Compound::parse(&datagram[..len]) else { continue };
            if compound.packets().any(|packet| matches!(packet, Rtcp::Bye { .. })) {
                return;
            }
        }
    }
}

pub(crate) fn datagram(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 12 + payload.len()];
    Packet::new(header, payload).write_into(&mut out).unwrap();
    out
}

/// The port of the reports that belong to a port of audio.
pub(crate) fn above(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

/// How long something took.
pub(crate) fn time<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let began = Clock::now();
    let result = what();
    (Clock::now().since(began), result)
}
