//! What waits for one reader: bounded in events and in bytes, with a stated answer when it is full.
//!
//! Pure: no lock, no waiting, no clock. [`Ring`](super::ring::Ring) shares it between threads.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::event::{Delivery, Event};
use super::gaps::Gaps;
use super::subscription::{Options, Policy};

/// What waits for one reader.
pub(super) struct Queue {
    /// None is where a newer event of the same kind took an older one's place, further behind.
    held: VecDeque<Option<Event>>,
    /// How many of `held` are events.
    events: usize,
    bytes: usize,
    /// Room that is promised to publishers: they have asked everyone before they push.
    promised: usize,
    promised_bytes: usize,
    capacity: usize,
    capacity_bytes: usize,
    policy: Policy,
    gaps: Gaps,
    /// Under [`Policy::Conflate`]: where the newest event of each session and kind is, counted from the first ever held.
    newest: HashMap<(Arc<str>, Arc<str>), u64>,
    /// How many places have left the front.
    passed: u64,
    /// How many events were dropped, and how many replaced by newer ones, since the start.
    pub(super) dropped: u64,
    pub(super) conflated: u64,
}

/// Events that a push put out. They are freed by the publisher once it holds no lock, because to free an object of some
/// language may run code of it.
#[derive(Default)]
pub(super) struct Evicted {
    first: Option<Event>,
    rest: Vec<Event>,
}

impl Evicted {
    pub(super) fn add(&mut self, event: Event) {
        // The first needs no allocation, and mostly there is no second.
        match self.first {
            None => self.first = Some(event),
            Some(_) => self.rest.push(event),
        }
    }
}

impl Queue {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            held: VecDeque::new(),
            events: 0,
            bytes: 0,
            promised: 0,
            promised_bytes: 0,
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            policy: options.policy,
            gaps: Gaps::default(),
            newest: HashMap::new(),
            passed: 0,
            dropped: 0,
            conflated: 0,
        }
    }

    /// Whether there is room for an event of so many bytes. One alone always has room.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let events = self.events + self.promised;
        events == 0 || (events < self.capacity && self.bytes + self.promised_bytes + bytes <= self.capacity_bytes)
    }

    /// Whether so much has been read that who waits for room should be let in: not one at a time.
    pub(super) fn is_half_empty(&self) -> bool {
        self.events <= self.capacity / 2 && self.bytes <= self.capacity_bytes / 2
    }

    /// Promises room for an event of so many bytes, which [`has_room`](Self::has_room) found.
    pub(super) fn promise(&mut self, bytes: usize) {
        self.promised += 1;
        self.promised_bytes += bytes;
    }

    /// Takes a promise back.
    pub(super) fn release(&mut self, bytes: usize) {
        self.promised = self.promised.saturating_sub(1);
        self.promised_bytes = self.promised_bytes.saturating_sub(bytes);
    }

    /// Adds an event; whatever must go to make room for it is added to `evicted`.
    pub(super) fn push(&mut self, event: Event, evicted: &mut Evicted) {
        let bytes = event.size_bytes();
        if self.policy == Policy::Conflate {
            self.replace_older(&event, evicted);
        }
        while self.policy != Policy::Lossless && !self.has_room(bytes) {
            let Some(oldest) = self.pop_event() else { break };
            self.gaps.count(&oldest);
            self.dropped += 1;
            evicted.add(oldest);
        }
        self.events += 1;
        self.bytes += bytes;
        self.held.push_back(Some(event));
    }

    /// Moves at most `max` deliveries to `out`: gaps first, as what they stand for is older than whatever is held.
    pub(super) fn take(&mut self, max: usize, out: &mut Vec<Delivery>) -> usize {
        let before = out.len();
        let mut left = max;
        while left > 0
            && let Some(gap) = self.gaps.pop()
        {
            out.push(Delivery::Gap(gap));
            left -= 1;
        }
        out.reserve(left.min(self.events));
        while left > 0
            && let Some(event) = self.pop_event()
        {
            out.push(Delivery::Event(event));
            left -= 1;
        }
        out.len() - before
    }

    /// Takes everything that is held, to be freed without a lock.
    pub(super) fn clear(&mut self) -> VecDeque<Option<Event>> {
        self.newest = HashMap::new();
        self.gaps = Gaps::default();
        self.events = 0;
        self.bytes = 0;
        self.passed = 0;
        std::mem::take(&mut self.held)
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.events == 0 && self.gaps.is_empty()
    }

    /// How many events wait.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// How many bytes the waiting events count for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn pop_event(&mut self) -> Option<Event> {
        while let Some(front) = self.held.pop_front() {
            self.passed += 1;
            let Some(event) = front else { continue };
            self.events -= 1;
            self.bytes -= event.size_bytes();
            if self.policy == Policy::Conflate {
                self.newest.remove(&(Arc::clone(&event.session), Arc::clone(&event.kind)));
            }
            return Some(event);
        }
        None
    }

    /// Empties the place of the event that this one is a newer form of. The newer goes to the end all the same, so that the
    /// session's order holds.
    fn replace_older(&mut self, event: &Event, evicted: &mut Evicted) {
        let key = (Arc::clone(&event.session), Arc::clone(&event.kind));
        if let Some(place) = self.newest.remove(&key) {
            let index = (place - self.passed) as usize;
            if let Some(older) = self.held.get_mut(index).and_then(Option::take) {
                self.events -= 1;
                self.bytes -= older.size_bytes();
                self.conflated += 1;
                evicted.add(older);
            }
        }
        if self.held.len() > 2 * self.events + MIN_EMPTY_PLACES {
            self.close_ranks();
        }
        self.newest.insert(key, self.passed + self.held.len() as u64);
    }

    /// Removes empty places, which a flood of one kind would pile up otherwise.
    fn close_ranks(&mut self) {
        self.held.retain(Option::is_some);
        for (event, place) in self.held.iter().flatten().zip(self.passed..) {
            self.newest.insert((Arc::clone(&event.session), Arc::clone(&event.kind)), place);
        }
    }
}

