//! Writes a log: one writer, at the end of the live file, a batch of records in one write.
//!
//! What is in memory and not yet written stays there when the disk refuses, and is written later: nothing of the chain
//! has to be taken back. It owns no thread and no clock; the subscriber of the bus does. Nothing that a writer before
//! left is ever cut off: a log that ends within a record goes on in a new file, whose first record says so.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::{ChainKey, ChainValue, hex};
use super::file::{self, WriterLock};
use super::header::{HEADER_LEN, Header};
use super::record::{self, MAX_BODY_LEN, OVERHEAD, RecordKind};
use super::resume::{self, Ending, Resumed};
use crate::{Error, ErrorKind, Result};

/// How a log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// How long a file may grow before the log goes on in the next, in bytes: 4 KiB to 1 GiB, exceeded by less than one
    /// commit.
    pub max_file_bytes: u64,
    /// When the disk is waited for.
    pub sync: SyncPolicy,
    /// What the chain is made with.
    pub key: ChainKey,
}

impl Default for LogOptions {
    fn default() -> Self {
        let sync = SyncPolicy::Interval(Duration::from_secs(1));
        Self { max_file_bytes: 64 << 20, sync, key: ChainKey::none() }
    }
}

/// When the disk is waited for. A process that is killed loses nothing it has committed either way; a power cut does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Only when a file is full and when the log is closed.
    WhenFull,
    /// After commits, when as long has passed since the last time.
    Interval(Duration),
    /// At every commit.
    EveryCommit,
}

/// How far a log has come: who notes this elsewhere can tell later whether the end was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 before the first.
    pub record: u64,
    /// Its chain value.
    pub chain: ChainValue,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.record, hex(&self.chain))
    }
}

/// The writer of a log.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    options: LogOptions,
    file: File,
    header: Header,
    chain: ChainValue,
    next_number: u64,
    /// Records that no write has taken yet.
    pending: Vec<u8>,
    /// How long the file is, but for what a write that failed may have left behind.
    committed_bytes: u64,
    committed: Head,
    stage: Stage,
    /// Whether the last commit failed.
    stalled: bool,
    /// Whether a failed write left a part of the pending records in the file.
    unclean: bool,
    synced_us: Option<u64>,
    unsynced: bool,
    process: u32,
    _lock: WriterLock,
}

/// How far the change to the next file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    /// Its last record says that it is full.
    Ended,
    /// It has its number; the next has not its name yet.
    Renamed,
}

impl AuditLog {
    /// Opens the log at `path` to write at its end, or begins one, with mode 0600.
    ///
    /// Reads the live file to its end. `now_us` is the time in microseconds since 1970.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for options out of range and for a key where the log has none, or
    /// none where it has one; [`LimitExceeded`](ErrorKind::LimitExceeded) if it has a writer; [`Io`](ErrorKind::Io).
    pub fn open(path: &Path, options: LogOptions, now_us: u64) -> Result<Self> {
        if !(MIN_FILE_BYTES..=MAX_FILE_BYTES).contains(&options.max_file_bytes) {
            let got = options.max_file_bytes;
            return Err(Error::invalid(format!(
                "max_file_bytes of {got}, wanted {MIN_FILE_BYTES} to {MAX_FILE_BYTES}"
            )));
        }
        let lock = WriterLock::take(path)?;
        let Resumed { header, chain, next_number, ending, clean, note } = resume::resume(path, &options.key, now_us)?;
        let file = file::open_to_append(path)?;
        let len = file.metadata().map_err(|error| Error::io(format_args!("look at {}", path.display()), error))?.len();
        let mut log = Self {
            path: path.to_path_buf(),
            options,
            file,
            header,
            chain,
            next_number,
            pending: Vec::new(),
            committed_bytes: len,
            committed: Head { record: next_number - 1, chain },
            stalled: false,
            unclean: false,
            stage: if ending == Ending::Full { Stage::Ended } else { Stage::Writing },
            synced_us: None,
            unsynced: false,
            process: std::process::id(),
            _lock: lock,
        };
        log.rotate(now_us).map_err(|error| log.refused(error))?;
        if let Some((kind, json)) = note {
            log.append(kind, &json, now_us)?;
        }
        let version = env!("CARGO_PKG_VERSION");
        let opened = format!("{{\"version\":\"{version}\",\"process\":{},\"after_close\":{clean}}}", log.process);
        log.append(RecordKind::Opened, &opened, now_us)?;
        log.commit(now_us)?;
        Ok(log)
    }

