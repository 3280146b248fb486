//! What an agent and its guardian say to each other: requests one way, notices the other, both bounded.
//!
//! One message is one packet of a `SOCK_SEQPACKET` socket, so that nothing has to be framed. Descriptors travel beside the
//! bytes; a child's standard streams with its [`Request::Spawn`], its pidfd with [`Notice::Spawned`]. Integers are in
//! little-endian order. Both ends are always built from the same sources, so there is no version. The file is shared by
//! the library and by the program `talkpath-guard`, and therefore knows the standard library alone.

use std::ffi::CString;

/// The longest packet, in bytes.
pub(crate) const MESSAGE_LEN: usize = 48 * 1024;

/// The longest [`Request::Spawn`], in bytes: what does not fit a packet is passed as a file. The system takes 6 MiB of
/// arguments and environment at most.
pub(crate) const SPAWN_LEN: usize = 8 * 1024 * 1024;

/// How strictly descendants are kept together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Every child has a parent of its own that adopts what its descendants leave behind. Needs no privilege.
    #[default]
    Subreaper = 1,
    /// As above, and each child has a control group (version 2), killed as one. Needs a writable control group.
    Cgroup = 2,
    /// As the first, and each child has PID and mount namespaces, in a user namespace where the agent is unprivileged:
    /// what is in them cannot even see the rest. Needs a system that allows it.
    Strict = 3,
}

/// What an agent asks of its guardian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Says how children are to be kept, first of all; with the agent's own pidfd.
    Hello {
        /// The tier wanted; the guardian refuses to start rather than take a weaker one.
        tier: Tier,
        /// The directory of records, if there is one: where the next guardian looks for what this one left.
        runtime: Option<CString>,
    },
    /// Starts a program; with its standard input, output and error (the same terminal thrice with
    /// [`pty`](SpawnSpec::pty)).
    Spawn {
        /// The agent's own number for it, never used twice.
        id: u64,
        /// What to start.
        spec: SpawnSpec,
    },
    /// A [`Request::Spawn`] too long for a packet: a fourth descriptor is the file that holds it.
    SpawnFromFile {
        /// The same number as in the file.
        id: u64,
    },
    /// Sends a signal.
    Signal {
        /// Whom.
        id: u64,
        /// Which; 9 to the whole tree freezes it first.
        signal: i32,
        /// To all descendants, too.
        whole_tree: bool,
    },
    /// Asks trees to end (TERM to everything in them), and kills what is left of them after `grace_ms`.
    Stop {
        /// Which; 4,096 at most.
        ids: Vec<u64>,
        /// How long they may take, all of them together.
        grace_ms: u32,
    },
    /// Ends everything at once, the guardian too.
    Shutdown,
    /// Takes charge of a process that is not the guardian's child: it ends with the agent, and so do those that descend
    /// from it by then.
    Adopt {
        /// The agent's own number for it, never used twice.
        id: u64,
        /// Its process id.
        pid: i32,
        /// When it began, in the system's ticks: with any other, it is not the process that is meant.
        started: u64,
    },
    /// Forgets a process that was adopted.
    Release {
        /// Which.
        id: u64,
    },
}

/// What to start, and within which bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpawnSpec {
    /// The program and its arguments; a program without a slash is looked for in `PATH` of `env`.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=value` each.
    pub env: Vec<CString>,
    /// The working directory; the agent's own at the time of the request if there is none.
    pub cwd: Option<CString>,
    /// Whether standard input is a terminal that is to control the child.
    pub pty: bool,
    /// The bounds.
    pub limits: Limits,
}

/// Bounds of one child; without a number, there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processes alive at once, the child and all its descendants.
    pub nproc: Option<u64>,
    /// Resident memory of all of them; what they share counts for each, unless the system counts (cgroup tier).
    pub memory_bytes: Option<u64>,
    /// Processor time of all of them.
    pub cpu_seconds: Option<u64>,
    /// Descriptors each may have open (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// How long a file each may write (`RLIMIT_FSIZE`).
    pub file_bytes: Option<u64>,
    /// How long it may run.
    pub wall_ms: Option<u64>,
}

