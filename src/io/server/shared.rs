//! What a server's threads and the program share: new calls, and which calls have news.
//!
//! Media threads set a bit for each call with news; the program takes all bits at once. Nothing here waits, but for the
//! list of calls that have ended, which no media thread touches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::Result;
use crate::io::log::LogRing;
use crate::io::notify::Notifier;
use crate::io::server::call::Call;
use crate::io::server::config::ServerConfig;
use crate::io::stats::ServerCounters;

/// What a server's threads and the program share.
pub(crate) struct Shared {
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) door_bell: Notifier,
    pub(crate) log: LogRing,
    pub(crate) counters: ServerCounters,
    pub(crate) idle_timeout: Duration,
    pub(crate) transport: &'static str,
    pub(crate) began: Sender<Call>,
    /// A bit for each place, set while its call has news.
    ready: Box<[AtomicU64]>,
    /// The key of the call in each place.
    keys: Box<[AtomicU64]>,
    /// Calls that ended: their places may have been given away before anyone asked.
    finished: Mutex<Vec<u64>>,
    pub(crate) is_stopped: AtomicBool,
}

impl Shared {
    pub(crate) fn new(config: &ServerConfig, notifier: Arc<Notifier>, began: Sender<Call>) -> Result<Self> {
        Ok(Self {
            notifier,
            door_bell: Notifier::new()?,
            log: LogRing::new(LOG_CAPACITY, config.listen.log_target()),
            counters: ServerCounters::new(config.media_threads),
            idle_timeout: config.idle_timeout,
            transport: config.listen.transport(),
            began,
            ready: (0..config.max_calls.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            keys: (0..config.max_calls).map(|_| AtomicU64::new(0)).collect(),
            finished: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        })
    }

    /// Gives a place to a call.
    pub(crate) fn set_key(&self, slot: usize, key: u64) {
        self.keys[slot].store(key, Ordering::Release);
    }

    /// Says that the call in a place has news.
    pub(crate) fn set_ready(&self, slot: usize) {
        self.ready[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
    }

    /// Says that a call has ended, which nobody may miss.
    pub(crate) fn set_finished(&self, slot: usize, key: u64) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        self.ready[slot / 64].fetch_and(!(1 << (slot % 64)), Ordering::AcqRel);
        if finished.len() >= MAX_FINISHED {
            finished.clear();
        }
        finished.push(key);
    }

    /// Adds the keys of calls with news to `out`, each once.
    pub(crate) fn take_ready(&self, out: &mut Vec<u64>) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, word) in self.ready.iter().enumerate() {
            let mut bits = if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) };
            while bits != 0 {
                let slot = i * 64 + bits.trailing_zeros() as usize;
                out.push(self.keys[slot].load(Ordering::Acquire));
                bits &= bits - 1;
            }
        }
        out.append(&mut finished);
    }
}

/// How many log records wait for a reader.
const LOG_CAPACITY: usize = 4_096;
/// How many ended calls are remembered for a program that never asks.
const MAX_FINISHED: usize = 1 << 20;
