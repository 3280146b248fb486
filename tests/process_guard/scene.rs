//! A scene in which an agent dies, and whoever it started must go with it.
//!
//! The scene is a process that adopts every orphan below it. So whatever the agent leaves becomes the scene's own child,
//! however it forked, in whatever session, with whatever environment: when the system says that the scene has no children,
//! there is no survivor, and while there is one it cannot say so. The time that passes until then is measured, the
//! guardian's own end included.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use talkpath::io::clock::Clock;
use talkpath::system::process::guardian::{Guardian, GuardianConfig, Request, SpawnSpec, Tier};

/// What an agent has below itself: a name, a shell's script that says when it is in place, and how many processes it is.
pub(crate) const SHAPES: [(&str, &str, usize); 8] = [
    ("child", "echo ready; exec sleep 1000", 1),
    ("ignores TERM", "trap '' TERM; echo ready; while :; do sleep 1000; done", 1),
    ("grandchild", "sh -c 'echo ready; exec sleep 1000' & wait", 2),
    ("setsid grandchild", "setsid sh -c 'echo ready; exec sleep 1000' & wait", 2),
    ("double-forked daemon", "setsid sh -c 'trap \"\" HUP; sh -c \"echo ready; exec sleep 1000\" & exit' & exit", 1),
    ("empty environment", "env -i sh -c 'echo ready; exec sleep 1000' & wait", 2),
    ("fork chain", "f() { f & }; echo ready; f", 1),
    ("respawner", "r() { while :; do sleep 1000; done; }; r & r & r & r & r & echo ready; wait", 6),
];

/// How an agent ends.
pub(crate) const ENDS: [&str; 4] = ["SIGKILL", "SIGSEGV", "group kill", "TERM"];

/// The part of the agent: starts one shape, says so, and waits for its end.
pub(crate) fn agent(shape: &str, tier: Tier, directory: &Path) {
    let (_, script, _) = SHAPES.iter().find(|(name, ..)| *name == shape).expect("a shape");
    // The standard library's handler would swallow the first.
    #[allow(unsafe_code)]
    // SAFETY: the default effect is no function.
    unsafe {
        nix::sys::signal::signal(Signal::SIGSEGV, nix::sys::signal::SigHandler::SigDfl).expect("the default");
    }
    let config = GuardianConfig { tier, runtime_directory: Some(directory.to_owned()) };
    let guardian = Guardian::start(&config).expect("a guardian");
    let text = |text: &str| CString::new(text).expect("no zero");
    let (argv, env) = (["/bin/sh", "-c", script].map(text).to_vec(), vec![text("PATH=/usr/bin:/bin")]);
    let spec = SpawnSpec { argv, env, cwd: Some(text("/")), ..SpawnSpec::default() };
    let (output, writer) = std::io::pipe().expect("a pipe");
    let nothing = File::open("/dev/null").expect("nothing");
    let fds = [nothing.as_fd(), writer.as_fd(), writer.as_fd()];
    guardian.request(&Request::Spawn { id: 1, spec }, &fds).expect("sent");
    drop(writer);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("output");
    print!("{line}");
    std::io::stdout().flush().expect("told");
    // Until the scene ends it.
    let _ = std::io::stdin().read(&mut [0]);
}

/// The part of the scene: `runs` of every shape with every end. Writes a line each: shape, end and microseconds.
pub(crate) fn play(tier: Tier, runs: usize, directory: &Path, agent: impl Fn() -> Command) {
    set_child_subreaper(true).expect("a subreaper");
    for (shape, _, processes) in SHAPES {
        for end in ENDS {
            for _ in 0..runs {
                let gone = run(shape, processes, end, tier, directory, &agent);
                println!("{shape}\t{end}\t{}", gone.as_micros());
            }
        }
    }
    assert_eq!(std::fs::read_dir(directory).expect("the records").count(), 0, "records are left");
    println!("done");
}

fn run(
    shape: &str,
    processes: usize,
    end: &str,
    tier: Tier,
    directory: &Path,
    agent: &impl Fn() -> Command,
) -> Duration {
    let mut command = agent();
    command.env("TALKPATH_SHAPE", shape).env("TALKPATH_TIER", format!("{tier:?}")).env("TALKPATH_RECORDS", directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("an agent");
    let (pid, stdin) = (Pid::from_raw(child.id() as i32), child.stdin.take());
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    assert!(output.by_ref().lines().any(|line| line.expect("a line") == "ready"), "{shape}: no agent");
    // The agent, the guardian, the keeper, and what is kept.
    let own = std::process::id() as i32;
    // A chain that forks at full speed may slip through one look.
    let most = (0..100).map(|_| descendants(own).len()).find(|there| *there >= 3 + processes);
    assert!(most.is_some(), "{shape}: only {:?}", descendants(own));

    let began = Clock::now();
    match end {
        "SIGKILL" => kill(pid, Signal::SIGKILL),
        "SIGSEGV" => kill(pid, Signal::SIGSEGV),
        "group kill" => killpg(pid, Signal::SIGKILL),
        _ => kill(pid, Signal::SIGTERM),
    }
    .expect("an end");
    while let Ok(_) | Err(Errno::EINTR) = waitpid(None, None) {}
    let gone = Clock::now().since(began);
    drop((stdin, output));
    assert!(child.wait().is_err(), "it was reaped with everybody");
    gone
}

/// Everybody below a process.
pub(crate) fn descendants(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut queue = vec![pid];
    while let Some(pid) = queue.pop() {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
            children.for_each(|pid| {
                found.push(pid);
                queue.push(pid);
            });
        }
    }
    found
}

/// The tier that a scene was told to play in.
pub(crate) fn tier_from_environment() -> Tier {
    match std::env::var("TALKPATH_TIER").as_deref() {
        Ok("Cgroup") => Tier::Cgroup,
        Ok("Strict") => Tier::Strict,
        _ => Tier::Subreaper,
    }
}