/// What a guardian tells, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The guardian is there; with its own pidfd.
    Ready {
        /// The tier that is in force.
        tier: Tier,
        /// Whether the next guardian would find what this one leaves if it is killed together with the agent.
        recorded: bool,
    },
    /// The guardian cannot keep children as was wanted, and has ended.
    Refused {
        /// At what it failed.
        stage: Stage,
        /// The system's number for why.
        errno: i32,
    },
    /// The program runs; with its pidfd.
    Spawned {
        /// Which.
        id: u64,
        /// Its process id, as the guardian sees it: in the strict tier not the agent's view.
        pid: i32,
    },
    /// The program could not be started.
    SpawnFailed {
        /// Which.
        id: u64,
        /// At what it failed.
        stage: Stage,
        /// The system's number for why.
        errno: i32,
    },
    /// The child itself has ended; descendants may be left.
    Exited {
        /// Which.
        id: u64,
        /// How.
        status: Status,
    },
    /// Neither the child nor any descendant is left.
    TreeGone {
        /// Which.
        id: u64,
        /// How many processes the guardian killed to get there.
        killed: u32,
    },
    /// The tree is killed, because it went beyond a bound.
    LimitReached {
        /// Which.
        id: u64,
        /// Beyond what.
        which: Limit,
    },
    /// Someone killed the child's keeper, whereupon the guardian killed the whole tree; nothing more comes of it.
    Lost {
        /// Which.
        id: u64,
        /// How many processes the guardian killed.
        killed: u32,
    },
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It left with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which.
        number: i32,
        /// Whether the system wrote its memory down.
        core_dumped: bool,
    },
}

/// At what starting a guardian or a child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The request itself: malformed, no program named, descriptors missing, the id in use.
    Request = 1,
    /// Making its keeper.
    Keeper = 2,
    /// Making its control group.
    Cgroup = 3,
    /// Making its namespaces.
    Namespace = 4,
    /// Forking.
    Fork = 5,
    /// Its session and controlling terminal.
    Terminal = 6,
    /// Its descriptors.
    Descriptors = 7,
    /// Its limits.
    Limits = 8,
    /// Its working directory.
    Directory = 9,
    /// Executing the program.
    Exec = 10,
}

/// A bound that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// [`Limits::nproc`].
    Processes = 1,
    /// [`Limits::memory_bytes`].
    Memory = 2,
    /// [`Limits::cpu_seconds`].
    Cpu = 3,
    /// [`Limits::wall_ms`].
    Wall = 4,
}

/// Bytes that are no message; says which part is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// How many ids one [`Request::Stop`] may name.
pub(crate) const MAX_STOP_IDS: usize = 4_096;

