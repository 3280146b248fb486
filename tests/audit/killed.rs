//! A writer that is killed in the middle of writing, with SIGKILL.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use talkpath::system::audit::{AuditLog, LogOptions, RecordKind, SyncPolicy, Verdict};

use super::harness::{Folder, judge, options, write};

const VARIABLE: &str = "TALKPATH_TEST_AUDIT_LOG";

/// Not a test of its own: the writer that the test below kills, in a process of its own.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let options = LogOptions { max_file_bytes: 64 << 10, sync: SyncPolicy::WhenFull, ..options() };
    let mut log = AuditLog::open(path.as_ref(), options, 0).unwrap();
    for number in 0_u64.. {
        log.append(RecordKind::Event, &format!("{{\"event\":{number}}}"), number).unwrap();
        if number.is_multiple_of(7) {
            log.commit(number).unwrap();
            println!("head={}", log.head());
        }
    }
}

#[test]
fn what_was_committed_when_the_writer_was_killed_is_there() {
    let folder = Folder::new();
    for life in 0..5 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "killed::writer", "--nocapture", "--test-threads=1"]).env(VARIABLE, folder.log());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut heads = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut heads = heads.by_ref().filter_map(|line| line.split_once("head=").map(|(_, head)| head.to_owned()));
        let mut last = heads.nth(100 + 37 * life).expect("the writer writes");
        child.kill().unwrap();
        last = heads.last().unwrap_or(last);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        write(&folder.log(), 1);
        let files = talkpath::system::audit::log_files(&folder.log()).unwrap();
        // The last line may have been cut off with the pipe.
        let expected = talkpath::system::audit::Expected { partial: false, head: last.parse().ok() };
        let key = talkpath::system::audit::ChainKey::none();
        let report = talkpath::system::audit::verify(&files, &key, &expected).unwrap();
        assert_eq!(report.verdict, Verdict::Intact, "{report:?}");
    }
    let report = judge(&folder.log());
    assert!(report.closed && report.files.len() > 1, "{report:?}");
}
