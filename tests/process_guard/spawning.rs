//! How a program is started, what it is given, and how its end is told.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::wait::waitpid;
use talkpath::ErrorKind;
use talkpath::system::process::guardian::{
    Guardian, GuardianConfig, Limits, Notice, Request, SpawnSpec, Stage, Status, Tier,
};

use crate::harness::{Guard, alone, line, own_directory, program, read, seen_from_here, shell, stat};

#[test]
fn a_program_runs_and_its_end_is_told() {
    let mut guard = Guard::start();
    assert_eq!((guard.guardian.tier(), guard.guardian.recorded()), (Tier::Subreaper, true));
    let (id, output) = guard.spawn(shell("echo $A $PWD; exit 7"));
    assert_eq!(guard.exit_of(id), Status::Code(7));
    assert_eq!(guard.tree_gone(id), 0);
    assert_eq!(read(output), format!("b {}\n", std::env::current_dir().expect("here").display()));
}

#[test]
fn an_exit_of_137_is_not_a_kill() {
    let mut guard = Guard::start();
    let (left, _) = guard.spawn(shell("exit 137"));
    let (killed, _) = guard.spawn(shell("kill -9 $$"));
    assert_eq!(guard.exit_of(left), Status::Code(137));
    assert_eq!(guard.exit_of(killed), Status::Signal { number: 9, core_dumped: false });
}

#[test]
fn a_child_has_its_streams_and_nothing_else_of_an_agent_with_a_thousand_descriptors() {
    alone("spawning::a_child_has_its_streams_and_nothing_else_of_an_agent_with_a_thousand_descriptors_alone");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_child_has_its_streams_and_nothing_else_of_an_agent_with_a_thousand_descriptors_alone() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(4_096), hard).expect("more descriptors");
    let nothing = File::open("/dev/null").expect("nothing");
    // Inherited by whoever is executed, as those of careless libraries are.
    let many: Vec<_> = (0..1_500).map(|_| nix::unistd::dup(&nothing).expect("one more")).collect();
    assert!(many.iter().any(|fd| fd.as_raw_fd() > 1_024));
    let mut guard = Guard::start();
    assert!(guard.guardian.fd().as_raw_fd() > 1_024);
    let (id, output) = guard.spawn(shell("ls /proc/$$/fd; ulimit -n; ulimit -c; :"));
    assert_eq!(guard.exit_of(id), Status::Code(0));
    assert_eq!(read(output), format!("0\n1\n2\n{}\n0\n", hard.min(4_096)));
}

#[test]
fn a_child_has_clean_signals_a_session_of_its_own_and_the_environment_it_was_given() {
    let mut guard = Guard::start();
    // Rust itself ignores SIGPIPE; whoever starts programs may block what he likes.
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None).expect("blocked");
    let (id, mut output) = guard.request(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; echo; exec sleep 1000"));
    let (pid, _pidfd) = guard.spawned(id);
    for name in ["SigBlk", "SigIgn"] {
        let line = line(&mut output);
        let set =
            line.strip_prefix(name).and_then(|rest| u64::from_str_radix(rest.trim_start_matches(':').trim(), 16).ok());
        // The C library keeps 32 to 34 to itself: nobody can change what is inherited of those.
        assert_eq!(set.map(|set| set & !(0b111 << 31)), Some(0), "{line}");
    }
    let (group, session) = (stat(pid, 5), stat(pid, 6));
    assert_eq!((group, session), (Some(pid.to_string()), Some(pid.to_string())));
    let (id, output) = guard.spawn(program(&["/usr/bin/env"]));
    assert_eq!(guard.exit_of(id), Status::Code(0));
    assert_eq!(read(output), "PATH=/usr/bin:/bin\nA=b\n");
    let (id, output) = guard.spawn(SpawnSpec { env: Vec::new(), ..program(&["/usr/bin/env"]) });
    assert_eq!(guard.exit_of(id), Status::Code(0));
    assert_eq!(read(output), "");
}

