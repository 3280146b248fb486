//! One call's WebSocket to Asterisk.
//!
//! Audio goes both ways in binary messages. What Asterisk has played it says in return for marks, which go out with the
//! frames; when it is to fall silent it is told to drop what it has. How deep its queue is kept is
//! [`FarQueue`]'s business, when a frame is due the session's.

use std::any::Any;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::outlet::{Outlet, is_not_now};
use crate::Timestamp;
use crate::audio::codec::{Codec, Encoding};
use crate::io::log::{LogEvent, LogLevel, LogRing};
use crate::io::server::link::{Desk, Frame, Link, Scratch};
use crate::protocol::call_id::CallId;
use crate::protocol::chan_websocket::{Command, Event, FarQueue, Format, Plan};
use crate::protocol::websocket::{Decoder, MAX_CONTROL_LEN, Message, Opcode, close_code};
use crate::session::{EndReason, Input, Session};

/// The link of a channel that has said what its media are.
pub(super) struct WebSocketLink {
    outlet: Outlet,
    peer: SocketAddr,
    decoder: Decoder,
    channel: Channel,
    /// What came before the media thread had the call.
    early: Vec<u8>,
    queue: FarQueue,
    /// Asterisk was to drop what it has, but the socket took nothing.
    must_flush: bool,
    /// Asterisk puts our messages together to frames of its own length.
    is_buffering: bool,
    skipped: u64,
    /// When more may be read; a peer that floods is read no faster than this allows.
    next_read: Timestamp,
}

/// What a channel is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) codec: Codec,
    /// How its control messages are written.
    pub(super) format: Format,
    /// How many bytes a frame of its has; 0 if it plays messages as they come.
    pub(super) frame_len: usize,
    /// Whether it answers marks, and drops what it has when it is told to.
    pub(super) acks: bool,
}

/// What a message means for the call.
enum Heard<'a> {
    Input(Input<'a>),
    /// The peer wants a pong.
    Ping(&'a [u8]),
    /// There is nothing to do about it.
    Noted,
    /// It means nothing.
    Skipped,
}

impl WebSocketLink {
    /// Takes over a connection of which `early` came after the channel's start, and was not decoded.
    pub(super) fn new(outlet: Outlet, peer: SocketAddr, decoder: Decoder, channel: Channel, early: Vec<u8>) -> Self {
        Self {
            outlet,
            peer,
            decoder,
            channel,
            early,
            queue: FarQueue::new(),
            must_flush: false,
            is_buffering: false,
            skipped: 0,
            next_read: Timestamp::ZERO,
        }
    }

    /// Says goodbye, if that was not done yet, and lets go of everything but the socket.
    pub(super) fn into_stream(mut self) -> TcpStream {
        let mut room = [0; 32];
        // Should it not go out, the closed socket says the same.
        let _ = self.outlet.batch(&mut room).close(close_code::NORMAL).send();
        self.outlet.into_stream()
    }

    /// Decodes what came and hands it to the session; `room` is for what must be said in return.
    fn hear(
        &mut self,
        mut bytes: &mut [u8],
        session: &mut Session,
        room: &mut [u8],
        (log, call): (&LogRing, CallId),
        now: Timestamp,
    ) -> std::io::Result<()> {
        let mut pong = ([0; MAX_CONTROL_LEN], None);
        loop {
            let message = match self.decoder.poll(&mut bytes) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => {
                    log.push(LogLevel::Warning, Some(call), LogEvent::BadWebSocket { peer: self.peer, error });
                    let _ = self.outlet.batch(room).close(error.close_code()).send();
                    session.handle_input(Input::Ended(EndReason::ProtocolError), now);
                    return Ok(());
                }
            };
            match understand(message, &self.channel, &mut self.queue) {
                Heard::Input(input) => session.handle_input(input, now),
                // Of several pings in one read the last is answered, as RFC 6455 (section 5.5.3) allows.
                Heard::Ping(payload) => {
                    pong.0[..payload.len()].copy_from_slice(payload);
                    pong.1 = Some(payload.len());
                }
                Heard::Noted => {}
                Heard::Skipped => self.skipped += 1,
            }
        }
        if let Some(len) = pong.1 {
            self.outlet.batch(room).push(Opcode::Pong, &pong.0[..len]).send()?;
        }
        if self.decoder.is_closed() {
            let _ = self.outlet.batch(room).close(close_code::NORMAL).send();
        }
        Ok(())
    }
}

impl Link for WebSocketLink {
    fn watch(&self, epoll: &Epoll, token: u64) -> nix::Result<()> {
        epoll.add(self.outlet.stream(), EpollEvent::new(EpollFlags::EPOLLIN, token))
    }

    fn unwatch(&self, epoll: &Epoll) {
        let _ = epoll.delete(self.outlet.stream());
    }

