//! AudioSocket: messages of a kind, a length and a payload over a byte stream.
//!
//! Asterisk's protocol: one byte of kind, two of length (big-endian), then the payload; audio is 16-bit linear PCM,
//! little-endian, and the kind says its rate. The first message of a connection is the call's id. [`Decoder`] takes the
//! stream in any pieces and never allocates after [`Decoder::new`]; [`encode_into`] writes one whole message, so that it
//! can go out in one write (Asterisk ends a call whose payload does not follow its header within 5 ms). Nothing here
//! knows a session or a socket. The source is Asterisk 22's `res_audiosocket.c` and `app_audiosocket.c`.

use crate::audio::frame::SampleRate;
use crate::protocol::call_id::CallId;

/// How long a header is, in bytes.
pub const HEADER_LEN: usize = 3;

/// How long a payload can be, in bytes: what 16 bits can say.
pub const MAX_PAYLOAD_LEN: usize = u16::MAX as usize;

/// How long the first message of a connection is, in bytes: a header and 16 bytes of id.
pub const ID_MESSAGE_LEN: usize = HEADER_LEN + 16;

/// What a message is, as its first byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0x00: the sender ends the call.
    Hangup,
    /// 0x01: the call's id; first, and only once.
    Id,
    /// 0x03: one DTMF digit, in ASCII.
    Dtmf,
    /// 0x10 to 0x18: audio of a rate.
    Audio(SampleRate),
    /// 0xff: the sender ran into an error.
    Error,
}

impl Kind {
    /// The kind that a byte stands for; nothing for a byte that the protocol leaves open.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::Hangup),
            0x01 => Some(Self::Id),
            0x03 => Some(Self::Dtmf),
            0x10..=0x18 => SampleRate::new(AUDIO_HZ[usize::from(byte - 0x10)]).ok().map(Self::Audio),
            0xff => Some(Self::Error),
            _ => None,
        }
    }

    /// The byte on the wire; nothing for audio of a rate that AudioSocket has no kind for (11.025 and 22.05 kHz).
    #[must_use]
    pub fn to_byte(self) -> Option<u8> {
        match self {
            Self::Hangup => Some(0x00),
            Self::Id => Some(0x01),
            Self::Dtmf => Some(0x03),
            Self::Audio(rate) => AUDIO_HZ.iter().position(|hz| *hz == rate.hz()).map(|i| 0x10 + i as u8),
            Self::Error => Some(0xff),
        }
    }
}

/// One message, its payload borrowed from what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The peer ends the call.
    Hangup,
    /// The call's id; always the first message, and never again.
    Id(CallId),
    /// A digit: `0` to `9`, `*`, `#`, `A` to `D`.
    Dtmf(char),
    /// Audio: 16-bit little-endian samples. One wire message, or, of one longer than [`Decoder::CAPACITY`], a piece of
    /// it with an even number of bytes.
    Audio {
        /// The rate that the kind says.
        rate: SampleRate,
        /// The samples' bytes, never empty.
        payload: &'a [u8],
    },
    /// The peer ran into an error; Asterisk sends one byte of bit flags: 1 hangup, 2 frame forwarding, 4 memory.
    Error {
        /// The first byte of the payload, 0 if it was empty.
        code: u8,
    },
}

/// Why a stream can not be AudioSocket, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first message is not an id of 16 bytes: not an AudioSocket peer.
    #[error("first message has kind {kind:#04x} and {len} bytes, wanted an id (0x01) of 16 bytes")]
    NoId {
        /// The kind's byte.
        kind: u8,
        /// The length that the header says, in bytes.
        len: u16,
    },
    /// A second id came: two calls in one stream, or the stream is out of step.
    #[error("a second id came in one call")]
    SecondId,
    /// So many messages of no known kind came in a row that the stream must be out of step.
    #[error("{count} messages of unknown kind in a row, the last {kind:#04x}, wanted audio, DTMF or hangup")]
    OutOfStep {
        /// How many there were.
        count: u16,
        /// The last one's kind byte.
        kind: u8,
    },
}

/// Why a message can not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The payload is empty or longer than a header can say; Asterisk ends a call on an empty one.
    #[error("payload of {len} bytes, wanted 1 to {MAX_PAYLOAD_LEN}")]
    PayloadLen {
        /// The payload's length, in bytes.
        len: usize,
    },
    /// AudioSocket has no kind for this rate.
    #[error("audio of {hz} Hz, wanted a rate that AudioSocket has a kind for: {AUDIO_HZ:?}")]
    Rate {
        /// The rate, in Hz.
        hz: u32,
    },
    /// The message does not fit into what it is to be written to.
    #[error("message of {len} bytes, room for {room}")]
    Room {
        /// The message's length, in bytes.
        len: usize,
        /// The room, in bytes.
        room: usize,
    },
}