    /// Adds a record; [`commit`](Self::commit) writes it.
    ///
    /// `json` is an object. Secrets have been taken out of it.
    ///
    /// # Errors
    /// [`LimitExceeded`](ErrorKind::LimitExceeded) if it is longer than [`MAX_BODY_LEN`] allows, or if the last commit
    /// failed: then what is pending has to be committed first.
    pub fn append(&mut self, kind: RecordKind, json: &str, now_us: u64) -> Result<u64> {
        if self.stalled {
            let message = "the log is stalled, wanted its pending records to be committed first";
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        if json.len() > MAX_BODY_LEN - OVERHEAD {
            let message = format!("a record of {} bytes, wanted at most {}", json.len(), MAX_BODY_LEN - OVERHEAD);
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        Ok(self.push(kind, json, now_us))
    }

    /// Writes what was added, waits for the disk if it is time, and goes on in the next file if this one is full.
    ///
    /// After an error nothing is lost: what is pending is written by the next commit that succeeds.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io), most likely as the disk is full. [`Internal`](ErrorKind::Internal) in a forked child, which
    /// must not write its parent's log.
    pub fn commit(&mut self, now_us: u64) -> Result<()> {
        if std::process::id() != self.process {
            return Err(Error::new(ErrorKind::Internal, "a forked child, wanted the process that opened the log"));
        }
        let done = self.try_commit(now_us);
        self.stalled = done.is_err();
        done.map_err(|error| self.refused(error))
    }

    /// Waits until the disk has all that was committed.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io).
    pub fn sync(&mut self, now_us: u64) -> Result<()> {
        self.try_sync(now_us).map_err(|error| self.refused(error))
    }

    /// Ends the log in order: its last record says so, and the disk has it.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit). Without a close the next writer's first record tells of it.
    pub fn close(mut self, now_us: u64) -> Result<Head> {
        self.commit(now_us)?;
        self.append(RecordKind::Closed, "{}", now_us)?;
        self.commit(now_us)?;
        self.sync(now_us)?;
        Ok(self.committed)
    }

    /// The last record that is in the file.
    #[must_use]
    pub fn head(&self) -> Head {
        self.committed
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Which file of the log is written, from 1.
    #[must_use]
    pub fn file_number(&self) -> u64 {
        self.header.file_number
    }

    fn push(&mut self, kind: RecordKind, json: &str, now_us: u64) -> u64 {
        let number = self.next_number;
        self.chain = record::write(&mut self.pending, &self.options.key, &self.chain, (number, now_us), kind, json);
        self.next_number += 1;
        number
    }

    fn try_commit(&mut self, now_us: u64) -> io::Result<()> {
        self.write_pending()?;
        if self.stage == Stage::Writing && self.committed_bytes >= self.options.max_file_bytes {
            let next = format!("{{\"next_file\":{}}}", self.header.file_number + 1);
            self.push(RecordKind::Rotated, &next, now_us);
            self.stage = Stage::Ended;
        }
        self.rotate(now_us)?;
        let due = match self.options.sync {
            SyncPolicy::WhenFull => false,
            SyncPolicy::EveryCommit => true,
            // Not since a later time, either: clocks are set back.
            SyncPolicy::Interval(interval) => self.synced_us.is_none_or(|last| {
                now_us.checked_sub(last).is_none_or(|passed| u128::from(passed) >= interval.as_micros())
            }),
        };
        if due { self.try_sync(now_us) } else { Ok(()) }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.unclean {
            // The one thing that is ever cut off: the part of this very batch that a failed write left.
            self.file.set_len(self.committed_bytes)?;
            self.unclean = false;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            self.unclean = self.file.set_len(self.committed_bytes).is_err();
            return Err(error);
        }
        self.committed_bytes += self.pending.len() as u64;
        self.committed = Head { record: self.next_number - 1, chain: self.chain };
        self.pending.clear();
        self.pending.shrink_to(KEPT_BYTES);
        self.unsynced = true;
        Ok(())
    }

    /// Brings the change to the next file to its end, if it has begun; after an error it goes on from where it was.
    fn rotate(&mut self, now_us: u64) -> io::Result<()> {
        if self.stage == Stage::Ended {
            self.write_pending()?;
            self.file.sync_all()?;
            let header = Header {
                file_number: self.header.file_number + 1,
                first_record: self.next_number,
                created_us: now_us,
                previous: self.chain,
                ..self.header
            };
            file::prepare(&self.path, &header.to_bytes())?;
            file::rename_to_new(&self.path, &file::full_name(&self.path, self.header.file_number))?;
            self.header = header;
            self.stage = Stage::Renamed;
        }
        if self.stage == Stage::Renamed {
            self.file = file::publish(&self.path)?;
            self.chain = self.header.seed(&self.options.key);
            self.committed_bytes = HEADER_LEN as u64;
            self.unsynced = true;
            self.stage = Stage::Writing;
        }
        Ok(())
    }

    fn try_sync(&mut self, now_us: u64) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        self.synced_us = Some(now_us);
        Ok(())
    }

    fn refused(&self, error: io::Error) -> Error {
        Error::io(format_args!("write {}", self.path.display()), error)
    }
}

/// Reads a file of a log.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let doing = || format!("read {}", path.display());
    let mut file = File::open(path).map_err(|error| Error::io(doing(), error))?;
    let len = file.metadata().map_err(|error| Error::io(doing(), error))?.len();
    if len > MAX_READ_BYTES {
        return Err(Error::invalid(format!("{}: {len} bytes, wanted at most {MAX_READ_BYTES}", path.display())));
    }
    let mut bytes = Vec::with_capacity(len as usize);
    file.read_to_end(&mut bytes).map_err(|error| Error::io(doing(), error))?;
    Ok(bytes)
}

const MIN_FILE_BYTES: u64 = 4 << 10;
const MAX_FILE_BYTES: u64 = 1 << 30;
/// A full file and the longest commit that can come on top.
const MAX_READ_BYTES: u64 = 2 * MAX_FILE_BYTES;
/// How much room for pending records is kept between commits.
const KEPT_BYTES: usize = 1 << 20;