impl Request {
    /// Appends the request to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { tier, runtime } => {
                out.extend([0, *tier as u8]);
                put_text(out, runtime.as_ref());
            }
            Self::Spawn { id, spec } => {
                out.push(1);
                out.extend(id.to_le_bytes());
                spec.encode(out);
            }
            Self::SpawnFromFile { id } => {
                out.push(2);
                out.extend(id.to_le_bytes());
            }
            Self::Signal { id, signal, whole_tree } => {
                out.push(3);
                out.extend(id.to_le_bytes());
                out.extend(signal.to_le_bytes());
                out.push(u8::from(*whole_tree));
            }
            Self::Stop { ids, grace_ms } => {
                out.push(4);
                out.extend(grace_ms.to_le_bytes());
                put_len(out, ids.len());
                ids.iter().for_each(|id| out.extend(id.to_le_bytes()));
            }
            Self::Shutdown => out.push(5),
            Self::Adopt { id, pid, started } => {
                put_tagged(out, 6, *id);
                out.extend(pid.to_le_bytes());
                out.extend(started.to_le_bytes());
            }
            Self::Release { id } => put_tagged(out, 7, *id),
        }
    }

    /// Reads a request, which must fill `bytes`.
    ///
    /// # Errors
    /// [`Malformed`], if it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { rest: bytes };
        let request = match reader.byte()? {
            0 => Self::Hello { tier: Tier::from_byte(reader.byte()?)?, runtime: reader.text()? },
            1 => Self::Spawn { id: reader.u64()?, spec: SpawnSpec::decode(&mut reader)? },
            2 => Self::SpawnFromFile { id: reader.u64()? },
            3 => Self::Signal { id: reader.u64()?, signal: reader.i32()?, whole_tree: reader.flag()? },
            4 => {
                let grace_ms = reader.u32()?;
                let len = reader.u32()? as usize;
                if len > MAX_STOP_IDS {
                    return Err(Malformed("too many ids"));
                }
                Self::Stop { ids: (0..len).map(|_| reader.u64()).collect::<Result<_, _>>()?, grace_ms }
            }
            5 => Self::Shutdown,
            6 => Self::Adopt { id: reader.u64()?, pid: reader.i32()?, started: reader.u64()? },
            7 => Self::Release { id: reader.u64()? },
            _ => return Err(Malformed("no such request")),
        };
        reader.end(request)
    }
}

impl SpawnSpec {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.pty));
        put_text(out, self.cwd.as_ref());
        let Limits { nproc, memory_bytes, cpu_seconds, open_files, file_bytes, wall_ms } = self.limits;
        for limit in [nproc, memory_bytes, cpu_seconds, open_files, file_bytes, wall_ms] {
            out.push(u8::from(limit.is_some()));
            out.extend(limit.unwrap_or(0).to_le_bytes());
        }
        for list in [&self.argv, &self.env] {
            put_len(out, list.len());
            list.iter().for_each(|text| put_bytes(out, text.as_bytes()));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let pty = reader.flag()?;
        let cwd = reader.text()?;
        let mut limits = [None; 6];
        for limit in &mut limits {
            let (there, value) = (reader.flag()?, reader.u64()?);
            *limit = there.then_some(value);
        }
        let [nproc, memory_bytes, cpu_seconds, open_files, file_bytes, wall_ms] = limits;
        let limits = Limits { nproc, memory_bytes, cpu_seconds, open_files, file_bytes, wall_ms };
        Ok(Self { argv: reader.texts()?, env: reader.texts()?, cwd, pty, limits })
    }
}

