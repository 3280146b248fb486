//! RTCP: what the two ends of an RTP stream tell each other about it (RFC 3550, section 6).
//!
//! [`Compound::parse`] checks a whole datagram before anything in it is believed, so that its [`packets`] can be read
//! without errors; [`Writer`] builds one. Known are sender and receiver reports, source descriptions (CNAME) and goodbyes;
//! feedback and extended reports come out as [`Packet::Other`]. Nothing allocates. When to send, and what to count, is the
//! transport's and the jitter buffer's business.
//!
//! [`packets`]: Compound::packets

mod description;
mod report;
mod writer;

pub use description::{Chunk, Chunks, Item};
pub use report::{NtpTime, ReportBlock, ReportBlocks, SenderInfo};
pub use writer::{WriteError, Writer};

/// How many report blocks, described sources or leaving sources a packet can hold.
pub const MAX_COUNT: usize = 31;

/// Says whether a datagram that came to an RTP port is RTCP, by its packet type alone (RFC 5761, section 4).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|packet_type| (192..=223).contains(packet_type))
}

/// One packet of a compound, borrowed from what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// What a sender sent, and what it hears of others.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it sent.
        sender: SenderInfo,
        /// What it hears.
        reports: ReportBlocks<'a>,
    },
    /// What a receiver hears of others.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it hears; may be empty.
        reports: ReportBlocks<'a>,
    },
    /// Who the sources are.
    SourceDescription(Chunks<'a>),
    /// Sources leave.
    Bye {
        /// Who leaves: ids in network order.
        ssrcs: &'a [[u8; 4]],
        /// Why, as they say it; often empty.
        reason: &'a [u8],
    },
    /// Of a type that is not looked into: APP (204), feedback (205, 206), extended reports (207).
    Other {
        /// The packet type.
        packet_type: u8,
        /// The five bits beside the version.
        count: u8,
        /// What follows the first four bytes, without padding.
        body: &'a [u8],
    },
}

/// A datagram of RTCP, checked from end to end.
///
/// ```
/// use talkpath::protocol::rtcp::{Compound, Packet, Writer};
///
/// let mut datagram = [0; 64];
/// let mut writer = Writer::new(&mut datagram);
/// writer.receiver_report(0x1234, &[])?;
/// writer.cname(0x1234, "call@talkpath")?;
/// let len = writer.len();
///
/// let compound = Compound::parse(&datagram[..len])?;
/// assert_eq!(compound.packets().count(), 2);
/// assert_eq!(compound.cname(0x1234), Some(&b"call@talkpath"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Reads a whole datagram.
    ///
    /// The rules are RFC 3550's (appendix A.2): version 2 throughout, a report first, padding at the end alone, lengths
    /// that add up to the datagram's; and every count and length inside must fit, too.
    ///
    /// # Errors
    /// [`ParseError`] if it breaks one of them; nothing in it should be believed then.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (first, mut rest) = split(datagram)?;
        first.read()?;
        if !matches!(first.packet_type, SENDER_REPORT | RECEIVER_REPORT) {
            return Err(ParseError::First { packet_type: first.packet_type });
        }
        while !rest.is_empty() {
            let (packet, after) = split(rest)?;
            packet.read()?;
            rest = after;
        }
        Ok(Self { bytes: datagram })
    }

    /// Goes through the packets, in their order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (packet, after) = split(rest).ok()?;
            rest = after;
            packet.read().ok()
        })
    }

    /// The canonical name that the datagram gives a source, if it does: bytes that should be UTF-8.
    #[must_use]
    pub fn cname(&self, ssrc: u32) -> Option<&'a [u8]> {
        let chunks = self.packets().filter_map(|packet| match packet {
            Packet::SourceDescription(chunks) => Some(chunks),
            _ => None,
        });
        chunks.flatten().find(|chunk| chunk.ssrc == ssrc)?.cname()
    }
}

/// Why a datagram is not RTCP, or not a sound one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A packet ends before what it announces.
    #[error("rtcp packet of {len} bytes, wanted at least {wanted}")]
    Short {
        /// How many bytes there are.
        len: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// A packet is of another version.
    #[error("rtcp version {version}, wanted 2")]
    Version {
        /// The version's two bits.
        version: u8,
    },
    /// The first packet is no report: reduced-size RTCP (RFC 5506) is not agreed, or it is something else.
    #[error("rtcp begins with packet type {packet_type}, wanted a report (200 or 201)")]
    First {
        /// The first packet's type.
        packet_type: u8,
    },
    /// Padding is not at the end, or not of a length that can be.
    #[error("rtcp padding of {padding} bytes, wanted a multiple of 4 up to {room}, in the last packet")]
    Padding {
        /// What the last byte says.
        padding: u8,
        /// How much could be padding, in bytes.
        room: usize,
    },
}

/// A packet whose length is checked and whose content is not.
struct Raw<'a> {
    packet_type: u8,
    count: u8,
    body: &'a [u8],
}

impl<'a> Raw<'a> {
    fn read(&self) -> Result<Packet<'a>, ParseError> {
        let (body, count) = (self.body, usize::from(self.count));
        Ok(match self.packet_type {
            SENDER_REPORT => {
                let (ssrc, body) = take(body)?;
                let (sender, body) = take::<{ SenderInfo::LEN }>(body)?;
                Packet::SenderReport {
                    ssrc: u32::from_be_bytes(*ssrc),
                    sender: SenderInfo::from_bytes(sender),
                    reports: ReportBlocks::parse(body, count)?,
                }
            }
            RECEIVER_REPORT => {
                let (ssrc, body) = take(body)?;
                let reports = ReportBlocks::parse(body, count)?;
                Packet::ReceiverReport { ssrc: u32::from_be_bytes(*ssrc), reports }
            }
            SOURCE_DESCRIPTION => Packet::SourceDescription(Chunks::parse(body, count)?),
            BYE => {
                let short = ParseError::Short { len: body.len(), wanted: count * 4 };
                let (ssrcs, rest) = body.split_at_checked(count * 4).ok_or(short)?;
                let reason = match rest.split_first() {
                    Some((&len, text)) => text
                        .get(..usize::from(len))
                        .ok_or(ParseError::Short { len: text.len(), wanted: usize::from(len) })?,
                    None => &[],
                };
                Packet::Bye { ssrcs: ssrcs.as_chunks().0, reason }
            }
            packet_type => Packet::Other { packet_type, count: self.count, body },
        })
    }
}

/// Takes the next packet off a datagram, without its padding.
fn split(bytes: &[u8]) -> Result<(Raw<'_>, &[u8]), ParseError> {
    let (&[flags, packet_type, l0, l1], rest) = take(bytes)?;
    if flags >> 6 != VERSION {
        return Err(ParseError::Version { version: flags >> 6 });
    }
    let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let short = ParseError::Short { len: rest.len(), wanted: len };
    let (mut body, rest) = rest.split_at_checked(len).ok_or(short)?;
    if flags & 0x20 != 0 {
        let padding = body.last().copied().unwrap_or(0);
        let kept = body.len().checked_sub(usize::from(padding));
        let (true, Some(kept)) = (rest.is_empty() && padding > 0 && padding.is_multiple_of(4), kept) else {
            return Err(ParseError::Padding { padding, room: body.len() });
        };
        body = &body[..kept];
    }
    Ok((Raw { packet_type, count: flags & 0x1f, body }, rest))
}

/// Takes the next `N` bytes.
fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), ParseError> {
    bytes.split_first_chunk().ok_or(ParseError::Short { len: bytes.len(), wanted: N })
}

/// The only version in use.
const VERSION: u8 = 2;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
