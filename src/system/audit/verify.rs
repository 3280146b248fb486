//! Judges a whole log: every record of every file, and what joins the files.
//!
//! It reads, and changes nothing. Its answer is one of three: intact; ended by a crash that nobody has told of yet; or
//! not as it was written, with every place that is not.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::chain::{CHAIN_LEN, ChainKey, ChainValue};
use super::header::Header;
use super::log::{Head, read};
use super::record::{Record, RecordKind};
use super::resume::torn_note;
use super::scan::{Flaw, Found, Scan, Tail};
use crate::{Error, Result};

/// What verifying comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every byte is as it was written, as far as the chain can tell.
    Intact,
    /// The same, but the last file ends within a record, as a crash leaves it; a writer that opens the log tells of it.
    Torn,
    /// Something was changed, taken out, put in, reordered or damaged.
    Broken,
}

/// What is to be compared beside the files themselves.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Takes a log whose first files are not there; what came before is not proven then.
    pub partial: bool,
    /// A head that was noted earlier, as its text says it: it must be in the log.
    pub head: Option<Head>,
}

/// A thing found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Which record it is, or would be; 0 for the header.
    pub record: u64,
    /// What was found, in words.
    pub text: String,
    /// How bad it is; an [`Intact`](Verdict::Intact) one is for information.
    pub verdict: Verdict,
}

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub path: PathBuf,
    /// Which file of the log it is; 0 if it has no header.
    pub number: u64,
    /// How many records were read.
    pub records: u64,
    /// How long it is.
    pub bytes: u64,
}

/// What a log holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The worst of all findings.
    pub verdict: Verdict,
    /// The files, in the log's order.
    pub files: Vec<FileReport>,
    /// All that was found, in order.
    pub findings: Vec<Finding>,
    /// How many records were read.
    pub records: u64,
    /// The first and the last of them; none in an empty log.
    pub range: Option<(u64, u64)>,
    /// The last record and its chain value, to note elsewhere; none if it cannot be told.
    pub head: Option<Head>,
    /// Whether the log was closed in order.
    pub closed: bool,
}

/// Verifies the log in `files`, which may be given in any order.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) for a file that cannot be read, and
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for no file at all, or no key for a chain that has one:
/// without it nothing is proven. What is wrong with a file's contents is in the report.
pub fn verify(files: &[PathBuf], key: &ChainKey, expected: &Expected) -> Result<Report> {
    if files.is_empty() {
        return Err(Error::invalid("no file, wanted at least one"));
    }
    let mut walk = Walk::new(key, expected);
    let mut ordered = Vec::new();
    for path in files {
        let bytes = read_head(path)?;
        match Header::parse(&bytes) {
            Ok(header) if header.keyed && !key.is_keyed() => {
                return Err(Error::invalid(format!("{}: no key, wanted the log's", path.display())));
            }
            Ok(header) => ordered.push((header, path)),
            Err(flaw) => {
                let bytes = std::fs::metadata(path).map_or(0, |data| data.len());
                walk.files.push(FileReport { path: path.clone(), number: 0, records: 0, bytes });
                walk.find(path, (0, 0), flaw.to_string(), Verdict::Broken);
            }
        }
    }
    ordered.sort_by_key(|(header, _)| header.file_number);
    for (header, path) in ordered {
        walk.file(path, &header, &read(path)?);
    }
    Ok(walk.end())
}

impl Verdict {
    /// Its name, as `talkpath audit verify` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Torn => "torn",
            Self::Broken => "broken",
        }
    }
}

impl Report {
    /// The report as an object of JSON, its fields named as here.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = |file: &FileReport| {
            json!({"path": file.path.to_string_lossy(), "number": file.number, "records": file.records,
                "bytes": file.bytes})
        };
        let finding = |finding: &Finding| {
            json!({"verdict": finding.verdict.name(), "file": finding.file.to_string_lossy(),
                "offset": finding.offset, "record": finding.record, "text": finding.text})
        };
        let report = json!({
            "verdict": self.verdict.name(),
            "closed": self.closed,
            "records": self.records,
            "first_record": self.range.map(|(first, _)| first),
            "last_record": self.range.map(|(_, last)| last),
            "head": self.head.map(|head| head.to_string()),
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        });
        report.to_string()
    }
}

