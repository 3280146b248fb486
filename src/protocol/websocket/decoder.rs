//! Messages out of a byte stream that comes in any pieces.
//!
//! What a read holds whole is handed out where it lies, unmasked in place; only what it left incomplete, and messages in
//! fragments, are put together in a buffer of the decoder's own.

use super::close_code;
use super::frame::{FrameError, Header, MAX_CONTROL_LEN, MAX_HEADER_LEN, Opcode, apply_mask};

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It opened the connection; it masks what it sends, and the peer must not.
    Client,
    /// It accepted the connection; it does not mask what it sends, and the peer must.
    Server,
}

/// One message, its payload borrowed from what was read or from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// Wants a pong with the same payload.
    Ping(&'a [u8]),
    /// Answers a ping, or none.
    Pong(&'a [u8]),
    /// The peer sends nothing more; wants a close in return, unless there was one.
    Close(Option<Close<'a>>),
}

/// Why the peer closed, if it said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// Its code (RFC 6455, section 7.4).
    pub code: u16,
    /// For people; may be empty.
    pub reason: &'a str,
}

/// Why a stream can not be WebSocket, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A frame that can be none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A client's frame without a mask.
    #[error("a client's frame without a mask")]
    Unmasked,
    /// A server's frame with a mask.
    #[error("a server's frame with a mask")]
    Masked,
    /// More of a message, where there is none.
    #[error("a continuation of no message")]
    NothingToContinue,
    /// A new message, before the last one's end.
    #[error("a new message inside of another one's fragments")]
    UnfinishedMessage,
    /// A message that is longer than it may be.
    #[error("a message of {len} bytes or more, wanted at most {max}")]
    TooLong {
        /// How long it is at least, in bytes.
        len: u64,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// A text, or the reason of a close, that is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A close with half a code.
    #[error("a close of one byte, wanted none, or a code of two")]
    HalfCloseCode,
    /// A close with a code that must not be on the wire.
    #[error("a close with code {code}, wanted one that may be sent")]
    CloseCode {
        /// The code.
        code: u16,
    },
}

impl DecodeError {
    /// The code to close the connection with.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::TooLong { .. } => close_code::TOO_LONG,
            Self::NotUtf8 => close_code::NOT_UTF8,
            Self::Frame(_)
            | Self::Unmasked
            | Self::Masked
            | Self::NothingToContinue
            | Self::UnfinishedMessage
            | Self::HalfCloseCode
            | Self::CloseCode { .. } => close_code::PROTOCOL_ERROR,
        }
    }
}

/// Turns a byte stream, in any pieces, into messages.
///
/// Nothing is held but what arrived: a claimed length reserves no memory, and one beyond the limit is an error at once.
/// The buffer grows to the longest message that came in more than one piece and is given back above 16 KiB, so that a
/// stream of frames of one size allocates nothing.
#[derive(Clone, Debug)]
pub struct Decoder {
    role: Role,
    max_len: usize,
    state: State,
    /// The start of a header whose end has not come yet.
    header: [u8; MAX_HEADER_LEN],
    header_len: usize,
    /// What came of a message that a read or a fragment did not hold whole.
    message: Vec<u8>,
    /// The kind of a message whose last fragment has not come yet.
    open: Option<Opcode>,
    /// Whether the message has been handed out, and is to go.
    is_spent: bool,
    control: [u8; MAX_CONTROL_LEN],
}

/// What the next bytes of the stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// The payload from byte `taken` on; what came of it before is in one of the buffers.
    Payload {
        header: Header,
        taken: usize,
    },
    /// The peer has closed: nothing that follows means anything.
    Closed,
    /// For good.
    Failed(DecodeError),
}

/// Where a payload is.
enum Source<'i> {
    Input(&'i [u8]),
    Message,
    /// The first bytes of the buffer for control frames.
    Control(usize),
}

impl Decoder {
    /// Makes a decoder for the first byte after the handshake; a message may have `max_len` bytes.
    #[must_use]
    pub fn new(role: Role, max_len: usize) -> Self {
        Self {
            role,
            max_len,
            state: State::Header,
            header: [0; MAX_HEADER_LEN],
            header_len: 0,
            message: Vec::with_capacity(FIRST_CAPACITY.min(max_len)),
            open: None,
            is_spent: false,
            control: [0; MAX_CONTROL_LEN],
        }
    }