    fn watch_for_room(&self, epoll: &Epoll, token: u64, is_wanted: bool) {
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, is_wanted);
        // Should it fail, the next frame's write finishes the message.
        let _ = epoll.modify(self.outlet.stream(), &mut EpollEvent::new(flags, token));
    }

    fn read(&mut self, session: &mut Session, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool> {
        let Desk { call, scratch: Scratch { input, message }, log, .. } = desk;
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            self.hear(&mut early, session, message, (log, *call), now)?;
        }
        if now < self.next_read {
            return Ok(false);
        }
        let bytes = &mut input[..READ_LEN];
        let read = match self.outlet.stream_mut().read(bytes) {
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
        self.hear(&mut bytes[..read], session, message, (log, *call), now)?;
        Ok(true)
    }

    fn transmit(&mut self, frame: &Frame<'_>, desk: &mut Desk<'_>, _now: Timestamp) -> std::io::Result<bool> {
        let Channel { format, frame_len, acks, .. } = self.channel;
        let plan = match self.queue.plan(frame.number, frame.is_agent) {
            Plan::Send { copies, .. } if !acks => Plan::Send { copies, mark: false },
            plan => plan,
        };
        let Plan::Send { copies, mark } = plan else {
            self.queue.handle_sent(frame.number, plan);
            return Ok(true);
        };
        let must_buffer = acks && !frame.payload.len().is_multiple_of(frame_len.max(1));
        let mut batch = self.outlet.batch(&mut desk.scratch.message);
        if self.must_flush {
            batch = batch.command(Command::FlushMedia, format);
        }
        if must_buffer && !self.is_buffering {
            batch = batch.command(Command::StartMediaBuffering, format);
        }
        for _ in 0..copies {
            batch = batch.push(Opcode::Binary, frame.payload);
        }
        if mark {
            batch = batch.command(Command::MarkMedia(frame.number), format);
        } else if !acks && frame.number % FRAMES_PER_STATUS == FRAMES_PER_STATUS - 1 {
            batch = batch.command(Command::GetStatus, format);
        }
        if !batch.send()? {
            return Ok(false);
        }
        self.must_flush = false;
        self.is_buffering = must_buffer;
        self.queue.handle_sent(frame.number, plan);
        Ok(true)
    }

    fn flush_far_end(&mut self, desk: &mut Desk<'_>) -> std::io::Result<()> {
        self.queue.handle_flush();
        self.is_buffering = false;
        let batch = self.outlet.batch(&mut desk.scratch.message);
        self.must_flush = !batch.command(Command::FlushMedia, self.channel.format).send()?;
        Ok(())
    }

    fn hang_up(&mut self, _now: Timestamp) {
        let mut room = [0; 256];
        let batch = self.outlet.batch(&mut room).command(Command::Hangup, self.channel.format);
        // Should it not go out, the closed socket says the same.
        let _ = batch.close(close_code::NORMAL).send();
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.outlet.flush()
    }

    fn has_unsent(&self) -> bool {
        self.outlet.has_unsent()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Says what a message means for the call.
fn understand<'a>(message: Message<'a>, channel: &Channel, queue: &mut FarQueue) -> Heard<'a> {
    let text = match message {
        Message::Binary(payload) => {
            let whole = match channel.codec {
                // A lone last byte is half a sample: no peer that counts in samples sends one.
                Codec::Plain { encoding: Encoding::Slin, .. } => payload.len() & !1,
                _ => payload.len(),
            };
            if whole == 0 {
                return Heard::Skipped;
            }
            return Heard::Input(Input::Audio { codec: channel.codec, payload: &payload[..whole] });
        }
        Message::Text(text) => text,
        Message::Ping(payload) => return Heard::Ping(payload),
        Message::Pong(_) => return Heard::Noted,
        Message::Close(_) => return Heard::Input(Input::Ended(EndReason::CallerHangup)),
    };
    match Event::parse(text) {
        Ok(Event::MarkProcessed { id }) => match id.and_then(|id| queue.handle_mark(id)) {
            Some(number) => Heard::Input(Input::Acked(number)),
            None => Heard::Noted,
        },
        Ok(Event::DtmfEnd { digit }) => Heard::Input(Input::Dtmf(digit)),
        Ok(Event::MediaXoff) => Heard::Input(Input::Congested(true)),
        Ok(Event::MediaXon) => Heard::Input(Input::Congested(false)),
        Ok(Event::Status(status)) => {
            if !channel.acks {
                queue.handle_length(status.queue_length);
            }
            Heard::Noted
        }
        Ok(Event::BufferingCompleted { .. } | Event::QueueDrained) => Heard::Noted,
        Ok(Event::MediaStart(_) | Event::Error { .. } | Event::Unknown { .. }) | Err(_) => Heard::Skipped,
    }
}

/// How much is read at once: a quarter of a second at 8 kHz, 20 ms at 96 kHz.
const READ_LEN: usize = 4_096;
/// How long a peer that filled a whole read waits for the next: 2 MB a second, 128 times the pace of 8 kHz audio.
const READ_INTERVAL: Duration = Duration::from_millis(2);
/// Every how many frames a channel that answers no marks is asked how deep its queue is.
const FRAMES_PER_STATUS: u64 = 250;