struct Walk<'a> {
    key: &'a ChainKey,
    expected: &'a Expected,
    files: Vec<FileReport>,
    findings: Vec<Finding>,
    before: Option<Before>,
    range: Option<(u64, u64)>,
    records: u64,
    last: Option<RecordKind>,
    head: Option<Head>,
    head_seen: bool,
}

/// The file before, as the next one must know it.
struct Before {
    path: PathBuf,
    header: Header,
    chain: [ChainValue; 2],
    next_number: u64,
    /// What the next file's first record must say of a torn end: where it is, and the words.
    torn: Option<(usize, String)>,
}

impl<'a> Walk<'a> {
    fn new(key: &'a ChainKey, expected: &'a Expected) -> Self {
        Self {
            key,
            expected,
            files: Vec::new(),
            findings: Vec::new(),
            before: None,
            range: None,
            records: 0,
            last: None,
            head: None,
            head_seen: expected.head.is_none_or(|head| head.record == 0),
        }
    }

    fn find(&mut self, file: &Path, (offset, record): (usize, u64), text: impl Into<String>, verdict: Verdict) {
        let (file, text) = (file.to_path_buf(), text.into());
        self.findings.push(Finding { file, offset: offset as u64, record, text, verdict });
    }

    fn file(&mut self, path: &Path, header: &Header, bytes: &[u8]) {
        let key = self.key;
        let before = self.before.take();
        self.joint(path, header, before.as_ref());
        let Ok(mut scan) = Scan::new(bytes, key) else {
            return self.find(path, (0, 0), "the header changed while it was read", Verdict::Broken);
        };
        let mut torn_before = before.and_then(|before| before.torn.map(|torn| (before.path, torn)));
        let mut records = 0;
        for found in &mut scan {
            match found {
                Found::Unreadable { offset, len, flaw } => {
                    let record = self.last_number() + 1;
                    self.find(path, (offset, record), format!("{flaw} ({len} bytes passed over)"), Verdict::Broken);
                    self.head = None;
                }
                Found::Record { offset, record, flaw } => {
                    let told = records == 0 && torn_before.as_ref().is_some_and(|(_, (_, note))| told(&record, note));
                    if told {
                        torn_before = None;
                    }
                    records += 1;
                    self.record(path, offset, &record, flaw, told);
                }
            }
        }
        if let Some((path, (offset, _))) = torn_before {
            let text = "ends within a record, and the next file does not begin by telling of it";
            self.find(&path, (offset, header.first_record), text, Verdict::Broken);
        }
        let torn = match scan.tail() {
            Some(Tail::Torn { offset }) => Some((offset, torn_note(header.file_number, offset, &bytes[offset..]))),
            _ => None,
        };
        self.files.push(FileReport {
            path: path.to_path_buf(),
            number: header.file_number,
            records,
            bytes: bytes.len() as u64,
        });
        self.before = Some(Before {
            path: path.to_path_buf(),
            header: header.clone(),
            chain: scan.chain_values(),
            next_number: scan.next_number(),
            torn,
        });
    }

    /// Does the file follow upon the one before?
    fn joint(&mut self, path: &Path, header: &Header, before: Option<&Before>) {
        let keyed = self.key.is_keyed();
        let mut broken = |text: String| self.find(path, (0, header.first_record), text, Verdict::Broken);
        if header.keyed != keyed {
            broken("a chain without a key, wanted one with the key given".into());
        }
        let Some(before) = before else {
            if header.file_number > 1 {
                let text =
                    format!("file {} is the first one given: nothing is known of those before", header.file_number);
                let verdict = if self.expected.partial { Verdict::Intact } else { Verdict::Broken };
                self.find(path, (0, header.first_record), text, verdict);
            }
            return;
        };
        if header.log_id != before.header.log_id {
            broken("a file of another log".into());
        } else if header.file_number != before.header.file_number + 1 {
            let (got, wanted) = (header.file_number, before.header.file_number + 1);
            broken(format!("file {got} of the log where file {wanted} belongs"));
        } else if header.first_record != before.next_number {
            let (got, wanted) = (header.first_record, before.next_number);
            broken(format!("begins with record {got}, wanted {wanted}: records of the file before are missing"));
        } else if !before.chain.contains(&header.previous) {
            broken("the chain does not hold: the file before is not what it was".into());
        }
        if before.torn.is_none() && self.last != Some(RecordKind::Rotated) {
            let text = "the file before does not end as a full one does: records of it are missing, or it was damaged";
            self.find(path, (0, header.first_record), text, Verdict::Broken);
        }
    }

