//! Nobody survives the agent: eight shapes of descendants, four ends of the agent.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::system::process::guardian::Tier;

use crate::harness::{Guard, LIMIT_MS, own_directory, shell, stat, wait_until};
use crate::scene::{self, ENDS, SHAPES};

#[test]
fn nobody_survives_in_the_default_tier() {
    play(Tier::Subreaper, None);
}

#[test]
fn nobody_survives_an_unprivileged_agent() {
    // Whoever is not root is unprivileged in the other tests already.
    if rustix::process::geteuid().is_root() {
        play(Tier::Subreaper, Some("65534"));
    }
}

#[test]
fn nobody_survives_in_the_stricter_tiers() {
    for tier in [Tier::Cgroup, Tier::Strict] {
        match Guard::try_start(tier) {
            Ok(guard) => {
                assert_eq!(guard.guardian.tier(), tier);
                drop(guard);
                play(tier, None);
            }
            Err(error) => assert!(error.to_string().contains(&format!("{tier:?}").to_lowercase()), "{error}"),
        }
    }
}

#[test]
#[ignore = "a part that other tests have a process of its own play"]
fn the_scene() {
    let directory = PathBuf::from(std::env::var_os("TALKPATH_RECORDS").expect("where records are"));
    scene::play(scene::tier_from_environment(), RUNS, &directory, || role(Path::new("/proc/self/exe"), "the_agent"));
}

#[test]
#[ignore = "a part that other tests have a process of its own play"]
fn the_agent() {
    let directory = PathBuf::from(std::env::var_os("TALKPATH_RECORDS").expect("where records are"));
    scene::agent(&std::env::var("TALKPATH_SHAPE").expect("a shape"), scene::tier_from_environment(), &directory);
}

#[test]
fn a_forked_worker_that_holds_the_socket_does_not_keep_the_tree_alive() {
    let records = own_directory();
    let mut command = role(Path::new("/proc/self/exe"), "the_agent_with_a_worker");
    command.env("TALKPATH_RECORDS", &records).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut agent = command.spawn().expect("an agent");
    let output = BufReader::new(agent.stdout.take().expect("its output"));
    let pids = output.lines().find_map(|line| line.expect("a line").strip_prefix("pids ").map(str::to_owned));
    let pids: Vec<i32> = pids.expect("pids").split(' ').map(|pid| pid.parse().expect("a process id")).collect();
    agent.kill().expect("killed");
    wait_until("the tree is gone", || stat(pids[0], 3).is_none());
    assert!(stat(pids[1], 3).is_some(), "the worker is nobody's business");
    // The worker waits for this end.
    drop(agent.stdin.take());
    agent.wait().expect("its end");
    wait_until("the worker ends", || stat(pids[1], 3).is_none());
    let _ = std::fs::remove_dir_all(&records);
}

#[test]
#[ignore = "a part that other tests have a process of its own play"]
fn the_agent_with_a_worker() {
    let mut guard = Guard::start();
    let (id, _output) = guard.request(shell("trap '' TERM; while :; do sleep 1000; done"));
    let (pid, _pidfd) = guard.spawned(id);
    #[allow(unsafe_code)]
    // SAFETY: the child only reads and exits.
    let worker = match unsafe { nix::unistd::fork() }.expect("a worker") {
        nix::unistd::ForkResult::Child => {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        }
        nix::unistd::ForkResult::Parent { child } => child,
    };
    println!("\npids {pid} {worker}");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Has a scene played, as that user if one is named, and sees to it that it comes to its end.
fn play(tier: Tier, user: Option<&str>) {
    let place = std::env::temp_dir().join(own_directory().file_name().expect("a name"));
    std::fs::create_dir(&place).expect("a place");
    // Where another user can execute it and leave records.
    let (program, records) = (place.join("program"), place.join("records"));
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    std::fs::create_dir(&records).expect("a directory");
    for path in [&place, &program] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("readable for all");
    }
    std::fs::set_permissions(&records, PermissionsExt::from_mode(0o700)).expect("for one alone");
    let mut command = match user {
        None => role(&program, "the_scene"),
        Some(user) => {
            let number = user.parse().expect("a number");
            std::os::unix::fs::chown(&records, Some(number), Some(number)).expect("to be given away");
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", user, "--regid", user, "--clear-groups"])
                .arg(&program)
                .args(arguments("the_scene"));
            command
        }
    };
    command.env("TALKPATH_TIER", format!("{tier:?}")).env("TALKPATH_RECORDS", &records);
    let mut scene = command.stdout(Stdio::piped()).spawn().expect("a scene");
    let mut output = BufReader::new(scene.stdout.take().expect("its output"));
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "done") {
        let mut fds = [PollFd::new(output.get_ref().as_fd(), PollFlags::POLLIN)];
        let quiet = output.buffer().is_empty() && poll(&mut fds, PollTimeout::from(LIMIT_MS)) != Ok(1);
        assert!(!quiet, "somebody survives: {lines:?}");
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).expect("a line"), 0, "the scene broke off: {lines:?}");
        lines.push(line.trim_end().to_owned());
    }
    assert!(scene.wait().expect("its end").success());
    let runs = lines.iter().filter(|line| line.contains('\t')).count();
    assert_eq!(runs, SHAPES.len() * ENDS.len() * RUNS);
    std::fs::remove_dir_all(&place).expect("removed");
}

fn role(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments(name));
    command
}

fn arguments(name: &str) -> [String; 4] {
    ["--ignored".to_owned(), "--exact".to_owned(), format!("survivors::{name}"), "--nocapture".to_owned()]
}

const RUNS: usize = 2;
