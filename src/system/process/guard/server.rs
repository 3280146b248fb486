//! The guardian's own loop: takes requests, makes keepers, and ends everything when the agent ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::cgroup::Group;
use crate::child::number;
use crate::keeper::{self, Charge};
use crate::namespace::Namespaces;
use crate::outlet::Outlet;
use crate::record::Records;
use crate::sys::{self, PollFd, Reaped, WaitStatus};
use crate::tree::{self, Member};
use crate::wire::{MESSAGE_LEN, Notice, Request, SPAWN_LEN, SpawnSpec, Stage};

/// A guardian at work.
pub(crate) struct Server {
    pub(crate) socket: RawFd,
    /// Readable once the agent has ended, whoever else holds the other end of the socket.
    pub(crate) agent: OwnedFd,
    pub(crate) watch: OwnedFd,
    pub(crate) files_before: (u64, u64),
    pub(crate) group: Option<Group>,
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) records: Option<Records>,
    pub(crate) keepers: HashMap<u64, Keeper>,
    /// Processes that are not the guardian's, to end with the agent.
    pub(crate) adopted: HashMap<u64, Member>,
}

/// A keeper as the guardian knows it.
pub(crate) struct Keeper {
    pid: i32,
    control: OwnedFd,
}

impl Server {
    /// Serves until the agent ends or wants an end, and leaves nothing behind.
    pub(crate) fn serve(mut self) {
        let mut buffer = vec![0; MESSAGE_LEN];
        loop {
            self.reap();
            let mut fds = [self.socket, self.agent.as_raw_fd(), self.watch.as_raw_fd()].map(PollFd::readable);
            sys::poll(&mut fds, -1);
            if fds[2].ready() {
                sys::forget_signals(&self.watch);
            }
            if fds[1].ready() || (fds[0].ready() && !self.take_request(&mut buffer)) {
                break;
            }
        }
        self.end();
    }

    /// Takes one request; false if there will be no more.
    fn take_request(&mut self, buffer: &mut [u8]) -> bool {
        let (len, fds, whole) = match sys::receive(self.socket, buffer) {
            Ok((0, ..)) => return false,
            Ok(received) => received,
            Err(error) => return error.raw_os_error() == Some(sys::EAGAIN),
        };
        // An agent that sends what is no request is not itself any more: better an end than a guess at what it wants.
        let Some(request) = whole.then(|| Request::decode(&buffer[..len]).ok()).flatten() else { return false };
        match request {
            Request::Spawn { id, spec } => self.spawn(id, Ok(spec), fds),
            Request::SpawnFromFile { id } => {
                let mut fds = fds;
                let spec = fds.pop().map_or(Err((Stage::Request, sys::EBADMSG)), |file| read_spec(id, file));
                self.spawn(id, spec, fds);
            }
            Request::Signal { id, signal, .. } if self.adopted.contains_key(&id) => self.signal_adopted(id, signal),
            Request::Signal { id, .. } => self.pass_on(id, &buffer[..len]),
            Request::Stop { ids, .. } => ids.iter().for_each(|id| self.pass_on(*id, &buffer[..len])),
            Request::Adopt { id, pid, started } => {
                if let Some(member) = Member::hold(pid, started) {
                    self.adopted.insert(id, member);
                }
            }
            Request::Release { id } => drop(self.adopted.remove(&id)),
            Request::Shutdown | Request::Hello { .. } => return false,
        }
        true
    }

    fn spawn(&mut self, id: u64, spec: Result<SpawnSpec, (Stage, i32)>, streams: Vec<OwnedFd>) {
        let spec = if self.keepers.contains_key(&id) { Err((Stage::Request, sys::EEXIST)) } else { spec };
        if let Err((stage, errno)) = spec.and_then(|spec| self.make_keeper(id, spec, streams)) {
            self.outlet().tell(&Notice::SpawnFailed { id, stage, errno }, None);
        }
    }

