//! One chain over many files.

use std::path::PathBuf;

use talkpath::system::audit::{
    AuditLog, ChainKey, Expected, LogOptions, RecordKind, SyncPolicy, Verdict, log_files, verify,
};

use super::harness::{Folder, append, judge, options, records};

fn log_in_files(folder: &Folder) -> Vec<PathBuf> {
    let small = LogOptions { max_file_bytes: 4096, sync: SyncPolicy::EveryCommit, ..options() };
    let mut log = AuditLog::open(&folder.log(), small, 0).unwrap();
    while log.file_number() < 4 {
        append(&mut log, 3);
    }
    log.close(0).unwrap();
    log_files(&folder.log()).unwrap()
}

#[test]
fn a_full_file_gets_its_number_and_the_log_goes_on() {
    let folder = Folder::new();
    let files = log_in_files(&folder);
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["audit.log.000001", "audit.log.000002", "audit.log.000003", "audit.log"]);
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.closed, report.files.len()), (Verdict::Intact, true, 4), "{report:?}");
    assert_eq!(report.range, Some((1, report.records)));
    for file in &files[..3] {
        assert!(file.metadata().unwrap().len() >= 4096);
        assert_eq!(records(file).last().unwrap().1, RecordKind::Rotated);
    }
}

#[test]
fn files_may_be_given_in_any_order_and_none_may_be_missing() {
    let folder = Folder::new();
    let files = log_in_files(&folder);
    let verdict = |files: &[&PathBuf], partial| {
        let files: Vec<_> = files.iter().map(|file| (*file).clone()).collect();
        let expected = Expected { partial, head: None };
        verify(&files, &ChainKey::none(), &expected).unwrap().verdict
    };
    let [one, two, three, live] = &files[..] else { panic!("{files:?}") };
    assert_eq!(verdict(&[live, two, one, three], false), Verdict::Intact);
    assert_eq!(verdict(&[one, three, live], false), Verdict::Broken);
    assert_eq!(verdict(&[one, three, live], true), Verdict::Broken);
    assert_eq!(verdict(&[two, three, live], false), Verdict::Broken);
    assert_eq!(verdict(&[two, three, live], true), Verdict::Intact);
    assert_eq!(verdict(&[one, one, two, three, live], false), Verdict::Broken);
}

#[test]
fn a_file_of_another_log_or_with_its_end_cut_off_does_not_fit() {
    let (folder, other) = (Folder::new(), Folder::new());
    let (files, others) = (log_in_files(&folder), log_in_files(&other));
    std::fs::copy(&others[1], &files[1]).unwrap();
    assert_eq!(judge(&folder.log()).verdict, Verdict::Broken);
    let places = records(&others[2]);
    let file = std::fs::OpenOptions::new().write(true).open(&others[2]).unwrap();
    file.set_len(places[places.len() - 1].0.start as u64).unwrap();
    let report = judge(&other.log());
    assert_eq!(report.verdict, Verdict::Broken);
    assert!(report.findings[0].text.contains("records of the file before are missing"), "{report:?}");
}

#[test]
fn a_crash_between_the_two_names_is_gone_on_from() {
    let folder = Folder::new();
    let files = log_in_files(&folder);
    // As if the writer had died right after the third file got its number, or right before.
    for before in [false, true] {
        std::fs::remove_file(&files[3]).unwrap();
        if before {
            std::fs::rename(&files[2], &files[3]).unwrap();
        }
        super::harness::write(&folder.log(), 2);
        let report = judge(&folder.log());
        assert_eq!((report.verdict, report.files.len()), (Verdict::Intact, 4), "{report:?}");
    }
}
