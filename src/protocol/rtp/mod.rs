//! RTP: packets of media, what their payloads are, and one end of a call that sends and takes them (RFC 3550, 3551).
//!
//! [`Packet::parse`] reads one datagram, with contributing sources, header extension and padding, and refuses what does
//! not add up; [`Packet::write_into`] is its inverse. [`PayloadTypes`] says what a number stands for, and [`Endpoint`]
//! who may send, what is sent, and what both sides report of it. None copies more than it must, and none allocates once
//! it is made. Order and loss are the jitter buffer's business, sockets the transport's.
//!
//! Written here rather than taken from `rtp-types` and `rtcp-types`: it is little, and the latter's builder allocates.

mod endpoint;
mod outgoing;
mod payload_types;
mod probation;
mod random;
mod received;
mod reporter;
mod source;
mod stats;

pub use endpoint::Endpoint;
pub use payload_types::{Format, PayloadTypes, StaticFormat};
pub use probation::{Early, Probation, Proved};
pub use received::{Keys, Media, Received};
pub use stats::{EndpointStats, RemoteStats};

use super::rtcp;

/// How long a header without contributing sources and extension is, in bytes.
pub const HEADER_LEN: usize = 12;

/// How many contributing sources a packet can name.
pub const MAX_CSRCS: usize = 15;

/// The first payload type that is agreed for each call (RFC 3551, section 3); they go to 127.
pub const FIRST_DYNAMIC_PAYLOAD_TYPE: u8 = 96;

/// What every packet says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Marks the first packet of a talkspurt, or of a digit.
    pub marker: bool,
    /// What the payload is: 0 to 127.
    pub payload_type: u8,
    /// Counts packets; wraps round.
    pub sequence: u16,
    /// When the payload's first sample is due, in ticks of the payload's clock; wraps round.
    pub timestamp: u32,
    /// Who sends: an id that the sender chose at random.
    pub ssrc: u32,
}

impl Header {
    /// The header's bytes, for a packet that has nothing but it and a payload.
    ///
    /// The upper bit of a payload type above 127 is lost.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = VERSION << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// One packet, all but the fixed header borrowed from what was read.
///
/// ```
/// use talkpath::protocol::rtp::{Header, Packet};
///
/// let header = Header { payload_type: 0, sequence: 7, timestamp: 160, ssrc: 0x1234, marker: true };
/// let mut datagram = [0; 172];
/// let len = Packet::new(header, &[0xff; 160]).write_into(&mut datagram)?;
/// let packet = Packet::parse(&datagram[..len])?;
/// assert_eq!((packet.header, packet.payload.len()), (header, 160));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// Whose audio was mixed into the payload: ids in network order, at most [`MAX_CSRCS`].
    pub csrcs: &'a [[u8; 4]],
    /// The header extension, if there is one.
    pub extension: Option<Extension<'a>>,
    /// The media; may be empty.
    pub payload: &'a [u8],
    /// How many bytes of padding follow the payload, the one that counts them included; 0 for none.
    pub padding: u8,
}

