//! An append-only record of events, whose every later change shows.
//!
//! A log is a live file and the full files before it. Each record carries a checksum, against accidents, and a chain
//! value over all that came before, against hands: `docs/audit.md` has the format to the byte and says what the chain
//! proves and what it does not. [`Audit`] records a bus; [`AuditLog`] writes, [`Scan`] reads one file, [`verify`] judges a whole log. Secrets are
//! taken out before anything is written, by [`redact`](super::redact).

mod chain;
mod entry;
mod file;
mod header;
mod log;
mod record;
mod resume;
mod scan;
mod show;
mod subscriber;
mod verify;

pub use chain::{CHAIN_LEN, ChainKey, ChainValue};
pub use entry::{Entry, EntryPayload};
pub use file::log_files;
pub use header::{HEADER_LEN, Header, HeaderError};
pub use log::{AuditLog, Head, LogOptions, SyncPolicy};
pub use record::{MAX_BODY_LEN, OVERHEAD, Record, RecordKind};
pub use scan::{Break, Flaw, Found, Scan, Tail};
pub use show::Lines;
pub use subscriber::{Audit, AuditOptions, AuditStats, WhenFull};
pub use verify::{Expected, FileReport, Finding, Report, Verdict, verify};