    /// Takes bytes off the front of `input` and returns the next message; nothing once all of `input` was taken.
    ///
    /// Call it until it returns nothing, then with what was read next. What is taken of `input` may be changed: it is
    /// unmasked in place. After a close it takes everything and says nothing.
    ///
    /// ```
    /// use talkpath::protocol::websocket::{Decoder, Message, Role};
    ///
    /// let mut stream = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    /// let mut decoder = Decoder::new(Role::Server, 1_024);
    /// let mut input = &mut stream[..];
    /// assert_eq!(decoder.poll(&mut input)?, Some(Message::Text("Hello")));
    /// assert_eq!(decoder.poll(&mut input)?, None);
    /// # Ok::<(), talkpath::protocol::websocket::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] once the stream can not be WebSocket; the same from then on.
    pub fn poll<'m, 'i: 'm>(&'m mut self, input: &mut &'i mut [u8]) -> Result<Option<Message<'m>>, DecodeError> {
        match self.advance(input) {
            Ok(Some((opcode, source))) => {
                let payload = match source {
                    Source::Input(payload) => payload,
                    Source::Message => &self.message,
                    Source::Control(len) => &self.control[..len],
                };
                let message = read_message(opcode, payload);
                match message {
                    Ok(Message::Close(_)) => self.state = State::Closed,
                    Ok(_) => {}
                    Err(error) => self.state = State::Failed(error),
                }
                message.map(Some)
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Whether the peer has closed in due form.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Goes on to the end of the next message, and says where its payload is.
    fn advance<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<(Opcode, Source<'i>)>, DecodeError> {
        if self.is_spent {
            self.is_spent = false;
            self.message.clear();
            if self.message.capacity() > KEPT_CAPACITY {
                self.message.shrink_to(KEPT_CAPACITY);
            }
        }
        loop {
            match self.state {
                State::Failed(error) => return Err(error),
                State::Closed => {
                    *input = &mut [];
                    return Ok(None);
                }
                State::Header => {
                    let Some(header) = self.take_header(input)? else {
                        return Ok(None);
                    };
                    self.admit(header)?;
                    self.state = State::Payload { header, taken: 0 };
                }
                State::Payload { header, taken } => {
                    let len = header.len as usize;
                    if header.opcode.is_control() {
                        let Some(source) = self.take_control(header, taken, input) else {
                            return Ok(None);
                        };
                        self.state = State::Header;
                        return Ok(Some((header.opcode, source)));
                    }
                    if taken == 0 && self.open.is_none() && header.is_final && input.len() >= len {
                        self.state = State::Header;
                        return Ok(Some((header.opcode, Source::Input(take(input, len, header.mask, 0)))));
                    }
                    let piece = take(input, len - taken, header.mask, taken);
                    self.message.extend_from_slice(piece);
                    if taken + piece.len() < len {
                        self.state = State::Payload { header, taken: taken + piece.len() };
                        return Ok(None);
                    }
                    self.state = State::Header;
                    let opcode = self.open.unwrap_or(header.opcode);
                    if header.is_final {
                        self.open = None;
                        self.is_spent = true;
                        return Ok(Some((opcode, Source::Message)));
                    }
                    self.open = Some(opcode);
                }
            }
        }
    }

    /// Takes a header off the front of `input`, with what came of it before; nothing if its end is not there.
    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, DecodeError> {
        let before = self.header_len;
        let n = (MAX_HEADER_LEN - before).min(input.len());
        self.header[before..before + n].copy_from_slice(&input[..n]);
        let parsed = Header::parse(&self.header[..before + n])?;
        let taken = match parsed {
            Some((_, len)) => {
                self.header_len = 0;
                len - before
            }
            None => {
                self.header_len += n;
                n
            }
        };
        take(input, taken, None, 0);
        Ok(parsed.map(|(header, _)| header))
    }

    /// Decides whether a frame may come now, from this peer and at this length.
    fn admit(&self, header: Header) -> Result<(), DecodeError> {
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(DecodeError::Unmasked),
            (Role::Client, Some(_)) => return Err(DecodeError::Masked),
            _ => {}
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        match (header.opcode, self.open) {
            (Opcode::Continuation, None) => return Err(DecodeError::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(DecodeError::UnfinishedMessage),
            _ => {}
        }
        let len = self.message.len() as u64 + header.len;
        if len > self.max_len as u64 {
            return Err(DecodeError::TooLong { len, max: self.max_len });
        }
        Ok(())
    }

    /// Takes the payload of a control frame off the front of `input`; nothing if its end is not there.
    fn take_control<'i>(&mut self, header: Header, taken: usize, input: &mut &'i mut [u8]) -> Option<Source<'i>> {
        let len = header.len as usize;
        if taken == 0 && input.len() >= len {
            return Some(Source::Input(take(input, len, header.mask, 0)));
        }
        let piece = take(input, len - taken, header.mask, taken);
        let end = taken + piece.len();
        self.control[taken..end].copy_from_slice(piece);
        if end < len {
            self.state = State::Payload { header, taken: end };
            return None;
        }
        Some(Source::Control(len))
    }
}

/// Takes up to `len` bytes of a payload off the front of `input`, from its byte `offset` on, and unmasks them.
fn take<'i>(input: &mut &'i mut [u8], len: usize, mask: Option<[u8; 4]>, offset: usize) -> &'i mut [u8] {
    let n = len.min(input.len());
    let (piece, left) = std::mem::take(input).split_at_mut(n);
    *input = left;
    if let Some(mask) = mask {
        apply_mask(piece, mask, offset);
    }
    piece
}

fn read_message(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, DecodeError> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8);
    Ok(match opcode {
        Opcode::Text => Message::Text(text(payload)?),
        // No message begins with a continuation: it has the kind of the first fragment.
        Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong(payload),
        Opcode::Close => match payload {
            [] => Message::Close(None),
            [_] => return Err(DecodeError::HalfCloseCode),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !matches!(code, 1_000..=1_003 | 1_007..=1_014 | 3_000..=4_999) {
                    return Err(DecodeError::CloseCode { code });
                }
                Message::Close(Some(Close { code, reason: text(reason)? }))
            }
        },
    })
}

/// How much of an incomplete message is held without growing: 20 ms of up to 96 kHz.
const FIRST_CAPACITY: usize = 4_096;
/// How much is kept once a longer message has been read.
const KEPT_CAPACITY: usize = 16_384;
