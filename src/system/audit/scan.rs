//! Reads one file of a log: record by record, over damage, to the end.
//!
//! Pure: bytes in, findings out. Whoever judges a whole log, or continues one, does it by what this finds.

use super::chain::{CHAIN_LEN, ChainKey, ChainValue};
use super::header::{HEADER_LEN, Header, HeaderError};
use super::record::{self, MARKER, Record, Unreadable};

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The bytes do not begin as a record does.
    #[error("no record begins here")]
    Marker,
    /// A record says a length that none can have.
    #[error("a record of {length} bytes")]
    Length {
        /// What it says.
        length: u32,
    },
    /// A record reaches beyond the file, though more records follow, or over the next.
    #[error("a record that reaches beyond what is there")]
    Short,
    /// The checksum does not hold: bytes were changed.
    #[error("the checksum does not hold: bytes of the record were changed")]
    Checksum,
    /// The checksum holds, and yet it is no record.
    #[error("a record of an unknown kind, or one that is not UTF-8")]
    Contents,
    /// Records are missing, were put in, or stand in another order.
    #[error("record {got} where {wanted} belongs: records were taken out, put in or reordered")]
    Number {
        /// Which belongs here.
        wanted: u64,
        /// Which is here.
        got: u64,
    },
    /// The record is not the one that was written, or what is before it is not.
    #[error("the chain does not hold: this record, or something before it, is not what was written")]
    Chain,
    /// A record after the one that ends the file.
    #[error("a record after the end of the file's part of the log")]
    AfterEnd,
    /// The file's header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// Which record it is, or would be.
    pub record: u64,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record whose checksum holds.
    Record {
        /// Where in the file, in bytes.
        offset: usize,
        /// The record.
        record: Record<'a>,
        /// What is wrong with its place in the chain, if anything.
        flaw: Option<Flaw>,
    },
    /// Bytes that are no record, before more records or before the end.
    Unreadable {
        /// Where in the file, in bytes.
        offset: usize,
        /// How many.
        len: usize,
        /// What is wrong with the first record in them.
        flaw: Flaw,
    },
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With a whole record, or right behind the header.
    Whole,
    /// Inside of a record, as a crash or a power cut leaves it.
    Torn {
        /// Where what is left of it begins.
        offset: usize,
    },
    /// With bytes that no crash leaves.
    Damaged {
        /// Where they begin.
        offset: usize,
    },
}

/// A walk over one file's records.
#[derive(Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    key: &'a ChainKey,
    header: Header,
    at: usize,
    /// What the next record may build upon: what was computed, and what stands in the file.
    chain: [ChainValue; 2],
    next_number: u64,
    /// Whether the last record came right behind what could not be read.
    after_damage: bool,
    ended: bool,
    tail: Option<Tail>,
}

impl<'a> Scan<'a> {
    /// Begins at the first record of a file.
    ///
    /// # Errors
    /// [`HeaderError`] if the file has no header of a log.
    pub fn new(bytes: &'a [u8], key: &'a ChainKey) -> Result<Self, HeaderError> {
        let header = Header::parse(bytes)?;
        let (seed, next_number) = (header.seed(key), header.first_record);
        Ok(Self { header, chain: [seed; 2], ..Self::resume_at(bytes, key, HEADER_LEN, next_number) })
    }

    /// Goes on at a place where another walk was; what it says of the chain is worth nothing.
    pub(super) fn resume_at(bytes: &'a [u8], key: &'a ChainKey, at: usize, next_number: u64) -> Self {
        let header = Header {
            keyed: false,
            log_id: [0; 16],
            file_number: 0,
            first_record: next_number,
            created_us: 0,
            previous: [0; CHAIN_LEN],
        };
        let chain = [[0; CHAIN_LEN]; 2];
        Self { bytes, key, header, at, chain, next_number, after_damage: false, ended: false, tail: None }
    }

    /// The file's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number that the record after the last one has.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Where the walk is, in bytes; at the end, behind the last whole record or what was unreadable.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The chain after the last record: as computed, and as it stands in the file. They differ only in a broken log.
    #[must_use]
    pub fn chain_values(&self) -> [ChainValue; 2] {
        self.chain
    }

