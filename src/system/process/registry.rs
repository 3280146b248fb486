//! Which processes there are: found by id, listed, and written down for `talkpath ps`.
//!
//! Those that run are kept, and of those that have ended the last ones, so that an end can be told from a wrong id, and
//! output that nobody has read yet is still there.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::guardian::Tier;
use super::handle::{Process, Shared};
use super::records::Record;

#[derive(Debug)]
pub(super) struct Registry {
    known: Mutex<Known>,
    tier: AtomicU8,
    is_changed: AtomicBool,
    record: Record,
}

#[derive(Debug, Default)]
struct Known {
    running: HashMap<Arc<str>, Process>,
    /// The last to end, newest last.
    ended: VecDeque<Process>,
    /// The ids of those that ended before them.
    forgotten: VecDeque<Arc<str>>,
}

/// What there is by an id.
#[derive(Clone, Debug)]
pub enum Found {
    /// It runs, or has ended not long ago.
    Process(Process),
    /// It has ended, and nothing else is known of it any more.
    Ended,
}

impl Registry {
    pub(super) fn new(record: Record) -> Self {
        Self { known: Mutex::default(), tier: AtomicU8::new(0), is_changed: AtomicBool::new(false), record }
    }

    pub(super) fn add(&self, process: &Process) {
        self.known().running.insert(Arc::clone(&process.0.id), process.clone());
    }

    /// It was never started.
    pub(super) fn forget(&self, shared: &Shared) {
        self.known().running.remove(&shared.id);
    }

    pub(super) fn ended(&self, shared: &Shared) {
        let mut known = self.known();
        let Some(process) = known.running.remove(&shared.id) else { return };
        known.ended.push_back(process);
        if known.ended.len() > KEPT
            && let Some(oldest) = known.ended.pop_front()
        {
            known.forgotten.push_back(Arc::clone(&oldest.0.id));
        }
        if known.forgotten.len() > REMEMBERED {
            known.forgotten.pop_front();
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Found> {
        let known = self.known();
        let process = known.running.get(id).or_else(|| known.ended.iter().find(|process| process.id() == id));
        process
            .cloned()
            .map(Found::Process)
            .or_else(|| known.forgotten.iter().any(|it| **it == *id).then_some(Found::Ended))
    }

    /// Those that run, oldest first.
    pub(super) fn running(&self) -> Vec<Process> {
        let mut running: Vec<Process> = self.known().running.values().cloned().collect();
        running.sort_by_key(|process| process.0.number);
        running
    }

    pub(super) fn set_tier(&self, tier: Tier) {
        self.tier.store(tier as u8, Relaxed);
    }

    /// The tier in force, once there is a guardian.
    pub(super) fn tier(&self) -> Option<Tier> {
        let tier = self.tier.load(Relaxed);
        [Tier::Subreaper, Tier::Cgroup, Tier::Strict].into_iter().find(|it| *it as u8 == tier)
    }

    /// Says that the records are to be written anew; false if that is known already.
    pub(super) fn mark_changed(&self) -> bool {
        !self.is_changed.swap(true, Relaxed)
    }

    pub(super) fn write_records(&self) {
        self.is_changed.store(false, Relaxed);
        self.record.write(&self.running());
    }

    pub(super) fn remove_records(&self) {
        self.record.remove();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many that have ended are kept with their output.
const KEPT: usize = 64;
/// How many ids are remembered beyond that.
const REMEMBERED: usize = 4_096;