impl Notice {
    /// Appends the notice to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ready { tier, recorded } => out.extend([0, tier as u8, u8::from(recorded)]),
            Self::Refused { stage, errno } => {
                out.extend([1, stage as u8]);
                out.extend(errno.to_le_bytes());
            }
            Self::Spawned { id, pid } => {
                put_tagged(out, 2, id);
                out.extend(pid.to_le_bytes());
            }
            Self::SpawnFailed { id, stage, errno } => {
                put_tagged(out, 3, id);
                out.push(stage as u8);
                out.extend(errno.to_le_bytes());
            }
            Self::Exited { id, status } => {
                put_tagged(out, 4, id);
                let (kind, number) = match status {
                    Status::Code(code) => (0, code),
                    Status::Signal { number, core_dumped } => (1 + u8::from(core_dumped), number),
                };
                out.push(kind);
                out.extend(number.to_le_bytes());
            }
            Self::TreeGone { id, killed } => {
                put_tagged(out, 5, id);
                out.extend(killed.to_le_bytes());
            }
            Self::LimitReached { id, which } => {
                put_tagged(out, 6, id);
                out.push(which as u8);
            }
            Self::Lost { id, killed } => {
                put_tagged(out, 7, id);
                out.extend(killed.to_le_bytes());
            }
        }
    }

    /// Reads a notice, which must fill `bytes`.
    ///
    /// # Errors
    /// [`Malformed`], if it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { rest: bytes };
        let notice = match reader.byte()? {
            0 => Self::Ready { tier: Tier::from_byte(reader.byte()?)?, recorded: reader.flag()? },
            1 => Self::Refused { stage: Stage::from_byte(reader.byte()?)?, errno: reader.i32()? },
            2 => Self::Spawned { id: reader.u64()?, pid: reader.i32()? },
            3 => {
                let (id, stage) = (reader.u64()?, Stage::from_byte(reader.byte()?)?);
                Self::SpawnFailed { id, stage, errno: reader.i32()? }
            }
            4 => {
                let (id, kind, number) = (reader.u64()?, reader.byte()?, reader.i32()?);
                let status = match kind {
                    0 => Status::Code(number),
                    1 | 2 => Status::Signal { number, core_dumped: kind == 2 },
                    _ => return Err(Malformed("no such status")),
                };
                Self::Exited { id, status }
            }
            5 => Self::TreeGone { id: reader.u64()?, killed: reader.u32()? },
            6 => Self::LimitReached { id: reader.u64()?, which: Limit::from_byte(reader.byte()?)? },
            7 => Self::Lost { id: reader.u64()?, killed: reader.u32()? },
            _ => return Err(Malformed("no such notice")),
        };
        reader.end(notice)
    }
}

impl Tier {
    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        let all = [Self::Subreaper, Self::Cgroup, Self::Strict];
        all.into_iter().find(|tier| *tier as u8 == byte).ok_or(Malformed("no such tier"))
    }
}

impl Stage {
    /// Reads the byte that stands for a stage.
    ///
    /// # Errors
    /// [`Malformed`], if it stands for none.
    pub(crate) fn from_byte(byte: u8) -> Result<Self, Malformed> {
        let all = [
            Self::Request,
            Self::Keeper,
            Self::Cgroup,
            Self::Namespace,
            Self::Fork,
            Self::Terminal,
            Self::Descriptors,
            Self::Limits,
            Self::Directory,
            Self::Exec,
        ];
        all.into_iter().find(|stage| *stage as u8 == byte).ok_or(Malformed("no such stage"))
    }
}

impl Limit {
    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        let all = [Self::Processes, Self::Memory, Self::Cpu, Self::Wall];
        all.into_iter().find(|limit| *limit as u8 == byte).ok_or(Malformed("no such limit"))
    }
}

/// Takes a message apart from the front; never reads beyond it, never makes room for more than it holds.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("cut short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn c_string(&mut self) -> Result<CString, Malformed> {
        let len = self.u32()? as usize;
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Malformed("cut short"))?;
        self.rest = rest;
        CString::new(head).map_err(|_| Malformed("a zero byte in a text"))
    }

    fn text(&mut self) -> Result<Option<CString>, Malformed> {
        if self.flag()? { self.c_string().map(Some) } else { Ok(None) }
    }

    fn texts(&mut self) -> Result<Vec<CString>, Malformed> {
        let len = self.u32()? as usize;
        // Each takes four bytes at least: a count that cannot be true makes no room.
        if len > self.rest.len() / 4 {
            return Err(Malformed("cut short"));
        }
        (0..len).map(|_| self.c_string()).collect()
    }

    fn end<T>(self, message: T) -> Result<T, Malformed> {
        if self.rest.is_empty() { Ok(message) } else { Err(Malformed("bytes left over")) }
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, id: u64) {
    out.push(tag);
    out.extend(id.to_le_bytes());
}

/// A length beyond 32 bits would be refused as cut short; the limits on messages are far below.
fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend(bytes);
}

fn put_text(out: &mut Vec<u8>, text: Option<&CString>) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_bytes(out, text.as_bytes());
    }
}

#[cfg(test)]
#[path = "wire_test.rs"]
mod tests;