/// Turns a byte stream, in any pieces, into messages.
///
/// It copies only what a read left incomplete, into a buffer of [`CAPACITY`](Self::CAPACITY) bytes that it owns from the
/// start; a longer audio message comes out in pieces, and a longer message of any other kind is skipped as it arrives.
/// So a peer cannot make it allocate, whatever lengths it claims.
///
/// The first message must be an id. From then on it is lenient where that is safe: messages of unknown kind, digits that
/// are none and empty audio are skipped and [counted](Self::skipped), until [`MAX_UNKNOWN_RUN`] unknown kinds in a row
/// show that the stream is out of step.
#[derive(Debug)]
pub struct Decoder {
    /// The start of a header or payload whose end has not come yet.
    buffer: Box<[u8; Self::CAPACITY]>,
    buffered: usize,
    state: State,
    has_id: bool,
    skipped: u64,
    unknown_run: u16,
}

/// What the next bytes of the stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// `len` bytes to hand out together, then `rest` more of the same message.
    Payload {
        kind: Kind,
        len: usize,
        rest: usize,
    },
    /// The rest of a message that means nothing.
    Skipping {
        left: usize,
    },
    /// For good.
    Failed(DecodeError),
}

/// Where a payload is.
enum Source<'i> {
    Input(&'i [u8]),
    /// The first bytes of the decoder's own buffer.
    Buffer {
        len: usize,
    },
}

impl Decoder {
    /// How much of an incomplete payload is held, in bytes: 20 ms of up to 96 kHz fit whole.
    pub const CAPACITY: usize = 4_096;

