//! A recording while the disk refuses: publishers wait, or events are counted and dropped, as was asked. Alone in its
//! program, as the limit that stands for the disk is the whole process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use talkpath::ErrorKind;
use talkpath::system::audit::{
    Audit, AuditOptions, ChainKey, Expected, Lines, RecordKind, Verdict, WhenFull, log_files, verify,
};
use talkpath::system::bus::{Bus, Filter, Limits, Options, Payload};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn while_the_disk_refuses_nothing_is_lost_in_silence() {
    // The threads that are started from here on do as this one does: a write beyond the limit fails, and kills nobody.
    let mut too_large = SigSet::empty();
    too_large.add(Signal::SIGXFSZ);
    too_large.thread_block().unwrap();
    let folder = std::env::temp_dir().join(format!("talkpath-audit-refused-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    publishers_wait(&folder.join("wait.log"));
    events_are_counted(&folder.join("drop.log"));
    std::fs::remove_dir_all(folder).unwrap();
}

fn publishers_wait(path: &Path) {
    let bus = Bus::with_limits(Limits { publish_timeout: Duration::from_millis(20), ..Limits::default() });
    let watch = bus.subscribe(Filter::new("talkpath", "audit:*").unwrap(), Options::default()).unwrap();
    let audit = Audit::start(&bus, path, AuditOptions { capacity: 100, ..AuditOptions::default() }).unwrap();
    limit_files(Some(5_000));
    let mut published = 0;
    let refused = loop {
        match bus.publish("s", "a:b", Payload::json("{\"text\":\"some text to fill the disk with\"}")) {
            Ok(_) => published += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    assert!(refused.to_string().contains("wait.log"), "{refused}");
    assert!(audit.stats().stalled.is_some_and(|reason| reason.contains("File too large")));
    assert_eq!(audit.flush(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::Timeout);

    limit_files(None);
    audit.flush(LIMIT).unwrap();
    let stats = audit.stats();
    assert_eq!((stats.lost, stats.stalled, stats.waiting), (0, None, 0));
    audit.close(LIMIT).unwrap();
    let said = said(&watch);
    assert_eq!(said, ["audit:stalled", "audit:resumed"]);
    let events = count(path, RecordKind::Event);
    assert!(events >= published, "{events} of {published} events, and what it said of itself");
    assert_eq!(count(path, RecordKind::Lost), 0);
}

fn events_are_counted(path: &Path) {
    let bus = Bus::new();
    let options = AuditOptions { when_full: WhenFull::Drop, capacity: 100, ..AuditOptions::default() };
    let filter = Filter::new("s", "*").unwrap();
    let audit = Audit::start(&bus, path, AuditOptions { filter, ..options }).unwrap();
    limit_files(Some(5_000));
    let mut published = 0;
    while audit.stats().lost < 1_000 {
        bus.publish("s", "a:b", Payload::json("{\"text\":\"some text to fill the disk with\"}")).unwrap();
        published += 1;
    }
    limit_files(None);
    audit.flush(LIMIT).unwrap();
    audit.close(LIMIT).unwrap();
    let stats = audit.stats();
    assert_eq!(stats.events + stats.lost, published);
    assert_eq!(count(path, RecordKind::Event) as u64, stats.events);
    let lost: u64 = lines(path, RecordKind::Lost).iter().map(|line| line["events"].as_u64().unwrap()).sum();
    assert_eq!(lost, stats.lost);
}

fn limit_files(bytes: Option<u64>) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes.unwrap_or(hard), hard).unwrap();
}

fn said(watch: &talkpath::system::bus::Subscription) -> Vec<String> {
    let mut batch = Vec::new();
    watch.drain(100, &mut batch);
    batch.iter().filter_map(|delivery| Some(delivery.event()?.kind.to_string())).collect()
}

fn count(path: &Path, kind: RecordKind) -> usize {
    lines(path, kind).len()
}

/// The records of a kind, of a log that is whole.
fn lines(path: &Path, kind: RecordKind) -> Vec<serde_json::Value> {
    let files: Vec<PathBuf> = log_files(path).unwrap();
    let report = verify(&files, &ChainKey::none(), &Expected::default()).unwrap();
    assert_eq!((report.verdict, report.closed), (Verdict::Intact, true), "{report:?}");
    let lines = Lines::open(path).unwrap().next_lines(usize::MAX);
    let lines = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["type"] == kind.name()).collect()
}
