//! The head of a file of a log: which log, which file of it, and what the chain was before.

use super::chain::{ChainKey, ChainValue};

/// How long a header is, in bytes.
pub const HEADER_LEN: usize = 128;

/// The head of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the chain is made with a key.
    pub keyed: bool,
    /// The log that the file is of: random, and the same in all of its files.
    pub log_id: [u8; 16],
    /// Which file of the log it is, from 1.
    pub file_number: u64,
    /// The number of its first record.
    pub first_record: u64,
    /// When it was made, in microseconds since 1970.
    pub created_us: u64,
    /// The chain value of the last whole record before; zero in the first file.
    pub previous: ChainValue,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Less than a header.
    #[error("a header of {len} bytes, wanted {HEADER_LEN}")]
    Short {
        /// How many bytes there are.
        len: usize,
    },
    /// Something else than an audit log.
    #[error("the file does not begin as an audit log does")]
    Magic,
    /// Bytes changed.
    #[error("the header's checksum does not hold")]
    Checksum,
    /// A format that this version does not read.
    #[error("format version {version}, wanted {VERSION}")]
    Version {
        /// Which one.
        version: u16,
    },
    /// A field that cannot be so.
    #[error("the header's {field} cannot be so")]
    Field {
        /// Which one.
        field: &'static str,
    },
}

impl Header {
    /// Writes the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = if self.keyed { 2 } else { 1 };
        bytes[16..32].copy_from_slice(&self.log_id);
        bytes[32..40].copy_from_slice(&self.file_number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_record.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.created_us.to_le_bytes());
        bytes[56..88].copy_from_slice(&self.previous);
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`HeaderError`]: what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some((bytes, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(HeaderError::Short { len: bytes.len() });
        };
        if &bytes[..8] != MAGIC {
            return Err(HeaderError::Magic);
        }
        if u32_at(bytes, CHECKSUM_AT) != crc32c::crc32c(&bytes[..CHECKSUM_AT]) {
            return Err(HeaderError::Checksum);
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(HeaderError::Version { version });
        }
        let header = Self {
            keyed: match bytes[10] {
                1 => false,
                2 => true,
                _ => return Err(HeaderError::Field { field: "kind of chain" }),
            },
            log_id: array_at(bytes, 16),
            file_number: u64_at(bytes, 32),
            first_record: u64_at(bytes, 40),
            created_us: u64_at(bytes, 48),
            previous: array_at(bytes, 56),
        };
        if bytes[11..16].iter().chain(&bytes[88..CHECKSUM_AT]).any(|&byte| byte != 0) {
            return Err(HeaderError::Field { field: "reserved space" });
        }
        if header.file_number == 0 || (header.file_number == 1) != (header.previous == [0; 32]) {
            return Err(HeaderError::Field { field: "file number" });
        }
        if header.first_record == 0 || (header.file_number == 1 && header.first_record != 1) {
            return Err(HeaderError::Field { field: "first record" });
        }
        Ok(header)
    }

    /// The chain value that the first record builds upon.
    pub(super) fn seed(&self, key: &ChainKey) -> ChainValue {
        key.link(&self.previous, &[&self.to_bytes()])
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

const MAGIC: &[u8; 8] = b"TPAUDIT\0";
const VERSION: u16 = 1;
const CHECKSUM_AT: usize = HEADER_LEN - 4;