#[test]
fn what_cannot_be_started_says_at_what_and_why() {
    use nix::libc::{EACCES, EEXIST, EINVAL, ENOENT, ENOEXEC};
    let mut guard = Guard::start();
    let text = |text: &str| Some(CString::new(text).expect("no zero"));
    let no_format = own_directory();
    std::fs::write(&no_format, "no program\n").expect("a file");
    std::fs::set_permissions(&no_format, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    for (spec, stage, errno) in [
        (program(&["/no/such/program"]), Stage::Exec, ENOENT),
        (program(&["no-such-program"]), Stage::Exec, ENOENT),
        (program(&["/etc/passwd"]), Stage::Exec, EACCES),
        (program(&["/etc/passwd/x"]), Stage::Exec, ENOENT),
        (program(&[no_format.to_str().expect("text")]), Stage::Exec, ENOEXEC),
        (program(&[]), Stage::Request, EINVAL),
        (program(&[""]), Stage::Request, EINVAL),
        (SpawnSpec { cwd: text("/no/such/directory"), ..program(&["true"]) }, Stage::Directory, ENOENT),
    ] {
        let said = format!("{spec:?}");
        let (wanted, _) = guard.request(spec);
        match guard.next() {
            Notice::SpawnFailed { id, stage: at, errno: why } => {
                assert_eq!((id, at, why), (wanted, stage, errno), "{said}");
            }
            other => panic!("{said}: {other:?}"),
        }
    }
    std::fs::remove_file(&no_format).expect("removed");

    // An id in use is refused, and whoever has it is left alone.
    let (id, mut answers) = guard.echo();
    guard.spawned(id);
    let nothing = File::open("/dev/null").expect("nothing");
    let again = Request::Spawn { id, spec: program(&["true"]) };
    guard.guardian.request(&again, &[nothing.as_fd(); 3]).expect("sent");
    assert!(matches!(guard.next(), Notice::SpawnFailed { stage: Stage::Request, errno: EEXIST, .. }));
    assert!(answers());
}

#[test]
fn a_request_that_no_guardian_takes_is_not_sent() {
    let guard = Guard::start();
    let nothing = File::open("/dev/null").expect("nothing");
    let spawn = |spec| Request::Spawn { id: 1, spec };
    let huge = SpawnSpec { env: vec![CString::new(vec![b'x'; 9 << 20]).expect("no zero")], ..program(&["true"]) };
    for (request, fds) in [
        (spawn(program(&["true"])), 2),
        (spawn(huge), 3),
        (Request::Stop { ids: vec![1; 4_097], grace_ms: 0 }, 0),
        (Request::Shutdown, 1),
        (Request::SpawnFromFile { id: 1 }, 4),
    ] {
        let refused = guard.guardian.request(&request, &vec![nothing.as_fd(); fds]).expect_err("a refusal");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    }
}

#[test]
fn a_program_without_a_slash_is_looked_for_in_its_own_path() {
    let mut guard = Guard::start();
    let path = |path: &str| vec![CString::new(format!("PATH={path}")).expect("no zero")];
    let (id, _) = guard.request(SpawnSpec { env: path("/no/such:/etc/passwd:/usr/bin:/bin"), ..program(&["true"]) });
    guard.spawned(id);
    let (id, _) = guard.request(SpawnSpec { env: path("/no/such"), ..program(&["true"]) });
    let failed = guard.until(|notice| matches!(notice, Notice::SpawnFailed { .. }));
    assert!(matches!(failed, Notice::SpawnFailed { id: of, stage: Stage::Exec, .. } if of == id));
}

#[test]
fn arguments_and_environment_longer_than_a_packet_arrive_whole() {
    let mut guard = Guard::start();
    let mut spec = shell("echo $# ${#LONG}");
    spec.argv.extend((0..20_000).map(|number| CString::new(number.to_string()).expect("no zero")));
    spec.env.push(CString::new(format!("LONG={}", "x".repeat(100_000))).expect("no zero"));
    let (id, output) = guard.spawn(spec);
    assert_eq!(guard.exit_of(id), Status::Code(0));
    assert_eq!(read(output), "19999 100000\n");
}

#[test]
fn a_terminal_controls_its_child() {
    let mut guard = Guard::start();
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let spec = SpawnSpec { pty: true, ..shell("echo seen > /dev/tty; test -t 0 && test -t 2 && exit 5") };
    let fds = [terminal.slave.as_fd(); 3];
    guard.guardian.request(&Request::Spawn { id: 77, spec }, &fds).expect("sent");
    assert_eq!(guard.exit_of(77), Status::Code(5));
    assert_eq!(line(&mut File::from(terminal.master)), "seen");

    let mut not_a_terminal = Guard::start();
    let (id, _) = not_a_terminal.request(SpawnSpec { pty: true, ..program(&["true"]) });
    let failed = not_a_terminal.next();
    assert!(matches!(failed, Notice::SpawnFailed { id: of, stage: Stage::Terminal, .. } if of == id), "{failed:?}");
}

#[test]
fn limits_of_a_process_are_set() {
    let mut guard = Guard::start();
    let limits = Limits { open_files: Some(64), file_bytes: Some(1_024), ..Limits::default() };
    let script = "ulimit -n; head -c 2000 /dev/zero > \"$0\"; echo $?; wc -c < \"$0\"; rm \"$0\"";
    let mut spec = SpawnSpec { limits, ..shell(script) };
    spec.argv.push(CString::new(own_directory().to_str().expect("text")).expect("no zero"));
    let (id, output) = guard.spawn(spec);
    assert_eq!(guard.exit_of(id), Status::Code(0));
    let output = read(output);
    // 153: ended by SIGXFSZ, as a shell tells it, beside words of its own.
    assert!(output.starts_with("64\n") && output.ends_with("153\n1024\n"), "{output}");
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut guard = Guard::start();
    let (id, mut answers) = std::thread::scope(|scope| scope.spawn(|| guard.echo()).join().expect("the thread"));
    guard.spawned(id);
    assert!(answers());
}

#[test]
fn the_agent_has_no_child_it_did_not_ask_for_and_its_own_keep_their_codes() {
    alone("spawning::the_agent_has_no_child_it_did_not_ask_for_and_its_own_keep_their_codes_alone");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn the_agent_has_no_child_it_did_not_ask_for_and_its_own_keep_their_codes_alone() {
    let mut guard = Guard::start();
    let mut own = Vec::new();
    let ids: Vec<(u64, i32)> = (0..40)
        .map(|code| {
            own.push(std::process::Command::new("/bin/sh").args(["-c", &format!("exit {}", code + 100)]).spawn());
            (guard.request(shell(&format!("exit {code}"))).0, code)
        })
        .collect();
    for (id, code) in ids {
        assert_eq!(guard.exit_of(id), Status::Code(code));
    }
    for (code, child) in (100..).zip(own) {
        assert_eq!(child.expect("started").wait().expect("its end").code(), Some(code));
    }
    // A host that waits for all of its children is not kept waiting by the guardian.
    assert_eq!(waitpid(None, None), Err(nix::errno::Errno::ECHILD));
}

#[test]
fn a_host_that_ignores_the_end_of_children_is_told_codes() {
    alone("spawning::a_host_that_ignores_the_end_of_children_is_told_codes_alone");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_host_that_ignores_the_end_of_children_is_told_codes_alone() {
    #[allow(unsafe_code)]
    // SAFETY: to ignore is no function.
    unsafe {
        nix::sys::signal::signal(nix::sys::signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn).expect("ignored");
    }
    let mut guard = Guard::start();
    for code in [0, 1, 137, 255] {
        let (id, _) = guard.spawn(shell(&format!("(exit 3); test $? = 3 && exit {code}")));
        assert_eq!(guard.exit_of(id), Status::Code(code));
    }
}

#[test]
fn a_forked_worker_neither_asks_nor_ends_anything() {
    alone("spawning::a_forked_worker_neither_asks_nor_ends_anything_alone");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_forked_worker_neither_asks_nor_ends_anything_alone() {
    let mut guard = Guard::start();
    let (id, mut answers) = guard.echo();
    guard.spawned(id);
    #[allow(unsafe_code)]
    // SAFETY: what the child does takes no lock that another thread could hold, but those of the allocator, which forks well.
    let worker = match unsafe { nix::unistd::fork() }.expect("a worker") {
        nix::unistd::ForkResult::Child => {
            let refused = guard.guardian.request(&Request::Shutdown, &[]).is_err();
            drop(guard);
            std::process::exit(if refused { 42 } else { 1 });
        }
        nix::unistd::ForkResult::Parent { child } => child,
    };
    assert_eq!(waitpid(worker, None), Ok(nix::sys::wait::WaitStatus::Exited(worker, 42)));
    assert!(answers());
    let (id, _) = guard.spawn(shell("exit 9"));
    assert_eq!(guard.exit_of(id), Status::Code(9));
}

#[test]
fn in_the_strict_tier_a_child_is_known_by_the_agents_numbers() {
    let Ok(mut guard) = Guard::try_start(Tier::Strict) else {
        // Where the system does not allow it, the error is told in `survivors`.
        return;
    };
    let (id, mut output) = guard.request(shell("echo $$; ls /proc | grep -c '^[0-9]'; exec sleep 1000"));
    let (pid, pidfd) = guard.spawned(id);
    assert_eq!(pid, seen_from_here(pidfd.as_fd()));
    assert_eq!(line(&mut output), "2");
    // Its keeper, itself, ls and grep: it sees nobody else.
    assert_eq!(line(&mut output), "4");
    assert!(stat(pid, 3).is_some());
}

#[test]
fn a_guardian_that_cannot_start_says_why() {
    alone("spawning::a_guardian_that_cannot_start_says_why_alone");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_guardian_that_cannot_start_says_why_alone() {
    let directory = std::path::PathBuf::from("/dev/null/records");
    let config = GuardianConfig { runtime_directory: Some(directory), ..GuardianConfig::default() };
    assert!(!Guardian::start(&config).expect("one without records").recorded());
    let limit = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 0, limit.1).expect("no descriptors");
    let refused = Guardian::start(&GuardianConfig::default()).expect_err("no guardian");
    setrlimit(Resource::RLIMIT_NOFILE, limit.0, limit.1).expect("descriptors");
    assert_eq!((refused.kind(), refused.os_error()), (ErrorKind::Io, Some(nix::libc::EMFILE)), "{refused}");
}
