//! How sockets are set up: what the standard library has no call for.
//!
//! Buffers are bounded on purpose: the system would let a peer that does not read pile up minutes of stale audio, and one
//! that floods pile up megabytes.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect, listen as listen_on, setsockopt,
    socket, sockopt,
};

/// Listens without blocking; sockets accepted from it inherit the buffers' sizes.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let fd = open(address, SockType::Stream)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::RcvBuf, &BUFFER_LEN)?;
    setsockopt(&fd, sockopt::SndBuf, &BUFFER_LEN)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen_on(&fd, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(fd))
}

/// Readies an accepted socket for calls: non-blocking, nothing held back, and a peer that is gone noticed.
pub(crate) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &GONE_AFTER_MS)?;
    Ok(())
}

/// Opens a socket for datagrams of audio: non-blocking, and marked such that networks that look at it let them go first.
pub(crate) fn bind_udp(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let fd = open(address, SockType::Datagram)?;
    setsockopt(&fd, sockopt::RcvBuf, &BUFFER_LEN)?;
    // A system that refuses the mark carries calls all the same.
    let _ = match address {
        SocketAddr::V4(_) => setsockopt(&fd, sockopt::Ipv4Tos, &EXPEDITED),
        SocketAddr::V6(_) => setsockopt(&fd, sockopt::Ipv6TClass, &EXPEDITED),
    };
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(UdpSocket::from(fd))
}

/// Has the system report, in the socket's queue of errors, that a host refuses what was sent to it.
pub(crate) fn report_refusals(socket: &UdpSocket) -> std::io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Starts to connect without blocking; the socket is writable once it has connected or failed.
pub(crate) fn start_connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let fd = open(address, SockType::Stream)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Raises the process's soft limit of open files to `wanted`, as far as its hard limit allows; never lowers it.
pub(crate) fn raise_descriptor_limit(wanted: usize) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = (wanted as u64).min(hard);
        if soft < wanted {
            // A refusal shows when descriptors run out, which is handled.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
}

fn open(address: SocketAddr, kind: SockType) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
}

/// The system doubles it: over a second of 8 kHz audio in small packets.
const BUFFER_LEN: usize = 65_536;
/// DSCP 46, expedited forwarding (RFC 3246): what telephony marks its audio with.
const EXPEDITED: i32 = 46 << 2;
const BACKLOG: i32 = 1_024;
/// How long what was sent may stay unacknowledged.
const GONE_AFTER_MS: u32 = 10_000;
