//! Carries inputs and outputs between one session and its socket.
//!
//! A [`Connection`] reads what is there, decodes it for its session, and writes what the session wants sent, without ever
//! waiting. A message goes out whole in one write, or not at all: Asterisk ends a call whose payload does not follow its
//! header within 5 ms, so what a full socket took only half of is finished before anything else. Which connection is
//! served when is the media thread's business.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::io::clock::Clock;
use crate::io::log::{LogEvent, LogLevel, LogRing};
use crate::io::stats::MediaStats;
use crate::protocol::audiosocket::{
    CompandedSuspect, Decoder, HEADER_LEN, Kind, MAX_PAYLOAD_LEN, Message, encode_into,
};
use crate::protocol::call_id::CallId;
use crate::session::{Agent, EndReason, Input, Output, Session};

/// One call's socket and session, as a media thread holds them.
pub(crate) struct Connection {
    /// Which of the server's places for calls it has.
    pub(crate) slot: usize,
    pub(crate) key: u64,
    pub(crate) id: CallId,
    pub(crate) peer: SocketAddr,
    pub(crate) stream: TcpStream,
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<EndReason>,
    decoder: Decoder,
    session: Session,
    suspect: CompandedSuspect,
    /// The rest of a message that the socket took only in part.
    unsent: Vec<u8>,
    /// Since when the socket has taken no whole message.
    blocked_since: Option<Timestamp>,
    dropped: u64,
    last_heard: Timestamp,
    /// When more may be read; a peer that floods is read no faster than this allows.
    next_read: Timestamp,
}

/// What one service of a connection left to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    /// [`Connection::take_agent`] has the agent's end.
    pub(crate) has_begun: bool,
    /// The agent's end has something new.
    pub(crate) wake: bool,
    /// When it wants to be served next; nothing once it has ended.
    pub(crate) next: Option<Timestamp>,
}

/// What a media thread lends to the connection that it serves.
pub(crate) struct Desk<'a> {
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) log: &'a LogRing,
    pub(crate) stats: &'a mut MediaStats,
    pub(crate) idle_timeout: Duration,
}

/// Room for one read and one message.
pub(crate) struct Scratch {
    input: Box<[u8]>,
    message: Box<[u8]>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let message = vec![0; HEADER_LEN + MAX_PAYLOAD_LEN].into_boxed_slice();
        Self { input: vec![0; READ_LEN].into_boxed_slice(), message }
    }
}

impl Connection {
    /// Takes over a connection whose id has been read by `decoder`; the session's first frame is due at `first_due`.
    pub(crate) fn new(
        place: (usize, u64),
        id: CallId,
        peer: SocketAddr,
        stream: TcpStream,
        decoder: Decoder,
        session: Session,
        now: Timestamp,
    ) -> Self {
        Self {
            slot: place.0,
            key: place.1,
            id,
            peer,
            stream,
            began: now,
            ended: None,
            decoder,
            session,
            suspect: CompandedSuspect::default(),
            unsent: Vec::new(),
            blocked_since: None,
            dropped: 0,
            last_heard: now,
            next_read: now,
        }
    }

    /// Reads what the socket has, at most [`READ_LEN`] bytes, and hands it to the session; says whether it read.
    pub(crate) fn read(&mut self, desk: &mut Desk<'_>) -> bool {
        let now = Clock::now();
        if self.ended.is_some() || now < self.next_read {
            return false;
        }
        let read = match self.stream.read(&mut desk.scratch.input) {
            Ok(0) => return self.end(EndReason::CallerHangup, now),
            Ok(n) => n,
            Err(error) if is_not_now(&error) => return false,
            Err(error) => return self.fail(&error, desk, now),
        };
        self.last_heard = now;
        if read == READ_LEN {
            self.next_read = now + READ_INTERVAL;
        }
        let mut input = &desk.scratch.input[..read];
        loop {
            let input = match self.decoder.poll(&mut input) {
                Ok(None) => return true,
                Ok(Some(Message::Audio { rate, payload })) => {
                    if self.suspect.observe(rate, payload.len()) {
                        desk.log.push(LogLevel::Warning, Some(self.id), LogEvent::CompandedAudio);
                    }
                    // A lone last byte is half a sample: no peer that counts in samples sends one.
                    Input::Audio { codec: Codec::slin(rate), payload: &payload[..payload.len() & !1] }
                }
                Ok(Some(Message::Dtmf(digit))) => Input::Dtmf(digit),
                Ok(Some(Message::Hangup)) => Input::Ended(EndReason::CallerHangup),
                Ok(Some(Message::Error { code })) => {
                    desk.log.push(LogLevel::Warning, Some(self.id), LogEvent::PeerError { code });
                    continue;
                }
                // The door's part: the decoder lets no second one through.
                Ok(Some(Message::Id(_))) => continue,
                Err(error) => {
                    let event = LogEvent::BadStream { peer: self.peer, error };
                    desk.log.push(LogLevel::Warning, Some(self.id), event);
                    return self.end(EndReason::ProtocolError, now);
                }
            };
            self.session.handle_input(input, now);
        }
    }

