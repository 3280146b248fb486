//! The two sockets of one call: an even port for RTP, and the one above it for RTCP.

use std::io::{Error, ErrorKind, IoSliceMut, Result};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::io::socket;

/// A pair of sockets.
pub(crate) struct Ports {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// Where RTP comes in.
    pub(crate) local: SocketAddr,
}

impl Ports {
    /// Opens the pair whose lower port is `port`; any that is free, if that is 0.
    pub(crate) fn bind(host: IpAddr, port: u16) -> Result<Self> {
        if port != 0 {
            return Self::bind_exactly(host, port);
        }
        // The system gives single ports, of which half are odd, and some have a neighbour that is taken.
        for _ in 0..TRIES {
            let port = socket::bind_udp(SocketAddr::new(host, 0))?.local_addr()?.port() & !1;
            match Self::bind_exactly(host, port) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        Err(Error::from(ErrorKind::AddrInUse))
    }

    fn bind_exactly(host: IpAddr, port: u16) -> Result<Self> {
        let above = port.checked_add(1).ok_or(ErrorKind::InvalidInput)?;
        let rtp = socket::bind_udp(SocketAddr::new(host, port))?;
        socket::report_refusals(&rtp)?;
        let rtcp = socket::bind_udp(SocketAddr::new(host, above))?;
        let local = rtp.local_addr()?;
        Ok(Self { rtp, rtcp, local })
    }

    /// Takes the next error that the network has reported for what the RTP socket has sent; nothing if there is none.
    pub(super) fn take_error(&self) -> Option<NetworkError> {
        // Of the datagram that it happened to not even the first byte matters.
        let mut content = [0; 1];
        let mut content = [IoSliceMut::new(&mut content)];
        let mut control = Control([0; CONTROL_LEN]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(self.rtp.as_raw_fd(), &mut content, Some(&mut control.0), flags).ok()?;
        let to = message.address.and_then(|to| {
            let v4 = to.as_sockaddr_in().map(|to| SocketAddr::from((to.ip(), to.port())));
            v4.or_else(|| to.as_sockaddr_in6().map(|to| SocketAddr::from((to.ip(), to.port()))))
        });
        let is_refusal = message.cmsgs().is_ok_and(|mut all| {
            all.any(|one| match one {
                ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                    error.ee_errno == ECONNREFUSED
                }
                _ => false,
            })
        });
        Some(NetworkError { to, is_refusal })
    }
}

/// What the network says about a datagram that was sent.
pub(super) struct NetworkError {
    /// To whom it went, if that is known.
    pub(super) to: Option<SocketAddr>,
    /// Whether the host was there, but nobody at the port.
    pub(super) is_refusal: bool,
}

/// Room for what the system says about an error: its own words, and an address.
#[repr(align(16))]
struct Control([u8; CONTROL_LEN]);

const CONTROL_LEN: usize = 256;
const ECONNREFUSED: u32 = Errno::ECONNREFUSED as u32;
/// How often a free pair is looked for.
const TRIES: usize = 64;
