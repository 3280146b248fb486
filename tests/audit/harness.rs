//! Logs to work upon, in folders of their own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use talkpath::system::audit::{
    AuditLog, ChainKey, Expected, Found, LogOptions, RecordKind, Report, Scan, SyncPolicy, log_files, verify,
};

/// A folder that is gone with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("talkpath-audit-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("audit.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn options() -> LogOptions {
    LogOptions { sync: SyncPolicy::WhenFull, ..LogOptions::default() }
}

pub(crate) fn open(path: &Path) -> AuditLog {
    AuditLog::open(path, options(), 1_000).unwrap()
}

/// A closed log with `events` events beside the records of its opening and closing.
pub(crate) fn write(path: &Path, events: u64) {
    let mut log = open(path);
    append(&mut log, events);
    log.close(2_000).unwrap();
}

pub(crate) fn append(log: &mut AuditLog, events: u64) {
    for number in 1..=events {
        log.append(RecordKind::Event, &format!("{{\"event\":{number},\"text\":\"{number:0>9}\"}}"), 1_000 + number)
            .unwrap();
    }
    log.commit(1_000).unwrap();
}

pub(crate) fn judge(path: &Path) -> Report {
    verify(&log_files(path).unwrap(), &ChainKey::none(), &Expected::default()).unwrap()
}

/// The records of one file: their places, kinds and texts.
pub(crate) fn records(path: &Path) -> Vec<(std::ops::Range<usize>, RecordKind, String)> {
    let (bytes, key) = (std::fs::read(path).unwrap(), ChainKey::none());
    let scan = Scan::new(&bytes, &key).unwrap();
    scan.filter_map(|found| match found {
        Found::Record { offset, record, .. } => {
            Some((offset..offset + record.len_bytes(), record.kind, record.json.to_owned()))
        }
        Found::Unreadable { .. } => None,
    })
    .collect()
}
