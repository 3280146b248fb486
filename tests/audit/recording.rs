//! A bus, recorded: everything that was published is there, in order, and no secret is.

use std::collections::HashMap;
use std::time::Duration;

use talkpath::ErrorKind;
use talkpath::system::audit::{Audit, AuditOptions, RecordKind, Verdict};
use talkpath::system::bus::{Bus, Filter, Origin, Payload};
use talkpath::system::redact::KnownSecrets;

use super::harness::{Folder, judge, options, records};

const LIMIT: Duration = Duration::from_secs(30);

fn start(bus: &Bus, folder: &Folder) -> Audit {
    Audit::start(bus, &folder.log(), AuditOptions { log: options(), ..AuditOptions::default() }).unwrap()
}

fn events(folder: &Folder) -> Vec<serde_json::Value> {
    let events = records(&folder.log()).into_iter().filter(|(_, kind, _)| *kind == RecordKind::Event);
    events.map(|(_, _, json)| serde_json::from_str(&json).unwrap()).collect()
}

#[test]
fn everything_of_many_publishers_is_recorded_in_each_sessions_order() {
    let (bus, folder) = (Bus::new(), Folder::new());
    let audit = start(&bus, &folder);
    std::thread::scope(|scope| {
        for session in ["a", "b", "c"] {
            let bus = &bus;
            scope.spawn(move || {
                for number in 1..=2_000 {
                    bus.publish(session, "test:tick", Payload::json(number.to_string())).unwrap();
                }
            });
        }
    });
    let head = audit.flush(LIMIT).unwrap();
    assert_eq!((audit.stats().events, audit.stats().lost, audit.stats().stalled), (6_000, 0, None));
    assert_eq!(audit.head().unwrap(), head);
    audit.close(LIMIT).unwrap();
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.closed, report.records), (Verdict::Intact, true, 6_002));
    let mut last = HashMap::<String, u64>::new();
    for event in events(&folder) {
        let last = last.entry(event["session"].as_str().unwrap().into()).or_default();
        *last += 1;
        assert_eq!((event["sequence"].as_u64(), event["payload"].as_u64()), (Some(*last), Some(*last)));
    }
}

#[test]
fn secrets_never_reach_the_file() {
    let (bus, folder) = (Bus::new(), Folder::new());
    let audit = start(&bus, &folder);
    KnownSecrets::of_process().add(b"a typed Xq7canary0").unwrap();
    let publish = |payload| bus.publish("call-1", "console", payload).unwrap();
    publish(Payload::json(r#"{"line":"$ a typed Xq7canary0","api_key":"Xq7canary1"}"#));
    publish(Payload::bytes(*b"raw a typed Xq7canary0 bytes"));
    publish(Payload::json(r#"{"line":"export TOKEN=Xq7canary2","argv":["x","--password","Xq7canary3"]}"#));
    publish(Payload::json("not json, but password=Xq7canary4"));
    bus.publish("a typed Xq7canary0", "kind:a typed Xq7canary0", Payload::json("{}")).unwrap();
    audit.close(LIMIT).unwrap();
    let file = String::from_utf8_lossy(&std::fs::read(folder.log()).unwrap()).into_owned();
    assert!(!file.contains("Xq7canary"), "{file}");
    let redacted: Vec<_> = events(&folder).iter().map(|event| event["redacted"].as_u64()).collect();
    assert_eq!(redacted, [Some(2), Some(1), Some(2), Some(1), Some(2)]);
}

#[test]
fn what_other_processes_published_is_recorded_as_theirs() {
    let (bus, folder) = (Bus::new(), Folder::new());
    let audit = start(&bus, &folder);
    let origin = Origin { name: "there".into(), sequence: 7, time_us: 5 };
    bus.publisher("s").unwrap().with_origin(origin).publish("a:b", Payload::json("1")).unwrap();
    audit.close(LIMIT).unwrap();
    let events = events(&folder);
    assert_eq!(events[0]["origin"], serde_json::json!({"name": "there", "sequence": 7}));
    assert_eq!((events[0]["time_us"].as_u64(), events[0]["sequence"].as_u64()), (Some(5), Some(1)));
}

#[test]
fn only_what_the_filter_matches_is_recorded_until_it_is_closed() {
    let (bus, folder) = (Bus::new(), Folder::new());
    let filter = Filter::new("call-*", "voice:*").unwrap();
    let audit = Audit::start(&bus, &folder.log(), AuditOptions { filter, ..AuditOptions::default() }).unwrap();
    for (session, kind) in [("call-1", "voice:x"), ("call-1", "console"), ("other", "voice:x")] {
        bus.publish(session, kind, Payload::json("{}")).unwrap();
    }
    let head = audit.close(LIMIT).unwrap();
    assert_eq!(audit.close(LIMIT).unwrap(), head);
    assert_eq!(audit.flush(LIMIT).unwrap_err().kind(), ErrorKind::SessionEnded);
    bus.publish("call-1", "voice:x", Payload::json("{}")).unwrap();
    assert_eq!(events(&folder).len(), 1);
    // Dropping closes, too, and takes what was published before.
    let audit = start(&bus, &folder);
    bus.publish("call-1", "voice:y", Payload::json("{}")).unwrap();
    drop(audit);
    assert_eq!(events(&folder).len(), 2);
    let report = judge(&folder.log());
    assert!(report.closed && report.findings.is_empty(), "{report:?}");
}
