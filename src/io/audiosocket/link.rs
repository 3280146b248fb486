//! One AudioSocket call's connection.
//!
//! A message goes out whole in one write, or not at all: Asterisk ends a call whose payload does not follow its header
//! within 5 ms, so what a full socket took only half of is finished before anything else.

use std::any::Any;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::Timestamp;
use crate::audio::codec::{Codec, Encoding};
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::link::{Desk, Frame, Link};
use crate::protocol::audiosocket::{CompandedSuspect, Decoder, Kind, Message, encode_into};
use crate::session::{EndReason, Input, Session};

/// The link of a connection that has given its id.
pub(super) struct AudioSocketLink {
    stream: TcpStream,
    peer: SocketAddr,
    decoder: Decoder,
    suspect: CompandedSuspect,
    /// The rest of a message that the socket took only in part.
    unsent: Vec<u8>,
    /// When more may be read; a peer that floods is read no faster than this allows.
    next_read: Timestamp,
}

impl AudioSocketLink {
    /// Takes over a connection whose id has been read by `decoder`.
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, decoder: Decoder) -> Self {
        let (suspect, next_read) = (CompandedSuspect::default(), Timestamp::ZERO);
        Self { stream, peer, decoder, suspect, unsent: Vec::new(), next_read }
    }

    /// Lets go of everything but the socket.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Writes `message` whole, or keeps what the socket did not take; false if it took nothing and the message is dropped.
    fn send(&mut self, message: &[u8]) -> std::io::Result<bool> {
        self.flush()?;
        if self.has_unsent() {
            return Ok(false);
        }
        match self.stream.write(message) {
            Ok(n) => {
                self.unsent.extend_from_slice(&message[n..]);
                Ok(true)
            }
            Err(error) if is_not_now(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Link for AudioSocketLink {
    fn watch(&self, epoll: &Epoll, token: u64) -> nix::Result<()> {
        epoll.add(&self.stream, EpollEvent::new(EpollFlags::EPOLLIN, token))
    }

    fn unwatch(&self, epoll: &Epoll) {
        let _ = epoll.delete(&self.stream);
    }

    fn watch_for_room(&self, epoll: &Epoll, token: u64, is_wanted: bool) {
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, is_wanted);
        // Should it fail, the next frame's write finishes the message.
        let _ = epoll.modify(&self.stream, &mut EpollEvent::new(flags, token));
    }

    fn read(&mut self, session: &mut Session, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool> {
        if now < self.next_read {
            return Ok(false);
        }
        let read = match self.stream.read(&mut desk.scratch.input[..READ_LEN]) {
            Ok(0) => {
                session.handle_input(Input::Ended(EndReason::CallerHangup), now);
                return Ok(true);
            }
            Ok(n) => n,
            Err(error) if is_not_now(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        if read == READ_LEN {
            self.next_read = now + READ_INTERVAL;
        }
        let mut bytes = &desk.scratch.input[..read];
        loop {
            let input = match self.decoder.poll(&mut bytes) {
                Ok(None) => return Ok(true),
                Ok(Some(Message::Audio { rate, payload })) => {
                    if self.suspect.observe(rate, payload.len()) {
                        desk.log.push(LogLevel::Warning, Some(desk.call), LogEvent::CompandedAudio);
                    }
                    let codec = Codec::Plain { encoding: Encoding::Slin, rate };
                    // A lone last byte is half a sample: no peer that counts in samples sends one.
                    Input::Audio { codec, payload: &payload[..payload.len() & !1] }
                }
                Ok(Some(Message::Dtmf(digit))) => Input::Dtmf(digit),
                Ok(Some(Message::Hangup)) => Input::Ended(EndReason::CallerHangup),
                Ok(Some(Message::Error { code })) => {
                    desk.log.push(LogLevel::Warning, Some(desk.call), LogEvent::PeerError { code });
                    continue;
                }
                // The entrance's part: the decoder lets no second one through.
                Ok(Some(Message::Id(_))) => continue,
                Err(error) => {
                    let event = LogEvent::BadStream { peer: self.peer, error };
                    desk.log.push(LogLevel::Warning, Some(desk.call), event);
                    session.handle_input(Input::Ended(EndReason::ProtocolError), now);
                    return Ok(true);
                }
            };
            session.handle_input(input, now);
        }
    }

    fn transmit(&mut self, frame: &Frame<'_>, desk: &mut Desk<'_>, _now: Timestamp) -> std::io::Result<bool> {
        let message = &mut desk.scratch.message;
        // A rate without a kind was refused when the server was bound.
        let len = encode_into(Kind::Audio(frame.codec.rate()), frame.payload, message).unwrap_or(0);
        self.send(&message[..len])
    }

    fn hang_up(&mut self, _now: Timestamp) {
        // Should it not go out, the closed socket says the same.
        let _ = self.send(&HANGUP);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.unsent) {
            Ok(n) => {
                self.unsent.drain(..n);
                Ok(())
            }
            Err(error) if is_not_now(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn skipped(&self) -> u64 {
        self.decoder.skipped()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn is_not_now(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The message that ends a call: its kind, and no payload.
pub(super) const HANGUP: [u8; 3] = [0, 0, 0];
/// How much is read at once: a quarter of a second at 8 kHz, 20 ms at 96 kHz.
const READ_LEN: usize = 4_096;
/// How long a peer that filled a whole read waits for the next: 2 MB a second, 128 times the pace of 8 kHz audio.
const READ_INTERVAL: Duration = Duration::from_millis(2);