    fn make_keeper(&mut self, id: u64, spec: SpawnSpec, streams: Vec<OwnedFd>) -> Result<(), (Stage, i32)> {
        let failed = |error: std::io::Error| (Stage::Keeper, number(&error));
        let (control, keepers_end) = sys::socket_pair().map_err(failed)?;
        let pid = self.namespaces.map_or_else(sys::fork, Namespaces::fork).map_err(failed)?;
        if pid == 0 {
            keeper::keep(Charge {
                id,
                spec,
                streams,
                agent: self.socket,
                control: keepers_end,
                watch: &self.watch,
                files_before: self.files_before,
                group: self.group.as_ref(),
                namespaces: self.namespaces,
                records: self.records.as_ref(),
            });
        }
        self.keepers.insert(id, Keeper { pid, control });
        Ok(())
    }

    /// Passes a request on to a keeper; one whose tree is gone has no use for it.
    fn pass_on(&self, id: u64, request: &[u8]) {
        if let Some(keeper) = self.keepers.get(&id) {
            let full = |error: &std::io::Error| error.raw_os_error() == Some(sys::EAGAIN);
            if sys::send(keeper.control.as_raw_fd(), request, None).is_err_and(|error| full(&error)) {
                // It has not listened for hundreds of requests: its tree is ended as if it had been killed.
                let _ = sys::kill(keeper.pid, sys::SIGKILL);
            }
        }
    }

    /// Signals a process that is not the guardian's own; 9 ends it with all that descends from it.
    fn signal_adopted(&mut self, id: u64, signal: i32) {
        if signal != sys::SIGKILL {
            self.adopted.get(&id).iter().for_each(|member| {
                member.signal(signal);
            });
        } else if let Some(member) = self.adopted.remove(&id) {
            tree::destroy_foreign(member);
        }
    }

    /// Takes leave of keepers; what one that was killed has kept is killed.
    fn reap(&mut self) {
        let mut ended = Vec::new();
        while let Reaped::Child(pid, status) = sys::reap() {
            ended.push((pid, status));
        }
        while let Some((pid, status)) = ended.pop() {
            let Some(id) = self.keepers.iter().find_map(|(id, keeper)| (keeper.pid == pid).then_some(*id)) else {
                continue;
            };
            self.keepers.remove(&id);
            if status != LEFT_IN_PEACE {
                let spare: Vec<i32> = self.keepers.values().map(|keeper| keeper.pid).collect();
                let until_ms = sys::now_ms() + LOST_WAIT_MS;
                let killed =
                    tree::destroy(&self.watch, &spare, Some(until_ms), |pid, status| ended.push((pid, status)));
                self.outlet().tell(&Notice::Lost { id, killed }, None);
            }
        }
    }

    /// Kills everything below, and removes every trace.
    fn end(mut self) {
        for (_, member) in self.adopted.drain() {
            tree::destroy_foreign(member);
        }
        if let Some(group) = &self.group {
            group.kill();
        }
        tree::destroy(&self.watch, &[], None, |_, _| {});
        self.group.iter().for_each(Group::remove);
        self.records.iter().for_each(Records::end);
    }

    fn outlet(&self) -> Outlet {
        Outlet::new(self.socket, PollFd::readable(self.agent.as_raw_fd()))
    }
}

/// Reads a request that was too long for a packet.
fn read_spec(id: u64, file: OwnedFd) -> Result<SpawnSpec, (Stage, i32)> {
    use std::io::Seek;
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(SPAWN_LEN as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| (Stage::Request, number(&error)))?;
    match Request::decode(&bytes) {
        Ok(Request::Spawn { id: named, spec }) if named == id && bytes.len() <= SPAWN_LEN => Ok(spec),
        _ => Err((Stage::Request, sys::EBADMSG)),
    }
}

/// How a keeper ends when nothing of its tree is left.
const LEFT_IN_PEACE: WaitStatus = WaitStatus(0);
/// How long the guardian sees to the tree of a keeper that was killed before it goes on; what takes longer it ends when
/// it ends itself.
const LOST_WAIT_MS: u64 = 2_000;
