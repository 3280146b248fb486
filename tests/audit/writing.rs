//! What is written is what is read, and who may write it.

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use talkpath::ErrorKind;
use talkpath::system::audit::{
    AuditLog, ChainKey, Entry, EntryPayload, Expected, Head, LogOptions, MAX_BODY_LEN, RecordKind, Verdict, log_files,
    verify,
};
use talkpath::system::redact::Redactor;

use super::harness::{Folder, append, judge, open, options, records, write};

#[test]
fn a_closed_log_is_intact_and_its_owners_alone() {
    let folder = Folder::new();
    write(&folder.log(), 3);
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.closed, report.range), (Verdict::Intact, true, Some((1, 5))), "{report:?}");
    assert!(report.findings.is_empty());
    let kinds: Vec<_> = records(&folder.log()).iter().map(|(_, kind, _)| kind.name()).collect();
    assert_eq!(kinds, ["opened", "event", "event", "event", "closed"]);
    for name in ["audit.log", "audit.log.lock"] {
        let mode = folder.log().with_file_name(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = Folder::new();
    let first = open(&folder.log());
    let error = AuditLog::open(&folder.log(), options(), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains(&format!("process {} is writing", std::process::id())), "{error}");
    first.close(0).unwrap();
    open(&folder.log()).close(0).unwrap();
    assert_eq!(judge(&folder.log()).verdict, Verdict::Intact);
}

#[test]
fn a_head_noted_earlier_is_found_and_one_that_was_cut_off_is_missed() {
    let folder = Folder::new();
    let mut log = open(&folder.log());
    append(&mut log, 2);
    let noted = log.head();
    append(&mut log, 2);
    let later = log.head();
    drop(log);
    let judge = |head| {
        let expected = Expected { head: Some(head), ..Expected::default() };
        verify(&log_files(&folder.log()).unwrap(), &ChainKey::none(), &expected).unwrap().verdict
    };
    assert_eq!((judge(noted), judge(later)), (Verdict::Intact, Verdict::Intact));
    // A cut between two records leaves a log in which nothing is wrong, but for those who noted how far it was.
    let places = records(&folder.log());
    let file = std::fs::OpenOptions::new().write(true).open(folder.log()).unwrap();
    file.set_len(places[places.len() - 1].0.start as u64).unwrap();
    assert_eq!((judge(noted), judge(later)), (Verdict::Intact, Verdict::Broken));
    assert_eq!(noted.to_string().parse::<Head>().unwrap(), noted);
    for text in ["", "1", "1:", "x:00", "1:zz", "1:00"] {
        assert!(text.parse::<Head>().is_err());
    }
}

#[test]
fn a_key_makes_a_chain_that_only_its_holders_can_make() {
    let folder = Folder::new();
    let key = ChainKey::new(b"0123456789abcdef").unwrap();
    let keyed = LogOptions { key: key.clone(), ..options() };
    let mut log = AuditLog::open(&folder.log(), keyed.clone(), 0).unwrap();
    append(&mut log, 3);
    log.close(0).unwrap();
    let files = log_files(&folder.log()).unwrap();
    let verdict = |key: &ChainKey| verify(&files, key, &Expected::default()).map(|report| report.verdict);
    assert_eq!(verdict(&key).unwrap(), Verdict::Intact);
    assert_eq!(verdict(&ChainKey::new(b"0123456789abcdeX").unwrap()).unwrap(), Verdict::Broken);
    assert_eq!(verdict(&ChainKey::none()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(AuditLog::open(&folder.log(), options(), 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(ChainKey::new(b"short").is_err());
    // Nor does a log without a key pass for one that has it.
    let plain = Folder::new();
    write(&plain.log(), 3);
    let report = verify(&log_files(&plain.log()).unwrap(), &key, &Expected::default()).unwrap();
    assert_eq!(report.verdict, Verdict::Broken);
}

#[test]
fn options_and_records_out_of_range_are_refused() {
    let folder = Folder::new();
    for max_file_bytes in [0, 4095, (1 << 30) + 1] {
        let wrong = LogOptions { max_file_bytes, ..options() };
        assert_eq!(AuditLog::open(&folder.log(), wrong, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let mut log = open(&folder.log());
    let error = log.append(RecordKind::Event, &"x".repeat(MAX_BODY_LEN), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    log.append(RecordKind::Event, "{}", 0).unwrap();
    log.close(0).unwrap();
    assert_eq!(judge(&folder.log()).verdict, Verdict::Intact);
}

#[test]
fn an_entry_says_what_happened_without_its_secrets() {
    let redactor = Redactor::default();
    let entry =
        |payload| Entry { session: "call \"1\"", sequence: 7, kind: "console", time_us: 5, origin: None, payload };
    assert_eq!(
        entry(EntryPayload::Json(r#"{"z": 1.0,"password":"x","a":2}"#)).to_json(&redactor),
        r#"{"session":"call \"1\"","sequence":7,"kind":"console","time_us":5,"redacted":1,"payload":{"z": 1.0,"password":"[redacted]","a":2}}"#
    );
    assert!(entry(EntryPayload::Bytes(b"\x00\x01")).to_json(&redactor).ends_with(r#""payload":{"base64":"AAE="}}"#));
    assert!(entry(EntryPayload::Json("no json: \"")).to_json(&redactor).ends_with(r#""payload":"no json: \""}"#));
    let long = format!("\"{}\"", "x".repeat(5 << 20));
    let json = entry(EntryPayload::Json(&long)).to_json(&redactor);
    assert!(json.contains(r#""left_out_bytes":5242882,"sha256":""#), "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back_as_they_were(texts in prop::collection::vec("\\PC{0,40}", 1..20)) {
        let folder = Folder::new();
        let mut log = open(&folder.log());
        let texts: Vec<_> = texts.iter().map(|text| serde_json::json!({"text": text}).to_string()).collect();
        for text in &texts {
            log.append(RecordKind::Event, text, 9).unwrap();
        }
        log.close(9).unwrap();
        let got: Vec<_> = records(&folder.log()).into_iter().filter(|(_, kind, _)| *kind == RecordKind::Event).collect();
        prop_assert_eq!(got.into_iter().map(|(_, _, json)| json).collect::<Vec<_>>(), texts);
        prop_assert_eq!(judge(&folder.log()).verdict, Verdict::Intact);
    }
}
