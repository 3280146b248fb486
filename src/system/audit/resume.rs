//! Finds where a log goes on, after a writer that closed it, one that was killed, or somebody who changed it.
//!
//! Damage is never mended: the file that has it gets its number and stays as it is, and the log goes on in a new file
//! whose first record tells what was found.

use std::path::Path;

use super::chain::{ChainKey, ChainValue, sha256_hex};
use super::file;
use super::header::Header;
use super::log::read;
use super::record::RecordKind;
use super::scan::{Found, Scan, Tail};
use crate::{Error, Result};

/// How the file that is to be written ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It takes more.
    Open,
    /// Its last record says that it is full, but it has not got its number yet.
    Full,
}

/// Where a log goes on.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) header: Header,
    pub(super) chain: ChainValue,
    pub(super) next_number: u64,
    pub(super) ending: Ending,
    /// Whether the writer before closed the log, or there was none.
    pub(super) clean: bool,
    /// What has to be told about what was found.
    pub(super) note: Option<(RecordKind, String)>,
}

/// Finds the end of the log at `path`, or begins one. The live file is there and has a header afterwards.
pub(super) fn resume(path: &Path, key: &ChainKey, now_us: u64) -> Result<Resumed> {
    let full = file::full_files(path)?;
    let last_full = full.last().map(|(_, name)| name.clone());
    if path.symlink_metadata().is_err() {
        return match last_full {
            None => begin(path, key, now_us),
            // A crash came between the two names, or somebody took the live file away: verifying tells which.
            Some(last) => go_on(path, &last, &read(&last)?, key, now_us),
        };
    }
    let bytes = read(path)?;
    if let Err(flaw) = Header::parse(&bytes) {
        let aside = file::with_suffix(path, &format!(".unreadable-{now_us}"));
        rename(path, &aside)?;
        let json = format!(
            "{{\"moved_to\":{},\"bytes\":{},\"sha256\":\"{}\",\"found\":\"{flaw}\"}}",
            json_text(&aside),
            bytes.len(),
            sha256_hex(&bytes)
        );
        let mut resumed = match last_full {
            None => begin(path, key, now_us)?,
            Some(last) => go_on(path, &last, &read(&last)?, key, now_us)?,
        };
        resumed.clean = false;
        resumed.note = Some((RecordKind::Damaged, json));
        return Ok(resumed);
    }
    let mut inspected = inspect(path, &bytes, key)?;
    if let Some(note) = inspected.note.take() {
        let number = inspected.header.file_number;
        rename(path, &file::full_name(path, number))?;
        return create(path, inspected.after(now_us), Some(note), false, key);
    }
    Ok(Resumed {
        header: inspected.header,
        chain: inspected.chain,
        next_number: inspected.next_number,
        ending: if inspected.last == Some(RecordKind::Rotated) { Ending::Full } else { Ending::Open },
        clean: inspected.last == Some(RecordKind::Closed),
        note: None,
    })
}

fn begin(path: &Path, key: &ChainKey, now_us: u64) -> Result<Resumed> {
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(|error| Error::io("get random bytes", error.into()))?;
    let header = Header {
        keyed: key.is_keyed(),
        log_id,
        file_number: 1,
        first_record: 1,
        created_us: now_us,
        previous: [0; 32],
    };
    create(path, header, None, true, key)
}

/// Goes on behind a file that has its number already.
fn go_on(path: &Path, last: &Path, bytes: &[u8], key: &ChainKey, now_us: u64) -> Result<Resumed> {
    let mut inspected = inspect(last, bytes, key)?;
    let note = match (inspected.note.take(), inspected.last) {
        (None, Some(RecordKind::Rotated)) => None,
        (None, _) => {
            let number = inspected.header.file_number;
            Some((RecordKind::Damaged, format!("{{\"file\":{number},\"found\":\"the file after it is missing\"}}")))
        }
        (note, _) => note,
    };
    create(path, inspected.after(now_us), note, false, key)
}

/// Makes the live file.
fn create(
    path: &Path,
    header: Header,
    note: Option<(RecordKind, String)>,
    clean: bool,
    key: &ChainKey,
) -> Result<Resumed> {
    let made = file::prepare(path, &header.to_bytes()).and_then(|()| file::publish(path));
    made.map_err(|error| Error::io(format_args!("make {}", path.display()), error))?;
    let (chain, next_number) = (header.seed(key), header.first_record);
    Ok(Resumed { header, chain, next_number, ending: Ending::Open, clean, note })
}

/// What one file holds, as far as the next writer has to know.
struct Inspected {
    header: Header,
    chain: ChainValue,
    next_number: u64,
    last: Option<RecordKind>,
    /// What is wrong with it.
    note: Option<(RecordKind, String)>,
}

impl Inspected {
    /// The header of the file after it.
    fn after(&self, now_us: u64) -> Header {
        Header {
            file_number: self.header.file_number + 1,
            first_record: self.next_number,
            created_us: now_us,
            previous: self.chain,
            ..self.header
        }
    }
}

fn inspect(path: &Path, bytes: &[u8], key: &ChainKey) -> Result<Inspected> {
    let mut scan = Scan::new(bytes, key).map_err(|flaw| Error::invalid(format!("{}: {flaw}", path.display())))?;
    let header = scan.header().clone();
    if header.keyed != key.is_keyed() {
        let (got, wanted) = if header.keyed { ("no key", "the log's") } else { ("a key", "none: the log has none") };
        return Err(Error::invalid(format!("{}: {got}, wanted {wanted}", path.display())));
    }
    let (mut first, mut last) = (None, None);
    for found in &mut scan {
        match found {
            Found::Record { offset, record, flaw } => {
                last = Some(record.kind);
                first = first.or(flaw.map(|flaw| (offset, flaw)));
            }
            Found::Unreadable { offset, flaw, .. } => first = first.or(Some((offset, flaw))),
        }
    }
    let number = header.file_number;
    let note = match (first, scan.tail()) {
        (Some((offset, flaw)), _) => {
            let found = format!("{{\"file\":{number},\"offset\":{offset},\"found\":\"{flaw}\"}}");
            Some((RecordKind::Damaged, found))
        }
        (None, Some(Tail::Torn { offset })) => Some((RecordKind::Torn, torn_note(number, offset, &bytes[offset..]))),
        (None, _) => None,
    };
    // What stands in the file, not what was computed: it is what the header of the next file is compared with.
    let [_, chain] = scan.chain_values();
    Ok(Inspected { header, chain, next_number: scan.next_number(), last, note })
}

/// What the record says that tells of a torn end; verifying makes it anew and compares.
pub(super) fn torn_note(file_number: u64, offset: usize, tail: &[u8]) -> String {
    let (len, hash) = (tail.len(), sha256_hex(tail));
    format!("{{\"file\":{file_number},\"offset\":{offset},\"bytes\":{len},\"sha256\":\"{hash}\"}}")
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let doing = format_args!("rename {} to {}", from.display(), to.display());
    file::rename_to_new(from, to).map_err(|error| Error::io(doing, error))
}

fn json_text(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
