//! A file of a log as lines of JSON, for people and programs; it judges nothing.

use std::path::Path;

use serde_json::json;

use super::chain::ChainKey;
use super::header::HEADER_LEN;
use super::log::read;
use super::scan::{Found, Scan};
use crate::{Error, Result};

/// The records of one file, each as a line of JSON; what cannot be read is a line, too, of type `unreadable`.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    at: usize,
    next_number: u64,
}

impl Lines {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if it cannot be read, [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is
    /// no file of a log.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let key = ChainKey::none();
        let scan = Scan::new(&bytes, &key).map_err(|flaw| Error::invalid(format!("{}: {flaw}", path.display())))?;
        let next_number = scan.next_number();
        Ok(Self { bytes, at: HEADER_LEN, next_number })
    }

    /// The next lines, at most `max`; none at the end.
    pub fn next_lines(&mut self, max: usize) -> Vec<String> {
        // The chain is not looked at, so that it does not matter whether it has a key.
        let key = ChainKey::none();
        let mut scan = Scan::resume_at(&self.bytes, &key, self.at, self.next_number);
        let mut lines = Vec::new();
        for found in scan.by_ref().take(max) {
            lines.push(match found {
                Found::Record { record, .. } => record.to_json(),
                Found::Unreadable { offset, len, flaw } => unreadable(offset, len, &flaw.to_string()),
            });
        }
        (self.at, self.next_number) = (scan.offset(), scan.next_number());
        if lines.len() < max && self.at < self.bytes.len() {
            let len = self.bytes.len() - self.at;
            lines.push(unreadable(self.at, len, "the file ends within a record, as a crash leaves it"));
            self.at = self.bytes.len();
        }
        lines
    }
}

fn unreadable(offset: usize, len: usize, found: &str) -> String {
    json!({"type": "unreadable", "offset": offset, "bytes": len, "found": found}).to_string()
}
