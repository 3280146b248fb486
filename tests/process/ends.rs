//! Ends: codes and signals, deadlines, limits, zombies, what is found of them later.

use std::time::Duration;

use talkpath::ErrorKind;
use talkpath::io::clock::Clock;
use talkpath::system::process::{Found, LimitKind, ProcessSpec, Stream};

use crate::{LIMIT, expect, manager, next, sh};

#[test]
fn a_code_of_137_is_not_a_kill() {
    let manager = manager();
    let exit = manager.start(&sh("exit 137")).unwrap().wait(Some(LIMIT)).unwrap();
    assert_eq!((exit.code(), exit.signal()), (Some(137), None));
    let exit = manager.start(&sh("kill -9 $$")).unwrap().wait(Some(LIMIT)).unwrap();
    assert_eq!((exit.code(), exit.signal()), (None, Some(9)));
}

#[test]
fn what_cannot_be_started_says_why() {
    let manager = manager();
    let error = manager.start(&ProcessSpec::argv(["no-such-program-here"])).unwrap_err();
    assert_eq!((error.kind(), error.os_error()), (ErrorKind::Io, Some(2)), "{error}");
    assert!(error.to_string().contains("no-such-program-here"), "{error}");
    let mut spec = sh(":");
    spec.cwd = Some("/no/such/directory".into());
    assert_eq!(manager.start(&spec).unwrap_err().os_error(), Some(2));
    assert!(manager.running().is_empty());
}

#[test]
fn fifty_who_ignore_being_asked_share_one_deadline() {
    let manager = manager();
    let script = "trap '' TERM; echo ready; while :; do sleep 60; done";
    let all: Vec<_> = (0..50).map(|_| manager.start(&sh(script)).unwrap()).collect();
    for process in &all {
        expect(process, "ready");
    }
    assert_eq!(manager.running().len(), 50);
    let began = Clock::now();
    manager.stop_all(Duration::from_millis(300));
    for process in &all {
        assert_eq!(process.wait(Some(LIMIT)).unwrap().signal(), Some(9));
    }
    // One after the other it would be 15 s.
    assert!(Clock::now().since(began) < Duration::from_secs(10));
    assert!(manager.running().is_empty());
}

#[test]
fn who_ends_when_asked_is_not_killed() {
    let manager = manager();
    let process = manager.start(&sh("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")).unwrap();
    expect(&process, "ready");
    process.stop(LIMIT);
    assert_eq!(process.wait(Some(LIMIT)).unwrap().code(), Some(5));
    expect(&process, "bye");
}

#[test]
fn a_stopped_tree_leaves_nobody() {
    let manager = manager();
    let process = manager.start(&sh("setsid sleep 61 & echo $!; wait")).unwrap();
    let line = next(&process, Stream::Stdout).unwrap();
    let grandchild: i32 = String::from_utf8(line).unwrap().trim().parse().unwrap();
    process.stop(Duration::ZERO);
    process.wait(Some(LIMIT)).unwrap();
    let deadline = Clock::now() + LIMIT;
    while std::path::Path::new(&format!("/proc/{grandchild}")).exists() {
        assert!(Clock::now() < deadline, "{grandchild} is left");
        std::thread::yield_now();
    }
}

#[test]
fn limits_end_it_and_are_named() {
    let manager = manager();
    let mut spec = sh("while :; do echo yes; done");
    spec.limits.output_bytes = Some(100_000);
    let process = manager.start(&spec).unwrap();
    let exit = process.wait(Some(LIMIT)).unwrap();
    assert_eq!(exit.limit, Some(LimitKind::Output));
    assert_eq!(crate::rest(&process, Stream::Stdout).len(), 100_000);
    let mut spec = sh("sleep 60");
    spec.limits.wall_time = Some(Duration::from_millis(100));
    let exit = manager.start(&spec).unwrap().wait(Some(LIMIT)).unwrap();
    assert_eq!(exit.limit, Some(LimitKind::WallTime), "{exit}");
}

#[test]
fn two_hundred_leave_no_zombie_and_no_id_comes_twice() {
    let manager = manager();
    let mut ids = std::collections::HashSet::new();
    let mut last = None;
    for _ in 0..200 {
        let process = manager.start(&ProcessSpec::argv(["true"])).unwrap();
        assert!(ids.insert(process.id().to_owned()));
        last = Some(process);
    }
    let last = last.unwrap();
    assert!(last.wait(Some(LIMIT)).unwrap().is_success());
    let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", nix::unistd::getpid())).unwrap();
    assert!(children.split_whitespace().count() <= 1, "children of ours: {children}");
    assert!(matches!(manager.find(last.id()), Some(Found::Process(process)) if process.pid() == last.pid()));
    assert!(manager.find("none-1").is_none());
    // A hundred ends are beyond what is kept with its output, and remembered all the same.
    let first = ids.iter().min_by_key(|id| id[5..].parse::<u32>().unwrap()).unwrap();
    let deadline = Clock::now() + LIMIT;
    while !matches!(manager.find(first), Some(Found::Ended)) {
        assert!(Clock::now() < deadline, "{first} is not told to have ended");
        std::thread::yield_now();
    }
}

#[test]
fn a_closed_manager_has_ended_all_and_starts_nothing() {
    let manager = manager();
    let process = manager.start(&sh("trap '' TERM; echo ready; while :; do sleep 60; done")).unwrap();
    expect(&process, "ready");
    manager.close(Duration::from_millis(100));
    assert!(process.exit().is_some());
    assert_eq!(manager.start(&sh(":")).unwrap_err().kind(), ErrorKind::SessionEnded);
}
