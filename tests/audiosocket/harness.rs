//! A server to test, and a peer that does as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::io::clock::Clock;
use talkpath::io::server::{self, Call, Listen, ServerConfig};
use talkpath::protocol::call_id::CallId;

pub(crate) use crate::watched::LIMIT;
use crate::watched::Watched;

pub(crate) struct Server {
    watched: Watched,
}

impl Server {
    /// A server on a free port.
    pub(crate) fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self { watched: Watched::bind(Listen::resolve("127.0.0.1:0").unwrap(), change) }
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(&self.server)
    }

    /// A peer whose call has begun, and the call.
    pub(crate) fn call(&mut self, number: u8) -> (Peer, Call) {
        let mut peer = self.connect();
        peer.send_id(number);
        peer.send_audio(&[0; 320]);
        let call = self.wait_for_call();
        assert_eq!(call.id, id(number));
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

/// The id that stands for a small number.
pub(crate) fn id(number: u8) -> CallId {
    CallId::from_bytes([number; 16])
}

/// A peer over a blocking socket.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    pub(crate) fn connect(server: &server::Server) -> Self {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send_id(&mut self, number: u8) {
        self.send(&[&[0x01, 0, 16][..], &[number; 16]].concat());
    }

    pub(crate) fn send_audio(&mut self, payload: &[u8]) {
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        self.send(&[&[0x10, len[0], len[1]][..], payload].concat());
    }

    /// The next message; nothing at the end of the stream.
    pub(crate) fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 3];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("read a message: {error}"),
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]]))];
        self.stream.read_exact(&mut payload).unwrap();
        Some((header[0], payload))
    }

    /// Reads until a frame has sound in it; how many frames of silence came before, and the frame.
    pub(crate) fn read_sound(&mut self) -> (usize, Vec<i16>) {
        for silent in 0.. {
            let (kind, payload) = self.read().expect("a frame with sound");
            assert!((0x10..=0x18).contains(&kind), "kind {kind:#x}");
            let samples: Vec<i16> =
                payload.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            if samples.iter().any(|sample| *sample != 0) {
                return (silent, samples);
            }
        }
        unreachable!()
    }

    /// Reads to the end of the stream; whether a hangup was said, and how many frames came before.
    pub(crate) fn read_to_end(&mut self) -> (bool, usize) {
        let mut frames = 0;
        let mut said_hangup = false;
        while let Some((kind, _)) = self.read() {
            said_hangup |= kind == 0;
            frames += usize::from(kind >= 0x10);
        }
        (said_hangup, frames)
    }

    /// Closes such that the server gets a reset.
    pub(crate) fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(&self.stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
    }

    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// How long something took.
pub(crate) fn time<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let began: Timestamp = Clock::now();
    let result = what();
    (Clock::now().since(began), result)
}
