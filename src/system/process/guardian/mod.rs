//! The agent's end of its guardian: the process that is the parent of every program the agent starts.
//!
//! An agent that is killed cleans up nothing, a library that reaps children takes those of asyncio and `subprocess` with
//! it, and forking a process of gigabytes takes a second. A [`Guardian`] does none of this in the agent: it starts a small
//! program (`talkpath-guard`, carried inside this library), passes it requests, and hands out its notices. The guardian
//! outlives every thread of the agent, but not the agent: when that ends, however it ends, everything is killed.
//!
//! There is no thread here: whoever owns it waits until [`Guardian::fd`] is readable. Output of children passes through
//! descriptors of the caller's and is no matter of this room.
//!
//! It needs Linux 5.3 or newer and a readable `/proc`. Each child costs one more process, of 0.1 MB.

mod passing;
mod program;

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::wire::{self, MAX_STOP_IDS, MESSAGE_LEN, SPAWN_LEN};
pub use super::wire::{Limit, Limits, Request, SpawnSpec, Stage, Status, Tier};
use crate::{Error, ErrorKind, Result};
pub(super) use program::runtime_directory;

/// How a guardian is to keep children.
#[derive(Clone, Debug, Default)]
pub struct GuardianConfig {
    /// How strictly; what the system does not allow is an error, never a weaker tier.
    pub tier: Tier,
    /// Where records are kept for the next start, a directory that is made if it is not there; without it
    /// `$XDG_RUNTIME_DIR/talkpath`, or one in the temporary directory.
    pub runtime_directory: Option<PathBuf>,
}

/// A running guardian; dropped, it ends with everything it keeps.
#[derive(Debug)]
pub struct Guardian {
    socket: OwnedFd,
    pidfd: OwnedFd,
    tier: Tier,
    recorded: bool,
    /// A process forked from the agent has a copy of this value that is none of its business.
    owner: Pid,
}

/// What a guardian tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The program runs.
    Spawned {
        /// The id it was requested with.
        id: u64,
        /// Its process id.
        pid: i32,
        /// What stands for this very process, whoever has its number later; readable once it has ended.
        pidfd: OwnedFd,
    },
    /// The program could not be started; nothing more comes of it.
    SpawnFailed {
        /// The id it was requested with.
        id: u64,
        /// At what it failed.
        stage: Stage,
        /// The system's number for why.
        errno: i32,
    },
    /// The child itself has ended; descendants may be left, and with them holders of its output.
    Exited {
        /// Which.
        id: u64,
        /// How.
        status: Status,
    },
    /// Neither the child nor any descendant is left; the last that comes of it.
    TreeGone {
        /// Which.
        id: u64,
        /// How many processes the guardian killed to get there.
        killed: u32,
    },
    /// The tree is being killed, because it went beyond a bound.
    LimitReached {
        /// Which.
        id: u64,
        /// Beyond what.
        which: Limit,
    },
    /// Someone killed the child's keeper, so that the guardian killed the whole tree; the last that comes of it. How the
    /// child ended is not known unless [`Notice::Exited`] came before.
    Lost {
        /// Which.
        id: u64,
        /// How many processes the guardian killed.
        killed: u32,
    },
    /// The guardian has ended, and nothing more comes at all. If nobody asked it to it was killed, and each of its keepers
    /// ends its own tree; pidfds are what is left to the agent to make sure.
    Gone,
}