    fn record(&mut self, path: &Path, offset: usize, record: &Record<'_>, flaw: Option<Flaw>, torn_told: bool) {
        let at = (offset, record.number);
        let broken = flaw.is_some();
        if let Some(flaw) = flaw {
            self.find(path, at, flaw.to_string(), Verdict::Broken);
        }
        match record.kind {
            RecordKind::Torn if torn_told => {
                let text = format!("the file before ended within a record, as a crash leaves it: {}", record.json);
                self.find(path, at, text, Verdict::Intact);
            }
            RecordKind::Torn => self.find(path, at, "tells of a torn end that is not there", Verdict::Broken),
            RecordKind::Damaged => {
                let text = format!("the writer found damage when it opened the log: {}", record.json);
                self.find(path, at, text, Verdict::Broken);
            }
            RecordKind::Lost | RecordKind::Gap => {
                let text = format!("events are missing, and the log says which: {}", record.json);
                self.find(path, at, text, Verdict::Intact);
            }
            RecordKind::Opened if record.json.contains("\"after_close\":false") => {
                let text = "the writer before did not close the log: it was killed, or the end was cut off";
                self.find(path, at, text, Verdict::Intact);
            }
            _ => {}
        }
        let first = self.range.map_or(record.number, |(first, _)| first);
        self.range = Some((first, record.number));
        self.records += 1;
        self.last = Some(record.kind);
        let head = Head { record: record.number, chain: record.chain };
        self.head_seen |= !broken && self.expected.head == Some(head);
        self.head = if broken { None } else { Some(head) };
    }

    fn last_number(&self) -> u64 {
        self.range.map_or(0, |(_, last)| last)
    }

    fn end(mut self) -> Report {
        if let Some(Before { path, torn: Some((offset, _)), next_number, .. }) = self.before.take() {
            let text = "ends within a record, as a crash leaves it";
            self.find(&path, (offset, next_number), text, Verdict::Torn);
        }
        if !self.head_seen
            && let (Some(head), Some(file)) = (self.expected.head, self.files.last().map(|file| file.path.clone()))
        {
            let text = format!("the head {head} that was noted is not in the log: its end was cut off, or rewritten");
            self.find(&file, (0, head.record), text, Verdict::Broken);
        }
        let verdict = self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Intact);
        Report {
            verdict,
            files: self.files,
            findings: self.findings,
            records: self.records,
            range: self.range,
            head: self.head,
            closed: self.last == Some(RecordKind::Closed),
        }
    }
}

fn told(record: &Record<'_>, note: &str) -> bool {
    record.kind == RecordKind::Torn && record.json == note
}

impl std::str::FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wanted = || Error::invalid(format!("head of {text:?}, wanted NUMBER:64 hexadecimal digits"));
        let (number, digits) = text.split_once(':').ok_or_else(wanted)?;
        let record = number.parse().map_err(|_| wanted())?;
        if digits.len() != 2 * CHAIN_LEN || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wanted());
        }
        let mut chain = [0; CHAIN_LEN];
        for (byte, at) in chain.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wanted())?;
        }
        Ok(Self { record, chain })
    }
}

/// The first bytes of a file, enough for its header.
fn read_head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let len = file.and_then(|file| file.take(super::HEADER_LEN as u64).read_to_end(&mut bytes));
    len.map_err(|error| Error::io(format_args!("read {}", path.display()), error))?;
    Ok(bytes)
}