    /// How the file ends; none before the walk has come there.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    fn whole(&mut self, record: Record<'a>) -> Found<'a> {
        let (offset, wanted) = (self.at, self.next_number);
        let rest = &self.bytes[offset..];
        let computed = self.chain.map(|previous| record::links(self.key, &previous, &record, rest));
        let in_order = record.number == wanted || (self.after_damage && record.number > wanted);
        let flaw = if !in_order {
            Some(Flaw::Number { wanted, got: record.number })
        } else if !computed.contains(&record.chain) {
            Some(Flaw::Chain)
        } else if self.ended {
            Some(Flaw::AfterEnd)
        } else {
            None
        };
        self.chain = [computed[0], record.chain];
        self.next_number = record.number.saturating_add(1);
        self.after_damage = false;
        self.ended |= record.kind == record::RecordKind::Rotated;
        self.at += record.len_bytes();
        Found::Record { offset, record, flaw }
    }

    /// Whether a power cut left zeros from within the record's chain value on.
    fn is_cut_within_chain(&self, record: &Record<'_>) -> bool {
        let rest = &self.bytes[self.at..];
        let cut = record.chain[CHAIN_LEN - 1] == 0 && rest[record.len_bytes()..].iter().all(|&byte| byte == 0);
        cut && self.chain.iter().all(|previous| record::links(self.key, previous, record, rest) != record.chain)
    }

    /// What stands here is no record: goes on at the next one, or ends.
    fn broken(&mut self, why: Unreadable) -> Option<Found<'a>> {
        let (offset, rest) = (self.at, &self.bytes[self.at..]);
        if let Some(next) = next_record(rest) {
            self.at += next;
            self.after_damage = true;
            if let Some(stored) = self.bytes[..self.at].last_chunk::<CHAIN_LEN>() {
                self.chain[1] = *stored;
            }
            return Some(Found::Unreadable { offset, len: next, flaw: flaw_of(why) });
        }
        let zeros = &rest[rest.len().saturating_sub(CHAIN_LEN)..];
        if why == Unreadable::Short || zeros.iter().all(|&byte| byte == 0) {
            self.tail = Some(Tail::Torn { offset });
            return None;
        }
        self.tail = Some(Tail::Damaged { offset });
        self.at = self.bytes.len();
        Some(Found::Unreadable { offset, len: rest.len(), flaw: flaw_of(why) })
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.tail.is_some() {
            return None;
        }
        if self.at == self.bytes.len() {
            self.tail = Some(Tail::Whole);
            return None;
        }
        match record::parse(&self.bytes[self.at..]) {
            Ok(record) if self.is_cut_within_chain(&record) => self.broken(Unreadable::Short),
            Ok(record) => Some(self.whole(record)),
            Err(why) => self.broken(why),
        }
    }
}

/// Where behind the start of `bytes` the next record is whose checksum holds.
///
/// Bytes made to look like records everywhere would have it read forever: beyond a limit it gives up, and the rest of the
/// file is one piece that cannot be read.
fn next_record(bytes: &[u8]) -> Option<usize> {
    let mut work = 0;
    let mut at = 1;
    while let Some(step) = bytes.get(at..)?.windows(MARKER.len()).position(|window| window == MARKER) {
        at += step;
        match record::parse(&bytes[at..]) {
            Ok(_) => return Some(at),
            Err(Unreadable::Checksum) => work += record::claimed_len(&bytes[at..]),
            Err(_) => {}
        }
        if work > MAX_SEARCH_BYTES {
            return Some(bytes.len());
        }
        at += 1;
    }
    None
}

fn flaw_of(why: Unreadable) -> Flaw {
    match why {
        Unreadable::Marker => Flaw::Marker,
        Unreadable::Length(length) => Flaw::Length { length },
        Unreadable::Short => Flaw::Short,
        Unreadable::Checksum => Flaw::Checksum,
        Unreadable::Contents => Flaw::Contents,
    }
}

/// How much is checksummed at most in search of the next record.
const MAX_SEARCH_BYTES: usize = 256 << 20;