/// How many empty places are not worth a cleaning.
const MIN_EMPTY_PLACES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::bus::Payload;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn queue(policy: Policy, capacity: usize) -> Queue {
        Queue::new(&Options { policy, capacity, ..Options::default() })
    }

    fn drained(queue: &mut Queue, max: usize) -> Vec<Delivery> {
        let mut out = Vec::new();
        queue.take(max, &mut out);
        out
    }

    #[test]
    fn bytes_are_bounded_but_one_event_alone_has_room() {
        let name: Arc<str> = "s".into();
        let event = |sequence, bytes| Event {
            sequence,
            session: Arc::clone(&name),
            kind: Arc::clone(&name),
            time_us: 0,
            payload: Payload::bytes(vec![0; bytes]),
            origin: None,
        };
        let options = Options { policy: Policy::DropOldest, capacity_bytes: 4_000, ..Options::default() };
        let mut queue = Queue::new(&options);
        for sequence in 1..=5 {
            queue.push(event(sequence, 1_000), &mut Evicted::default());
        }
        assert_eq!((queue.events(), queue.dropped), (3, 2));
        queue.push(event(6, 10_000), &mut Evicted::default());
        assert_eq!((queue.events(), queue.dropped), (1, 5));
        assert!(queue.bytes() > 10_000);
    }

    #[test]
    fn promised_room_is_nobody_elses() {
        let mut queue = queue(Policy::Lossless, 2);
        assert!(queue.has_room(100));
        queue.promise(100);
        queue.promise(100);
        assert!(!queue.has_room(100));
        queue.release(100);
        assert!(queue.has_room(100));
    }

    proptest! {
        /// Whatever is published and read when: what arrives is in order, and with the gaps it is complete.
        #[test]
        fn gaps_are_exact(
            capacity in 1..20_usize,
            steps in prop::collection::vec((0..3_usize, 0..12_usize), 1..200),
        ) {
            let mut queue = queue(Policy::DropOldest, capacity);
            let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
            let (mut published, mut seen) = (vec![0_u64; 3], BTreeMap::<String, u64>::new());
            let mut read = |queue: &mut Queue, max| -> Result<(), TestCaseError> {
                for delivery in drained(queue, max) {
                    let (session, first, last, count) = match delivery {
                        Delivery::Event(event) => (event.session.to_string(), event.sequence, event.sequence, 1),
                        Delivery::Gap(gap) => {
                            (gap.session.unwrap().to_string(), gap.first_sequence, gap.last_sequence, gap.count)
                        }
                    };
                    let before = seen.entry(session).or_default();
                    prop_assert_eq!(first, *before + 1);
                    prop_assert_eq!(last, *before + count);
                    *before = last;
                }
                Ok(())
            };
            for (who, max) in steps {
                published[who] += 1;
                let event = Event {
                    sequence: published[who],
                    session: Arc::clone(&names[who]),
                    kind: "k".into(),
                    time_us: 0,
                    payload: Payload::json("1"),
                    origin: None,
                };
                queue.push(event, &mut Evicted::default());
                prop_assert!(queue.events() <= capacity);
                // Mostly too slow.
                read(&mut queue, max / 6)?;
            }
            read(&mut queue, usize::MAX)?;
            for (name, count) in names.iter().zip(published) {
                prop_assert_eq!(seen.get(&**name).copied().unwrap_or(0), count);
            }
        }

        /// Of each session and kind the newest is there, each session's events are in order, and little more is held.
        #[test]
        fn conflation_keeps_the_newest(
            steps in prop::collection::vec((0..2_usize, 0..3_usize, 0..40_usize), 1..400),
        ) {
            let mut queue = queue(Policy::Conflate, 100);
            let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
            let (mut published, mut read) = (vec![0_u64; 2], vec![0_u64; 2]);
            let mut newest = BTreeMap::new();
            for (who, kind, read_now) in steps {
                published[who] += 1;
                newest.insert((names[who].clone(), names[kind].clone()), published[who]);
                let event = Event {
                    sequence: published[who],
                    session: Arc::clone(&names[who]),
                    kind: Arc::clone(&names[kind]),
                    time_us: 0,
                    payload: Payload::json("1"),
                    origin: None,
                };
                queue.push(event, &mut Evicted::default());
                prop_assert!(queue.events() <= 6 && queue.held.len() <= 2 * 6 + MIN_EMPTY_PLACES + 1);
                if read_now == 0 {
                    let got = drained(&mut queue, usize::MAX);
                    prop_assert_eq!(got.len(), newest.len());
                    for event in got.iter().filter_map(Delivery::event) {
                        let who = usize::from(&*event.session == "b");
                        prop_assert!(event.sequence > read[who]);
                        read[who] = event.sequence;
                        let key = (event.session.clone(), event.kind.clone());
                        prop_assert_eq!(newest.remove(&key), Some(event.sequence));
                    }
                }
            }
        }
    }
}
