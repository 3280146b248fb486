//! One record: a marker, a length, a checksum, what happened, and the chain so far.
//!
//! The marker lets a reader find the next record behind a broken one, so that damage in the middle is told from the torn
//! end that a crash leaves.

use super::chain::{CHAIN_LEN, ChainKey, ChainValue};
use super::header::{u32_at, u64_at};

/// How long a record's body may be, in bytes; a longer payload is replaced by its length and hash.
pub const MAX_BODY_LEN: usize = 8 << 20;

/// What a record takes beside its JSON, in bytes.
pub const OVERHEAD: usize = PREFIX_LEN + FIXED_LEN + CHAIN_LEN;

/// What sort of thing a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// An event of the bus.
    Event,
    /// Events that the bus lost before they came here.
    Gap,
    /// A writer began.
    Opened,
    /// A writer ended in order.
    Closed,
    /// The file is full; the log goes on in the next.
    Rotated,
    /// The file before ended inside of a record, as a crash leaves it.
    Torn,
    /// The file before was changed, or damaged, when a writer opened the log.
    Damaged,
    /// Events that could not be written, as the disk was full or refused.
    Lost,
}

impl RecordKind {
    /// Its name, as `talkpath audit show` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Gap => "gap",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Rotated => "rotated",
            Self::Torn => "torn",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
        }
    }

    fn number(self) -> u8 {
        ALL.iter().position(|&kind| kind == self).map_or(0, |at| at as u8 + 1)
    }

    fn from_number(number: u8) -> Option<Self> {
        ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// One record of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the log, from 1.
    pub number: u64,
    /// When it was written, in microseconds since 1970.
    pub time_us: u64,
    /// What sort of thing it tells.
    pub kind: RecordKind,
    /// What it tells: a JSON object.
    pub json: &'a str,
    /// The chain value as it stands in the file.
    pub chain: ChainValue,
}

impl Record<'_> {
    /// How many bytes it takes in the file.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        OVERHEAD + self.json.len()
    }

    /// The record as one line of JSON: its number, time and kind, and all that it tells.
    #[must_use]
    pub fn to_json(&self) -> String {
        let head =
            format!("{{\"record\":{},\"written_us\":{},\"type\":\"{}\"", self.number, self.time_us, self.kind.name());
        match self.json.strip_prefix('{') {
            Some("}") | None => head + "}",
            Some(rest) => head + "," + rest,
        }
    }
}

/// Writes a record onto `out`, and returns its chain value.
pub(super) fn write(
    out: &mut Vec<u8>,
    key: &ChainKey,
    previous: &ChainValue,
    (number, time_us): (u64, u64),
    kind: RecordKind,
    json: &str,
) -> ChainValue {
    let start = out.len();
    out.extend_from_slice(MARKER);
    out.extend_from_slice(&((FIXED_LEN + json.len()) as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&time_us.to_le_bytes());
    out.push(kind.number());
    out.extend_from_slice(json.as_bytes());
    let checksum = checksum(&out[start..]);
    out[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    let chain = key.link(previous, &[&out[start..]]);
    out.extend_from_slice(&chain);
    chain
}

/// Why there is no whole record at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It does not begin as a record does.
    Marker,
    /// A length that none can have.
    Length(u32),
    /// The file ends within it.
    Short,
    /// Bytes of it changed.
    Checksum,
    /// A kind of record, or a text, that this version does not know.
    Contents,
}

/// Reads the record at the start of `bytes`. Whether its chain value holds is the reader's to say: see [`links`].
pub(super) fn parse(bytes: &[u8]) -> Result<Record<'_>, Unreadable> {
    let there = bytes.len().min(MARKER.len());
    if bytes[..there] != MARKER[..there] {
        return Err(Unreadable::Marker);
    }
    if bytes.len() < PREFIX_LEN {
        return Err(Unreadable::Short);
    }
    let length = u32_at(bytes, 4);
    let Some(len) = usize::try_from(length).ok().filter(|len| (FIXED_LEN..=MAX_BODY_LEN).contains(len)) else {
        return Err(Unreadable::Length(length));
    };
    let Some(whole) = bytes.get(..PREFIX_LEN + len + CHAIN_LEN) else {
        return Err(Unreadable::Short);
    };
    let (head, chain) = whole.split_at(PREFIX_LEN + len);
    if u32_at(head, 8) != checksum(head) {
        return Err(Unreadable::Checksum);
    }
    let (fixed, json) = head[PREFIX_LEN..].split_at(FIXED_LEN);
    match (RecordKind::from_number(fixed[16]), str::from_utf8(json), chain.try_into()) {
        (Some(kind), Ok(json), Ok(chain)) => {
            Ok(Record { number: u64_at(fixed, 0), time_us: u64_at(fixed, 8), kind, json, chain })
        }
        _ => Err(Unreadable::Contents),
    }
}

/// How long the body of the record at the start of `bytes` claims to be.
pub(super) fn claimed_len(bytes: &[u8]) -> usize {
    if bytes.len() < PREFIX_LEN { 0 } else { u32_at(bytes, 4) as usize }
}

/// The chain value that a record read from the start of `bytes` should have.
pub(super) fn links(key: &ChainKey, previous: &ChainValue, record: &Record<'_>, bytes: &[u8]) -> ChainValue {
    key.link(previous, &[&bytes[..record.len_bytes() - CHAIN_LEN]])
}

/// Covers the length and the body: what is between the marker and the chain value, but for itself.
fn checksum(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[4..8]), &head[PREFIX_LEN..])
}

/// What each record begins with; its first byte is in no UTF-8, so that no JSON holds it.
pub(super) const MARKER: &[u8; 4] = b"\xFFTPR";
const PREFIX_LEN: usize = 12;
const FIXED_LEN: usize = 17;
const ALL: [RecordKind; 8] = [
    RecordKind::Event,
    RecordKind::Gap,
    RecordKind::Opened,
    RecordKind::Closed,
    RecordKind::Rotated,
    RecordKind::Torn,
    RecordKind::Damaged,
    RecordKind::Lost,
];
