//! AudioSocket as Asterisk speaks it: the call's id, then one message a frame, and closing to hang up.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::wire::{Read, Sent};
use crate::audio::codec::{Codec, Encoding};
use crate::io::socket;
use crate::protocol::audiosocket::{Decoder, Kind, Message, encode_into};
use crate::protocol::call_id::CallId;

/// One connection.
pub(super) struct StreamWire {
    stream: TcpStream,
    id: CallId,
    /// The rest of a message that the system took in part.
    unsent: Vec<u8>,
    decoder: Decoder,
}

impl StreamWire {
    /// Starts to connect.
    pub(super) fn open(to: SocketAddr, id: CallId) -> std::io::Result<Self> {
        let stream = socket::start_connect(to)?;
        Ok(Self { stream, id, unsent: Vec::new(), decoder: Decoder::of_answer() })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends the id.
    pub(super) fn greet(&mut self) -> Result<(), String> {
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Err(format!("connect: {error}"));
        }
        let mut message = [0; HEADER_LEN + 16];
        let _ = encode_into(Kind::Id, self.id.as_bytes(), &mut message);
        self.stream.write_all(&message).map_err(|error| format!("send the id: {error}"))
    }

    pub(super) fn send(&mut self, message: &[u8]) -> Sent {
        let Self { stream, unsent, .. } = self;
        if !unsent.is_empty() {
            match stream.write(unsent) {
                Ok(n) => drop(unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Sent::Gone(error),
            }
        }
        if !unsent.is_empty() {
            return Sent::Blocked;
        }
        match stream.write(message) {
            Ok(n) => {
                unsent.extend_from_slice(&message[n..]);
                Sent::Whole
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Blocked,
            Err(error) => Sent::Gone(error),
        }
    }

    pub(super) fn read(&mut self, scratch: &mut [u8], mut hear: impl FnMut(Codec, &[u8])) -> Read {
        let read = match self.stream.read(scratch) {
            Ok(0) => return Read::Ended,
            Ok(n) => n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Read::All,
            Err(error) => return Read::Gone(error),
        };
        let mut input = &scratch[..read];
        loop {
            match self.decoder.poll(&mut input) {
                Ok(None) => return Read::All,
                Ok(Some(Message::Audio { rate, payload })) => {
                    hear(Codec::Plain { encoding: Encoding::Slin, rate }, payload);
                }
                Ok(Some(Message::Hangup)) | Err(_) => return Read::Ended,
                Ok(Some(Message::Dtmf(_) | Message::Error { .. } | Message::Id(_))) => {}
            }
        }
    }

    /// As Asterisk does: by closing.
    pub(super) fn hang_up(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Makes a message of a frame.
pub(super) fn wrap(codec: Codec, frame: &[u8], message: &mut Vec<u8>) {
    message.resize(HEADER_LEN + frame.len(), 0);
    // The caller has checked that the rate has a kind, and the room is exact.
    let _ = encode_into(Kind::Audio(codec.rate()), frame, message);
}

const HEADER_LEN: usize = 3;