    /// Does what the session wants done, until it wants nothing until later.
    pub(crate) fn serve(&mut self, desk: &mut Desk<'_>) -> Served {
        let mut served = Served::default();
        if self.ended.is_some() {
            return served;
        }
        let mut now = Clock::now();
        if now.since(self.last_heard) > desk.idle_timeout {
            let event = LogEvent::PeerSilent { silence: now.since(self.last_heard) };
            desk.log.push(LogLevel::Warning, Some(self.id), event);
            self.end(EndReason::IdleTimeout, now);
        }
        loop {
            match self.session.poll_output(now) {
                Output::Started => served.has_begun = true,
                Output::Transmit { codec, payload, due, .. } => {
                    let message = &mut desk.scratch.message;
                    // A rate without a kind was refused when the server was bound.
                    let len = encode_into(Kind::Audio(codec.rate()), payload, message).unwrap_or(0);
                    let outcome = send(&mut self.stream, &mut self.unsent, &desk.scratch.message[..len]);
                    now = Clock::now();
                    match outcome {
                        Ok(true) => {
                            self.blocked_since = None;
                            desk.stats.frames_sent += 1;
                            desk.stats.lateness.record(now.since(due));
                        }
                        Ok(false) => {
                            self.dropped += 1;
                            desk.stats.frames_dropped += 1;
                            let since = *self.blocked_since.get_or_insert(now);
                            if now.since(since) > BLOCKED_LIMIT {
                                let event = LogEvent::PeerNotReading { dropped: self.dropped };
                                desk.log.push(LogLevel::Warning, Some(self.id), event);
                                self.end(EndReason::TransportError, now);
                            }
                        }
                        Err(error) => {
                            self.fail(&error, desk, now);
                        }
                    }
                }
                Output::Wake => served.wake = true,
                Output::Hangup => {
                    let len = encode_into(Kind::Hangup, &[], &mut desk.scratch.message).unwrap_or(0);
                    // Should it not go out, the closed socket says the same.
                    let _ = send(&mut self.stream, &mut self.unsent, &desk.scratch.message[..len]);
                }
                Output::Ended(reason) => {
                    self.ended = Some(reason);
                    served.wake = true;
                    served.next = None;
                    return served;
                }
                Output::Timeout(when) => {
                    served.next = Some(when);
                    return served;
                }
            }
        }
    }

    /// The agent's end, once the call has begun; only once.
    pub(crate) fn take_agent(&mut self) -> Option<Agent> {
        self.session.take_agent()
    }

    /// Tries to finish a message that the socket took only in part.
    pub(crate) fn flush(&mut self, desk: &mut Desk<'_>) {
        if let Err(error) = flush(&mut self.stream, &mut self.unsent) {
            self.fail(&error, desk, Clock::now());
        }
    }

    /// Whether part of a message is waiting for the socket to take it.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Tells the session to end as soon as what the agent has written is played; at once if there is no agent yet.
    pub(crate) fn drain(&mut self, now: Timestamp) {
        self.session.handle_input(Input::Drain, now);
    }

    /// Tells the session that the server stops now, and the peer that the call is over.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        let _ = send(&mut self.stream, &mut self.unsent, &[0, 0, 0]);
        self.end(EndReason::ServerStopping, now);
    }

    /// Tells the agent's end that the call is over, though the session has panicked.
    pub(crate) fn give_up(&mut self) {
        let end = || self.session.handle_input(Input::Ended(EndReason::TransportError), Clock::now());
        let _ = catch_unwind(AssertUnwindSafe(end));
    }

    /// How many messages without meaning the peer sent.
    pub(crate) fn skipped(&self) -> u64 {
        self.decoder.skipped()
    }

    /// Lets go of everything but the socket.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn end(&mut self, reason: EndReason, now: Timestamp) -> bool {
        self.session.handle_input(Input::Ended(reason), now);
        true
    }

    fn fail(&mut self, error: &std::io::Error, desk: &mut Desk<'_>, now: Timestamp) -> bool {
        let hung_up = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        if !hung_up {
            let event = LogEvent::ConnectionFailed { os_error: error.raw_os_error().unwrap_or(0) };
            desk.log.push(LogLevel::Warning, Some(self.id), event);
        }
        self.end(if hung_up { EndReason::CallerHangup } else { EndReason::TransportError }, now)
    }
}

/// Writes `message` whole, or keeps what the socket did not take; false if it took nothing and the message is dropped.
fn send(stream: &mut TcpStream, unsent: &mut Vec<u8>, message: &[u8]) -> std::io::Result<bool> {
    if !flush(stream, unsent)? {
        return Ok(false);
    }
    match stream.write(message) {
        Ok(n) => {
            unsent.extend_from_slice(&message[n..]);
            Ok(true)
        }
        Err(error) if is_not_now(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes what is left of an earlier message; says whether all of it is out.
fn flush(stream: &mut TcpStream, unsent: &mut Vec<u8>) -> std::io::Result<bool> {
    if unsent.is_empty() {
        return Ok(true);
    }
    match stream.write(unsent) {
        Ok(n) => {
            unsent.drain(..n);
            Ok(unsent.is_empty())
        }
        Err(error) if is_not_now(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_not_now(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// How much is read at once: a quarter of a second at 8 kHz, 20 ms at 96 kHz.
const READ_LEN: usize = 4_096;
/// How long a peer that filled a whole read waits for the next: 2 MB a second, 128 times the pace of 8 kHz audio.
const READ_INTERVAL: Duration = Duration::from_millis(2);
/// How long a peer may take nothing before its call ends; the system's own buffers have held over a second by then.
const BLOCKED_LIMIT: Duration = Duration::from_secs(2);