impl Guardian {
    /// Starts a guardian, first of all having it end what earlier ones may have left.
    ///
    /// Takes some milliseconds, in which it blocks. A program's start then takes a fraction of one, however large the
    /// agent is.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the system does not let it start or does not allow the tier; [`ErrorKind::Timeout`] if it does
    /// not answer within ten seconds.
    pub fn start(config: &GuardianConfig) -> Result<Self> {
        let starting = |error: rustix::io::Errno| Error::io("starting the guardian", error.into());
        let owner = getpid();
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(starting)?;
        let agent = pidfd_open(owner, PidfdFlags::empty()).map_err(starting)?;
        let runtime = config.runtime_directory.clone().unwrap_or_else(program::runtime_directory);
        let runtime = CString::new(runtime.into_os_string().into_vec())
            .map_err(|_| Error::invalid("the runtime directory has a zero byte in its name"))?;
        let mut hello = Vec::new();
        Request::Hello { tier: config.tier, runtime: Some(runtime) }.encode(&mut hello);
        passing::send(socket.as_fd(), &hello, &[agent.as_fd()]).map_err(starting)?;
        program::start(theirs.as_fd()).map_err(|error| Error::io("starting the guardian", error))?;
        drop(theirs);

        if !wait(socket.as_fd(), PollFlags::POLLIN, START_LIMIT_MS).map_err(starting)? {
            return Err(Error::new(ErrorKind::Timeout, "the guardian did not answer within ten seconds"));
        }
        let mut buffer = [0; 64];
        let packet = passing::receive(socket.as_fd(), &mut buffer).map_err(starting)?;
        let Some(packet) = packet.filter(|packet| packet.len > 0) else {
            return Err(Error::new(ErrorKind::Io, "the guardian ended before it was ready"));
        };
        match (wire::Notice::decode(&buffer[..packet.len]), packet.fd) {
            (Ok(wire::Notice::Ready { tier, recorded }), Some(pidfd)) => {
                Ok(Self { socket, pidfd, tier, recorded, owner })
            }
            (Ok(wire::Notice::Refused { stage, errno }), _) => {
                let doing = format!("starting the guardian ({:?} tier), at {}", config.tier, stage.name());
                Err(Error::io(doing.to_lowercase(), std::io::Error::from_raw_os_error(errno)))
            }
            _ => Err(Error::new(ErrorKind::Io, "no descriptor is left to start the guardian with")),
        }
    }

    /// Asks something of the guardian; `fds` are a child's standard input, output and error with [`Request::Spawn`], and
    /// none otherwise. They may be closed afterwards.
    ///
    /// A child without a working directory gets the caller's own. What comes of a request is told by notices; one about an
    /// id whose tree is gone is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a request that no guardian takes: descriptors that are not three, more than
    /// 4,096 ids, arguments and environment over 8 MiB; or in a process forked from the one that started it.
    /// [`ErrorKind::LimitExceeded`] if it has hundreds of requests yet to read, and does not get to them within five
    /// seconds (that long this waits); [`ErrorKind::SessionEnded`] if it has ended.
    pub fn request(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        if getpid() != self.owner {
            return Err(Error::invalid(format!("the guardian is that of process {}", self.owner)));
        }
        let mut bytes = Vec::new();
        match request {
            Request::Spawn { id, spec } => {
                if fds.len() != 3 {
                    return Err(Error::invalid(format!("{} descriptors, wanted three", fds.len())));
                }
                let mut spec = spec.clone();
                if spec.cwd.is_none() {
                    let cwd = std::env::current_dir().map_err(|error| Error::io("reading the directory", error))?;
                    spec.cwd = CString::new(cwd.into_os_string().into_vec()).ok();
                }
                let id = *id;
                Request::Spawn { id, spec }.encode(&mut bytes);
                if bytes.len() > SPAWN_LEN {
                    return Err(Error::invalid(format!(
                        "{} bytes of arguments and environment, wanted at most {SPAWN_LEN}",
                        bytes.len()
                    )));
                }
                if bytes.len() > MESSAGE_LEN {
                    return self.send_as_file(id, &bytes, fds);
                }
            }
            Request::Stop { ids, .. } if ids.len() > MAX_STOP_IDS => {
                return Err(Error::invalid(format!("{} ids, wanted at most {MAX_STOP_IDS}", ids.len())));
            }
            Request::Hello { .. } | Request::SpawnFromFile { .. } => {
                return Err(Error::invalid("a request that only the guardian's own client makes"));
            }
            other => {
                if !fds.is_empty() {
                    return Err(Error::invalid(format!("{} descriptors, wanted none", fds.len())));
                }
                other.encode(&mut bytes);
            }
        }
        self.send(&bytes, fds)
    }

