//! How programs are ended: on request, by a bound, or because a part of the guardian was killed.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use talkpath::io::clock::Clock;
use talkpath::system::process::guardian::{
    Guardian, GuardianConfig, Limit, Limits, Notice, Request, SpawnSpec, Status, Tier,
};

use crate::harness::{Guard, line, own_directory, program, shell, stat, wait_until};
use crate::scene::descendants;

const KILLED: Status = Status::Signal { number: 9, core_dumped: false };
const TERMINATED: Status = Status::Signal { number: 15, core_dumped: false };

#[test]
fn fifty_that_ignore_term_share_one_deadline() {
    let mut guard = Guard::start();
    let mut outputs = Vec::new();
    for _ in 0..50 {
        let (_, output) = guard.request(shell("trap '' TERM; echo ready; while :; do sleep 1000; done"));
        outputs.push(output);
    }
    outputs.iter_mut().for_each(|output| assert_eq!(line(output), "ready"));
    let began = Clock::now();
    guard.guardian.request(&Request::Stop { ids: (1..=50).collect(), grace_ms: 300 }, &[]).expect("sent");
    for id in 1..=50 {
        assert_eq!(guard.exit_of(id), KILLED);
        assert!(guard.tree_gone(id) >= 1);
    }
    let took = Clock::now().since(began);
    // One after the other would be 15 s.
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn what_heeds_term_ends_before_the_deadline_with_its_descendants() {
    let mut guard = Guard::start();
    let (id, mut output) = guard.spawn(shell("sleep 1000 & setsid sh -c 'echo ready; exec sleep 1000' & wait"));
    let (stopped, mut stopped_output) = guard.spawn(shell("echo ready; kill -STOP $$"));
    assert_eq!((line(&mut output), line(&mut stopped_output)), ("ready".to_owned(), "ready".to_owned()));
    guard.guardian.request(&Request::Stop { ids: vec![id, stopped], grace_ms: 600_000 }, &[]).expect("sent");
    assert_eq!((guard.exit_of(id), guard.tree_gone(id)), (TERMINATED, 0));
    assert_eq!((guard.exit_of(stopped), guard.tree_gone(stopped)), (TERMINATED, 0));
}

#[test]
fn a_shell_at_a_terminal_ends_by_being_hung_up_on() {
    let mut guard = Guard::start();
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let spec = SpawnSpec { pty: true, ..shell("trap '' TERM; echo ready; while read line; do :; done") };
    let fds = [std::os::fd::AsFd::as_fd(&terminal.slave); 3];
    guard.guardian.request(&Request::Spawn { id: 5, spec }, &fds).expect("sent");
    let mut master = std::fs::File::from(terminal.master);
    assert_eq!(line(&mut master), "ready");
    guard.guardian.request(&Request::Stop { ids: vec![5], grace_ms: 600_000 }, &[]).expect("sent");
    assert_eq!(guard.exit_of(5), Status::Signal { number: 1, core_dumped: false });
}

#[test]
fn a_daemon_belongs_to_the_child_that_left_it() {
    let mut guard = Guard::start();
    // Forked twice, in a session of its own, without an environment, and its parent is gone.
    let daemon = "env -i setsid sh -c 'trap \"\" HUP TERM; sh -c \"echo \\$\\$; exec sleep 1000\" & exit' & exit 3";
    let mut pids = Vec::new();
    for id in 1..=3 {
        let (_, mut output) = guard.spawn(shell(daemon));
        assert_eq!(guard.exit_of(id), Status::Code(3));
        pids.push(line(&mut output).parse::<i32>().expect("a process id"));
    }
    guard.guardian.request(&Request::Signal { id: 2, signal: 9, whole_tree: true }, &[]).expect("sent");
    assert_eq!(guard.tree_gone(2), 1);
    let there = |pid: &i32| stat(*pid, 3).is_some();
    assert_eq!(pids.iter().map(there).collect::<Vec<_>>(), [true, false, true]);
    guard.guardian.request(&Request::Stop { ids: vec![1], grace_ms: 20 }, &[]).expect("sent");
    assert_eq!(guard.tree_gone(1), 1);
    assert_eq!(pids.iter().map(there).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn a_signal_goes_to_the_child_or_to_the_whole_tree() {
    let mut guard = Guard::start();
    let script = "trap 'echo got; exit 4' USR1; sh -c 'echo ready; exec sleep 1000' & while :; do wait; done";
    let (id, mut output) = guard.spawn(shell(script));
    assert_eq!(line(&mut output), "ready");
    guard.guardian.request(&Request::Signal { id, signal: 10, whole_tree: false }, &[]).expect("sent");
    assert_eq!((line(&mut output), guard.exit_of(id)), ("got".to_owned(), Status::Code(4)));
    // What the child left is signalled with the tree alone; to the child itself it is too late for anything.
    guard.guardian.request(&Request::Signal { id, signal: 9, whole_tree: false }, &[]).expect("sent");
    guard.guardian.request(&Request::Signal { id, signal: 15, whole_tree: true }, &[]).expect("sent");
    assert_eq!(guard.tree_gone(id), 0);
}

#[test]
fn two_hundred_children_leave_nothing_behind() {
    let mut guard = Guard::start();
    for _ in 0..200 {
        let (id, _) = guard.request(shell("true & exit 1"));
        guard.tree_gone(id);
    }
    let pid = guard.pid();
    wait_until("the guardian has no children", || descendants(pid).is_empty());
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count();
    assert!(fds < 10, "{fds} descriptors");
}

#[test]
fn bounds_are_kept() {
    let mut guard = Guard::start();
    let none = Limits::default();
    let many = "for i in 1 2 3 4 5 6 7 8; do setsid sleep 1000 & done; wait";
    let memory = "x=$(head -c 60000000 /dev/zero | tr '\\0' x); sleep 1000";
    for (script, limits, wanted) in [
        (many, Limits { nproc: Some(5), ..none }, Limit::Processes),
        (memory, Limits { memory_bytes: Some(30_000_000), ..none }, Limit::Memory),
        ("while :; do :; done", Limits { cpu_seconds: Some(1), ..none }, Limit::Cpu),
        ("while :; do sleep 1000; done", Limits { wall_ms: Some(50), ..none }, Limit::Wall),
    ] {
        let (id, _) = guard.spawn(SpawnSpec { limits, ..shell(script) });
        let reached = guard.until(|notice| matches!(notice, Notice::LimitReached { .. } | Notice::Exited { .. }));
        assert!(
            matches!(reached, Notice::LimitReached { id: of, which } if (of, which) == (id, wanted)),
            "{reached:?}"
        );
        assert_eq!(guard.exit_of(id), KILLED);
        assert!(guard.tree_gone(id) >= 1);
    }
    let limits =
        Limits { nproc: Some(50), memory_bytes: Some(1 << 40), cpu_seconds: Some(60), wall_ms: Some(60_000), ..none };
    let (id, _) = guard.spawn(SpawnSpec { limits, ..shell("sleep 0.1 & sleep 0.1 & wait; exit 6") });
    assert_eq!((guard.exit_of(id), guard.tree_gone(id)), (Status::Code(6), 0));
}

#[test]
fn a_fork_bomb_is_stopped() {
    let mut guard = Guard::start();
    // Five hundred processes at the most, should nobody stop them; and none ends by itself.
    let bomb = "b() { [ $1 -gt 0 ] && { b $(($1-1)) & b $(($1-1)) & }; sleep 1000; }; b 7";
    let limits = Limits { nproc: Some(40), ..Limits::default() };
    let (id, _) = guard.spawn(SpawnSpec { limits, ..shell(bomb) });
    let reached = guard.until(|notice| matches!(notice, Notice::LimitReached { .. } | Notice::Exited { .. }));
    assert!(matches!(reached, Notice::LimitReached { which: Limit::Processes, .. }), "{reached:?}");
    assert_eq!(guard.exit_of(id), KILLED);
    assert!(guard.tree_gone(id) > 40);
}

#[test]
fn a_program_whose_first_thread_has_ended_is_not_taken_for_dead() {
    let mut guard = Guard::start();
    let script = "import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n\
                  print('ready', flush=True)\nctypes.PyDLL(None).pthread_exit(None)";
    let (id, mut output) = guard.request(program(&["python3", "-c", script]));
    let (pid, _pidfd) = guard.spawned(id);
    assert_eq!(line(&mut output), "ready");
    wait_until("its first thread has ended", || stat(pid, 3).is_none());
    guard.guardian.request(&Request::Signal { id, signal: 9, whole_tree: true }, &[]).expect("sent");
    assert_eq!((guard.exit_of(id), guard.tree_gone(id)), (KILLED, 1));
}

#[test]
fn a_burst_of_requests_is_taken() {
    let mut guard = Guard::start();
    for _ in 0..400 {
        guard.request(shell("exit 8"));
    }
    for id in 1..=400 {
        assert_eq!(guard.exit_of(id), Status::Code(8));
    }
}

#[test]
fn a_killed_keeper_takes_its_tree_with_it_and_no_other() {
    let mut guard = Guard::start();
    let (id, mut output) = guard.request(shell("setsid sh -c 'echo $$; exec sleep 1000' & wait"));
    let (pid, _pidfd) = guard.spawned(id);
    let grandchild = line(&mut output).parse().expect("a process id");
    let (other, mut answers) = guard.echo();
    guard.spawned(other);
    let keeper = stat(pid, 4).expect("its parent").parse().expect("a process id");
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("killed");
    let lost = guard.next();
    assert!(matches!(lost, Notice::Lost { id: of, killed: 2 } if of == id), "{lost:?}");
    assert_eq!((stat(pid, 3), stat(grandchild, 3)), (None, None));
    assert!(answers());
}

#[test]
fn a_killed_guardian_takes_everything_with_it() {
    let mut guard = Guard::start();
    let mut pids = HashSet::new();
    for _ in 0..5 {
        let (_, mut output) =
            guard.spawn(shell("setsid sh -c 'echo $$; trap \"\" TERM; while :; do sleep 1000; done' & wait"));
        pids.insert(line(&mut output).parse().expect("a process id"));
    }
    pids.extend(descendants(guard.pid()));
    kill(Pid::from_raw(guard.pid()), Signal::SIGKILL).expect("killed");
    let mut ended = 0;
    loop {
        match guard.next() {
            Notice::Gone => break,
            Notice::Exited { status, .. } => {
                assert_eq!(status, KILLED);
                ended += 1;
            }
            Notice::TreeGone { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, 5);
    wait_until("everything is gone", || pids.iter().all(|pid| stat(*pid, 3).is_none()));
    let refused = guard.guardian.request(&Request::Shutdown, &[]).expect_err("nobody there");
    assert_eq!(refused.kind(), talkpath::ErrorKind::SessionEnded);
}

#[test]
fn a_dropped_guardian_ends_what_it_keeps() {
    let mut guard = Guard::start();
    let (_, mut output) = guard.spawn(shell("setsid sh -c 'echo $$; exec sleep 1000' & exit"));
    let pid = line(&mut output).parse().expect("a process id");
    drop(guard);
    wait_until("it is gone", || stat(pid, 3).is_none());
}

#[test]
fn the_next_start_ends_what_a_massacre_has_left() {
    massacre(Guard::start());
}

#[test]
fn the_next_start_ends_what_a_massacre_has_left_in_a_control_group() {
    // Where the system does not allow it, the error is told in `survivors`.
    if let Ok(guard) = Guard::try_start(Tier::Cgroup) {
        let pid = guard.pid();
        let group = || {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
            let points = mounts.lines().filter(|line| line.contains(" - cgroup2 ")).map(|line| line.split(' ').nth(4));
            let points: Vec<_> = points.map(|point| point.expect("a mount point").to_owned()).collect();
            points.iter().any(|point| find(Path::new(point), &format!("talkpath-{pid}")))
        };
        assert!(group());
        massacre(guard);
        assert!(!group());
    }
}

/// Whether there is a directory of that name at any depth.
fn find(directory: &Path, name: &str) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.any(|entry| entry.file_name() == name || find(&entry.path(), name))
}

fn massacre(mut guard: Guard) {
    let (id, mut output) = guard.request(shell("setsid sh -c 'echo $$; exec sleep 1000' & wait"));
    let (pid, _pidfd) = guard.spawned(id);
    let grandchild: i32 = line(&mut output).parse().expect("a process id");
    let keeper = Pid::from_raw(stat(pid, 4).expect("its parent").parse().expect("a process id"));
    let guardian = Pid::from_raw(guard.pid());
    // Stopped first, so that neither sees the other's end.
    for process in [keeper, guardian] {
        kill(process, Signal::SIGSTOP).expect("stopped");
        wait_until("it is stopped", || stat(process.as_raw(), 3).as_deref() == Some("T"));
    }
    kill(keeper, Signal::SIGKILL).expect("killed");
    kill(guardian, Signal::SIGKILL).expect("killed");
    assert!(matches!(guard.until(|notice| matches!(notice, Notice::Gone)), Notice::Gone));
    assert!(stat(pid, 3).is_some() && stat(grandchild, 3).is_some());

    let config = GuardianConfig { runtime_directory: Some(guard.directory().to_owned()), ..GuardianConfig::default() };
    let next = Guardian::start(&config).expect("the next");
    assert_eq!((stat(pid, 3), stat(grandchild, 3)), (None, None));
    assert_eq!(std::fs::read_dir(guard.directory()).expect("the records").count(), 1);
    drop(next);
}

#[test]
fn a_sweep_signals_nobody_who_merely_has_the_number() {
    let (directory, mut innocent) =
        (own_directory(), std::process::Command::new("sleep").arg("1000").spawn().expect("one"));
    let pid = innocent.id() as i32;
    let started: u64 = stat(pid, 22).expect("when it started").parse().expect("a number");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    let namespace = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/proc/self/ns/pid").expect("a namespace"));
    let config = GuardianConfig { runtime_directory: Some(directory.clone()), ..GuardianConfig::default() };
    let leave = |boot: &str, namespace: u64, started: u64| {
        // A guardian whose own number is somebody else's by now.
        let records = directory.join(format!("{boot}.{namespace}.{}.{}", std::process::id(), 1));
        std::fs::create_dir_all(&records).expect("records");
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("for one alone");
        std::fs::write(records.join(format!("{pid}.{started}")), "").expect("a record");
        drop(Guardian::start(&config).expect("a guardian"));
        records
    };
    let records = leave(boot.trim(), namespace, started + 1);
    assert!(stat(pid, 3).is_some() && !records.exists(), "another start");
    let records = leave("another-boot", namespace, started);
    assert!(stat(pid, 3).is_some() && !records.exists(), "another boot");
    let records = leave(boot.trim(), namespace + 1, started);
    assert!(stat(pid, 3).is_some() && records.exists(), "another namespace's");
    let records = leave(boot.trim(), namespace, started);
    assert!(stat(pid, 3).is_none() && !records.exists(), "the very one");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&innocent.wait().expect("its end")), Some(9));
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn records_are_not_kept_where_others_could_write() {
    let directory = own_directory();
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("for all to read");
    let config = GuardianConfig { runtime_directory: Some(directory.clone()), ..GuardianConfig::default() };
    let guardian = Guardian::start(&config).expect("a guardian");
    assert!(!guardian.recorded());
    assert_eq!(std::fs::read_dir(&directory).expect("the directory").count(), 0);
    std::fs::remove_dir_all(&directory).expect("removed");
}
