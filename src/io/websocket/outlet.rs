//! The sending half of a connection: messages into bytes, and bytes onto the wire in one piece.
//!
//! Asterisk reads a message with the channel locked, and waits up to a second for the rest of one that came in part. So
//! what goes out is whole messages in one write; what a full socket took only half of is finished before anything else.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use super::masks::Masks;
use crate::protocol::chan_websocket::{Command, Format, MAX_COMMAND_LEN};
use crate::protocol::websocket::{Opcode, Role, encode_into};

/// Where messages go.
pub(super) struct Outlet {
    stream: TcpStream,
    /// What masks are made of, if this side is the client.
    masks: Option<Masks>,
    /// The rest of what the socket took only in part.
    unsent: Vec<u8>,
    /// A close has gone out: nothing may follow it.
    has_closed: bool,
}

impl Outlet {
    pub(super) fn new(stream: TcpStream, role: Role) -> Self {
        let masks = (role == Role::Client).then(Masks::new);
        Self { stream, masks, unsent: Vec::new(), has_closed: false }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Begins messages that will go out together.
    pub(super) fn batch<'a>(&'a mut self, room: &'a mut [u8]) -> Batch<'a> {
        Batch { outlet: self, room, len: 0, closes: false }
    }

    /// Sends what an earlier write has left.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
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

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Lets go of everything but the socket.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// Messages that go out together, or not at all.
pub(super) struct Batch<'a> {
    outlet: &'a mut Outlet,
    room: &'a mut [u8],
    len: usize,
    closes: bool,
}

impl Batch<'_> {
    /// Adds a message; one for which there is no room is left out, which no caller lets happen.
    pub(super) fn push(mut self, opcode: Opcode, payload: &[u8]) -> Self {
        let mask = self.outlet.masks.as_mut().map(Masks::next);
        let encoded = encode_into(opcode, payload, mask, &mut self.room[self.len..]);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
        self.len += encoded.unwrap_or(0);
        self
    }

    /// Adds a command.
    pub(super) fn command(self, command: Command, format: Format) -> Self {
        let mut text = [0; MAX_COMMAND_LEN];
        let len = command.write_into(format, &mut text);
        self.push(Opcode::Text, &text[..len])
    }

    /// Adds the last message of all.
    pub(super) fn close(mut self, code: u16) -> Self {
        self.closes = true;
        self.push(Opcode::Close, &code.to_be_bytes())
    }

    /// Sends them whole, or keeps what the socket did not take; false if it took nothing and they are dropped.
    pub(super) fn send(self) -> std::io::Result<bool> {
        let Self { outlet, room, len, closes } = self;
        outlet.flush()?;
        if outlet.has_unsent() || outlet.has_closed {
            return Ok(false);
        }
        match outlet.stream.write(&room[..len]) {
            Ok(n) => {
                outlet.unsent.extend_from_slice(&room[n..len]);
                outlet.has_closed = closes;
                Ok(true)
            }
            Err(error) if is_not_now(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn is_not_now(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
