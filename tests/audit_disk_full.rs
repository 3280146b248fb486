//! A disk that is full, in the middle of a record: nothing is lost, and the chain holds. Alone in its program, as the
//! limit that stands for the disk is the whole process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use talkpath::ErrorKind;
use talkpath::system::audit::{AuditLog, ChainKey, Expected, LogOptions, RecordKind, Verdict, log_files, verify};

#[test]
fn what_the_disk_refused_is_written_when_there_is_room() {
    let folder = std::env::temp_dir().join(format!("talkpath-audit-full-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("audit.log");
    let options = LogOptions { max_file_bytes: 4096, ..LogOptions::default() };
    let mut log = AuditLog::open(&path, options, 0).unwrap();

    // A write beyond the limit is cut short, then refused with EFBIG: what a full disk does, but for the number.
    let mut too_large = SigSet::empty();
    too_large.add(Signal::SIGXFSZ);
    too_large.thread_block().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let mut number = 0;
    for room in [1000, 1001, 2500, 4090] {
        setrlimit(Resource::RLIMIT_FSIZE, room, hard).unwrap();
        let refused = loop {
            log.append(RecordKind::Event, &format!("{{\"event\":{number}}}"), number).unwrap();
            number += 1;
            match log.commit(number) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::Io);
        assert!(log.pending_bytes() > 0);
        let waiting = log.append(RecordKind::Event, "{}", number).unwrap_err();
        assert_eq!(waiting.kind(), ErrorKind::LimitExceeded);
        assert_eq!(log.commit(number).unwrap_err().kind(), ErrorKind::Io, "there is no room yet");
        // What was refused has left nothing behind.
        let files = log_files(&path).unwrap();
        assert_eq!(verify(&files, &ChainKey::none(), &Expected::default()).unwrap().verdict, Verdict::Intact);

        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        log.commit(number).unwrap();
        assert_eq!(log.pending_bytes(), 0);
    }
    let head = log.close(number).unwrap();
    let expected = Expected { head: Some(head), ..Expected::default() };
    let report = verify(&log_files(&path).unwrap(), &ChainKey::none(), &expected).unwrap();
    assert_eq!((report.verdict, report.closed), (Verdict::Intact, true), "{report:?}");
    let rotated = report.files.len() as u64 - 1;
    assert_eq!(
        report.records,
        number + 2 + rotated,
        "each event once, the opening, the closing, and each end of a file"
    );
    std::fs::remove_dir_all(folder).unwrap();
}
