//! `talkpath-guard`: the parent of every program an agent starts, which leaves none behind when the agent ends.
//!
//! An agent that is killed runs no code of its own any more, so somebody else must clean up: this program, which does
//! nothing else. It is a process of its own session, with every signal blocked and one thread, started by the library
//! (`system::process::guardian`) and spoken to through one socket. It forks a keeper for each child. When the agent ends,
//! which its pidfd says even while others hold the socket, it freezes everything below itself, kills it, reaps it, and
//! leaves. It knows nothing of output, of Python, or of what the children are for.
//!
//! It is compiled by the build script with the standard library alone, and carried inside the library.

mod cgroup;
mod child;
mod keeper;
mod namespace;
mod outlet;
mod proc;
mod record;
mod server;
mod sys;
mod tree;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the library, where the other half is used and some is public"
)]
#[path = "../wire.rs"]
mod wire;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cgroup::Group;
use child::number;
use namespace::Namespaces;
use outlet::Outlet;
use record::Records;
use server::Server;
use sys::PollFd;
use wire::{MESSAGE_LEN, Notice, Request, Stage, Tier};

fn main() {
    // The first process leaves at once, so that the agent has no child that would never end: a host that waits for all of
    // its children must not wait for this one.
    match sys::fork() {
        Ok(0) => {}
        Ok(_) => sys::exit_now(0),
        Err(error) => {
            refuse(Stage::Fork, &error);
            return;
        }
    }
    if let Err((stage, error)) = guard() {
        refuse(stage, &error);
    }
}

/// The whole life of the guardian.
fn guard() -> Result<(), (Stage, std::io::Error)> {
    let at = |stage| move |error| (stage, error);
    sys::setsid().map_err(at(Stage::Terminal))?;
    sys::reset_signals();
    sys::block_signals();
    sys::set_name(c"talkpath-guard");
    // Not one descriptor of the agent's: whoever waits for the end of one must not wait for this program.
    child::close_all_but(&mut []).map_err(at(Stage::Descriptors))?;
    std::env::set_current_dir("/").map_err(at(Stage::Directory))?;
    sys::become_subreaper().map_err(at(Stage::Keeper))?;
    // Without a view of processes it could not find what it has to end.
    let own = std::process::id() as i32;
    proc::Stat::read(own).ok_or_else(|| (Stage::Keeper, std::io::ErrorKind::Unsupported.into()))?;
    let files_before = sys::limit(sys::RLIMIT_NOFILE).map_err(at(Stage::Limits))?;
    // A socket a child, and a pidfd for each process of a tree while it is killed.
    sys::set_limit(sys::RLIMIT_NOFILE, files_before.1, files_before.1).map_err(at(Stage::Limits))?;
    sys::set_limit(sys::RLIMIT_CORE, 0, 0).map_err(at(Stage::Limits))?;
    let watch = sys::watch_children().map_err(at(Stage::Keeper))?;

    let (agent, tier, runtime) = hear_hello().map_err(at(Stage::Request))?;
    let group = match tier {
        Tier::Cgroup => Some(Group::of_guardian().map_err(at(Stage::Cgroup))?),
        Tier::Subreaper | Tier::Strict => None,
    };
    let namespaces = match tier {
        Tier::Strict => Some(Namespaces::probe(&watch).map_err(at(Stage::Namespace))?),
        Tier::Subreaper | Tier::Cgroup => None,
    };
    let records = runtime.and_then(|runtime| {
        let records = Records::begin(&runtime).ok()?;
        record::sweep(&runtime);
        Some(records)
    });
    if let (Some(records), Some(group)) = (&records, &group) {
        records.note_group(group);
    }

    let pidfd = sys::pidfd_open(own).map_err(at(Stage::Keeper))?;
    let outlet = Outlet::new(SOCKET, PollFd::readable(agent.as_raw_fd()));
    outlet.tell(&Notice::Ready { tier, recorded: records.is_some() }, Some(pidfd.as_raw_fd()));
    drop(pidfd);
    let (keepers, adopted) = (HashMap::new(), HashMap::new());
    Server { socket: SOCKET, agent, watch, files_before, group, namespaces, records, keepers, adopted }.serve();
    Ok(())
}

/// Waits for the first request: the agent's pidfd, the tier it wants, and where records are to be.
fn hear_hello() -> std::io::Result<(OwnedFd, Tier, Option<PathBuf>)> {
    sys::poll(&mut [PollFd::readable(SOCKET)], -1);
    let mut buffer = vec![0; MESSAGE_LEN];
    let (len, mut fds, whole) = sys::receive(SOCKET, &mut buffer)?;
    match (Request::decode(&buffer[..len]), fds.pop()) {
        (Ok(Request::Hello { tier, runtime }), Some(agent)) if whole => {
            Ok((agent, tier, runtime.map(|path| PathBuf::from(OsStr::from_bytes(path.as_bytes())))))
        }
        _ => Err(std::io::Error::from_raw_os_error(sys::EBADMSG)),
    }
}

/// Tells the agent why there will be no guardian.
fn refuse(stage: Stage, error: &std::io::Error) {
    let mut bytes = Vec::new();
    Notice::Refused { stage, errno: number(error) }.encode(&mut bytes);
    // If it does not listen, the end of this program tells it as well.
    let _ = sys::send(SOCKET, &bytes, None);
}

/// The agent's socket: standard input. Output and error are nowhere.
const SOCKET: RawFd = 0;
