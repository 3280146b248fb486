//! Ends a tree of processes for good, whatever they do about it.
//!
//! Killing one by one loses against programs that restart what dies, and against chains that fork faster than a list is
//! read. So the tree is frozen first, from the root down, until a look at it finds nobody new; then it is killed. A process
//! that was about to fork may still slip through. But an orphan becomes a child of the nearest subreaper, which is whoever
//! calls [`destroy`]: as long as it has children it looks again, and when it has none there are no descendants. That is
//! the system's word, not a guess.
//!
//! A number is never signalled, only a process: a child that has not been reaped keeps its number, any other is held by a
//! pidfd that was opened before its descent was seen, from a parent that was still there afterwards.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, OwnedFd};

use crate::proc::{Census, Stat};
use crate::sys::{self, PollFd, Reaped, SIGKILL, SIGSTOP, WaitStatus};

/// A process that is certainly of the tree.
pub(crate) struct Member {
    pid: i32,
    started: u64,
    pidfd: OwnedFd,
}

impl Member {
    /// Holds the process that has this id, if it started then; none if it is another or gone.
    pub(crate) fn hold(pid: i32, started: u64) -> Option<Self> {
        let pidfd = sys::pidfd_open(pid).ok()?;
        let stat = Stat::read(pid)?;
        (stat.started == started && !stat.has_ended()).then_some(Self { pid, started, pidfd })
    }

    /// Its pidfd.
    pub(crate) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Sends a signal to this very process, or to nobody if it is no more.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        sys::pidfd_signal(&self.pidfd, signal).is_ok()
    }

    fn signal_each(&self, signals: &[i32]) {
        for signal in signals {
            self.signal(*signal);
        }
    }
}

/// Kills every descendant of this process but the children in `spare` and theirs, and reaps them.
///
/// Returns how many it killed. `reaped` is told of each child that was reaped, spared ones that ended meanwhile included.
/// Without `until_ms` it goes on until none is left, with it no longer than that.
pub(crate) fn destroy(
    watch: &OwnedFd,
    spare: &[i32],
    until_ms: Option<u64>,
    mut reaped: impl FnMut(i32, WaitStatus),
) -> u32 {
    let own = std::process::id() as i32;
    let mut killed = HashSet::new();
    let mut pause_ms = SHORTEST_PAUSE_MS;
    loop {
        for member in find(Root::Own { spare }, &[SIGSTOP]) {
            if member.signal(SIGKILL) {
                killed.insert((member.pid, member.started));
            }
        }
        let mut any = false;
        loop {
            match sys::reap() {
                Reaped::Child(pid, status) => {
                    any = true;
                    reaped(pid, status);
                }
                Reaped::NoChildren => return killed.len() as u32,
                Reaped::NoneYet => {
                    if !spare.is_empty() && Census::take().children(own).iter().all(|pid| spare.contains(pid)) {
                        return killed.len() as u32;
                    }
                    let mut fds = [PollFd::readable(watch.as_raw_fd())];
                    sys::poll(&mut fds, pause_ms);
                    if !fds[0].ready() {
                        break;
                    }
                    sys::forget_signals(watch);
                }
            }
        }
        if until_ms.is_some_and(|until| sys::now_ms() >= until) {
            return killed.len() as u32;
        }
        // What the system cannot kill now (it waits for a disk, say) is looked at again, less and less often.
        pause_ms = if any { SHORTEST_PAUSE_MS } else { (pause_ms * 2).min(LONGEST_PAUSE_MS) };
    }
}

/// Sends signals to every descendant of this process, from the top down.
pub(crate) fn signal_all(signals: &[i32]) {
    find(Root::Own { spare: &[] }, signals);
}

/// Kills a process that is no descendant of this one, with those that descend from it; returns them, dying.
pub(crate) fn destroy_foreign(root: Member) -> Vec<Member> {
    let members = find(Root::Foreign(root), &[SIGSTOP]);
    members.iter().for_each(|member| {
        member.signal(SIGKILL);
    });
    members
}

/// Looks at every descendant of this process that has not ended.
pub(crate) fn survey(mut each: impl FnMut(&Stat)) {
    let census = Census::take();
    let mut queue = census.children(std::process::id() as i32);
    while let Some(pid) = queue.pop() {
        if let Some(stat) = Stat::read(pid).filter(|stat| !stat.has_ended()) {
            each(&stat);
            queue.extend(census.children(pid));
        }
    }
}

enum Root<'a> {
    /// This process, which is not one of the tree itself.
    Own { spare: &'a [i32] },
    /// Another, which is.
    Foreign(Member),
}

/// Finds everybody below the root, from the top down, and sends each of them `signals` as it is found; looks again until nobody
/// is new. What has ended is left out.
fn find(root: Root<'_>, signals: &[i32]) -> Vec<Member> {
    let mut members: HashMap<i32, Member> = HashMap::new();
    let (top, own, spare) = match root {
        Root::Own { spare } => (std::process::id() as i32, Some(std::process::id() as i32), spare),
        Root::Foreign(member) => {
            let top = member.pid;
            member.signal_each(signals);
            members.insert(top, member);
            (top, None, &[][..])
        }
    };
    for _ in 0..MAX_LOOKS {
        let census = Census::take();
        let mut any_new = false;
        let mut queue = vec![top];
        while let Some(parent) = queue.pop() {
            for pid in census.children(parent) {
                if own == Some(parent) && spare.contains(&pid) {
                    continue;
                }
                if !members.contains_key(&pid) {
                    let Some(member) = adopt(pid, parent, own, &members) else { continue };
                    member.signal_each(signals);
                    any_new = true;
                    members.insert(pid, member);
                }
                queue.push(pid);
            }
        }
        if !any_new {
            break;
        }
    }
    members.into_values().collect()
}

/// Holds a process that was seen as a child of a member, if it is one.
fn adopt(pid: i32, parent: i32, own: Option<i32>, members: &HashMap<i32, Member>) -> Option<Member> {
    let pidfd = sys::pidfd_open(pid).ok()?;
    let stat = Stat::read(pid)?;
    if stat.has_ended() {
        return None;
    }
    // If the parent ended in between, it is a child of this process by now, and keeps its number until it is reaped.
    let descends = own == Some(stat.parent)
        || (stat.parent == parent && members.get(&parent).is_some_and(|parent| parent.signal(0)));
    descends.then_some(Member { pid, started: stat.started, pidfd })
}

/// Looks at a tree before it is killed as far as it is known; it is looked at again as long as anybody is left.
const MAX_LOOKS: usize = 64;
const SHORTEST_PAUSE_MS: i32 = 2;
const LONGEST_PAUSE_MS: i32 = 128;
