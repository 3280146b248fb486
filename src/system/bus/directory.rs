//! Who subscribes: a list that publishers read without a lock of their own, and that is copied when it changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pattern::Filter;
use super::ring::Ring;

/// The list of subscribers.
pub(super) struct Directory {
    list: Mutex<Arc<[Arc<Subscriber>]>>,
    /// How often it has changed: sessions keep what they have made of it while this stands still.
    version: AtomicU64,
}

/// Who wants what.
pub(super) struct Subscriber {
    pub(super) filter: Filter,
    pub(super) ring: Arc<Ring>,
}

impl Subscriber {
    pub(super) fn wants(&self, session: &str, kind: &str) -> bool {
        self.filter.kind.matches(kind) && self.filter.session.matches(session)
    }
}

impl Directory {
    pub(super) fn new() -> Self {
        // From 1: a new session's routes are of version 0, and so not valid yet.
        Self { list: Mutex::new(Arc::new([])), version: AtomicU64::new(1) }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn subscribers(&self) -> Arc<[Arc<Subscriber>]> {
        Arc::clone(&self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, subscriber: Subscriber) {
        let subscriber = Arc::new(subscriber);
        self.change(|list| list.iter().cloned().chain([Arc::clone(&subscriber)]).collect());
    }

    pub(super) fn remove(&self, ring: &Arc<Ring>) {
        self.change(|list| list.iter().filter(|it| !Arc::ptr_eq(&it.ring, ring)).cloned().collect());
    }

    fn change(&self, changed: impl Fn(&[Arc<Subscriber>]) -> Arc<[Arc<Subscriber>]>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        *list = changed(&list);
        self.version.fetch_add(1, Ordering::Release);
    }
}
