//! Builds a compound packet into a buffer that the caller owns.

use super::{
    BYE, Item, MAX_COUNT, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo, VERSION,
};

/// Writes one packet after another, as one datagram.
///
/// The first must be a report, and a canonical name should follow (RFC 3550, section 6.1). A packet that is refused leaves
/// no trace.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Begins a datagram at the start of `out`.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Adds a sender report: for whoever sent anything since the last one.
    ///
    /// # Errors
    /// [`WriteError`] for more than [`MAX_COUNT`] blocks, or without the room.
    pub fn sender_report(&mut self, ssrc: u32, sender: &SenderInfo, reports: &[ReportBlock]) -> Result<(), WriteError> {
        let len = 4 + SenderInfo::LEN + reports.len() * ReportBlock::LEN;
        let body = self.begin(SENDER_REPORT, reports.len(), len)?;
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        body[4..4 + SenderInfo::LEN].copy_from_slice(&sender.to_bytes());
        write_reports(&mut body[4 + SenderInfo::LEN..], reports);
        Ok(())
    }

    /// Adds a receiver report; without blocks it says that nothing is heard.
    ///
    /// # Errors
    /// [`WriteError`] for more than [`MAX_COUNT`] blocks, or without the room.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Result<(), WriteError> {
        let body = self.begin(RECEIVER_REPORT, reports.len(), 4 + reports.len() * ReportBlock::LEN)?;
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        write_reports(&mut body[4..], reports);
        Ok(())
    }

    /// Adds a source description with a canonical name of at most 255 bytes.
    ///
    /// # Errors
    /// [`WriteError`] for a longer name, as the first packet, or without the room.
    pub fn cname(&mut self, ssrc: u32, name: &str) -> Result<(), WriteError> {
        let name_len = text_len(name)?;
        // Filled with zeroes to a full word, of which there must be one.
        let body = self.begin(SOURCE_DESCRIPTION, 1, (4 + 2 + name.len() + 1).next_multiple_of(4))?;
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        body[4] = Item::CNAME;
        body[5] = name_len;
        body[6..6 + name.len()].copy_from_slice(name.as_bytes());
        Ok(())
    }

    /// Adds a goodbye of one source, with a reason of at most 255 bytes; an empty one is left out.
    ///
    /// # Errors
    /// [`WriteError`] for a longer reason, as the first packet, or without the room.
    pub fn bye(&mut self, ssrc: u32, reason: &str) -> Result<(), WriteError> {
        let reason_len = text_len(reason)?;
        let text = if reason.is_empty() { 0 } else { (1 + reason.len()).next_multiple_of(4) };
        let body = self.begin(BYE, 1, 4 + text)?;
        body[..4].copy_from_slice(&ssrc.to_be_bytes());
        if text > 0 {
            body[4] = reason_len;
            body[5..5 + reason.len()].copy_from_slice(reason.as_bytes());
        }
        Ok(())
    }

    /// How many bytes are written: the datagram's length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes a packet's first word and returns the room for the rest, all zeroes.
    fn begin(&mut self, packet_type: u8, count: usize, body_len: usize) -> Result<&mut [u8], WriteError> {
        if self.len == 0 && !matches!(packet_type, SENDER_REPORT | RECEIVER_REPORT) {
            return Err(WriteError::First);
        }
        if count > MAX_COUNT {
            return Err(WriteError::Count { count });
        }
        let (len, room) = (4 + body_len, self.out.len() - self.len);
        let packet = self.out[self.len..].get_mut(..len).ok_or(WriteError::Room { len, room })?;
        self.len += len;
        let (first, body) = packet.split_at_mut(4);
        first[0] = VERSION << 6 | count as u8;
        first[1] = packet_type;
        first[2..].copy_from_slice(&((body_len / 4) as u16).to_be_bytes());
        body.fill(0);
        Ok(body)
    }
}

/// Why a packet can not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The datagram would not begin with a report.
    #[error("rtcp that does not begin with a report")]
    First,
    /// There are more report blocks than a packet can hold.
    #[error("{count} report blocks, wanted at most {MAX_COUNT}")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// A name or reason is too long.
    #[error("text of {len} bytes, wanted at most 255")]
    Text {
        /// Its length, in bytes.
        len: usize,
    },
    /// The packet does not fit into what is left.
    #[error("packet of {len} bytes, room for {room}")]
    Room {
        /// The packet's length, in bytes.
        len: usize,
        /// The room, in bytes.
        room: usize,
    },
}

fn text_len(text: &str) -> Result<u8, WriteError> {
    u8::try_from(text.len()).map_err(|_| WriteError::Text { len: text.len() })
}

fn write_reports(out: &mut [u8], reports: &[ReportBlock]) {
    for (out, report) in out.as_chunks_mut().0.iter_mut().zip(reports) {
        *out = report.to_bytes();
    }
}
