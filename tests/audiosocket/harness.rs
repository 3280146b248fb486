//! A server to test, and a peer that does as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::Timestamp;
use talkpath::io::clock::Clock;
use talkpath::io::log::LogRecord;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{self, Call, Listen, ServerConfig};
use talkpath::protocol::call_id::CallId;
use talkpath::session::{Agent, EndReason, Event};

/// After how long a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    pub(crate) server: server::Server,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) lines: Vec<LogRecord>,
}

impl Server {
    /// A server on a free port, with one media thread of ordinary priority.
    pub(crate) fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig {
            listen: Listen::resolve("127.0.0.1:0").unwrap(),
            media_threads: 1,
            realtime_priority: false,
            max_calls: 64,
            ..ServerConfig::default()
        };
        change(&mut config);
        let notifier = Arc::new(Notifier::new().unwrap());
        let server = server::Server::bind(config, Arc::clone(&notifier)).unwrap();
        Self { server, notifier, lines: Vec::new() }
    }

    /// Looks again and again, at the latest every few milliseconds, until `look` finds something.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&server::Server) -> Option<T>) -> T {
        let began = Clock::now();
        loop {
            if let Some(found) = look(&self.server) {
                return found;
            }
            assert!(Clock::now().since(began) < LIMIT, "waited in vain for {what}; the log: {:#?}", self.log());
            let mut fds = [PollFd::new(self.notifier.fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(2_u16));
            self.notifier.take();
        }
    }

    pub(crate) fn wait_for_call(&mut self) -> Call {
        self.wait_for("a call", server::Server::accept)
    }

    /// Waits until the log has a line with `part` in it.
    pub(crate) fn wait_for_line(&mut self, part: &str) -> String {
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line.contains(part)) {
                return line;
            }
            let record = self.wait_for(part, server::Server::poll_log);
            self.lines.push(record);
        }
    }

    /// All lines that were logged by now.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.lines.extend(std::iter::from_fn(|| self.server.poll_log()));
        self.lines.iter().map(ToString::to_string).collect()
    }

    /// Waits until the agent's end says that the call is over.
    pub(crate) fn wait_for_end(&mut self, agent: &mut Agent) -> EndReason {
        self.wait_for_event(agent, |event| match event {
            Event::Ended { reason } => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn wait_for_event<T>(&mut self, agent: &mut Agent, mut want: impl FnMut(&Event) -> Option<T>) -> T {
        self.wait_for("an event", |_| {
            while let Some(event) = agent.events.poll(&mut agent.output) {
                if let Some(found) = want(&event) {
                    return Some(found);
                }
            }
            None
        })
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
