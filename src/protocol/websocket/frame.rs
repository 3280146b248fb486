//! Frames: the 2 to 14 bytes in front of a payload, and the mask that a client lays over it (RFC 6455, section 5).
//!
//! A frame says for itself whether it can be one; whether it may come now, from this peer and at this length, is the
//! [`Decoder`](super::Decoder)'s business.

/// How long a header can be, in bytes: two, eight of length, four of mask.
pub const MAX_HEADER_LEN: usize = 14;

/// How long the payload of a close, ping or pong can be, in bytes.
pub const MAX_CONTROL_LEN: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// 0x0: more of the message before it.
    Continuation,
    /// 0x1: a text, or its beginning.
    Text,
    /// 0x2: bytes, or their beginning.
    Binary,
    /// 0x8: the sender sends nothing more.
    Close,
    /// 0x9: wants a pong with the same payload.
    Ping,
    /// 0xa: answers a ping, or says that the sender lives.
    Pong,
}

impl Opcode {
    /// The opcode that four bits stand for; nothing for those that the RFC reserves.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Whether it may come between the fragments of a message: close, ping and pong.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether its message ends with this frame.
    pub is_final: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// What the payload is masked with; a client masks, a server does not.
    pub mask: Option<[u8; 4]>,
    /// How long the payload is, in bytes; at most 2^63 - 1, and 125 of a control frame.
    pub len: u64,
}

/// Why bytes can not be a frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A reserved bit is set, and no extension was agreed that gives it a meaning.
    #[error("a frame with reserved bits {bits:#05b} set, wanted none")]
    ReservedBits {
        /// The three bits.
        bits: u8,
    },
    /// The opcode is one of those that the RFC reserves.
    #[error("a frame of reserved opcode {opcode:#03x}")]
    ReservedOpcode {
        /// The four bits.
        opcode: u8,
    },
    /// A close, ping or pong in fragments.
    #[error("a control frame in fragments")]
    FragmentedControl,
    /// A close, ping or pong that is too long.
    #[error("a control frame of {len} bytes, wanted at most {MAX_CONTROL_LEN}")]
    LongControl {
        /// Its length, in bytes.
        len: u64,
    },
    /// A length that would have fitted into fewer bytes, or of more than 63 bits.
    #[error("a length of {len} bytes, not written in the shortest form")]
    Length {
        /// The length, in bytes.
        len: u64,
    },
}

/// Why a message can not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The frame does not fit into what it is to be written to.
    #[error("frame of {len} bytes, room for {room}")]
    Room {
        /// The frame's length, in bytes.
        len: usize,
        /// The room, in bytes.
        room: usize,
    },
    /// The payload of a close, ping or pong is too long.
    #[error("control frame of {len} bytes, wanted at most {MAX_CONTROL_LEN}")]
    LongControl {
        /// Its length, in bytes.
        len: usize,
    },
}

impl Header {
    /// Reads a header from the front of `bytes`, and says how long it is; nothing if it is not there whole.
    ///
    /// # Errors
    /// [`FrameError`] as soon as it can be none.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let bits = first >> 4 & 0b111;
        if bits != 0 {
            return Err(FrameError::ReservedBits { bits });
        }
        let opcode = Opcode::from_bits(first & 0xf).ok_or(FrameError::ReservedOpcode { opcode: first & 0xf })?;
        let is_final = first & 0x80 != 0;
        if opcode.is_control() && !is_final {
            return Err(FrameError::FragmentedControl);
        }
        let (len, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let is_shortest = match second & 0x7f {
            126 => len > 125,
            127 => len > u64::from(u16::MAX) && len <= i64::MAX as u64,
            _ => true,
        };
        if !is_shortest {
            return Err(FrameError::Length { len });
        }
        if opcode.is_control() && len > MAX_CONTROL_LEN as u64 {
            return Err(FrameError::LongControl { len });
        }
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            match rest.split_first_chunk() {
                Some((mask, rest)) => (Some(*mask), rest),
                None => return Ok(None),
            }
        };
        Ok(Some((Self { is_final, opcode, mask, len }, bytes.len() - rest.len())))
    }

    /// Writes the header to the front of `out` and returns its length, in bytes.
    #[must_use]
    pub fn write_into(&self, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
        out[0] = u8::from(self.is_final) << 7 | self.opcode.to_bits();
        let mut len = 2;
        out[1] = u8::from(self.mask.is_some()) << 7
            | if let Ok(short @ ..126) = u8::try_from(self.len) {
                short
            } else if let Ok(medium) = u16::try_from(self.len) {
                out[2..4].copy_from_slice(&medium.to_be_bytes());
                len = 4;
                126
            } else {
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                len = 10;
                127
            };
        if let Some(mask) = self.mask {
            out[len..len + 4].copy_from_slice(&mask);
            len += 4;
        }
        len
    }
}

/// Writes one whole message as one frame to the front of `out` and returns its length, in bytes.
///
/// A client must mask each frame with fresh random bits, a server must not.
///
/// ```
/// use talkpath::protocol::websocket::{Opcode, encode_into};
///
/// let mut out = [0; 32];
/// let len = encode_into(Opcode::Text, b"Hello", None, &mut out)?;
/// assert_eq!(&out[..len], b"\x81\x05Hello");
/// # Ok::<(), talkpath::protocol::websocket::EncodeError>(())
/// ```
///
/// # Errors
/// [`EncodeError`] if `out` is too small, or the payload too long for a control frame; `out` is as it was then.
pub fn encode_into(
    opcode: Opcode,
    payload: &[u8],
    mask: Option<[u8; 4]>,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    if opcode.is_control() && payload.len() > MAX_CONTROL_LEN {
        return Err(EncodeError::LongControl { len: payload.len() });
    }
    let mut header = [0; MAX_HEADER_LEN];
    let header_len = Header { is_final: true, opcode, mask, len: payload.len() as u64 }.write_into(&mut header);
    let len = header_len + payload.len();
    let room = out.len();
    let Some(out) = out.get_mut(..len) else {
        return Err(EncodeError::Room { len, room });
    };
    let (head, body) = out.split_at_mut(header_len);
    head.copy_from_slice(&header[..header_len]);
    body.copy_from_slice(payload);
    if let Some(mask) = mask {
        apply_mask(body, mask, 0);
    }
    Ok(len)
}

/// Masks a piece of a payload that begins `offset` bytes into it; masking twice gives back what was there.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut turned = mask;
    turned.rotate_left(offset % 4);
    let [a, b, c, d] = turned;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(turned.iter().cycle()) {
        *byte ^= key;
    }
}
