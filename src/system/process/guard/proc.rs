//! What `/proc` tells of processes: parents, children, states and what they use.
//!
//! Every text comes from the kernel, but a process chooses its own name, which stands in the middle of `stat`: fields are
//! counted from the last closing parenthesis. Only reads; whom a number stands for later is for others to make sure.

use std::collections::HashMap;
use std::fs;

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub(crate) state: u8,
    /// Its parent's process id.
    pub(crate) parent: i32,
    /// Processor time, of itself and of children it has reaped, in ticks.
    pub(crate) cpu_ticks: u64,
    /// Its threads.
    pub(crate) threads: u64,
    /// When it started, in ticks since the machine did: with the id, what tells it from any other.
    pub(crate) started: u64,
    /// Resident memory, in pages.
    pub(crate) resident_pages: u64,
}

impl Stat {
    /// Reads that of a process; none if it is no more.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether it has ended and only waits to be reaped; not so if merely its first thread has.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The field that proc(5) numbers 3 is the first here.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            cpu_ticks: (14..=17).filter_map(number).sum(),
            threads: number(20)?,
            started: number(22)?,
            resident_pages: number(24)?,
        })
    }
}

/// Who is whose child, as good as one look can tell.
pub(crate) struct Census {
    /// Where the kernel does not list children: everybody, by parent.
    by_parent: Option<HashMap<i32, Vec<i32>>>,
}

impl Census {
    /// Looks.
    pub(crate) fn take() -> Self {
        let own = std::process::id();
        if fs::exists(format!("/proc/self/task/{own}/children")).unwrap_or(false) {
            return Self { by_parent: None };
        }
        let mut by_parent: HashMap<i32, Vec<i32>> = HashMap::new();
        for pid in numbers("/proc") {
            if let Some(stat) = Stat::read(pid) {
                by_parent.entry(stat.parent).or_default().push(pid);
            }
        }
        Self { by_parent: Some(by_parent) }
    }

    /// The children of a process, those of all its threads.
    pub(crate) fn children(&self, pid: i32) -> Vec<i32> {
        if let Some(by_parent) = &self.by_parent {
            return by_parent.get(&pid).cloned().unwrap_or_default();
        }
        let mut children = Vec::new();
        for thread in numbers(&format!("/proc/{pid}/task")) {
            let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
            children.extend(list.split_ascii_whitespace().filter_map(|number| number.parse::<i32>().ok()));
        }
        children
    }
}

/// The entries of a directory whose names are numbers.
fn numbers(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_fields_does_not_move_them() {
        let line = b"7 (a) Z 1 (b) S 42 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 999 8192 12 18446744073709551615";
        let stat = Stat::parse(line).expect("a line");
        let wanted = Stat { state: b'S', parent: 42, cpu_ticks: 100, threads: 1, started: 999, resident_pages: 12 };
        assert_eq!(stat, wanted);
    }

    #[test]
    fn what_is_cut_short_is_nobody() {
        for line in
            [&b""[..], b"7 (a", b"7 (a)", b"7 (a) S", b"7 (a) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0", b"7 (a) S x"]
        {
            assert_eq!(Stat::parse(line), None);
        }
    }

    #[test]
    fn this_process_is_its_parents_child() {
        let own = std::process::id() as i32;
        let stat = Stat::read(own).expect("this process");
        assert!(Census::take().children(stat.parent).contains(&own));
        assert!(!stat.has_ended() && stat.resident_pages > 0);
    }
}
