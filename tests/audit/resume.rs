//! What a writer does with a log that another one left, in order or not.

use std::fs::OpenOptions;
use std::io::Write;

use proptest::prelude::*;
use talkpath::system::audit::{ChainKey, Expected, RecordKind, Verdict, log_files, verify};

use super::harness::{Folder, append, judge, open, records, write};

#[test]
fn a_closed_log_goes_on_in_its_file() {
    let folder = Folder::new();
    write(&folder.log(), 2);
    write(&folder.log(), 2);
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.files.len(), report.records), (Verdict::Intact, 1, 8));
    assert!(report.findings.is_empty(), "{report:?}");
}

#[test]
fn a_writer_that_did_not_close_is_told_of() {
    let folder = Folder::new();
    let mut log = open(&folder.log());
    append(&mut log, 2);
    drop(log);
    write(&folder.log(), 2);
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.files.len()), (Verdict::Intact, 1));
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].text.contains("did not close"), "{report:?}");
}

#[test]
fn after_every_torn_end_the_log_goes_on_and_says_so() {
    let folder = Folder::new();
    let mut log = open(&folder.log());
    append(&mut log, 2);
    drop(log);
    let whole = std::fs::read(folder.log()).unwrap();
    let last = records(&folder.log()).last().unwrap().0.clone();
    for len in last.start + 1..last.end {
        let folder = Folder::new();
        std::fs::write(folder.log(), &whole[..len]).unwrap();
        write(&folder.log(), 1);
        let report = judge(&folder.log());
        assert_eq!((report.verdict, report.files.len()), (Verdict::Intact, 2), "{report:?}");
        // Not a byte of what the crash left is gone.
        assert_eq!(std::fs::read(&log_files(&folder.log()).unwrap()[0]).unwrap(), &whole[..len]);
        let (_, kind, json) = records(&folder.log()).swap_remove(0);
        assert_eq!(kind, RecordKind::Torn);
        assert!(json.contains(&format!("\"offset\":{},\"bytes\":{}", last.start, len - last.start)), "{json}");
        // And it cannot be changed afterwards.
        let torn = &log_files(&folder.log()).unwrap()[0];
        OpenOptions::new().append(true).open(torn).unwrap().write_all(b"x").unwrap();
        assert_eq!(judge(&folder.log()).verdict, Verdict::Broken);
        std::fs::write(torn, &whole[..last.start]).unwrap();
        assert_eq!(judge(&folder.log()).verdict, Verdict::Broken);
    }
}

#[test]
fn damage_is_never_mended() {
    let folder = Folder::new();
    write(&folder.log(), 5);
    let place = records(&folder.log())[2].0.clone();
    let mut bytes = std::fs::read(folder.log()).unwrap();
    bytes[place.start + 30] ^= 1;
    std::fs::write(folder.log(), &bytes).unwrap();
    for _ in 0..2 {
        write(&folder.log(), 1);
        let report = judge(&folder.log());
        assert_eq!((report.verdict, report.files.len()), (Verdict::Broken, 2));
        assert_eq!(report.findings[0].record, 3, "{report:?}");
        assert!(report.findings.iter().any(|finding| finding.text.contains("the writer found damage")));
    }
    assert_eq!(std::fs::read(&log_files(&folder.log()).unwrap()[0]).unwrap(), bytes);
}

#[test]
fn a_live_file_that_is_none_is_set_aside_and_told_of() {
    for contents in [
        &b""[..],
        b"something else entirely, and longer than a header of an audit log has to be, which is 128 bytes: not so many",
        &[0; 300],
    ] {
        let folder = Folder::new();
        std::fs::write(folder.log(), contents).unwrap();
        write(&folder.log(), 1);
        let report = judge(&folder.log());
        assert_eq!((report.verdict, report.records), (Verdict::Broken, 4), "{report:?}");
        let aside = folder.log().with_file_name("audit.log.unreadable-1000");
        assert_eq!(std::fs::read(aside).unwrap(), contents);
    }
}

#[test]
fn a_live_file_that_somebody_took_away_is_missed() {
    let folder = Folder::new();
    let mut log = open(&folder.log());
    append(&mut log, 1);
    drop(log);
    // A torn end gives the first file its number, so that there is something to miss a second one from.
    OpenOptions::new().append(true).open(folder.log()).unwrap().write_all(b"\xffTPR").unwrap();
    write(&folder.log(), 1);
    std::fs::remove_file(folder.log()).unwrap();
    write(&folder.log(), 1);
    assert_eq!(judge(&folder.log()).verdict, Verdict::Intact, "the torn end is told of again");
    let full = folder.log().with_file_name("audit.log.000002");
    std::fs::rename(folder.log(), full).unwrap();
    write(&folder.log(), 1);
    assert_eq!(judge(&folder.log()).verdict, Verdict::Broken);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any number of writers, each killed after any number of bytes: all that was whole is still there.
    #[test]
    fn nothing_whole_is_lost_over_many_crashes(lives in prop::collection::vec((1..6_u64, 0..500_usize), 1..6)) {
        let folder = Folder::new();
        let mut heads = Vec::new();
        for (events, cut) in lives {
            let mut log = open(&folder.log());
            append(&mut log, events);
            drop(log);
            let ends: Vec<_> = records(&folder.log()).into_iter().map(|(place, _, _)| place.end as u64).collect();
            let len = std::fs::metadata(folder.log()).unwrap().len().saturating_sub(cut as u64).max(ends[0]);
            OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(len).unwrap();
            heads.push(judge(&folder.log()).head);
        }
        write(&folder.log(), 0);
        let files = log_files(&folder.log()).unwrap();
        for head in heads {
            prop_assert!(head.is_some());
            let report = verify(&files, &ChainKey::none(), &Expected { partial: false, head }).unwrap();
            prop_assert_eq!(report.verdict, Verdict::Intact);
            prop_assert_eq!(report.range, Some((1, report.records)));
        }
    }
}
