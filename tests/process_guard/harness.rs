//! A guardian under test, and what it told.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::io::clock::Clock;
use talkpath::system::process::guardian::{Guardian, GuardianConfig, Notice, Request, SpawnSpec, Status, Tier};

/// A guardian with a directory of records of its own, and what it has told but nobody has asked for.
pub(crate) struct Guard {
    pub(crate) guardian: Guardian,
    told: VecDeque<Notice>,
    ids: u64,
    directory: PathBuf,
}

impl Guard {
    pub(crate) fn start() -> Self {
        Self::start_in(Tier::Subreaper)
    }

    pub(crate) fn start_in(tier: Tier) -> Self {
        Self::try_start(tier).expect("a guardian")
    }

    pub(crate) fn try_start(tier: Tier) -> talkpath::Result<Self> {
        let directory = own_directory();
        let config = GuardianConfig { tier, runtime_directory: Some(directory.clone()) };
        let guardian = Guardian::start(&config)?;
        Ok(Self { guardian, told: VecDeque::new(), ids: 0, directory })
    }

    /// Starts a program without waiting; what it writes comes out of the file.
    pub(crate) fn request(&mut self, spec: SpawnSpec) -> (u64, File) {
        let nothing = File::open("/dev/null").expect("nothing");
        self.request_with(spec, nothing.as_fd())
    }

    fn request_with(&mut self, spec: SpawnSpec, input: BorrowedFd<'_>) -> (u64, File) {
        self.ids += 1;
        let (output, writer) = std::io::pipe().expect("a pipe");
        let fds = [input, writer.as_fd(), writer.as_fd()];
        self.guardian.request(&Request::Spawn { id: self.ids, spec }, &fds).expect("sent");
        (self.ids, File::from(OwnedFd::from(output)))
    }

    /// Starts a program that can be written to, and says whether it answers.
    pub(crate) fn echo(&mut self) -> (u64, impl FnMut() -> bool + use<>) {
        let (input, mut writer) = std::io::pipe().expect("a pipe");
        let (id, mut output) = self.request_with(program(&["cat"]), input.as_fd());
        (id, move || writer.write_all(b"still there\n").is_ok() && line(&mut output) == "still there")
    }

    pub(crate) fn spawn(&mut self, spec: SpawnSpec) -> (u64, File) {
        let (id, output) = self.request(spec);
        self.spawned(id);
        (id, output)
    }

    /// Waits until a program runs; its process id and its pidfd.
    pub(crate) fn spawned(&mut self, id: u64) -> (i32, OwnedFd) {
        match self.until(
            |notice| matches!(notice, Notice::Spawned { id: of, .. } | Notice::SpawnFailed { id: of, .. } if *of == id),
        ) {
            Notice::Spawned { pid, pidfd, .. } => (pid, pidfd),
            other => panic!("{other:?}"),
        }
    }

    /// Where it keeps its records.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id of the guardian.
    pub(crate) fn pid(&self) -> i32 {
        seen_from_here(self.guardian.pidfd())
    }

    /// Waits for the first notice that is wanted, and keeps the others for later.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        if let Some(at) = self.told.iter().position(&wanted) {
            return self.told.remove(at).expect("there");
        }
        loop {
            let notice = self.next();
            if wanted(&notice) {
                return notice;
            }
            assert!(!matches!(notice, Notice::Gone), "the guardian is gone");
            self.told.push_back(notice);
        }
    }

    pub(crate) fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = self.guardian.poll_notice().expect("a notice") {
                return notice;
            }
            let mut fds = [PollFd::new(self.guardian.fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(LIMIT_MS)), Ok(1), "nothing was told");
        }
    }

    pub(crate) fn exit_of(&mut self, id: u64) -> Status {
        match self.until(|notice| matches!(notice, Notice::Exited { id: of, .. } if *of == id)) {
            Notice::Exited { status, .. } => status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn tree_gone(&mut self, id: u64) -> u32 {
        match self.until(|notice| matches!(notice, Notice::TreeGone { id: of, .. } if *of == id)) {
            Notice::TreeGone { killed, .. } => killed,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn shell(script: &str) -> SpawnSpec {
    program(&["/bin/sh", "-c", script])
}

pub(crate) fn program(argv: &[&str]) -> SpawnSpec {
    let text = |text: &str| CString::new(text).expect("no zero");
    let argv = argv.iter().map(|argument| text(argument)).collect();
    SpawnSpec { argv, env: vec![text("PATH=/usr/bin:/bin"), text("A=b")], ..SpawnSpec::default() }
}

pub(crate) fn read(mut output: File) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).expect("output");
    text
}

/// Reads one line of what a program writes, and leaves the rest.
pub(crate) fn line(output: &mut File) -> String {
    let mut text = Vec::new();
    while text.last() != Some(&b'\n') {
        let mut byte = [0];
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(LIMIT_MS)), Ok(1), "nothing came after {text:?}");
        assert_eq!(output.read(&mut byte).expect("output"), 1, "the output ended after {text:?}");
        text.extend(byte);
    }
    String::from_utf8(text).expect("text").trim_end().to_owned()
}

/// The process id that a pidfd stands for; -1 once it has been reaped.
pub(crate) fn seen_from_here(pidfd: BorrowedFd<'_>) -> i32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).expect("a pidfd");
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()).expect("a process id")
}

/// Field of `/proc/PID/stat`, as proc(5) numbers them from the third on; none if there is no such process, or only its
/// remains.
pub(crate) fn stat(pid: i32, field: usize) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then(|| fields[field - 3].to_owned())
}

/// Runs an ignored test of this program in a process of its own: one that changes what is the whole process's.
pub(crate) fn alone(name: &str) {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.args(["--ignored", "--exact", name, "--nocapture"]);
    let output = command.output().expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, so: impl Fn() -> bool) {
    let deadline = Clock::now() + Duration::from_millis(LIMIT_MS.into());
    while !so() {
        assert!(Clock::now() < deadline, "never: {what}");
        Clock::sleep_until(Clock::now() + Duration::from_millis(1));
    }
}

/// A directory that no other test has, not made yet.
pub(crate) fn own_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("guard-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// How long anything is waited for.
pub(crate) const LIMIT_MS: u16 = 60_000;
