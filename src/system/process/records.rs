//! What runs, written down for others of the same user to look at: `talkpath ps`.
//!
//! One file a manager, in a directory that only the user can enter. It names programs and no arguments, as any of these may
//! be a secret. A file whose agent is gone is removed by whoever finds it. What ends left-over processes does not rely on
//! this: that is the guardian's own record.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::process::geteuid;
use serde_json::{Value, json};

use super::handle::Process;

/// An agent that runs, and what it has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// The agent's process id.
    pub pid: u32,
    /// Its processes that run, oldest first.
    pub processes: Vec<ProcessRecord>,
}

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// The id by which its agent knows it.
    pub id: String,
    /// The system's number for it.
    pub pid: i64,
    /// When it was started, in microseconds since 1970.
    pub started_unix_us: u64,
    /// The program's name and how many arguments it has.
    pub title: String,
}

/// The file of one manager.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    name: String,
    agent_pid: u32,
    agent_began: Option<u64>,
}

impl Record {
    /// The record of this agent's next manager; nothing is written yet.
    pub(super) fn new(directory: PathBuf) -> Self {
        let agent_pid = std::process::id();
        let name = format!("{PREFIX}{agent_pid}-{}{SUFFIX}", NEXT.fetch_add(1, Relaxed));
        Self { directory, name, agent_pid, agent_began: began(agent_pid) }
    }

    /// Writes what runs, whole or not at all. Nobody is kept from working by a directory that cannot be written to.
    pub(super) fn write(&self, running: &[Process]) {
        let processes: Vec<Value> = running
            .iter()
            .filter_map(|process| {
                Some(json!({
                    "id": process.id(),
                    "pid": process.pid()?,
                    "started_unix_us": process.started_unix_us(),
                    "title": process.title(),
                }))
            })
            .collect();
        if processes.is_empty() {
            return self.remove();
        }
        let text = json!({"pid": self.agent_pid, "began": self.agent_began, "processes": processes}).to_string();
        let (path, new) = (self.directory.join(&self.name), self.directory.join(format!("{}.new", self.name)));
        let _ = make_private(&self.directory).and_then(|()| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &path)
        });
    }

    pub(super) fn remove(&self) {
        // It may never have been written.
        let _ = fs::remove_file(self.directory.join(&self.name));
    }
}

/// The agents of this user that run and have started something, in the order of their process ids.
pub(super) fn agents(directory: &Path) -> Vec<AgentRecord> {
    if !is_private(directory) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut agents: Vec<AgentRecord> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let Some(record) = fs::read_to_string(entry.path()).ok().and_then(|text| serde_json::from_str(&text).ok())
        else {
            continue;
        };
        let record: Value = record;
        let Some(pid) = record["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()) else { continue };
        let is_alive = began(pid).is_some_and(|it| record["began"].as_u64() == Some(it));
        if !is_alive {
            let _ = fs::remove_file(entry.path());
            continue;
        }
        let processes = record["processes"].as_array().into_iter().flatten().filter_map(process);
        match agents.iter_mut().find(|agent| agent.pid == pid) {
            Some(agent) => agent.processes.extend(processes),
            None => agents.push(AgentRecord { pid, processes: processes.collect() }),
        }
    }
    agents.sort_by_key(|agent| agent.pid);
    for agent in &mut agents {
        agent.processes.sort_by_key(|process| process.started_unix_us);
    }
    agents
}

fn process(record: &Value) -> Option<ProcessRecord> {
    Some(ProcessRecord {
        id: record["id"].as_str()?.to_owned(),
        pid: record["pid"].as_i64()?,
        started_unix_us: record["started_unix_us"].as_u64()?,
        title: record["title"].as_str()?.to_owned(),
    })
}

/// When a process began, in the system's ticks: with its number, what tells it from a later one (proc(5), field 22).
pub(super) fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if is_private(directory) { Ok(()) } else { Err(std::io::ErrorKind::PermissionDenied.into()) }
}

/// Whether it is a directory of this user's own: where everybody may write, somebody else could have made it.
fn is_private(directory: &Path) -> bool {
    fs::symlink_metadata(directory)
        .is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw() && it.mode().trailing_zeros() >= 6)
}

static NEXT: AtomicU64 = AtomicU64::new(1);
const PREFIX: &str = "processes-";
const SUFFIX: &str = ".json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_agent_that_is_gone_is_removed() {
        let directory = std::env::temp_dir().join(format!("talkpath-records-{}", std::process::id()));
        make_private(&directory).unwrap();
        let path = directory.join("processes-1-1.json");
        let pid = std::process::id();
        for (pid, began, found) in [(pid, began(pid), 1), (pid, Some(1), 0), (u32::MAX, Some(1), 0)] {
            let process = json!({"id": "a-1", "pid": 7, "started_unix_us": 5, "title": "sh"});
            fs::write(&path, json!({"pid": pid, "began": began, "processes": [process]}).to_string()).unwrap();
            let agents = agents(&directory);
            assert_eq!(agents.len(), found, "{agents:?}");
            assert_eq!(path.exists(), found == 1);
            for agent in agents {
                let title = "sh".to_owned();
                assert_eq!(agent.processes, [ProcessRecord { id: "a-1".into(), pid: 7, started_unix_us: 5, title }]);
            }
        }
        fs::write(&path, "{").unwrap();
        assert!(agents(&directory).is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_enter_is_not_used() {
        assert!(!is_private(Path::new("/tmp")) && !is_private(Path::new("/no/such")));
    }
}