    /// Makes a decoder for a new connection: its first message must be an id.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Box::new([0; Self::CAPACITY]),
            buffered: 0,
            state: State::Header,
            has_id: false,
            skipped: 0,
            unknown_run: 0,
        }
    }

    /// Makes a decoder for what an AudioSocket server answers: no id comes first, and none may come.
    #[must_use]
    pub fn of_answer() -> Self {
        Self { has_id: true, ..Self::new() }
    }

    /// Takes bytes off the front of `input` and returns the next message; nothing once all of `input` was taken.
    ///
    /// Call it until it returns nothing, then with what was read next.
    ///
    /// ```
    /// use talkpath::protocol::audiosocket::{Decoder, Message};
    ///
    /// let stream = b"\x01\x00\x10abcdefghijklmnop\x03\x00\x015";
    /// let mut decoder = Decoder::new();
    /// let mut digits = String::new();
    /// for piece in stream.chunks(7) {
    ///     let mut input = piece;
    ///     while let Some(message) = decoder.poll(&mut input)? {
    ///         if let Message::Dtmf(digit) = message {
    ///             digits.push(digit);
    ///         }
    ///     }
    /// }
    /// assert_eq!(digits, "5");
    /// # Ok::<(), talkpath::protocol::audiosocket::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] once the stream can not be AudioSocket; the same from then on.
    pub fn poll<'m, 'i: 'm>(&'m mut self, input: &mut &'i [u8]) -> Result<Option<Message<'m>>, DecodeError> {
        let Some((kind, source)) = self.advance(input)? else {
            return Ok(None);
        };
        Ok(Some(match source {
            Source::Input(payload) => read_message(kind, payload),
            Source::Buffer { len } => read_message(kind, &self.buffer[..len]),
        }))
    }

    /// How many messages were skipped because they mean nothing: unknown kinds, digits that are none, empty audio.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the stream stands between two messages, so that its end cuts none.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.buffered == 0 && self.state == State::Header
    }

    /// Goes on to the end of the next message that means something, and says where its payload is.
    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<(Kind, Source<'i>)>, DecodeError> {
        loop {
            match self.state {
                State::Failed(error) => return Err(error),
                State::Skipping { left } => {
                    let n = left.min(input.len());
                    *input = &input[n..];
                    if n < left {
                        self.state = State::Skipping { left: left - n };
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Header => {
                    if !self.fill(HEADER_LEN, input) {
                        return Ok(None);
                    }
                    self.buffered = 0;
                    let [kind, high, low, ..] = *self.buffer;
                    self.state = self.admit(kind, u16::from_be_bytes([high, low])).unwrap_or_else(State::Failed);
                }
                State::Payload { kind, len, rest } => {
                    let source = if self.buffered == 0 && input.len() >= len {
                        let (payload, left) = input.split_at(len);
                        *input = left;
                        Source::Input(payload)
                    } else if self.fill(len, input) {
                        self.buffered = 0;
                        Source::Buffer { len }
                    } else {
                        return Ok(None);
                    };
                    self.state = match kind {
                        Kind::Audio(_) if rest > 0 => Self::piece_of(kind, rest),
                        _ => State::Skipping { left: rest },
                    };
                    let first = match source {
                        Source::Input(payload) => payload.first().copied(),
                        Source::Buffer { .. } => Some(self.buffer[0]),
                    };
                    if kind == Kind::Dtmf && !first.is_some_and(is_digit) {
                        self.skipped += 1;
                        continue;
                    }
                    return Ok(Some((kind, source)));
                }
            }
        }
    }

    /// Moves bytes from `input` until the buffer holds `wanted`; says whether it does.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let n = (wanted - self.buffered).min(input.len());
        let (taken, left) = input.split_at(n);
        self.buffer[self.buffered..self.buffered + n].copy_from_slice(taken);
        *input = left;
        self.buffered += n;
        self.buffered == wanted
    }

    /// Decides from a header what to do with the payload.
    fn admit(&mut self, byte: u8, len: u16) -> Result<State, DecodeError> {
        let kind = Kind::from_byte(byte);
        if !self.has_id {
            if kind != Some(Kind::Id) || usize::from(len) != ID_MESSAGE_LEN - HEADER_LEN {
                return Err(DecodeError::NoId { kind: byte, len });
            }
            self.has_id = true;
            return Ok(State::Payload { kind: Kind::Id, len: usize::from(len), rest: 0 });
        }
        let len = usize::from(len);
        let Some(kind) = kind else {
            self.skipped += 1;
            self.unknown_run += 1;
            if self.unknown_run >= MAX_UNKNOWN_RUN {
                return Err(DecodeError::OutOfStep { count: self.unknown_run, kind: byte });
            }
            return Ok(State::Skipping { left: len });
        };
        self.unknown_run = 0;
        match kind {
            Kind::Id => Err(DecodeError::SecondId),
            Kind::Audio(_) | Kind::Dtmf if len == 0 => {
                self.skipped += 1;
                Ok(State::Header)
            }
            Kind::Audio(_) => Ok(Self::piece_of(kind, len)),
            Kind::Dtmf | Kind::Error | Kind::Hangup => {
                let wanted = len.min(1);
                Ok(State::Payload { kind, len: wanted, rest: len - wanted })
            }
        }
    }

    fn piece_of(kind: Kind, left: usize) -> State {
        let len = left.min(Self::CAPACITY);
        State::Payload { kind, len, rest: left - len }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes one whole message to the front of `out` and returns its length, in bytes.
///
/// # Errors
/// [`EncodeError`] if the payload is empty (only a hangup's may be) or too long, the rate has no kind, or `out` is too
/// small; `out` is as it was then.
pub fn encode_into(kind: Kind, payload: &[u8], out: &mut [u8]) -> Result<usize, EncodeError> {
    let byte = match kind {
        Kind::Audio(rate) => kind.to_byte().ok_or(EncodeError::Rate { hz: rate.hz() })?,
        Kind::Hangup => 0x00,
        Kind::Id => 0x01,
        Kind::Dtmf => 0x03,
        Kind::Error => 0xff,
    };
    let payload_len = match u16::try_from(payload.len()) {
        Ok(len) if len > 0 || kind == Kind::Hangup => len,
        _ => return Err(EncodeError::PayloadLen { len: payload.len() }),
    };
    let len = HEADER_LEN + payload.len();
    let room = out.len();
    let Some(out) = out.get_mut(..len) else {
        return Err(EncodeError::Room { len, room });
    };
    let [high, low] = payload_len.to_be_bytes();
    out[..HEADER_LEN].copy_from_slice(&[byte, high, low]);
    out[HEADER_LEN..].copy_from_slice(payload);
    Ok(len)
}

/// Notices a peer that sends something else than linear PCM as 8 kHz audio.
///
/// `Dial(AudioSocket/…/c(ulaw))`, and `c(alaw)`, `c(g722)` or no `c()` at all, make Asterisk put 160 bytes a frame of that
/// codec under kind 0x10, which means 320 bytes of linear PCM. The stream does not say which codec it is, so this can
/// only be reported; the remedy is `c(slin)` or `c(slin16)`. A single frame of 160 bytes may be the short end of a prompt,
/// so it takes [`CompandedSuspect::RUN`] in a row, from the first on.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompandedSuspect {
    run: u8,
    is_settled: bool,
}

impl CompandedSuspect {
    /// How many first frames must look so before it is said.
    pub const RUN: u8 = 5;

    /// Looks at an audio message; true once, when enough of them look like another codec.
    pub fn observe(&mut self, rate: SampleRate, payload_len: usize) -> bool {
        if self.is_settled {
            return false;
        }
        if rate != SampleRate::HZ_8000 || payload_len != 160 {
            self.is_settled = true;
            return false;
        }
        self.run += 1;
        self.is_settled = self.run >= Self::RUN;
        self.is_settled
    }
}

/// Makes a message of a payload that [`Decoder::admit`] let in.
fn read_message(kind: Kind, payload: &[u8]) -> Message<'_> {
    match kind {
        Kind::Hangup => Message::Hangup,
        Kind::Id => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(payload);
            Message::Id(CallId::from_bytes(bytes))
        }
        Kind::Dtmf => Message::Dtmf(char::from(payload[0].to_ascii_uppercase())),
        Kind::Audio(rate) => Message::Audio { rate, payload },
        Kind::Error => Message::Error { code: payload.first().copied().unwrap_or(0) },
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd')
}

/// How many messages of unknown kind in a row show that a stream is out of step: a second's worth.
pub const MAX_UNKNOWN_RUN: u16 = 50;

/// The rates of kinds 0x10 to 0x18, in Hz.
const AUDIO_HZ: [u32; 9] = [8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];