    /// Returns the next notice, or none if there is none now. After [`Notice::Gone`] there are only more of that.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the socket fails; [`ErrorKind::Protocol`] if what comes is no notice.
    pub fn poll_notice(&self) -> Result<Option<Notice>> {
        let mut buffer = [0; 64];
        let packet = match passing::receive(self.socket.as_fd(), &mut buffer) {
            Ok(None) => return Ok(None),
            Ok(Some(packet)) if packet.len > 0 => packet,
            Ok(Some(_)) | Err(rustix::io::Errno::CONNRESET) => return Ok(Some(Notice::Gone)),
            Err(error) => return Err(Error::io("hearing the guardian", error.into())),
        };
        let notice = wire::Notice::decode(&buffer[..packet.len])
            .map_err(|error| Error::new(ErrorKind::Protocol, format!("the guardian sent no notice: {}", error.0)))?;
        Ok(Some(match notice {
            wire::Notice::Spawned { id, pid } => match packet.fd.filter(|_| packet.whole) {
                Some(pidfd) => {
                    let pid =
                        if self.tier == Tier::Strict { seen_from_here(pidfd.as_fd()).unwrap_or(pid) } else { pid };
                    Notice::Spawned { id, pid, pidfd }
                }
                None => {
                    // Without its pidfd the child could not be held on to; the guardian still can.
                    self.request(&Request::Signal { id, signal: Signal::KILL.as_raw(), whole_tree: true }, &[])?;
                    Notice::SpawnFailed { id, stage: Stage::Descriptors, errno: nix::libc::EMFILE }
                }
            },
            wire::Notice::SpawnFailed { id, stage, errno } => Notice::SpawnFailed { id, stage, errno },
            wire::Notice::Exited { id, status } => Notice::Exited { id, status },
            wire::Notice::TreeGone { id, killed } => Notice::TreeGone { id, killed },
            wire::Notice::LimitReached { id, which } => Notice::LimitReached { id, which },
            wire::Notice::Lost { id, killed } => Notice::Lost { id, killed },
            wire::Notice::Ready { .. } | wire::Notice::Refused { .. } => {
                return Err(Error::new(ErrorKind::Protocol, "the guardian started twice"));
            }
        }))
    }

    /// The descriptor that is readable while there is a notice.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The guardian's own pidfd, readable once it has ended: at once, where [`Notice::Gone`] waits for its last keeper.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The tier in force.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Whether the next start would find what is left if agent, guardian and keepers were all killed at once; not so where
    /// no directory could be written to.
    #[must_use]
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    fn send_as_file(&self, id: u64, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let passing = |error: std::io::Error| Error::io("passing a program to the guardian", error);
        let file = rustix::fs::memfd_create(c"talkpath-spawn", MemfdFlags::CLOEXEC).map_err(|e| passing(e.into()))?;
        let mut file = std::fs::File::from(file);
        file.write_all(bytes).map_err(passing)?;
        let mut request = Vec::new();
        Request::SpawnFromFile { id }.encode(&mut request);
        let mut fds = fds.to_vec();
        fds.push(file.as_fd());
        self.send(&request, &fds)
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        use rustix::io::Errno;
        let socket = self.socket.as_fd();
        let sent = passing::send(socket, bytes, fds).or_else(|error| match error {
            // A burst of requests: the guardian forks for each, and has read this one in a moment.
            Errno::AGAIN if wait(socket, PollFlags::POLLOUT, BURST_LIMIT_MS)? => passing::send(socket, bytes, fds),
            error => Err(error),
        });
        sent.map_err(|error| match error {
            Errno::AGAIN | Errno::NOBUFS => Error::new(ErrorKind::LimitExceeded, "the guardian does not keep up"),
            Errno::PIPE | Errno::CONNRESET => Error::new(ErrorKind::SessionEnded, "the guardian has ended"),
            error => Error::io("asking the guardian", error.into()),
        })
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Said, not only shown by closing the socket: a process forked from this one may hold it open. If it cannot be
        // said the guardian is no more, or does not listen and is ended itself; its keepers then end their trees.
        if getpid() == self.owner && self.request(&Request::Shutdown, &[]).is_err() {
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }
}

impl Stage {
    /// What was being done, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "reading the request",
            Self::Keeper => "making its keeper",
            Self::Cgroup => "making its control group",
            Self::Namespace => "making its namespaces",
            Self::Fork => "forking",
            Self::Terminal => "making its session",
            Self::Descriptors => "readying its descriptors",
            Self::Limits => "setting its limits",
            Self::Directory => "entering its directory",
            Self::Exec => "executing it",
        }
    }
}

/// The process id of what a pidfd stands for, in the numbers of this process's PID namespace.
fn seen_from_here(pidfd: BorrowedFd<'_>) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// Waits until the socket is ready; false if it was not in time.
fn wait(socket: BorrowedFd<'_>, ready: PollFlags, limit_ms: u16) -> Result<bool, rustix::io::Errno> {
    loop {
        match poll(&mut [PollFd::new(socket, ready)], PollTimeout::from(limit_ms)) {
            Ok(count) => return Ok(count > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(rustix::io::Errno::from_raw_os_error(error as i32)),
        }
    }
}

const START_LIMIT_MS: u16 = 10_000;
const BURST_LIMIT_MS: u16 = 5_000;