/// A header extension (RFC 3550, section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// What it is, by a profile's choice; 0xbede says one-byte elements (RFC 8285).
    pub profile: u16,
    /// Its content: a multiple of 4 bytes, at most 262,140.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Makes a packet of a header and a payload.
    #[must_use]
    pub fn new(header: Header, payload: &'a [u8]) -> Self {
        Self { header, csrcs: &[], extension: None, payload, padding: 0 }
    }

    /// Reads a whole datagram.
    ///
    /// # Errors
    /// [`ParseError`] if it is not RTP of version 2, or RTCP, or shorter than it claims to be.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let short = |wanted| ParseError::Short { len: datagram.len(), wanted };
        let (fixed, rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(short(HEADER_LEN))?;
        let &[flags, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = fixed;
        if flags >> 6 != VERSION {
            return Err(ParseError::Version { version: flags >> 6 });
        }
        if rtcp::is_rtcp(datagram) {
            return Err(ParseError::Rtcp { packet_type: second });
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        };

        let mut at = HEADER_LEN + usize::from(flags & 15) * 4;
        let (csrcs, mut rest) = rest.split_at_checked(at - HEADER_LEN).ok_or(short(at))?;
        let mut extension = None;
        if flags & 0x10 != 0 {
            let (&[p0, p1, l0, l1], after) = rest.split_first_chunk().ok_or(short(at + 4))?;
            let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
            at += 4 + len;
            let (data, after) = after.split_at_checked(len).ok_or(short(at))?;
            extension = Some(Extension { profile: u16::from_be_bytes([p0, p1]), data });
            rest = after;
        }
        let mut padding = 0;
        if flags & 0x20 != 0 {
            padding = *rest.last().ok_or(short(at + 1))?;
            if padding == 0 || usize::from(padding) > rest.len() {
                return Err(ParseError::Padding { padding, room: rest.len() });
            }
        }
        let payload = &rest[..rest.len() - usize::from(padding)];
        Ok(Self { header, csrcs: csrcs.as_chunks().0, extension, payload, padding })
    }

    /// Writes the packet to the start of `out` and returns its length.
    ///
    /// What lies in `out` beyond it is left as it was.
    ///
    /// # Errors
    /// [`WriteError`] if a field says what the wire cannot carry, or `out` has not the room; `out` is then untouched.
    pub fn write_into(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        if self.header.payload_type > 127 {
            return Err(WriteError::PayloadType { payload_type: self.header.payload_type });
        }
        if self.csrcs.len() > MAX_CSRCS {
            return Err(WriteError::Csrcs { count: self.csrcs.len() });
        }
        let extension = self.extension.map_or(&[][..], |extension| extension.data);
        if !extension.len().is_multiple_of(4) || extension.len() / 4 > usize::from(u16::MAX) {
            return Err(WriteError::Extension { len: extension.len() });
        }
        let (len, room) = (self.len(), out.len());
        let out = out.get_mut(..len).ok_or(WriteError::Room { len, room })?;

        let (fixed, mut rest) = out.split_at_mut(HEADER_LEN);
        fixed.copy_from_slice(&self.header.to_bytes());
        fixed[0] |= self.csrcs.len() as u8;
        fixed[0] |= u8::from(self.padding > 0) << 5 | u8::from(self.extension.is_some()) << 4;
        let mut put = |bytes: &[u8]| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            rest = later;
        };
        put(self.csrcs.as_flattened());
        if let Some(Extension { profile, data }) = self.extension {
            put(&profile.to_be_bytes());
            put(&((data.len() / 4) as u16).to_be_bytes());
            put(data);
        }
        put(self.payload);
        rest.fill(0);
        if let Some(last) = rest.last_mut() {
            *last = self.padding;
        }
        Ok(len)
    }

    /// How many bytes it takes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a packet has a header")]
    pub fn len(&self) -> usize {
        let extension = self.extension.map_or(0, |extension| 4 + extension.data.len());
        HEADER_LEN + self.csrcs.len() * 4 + extension + self.payload.len() + usize::from(self.padding)
    }
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It ends before what its header announces.
    #[error("rtp packet of {len} bytes, wanted at least {wanted}")]
    Short {
        /// The datagram's length, in bytes.
        len: usize,
        /// What the header asks for, in bytes, as far as it could be read.
        wanted: usize,
    },
    /// It is of another version: STUN, DTLS or no protocol at all.
    #[error("rtp version {version}, wanted 2")]
    Version {
        /// The version's two bits.
        version: u8,
    },
    /// It is an RTCP packet that came to the same port (RFC 5761).
    #[error("rtcp packet of type {packet_type}, wanted rtp")]
    Rtcp {
        /// The RTCP packet type, 192 to 223.
        packet_type: u8,
    },
    /// Its padding is said to be empty, or longer than what there is.
    #[error("padding of {padding} bytes, wanted 1 to {room}")]
    Padding {
        /// What the last byte says.
        padding: u8,
        /// How much could be padding, in bytes.
        room: usize,
    },
}

/// Why a packet can not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The payload type does not fit into seven bits.
    #[error("payload type {payload_type}, wanted 0 to 127")]
    PayloadType {
        /// The payload type.
        payload_type: u8,
    },
    /// There are too many contributing sources.
    #[error("{count} contributing sources, wanted at most {MAX_CSRCS}")]
    Csrcs {
        /// How many there are.
        count: usize,
    },
    /// The extension's length can not be said in words of four bytes.
    #[error("extension of {len} bytes, wanted a multiple of 4 up to 262140")]
    Extension {
        /// Its length, in bytes.
        len: usize,
    },
    /// The packet does not fit into what it is to be written to.
    #[error("packet of {len} bytes, room for {room}")]
    Room {
        /// The packet's length, in bytes.
        len: usize,
        /// The room, in bytes.
        room: usize,
    },
}

/// The only version in use.
const VERSION: u8 = 2;
