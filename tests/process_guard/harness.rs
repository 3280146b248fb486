//! A guardian under test, and what it told.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
        let directory = own_directory();
        let config = GuardianConfig { tier, runtime_directory: Some(directory.clone()) };
        let guardian = Guardian::start(&config).expect("a guardian");
        Self { guardian, told: VecDeque::new(), ids: 0, directory }
    }

    /// Starts a program without waiting; what it writes comes out of the file.
    pub(crate) fn request(&mut self, spec: SpawnSpec) -> (u64, File) {
        self.ids += 1;
        let (output, writer) = std::io::pipe().expect("a pipe");
        let nothing = File::open("/dev/null").expect("nothing");
        let fds = [nothing.as_fd(), writer.as_fd(), writer.as_fd()];
        self.guardian.request(&Request::Spawn { id: self.ids, spec }, &fds).expect("sent");
        (self.ids, File::from(OwnedFd::from(output)))
    }

    pub(crate) fn spawn(&mut self, spec: SpawnSpec) -> (u64, File) {
        let (id, output) = self.request(spec);
        self.until(|notice| match notice {
            Notice::Spawned { id: of, .. } if *of == id => true,
            Notice::SpawnFailed { .. } => panic!("{notice:?}"),
            _ => false,
        });
        (id, output)
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
pub(crate) const LIMIT_MS: u16 = 20_000;
