//! What is to be sent, and what was sent but is not known to have arrived: bounded, numbered, in order. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::system::bus::Event;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// One event on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its number among all that this bridge sends.
    pub(super) count: u64,
    pub(super) event: Arc<Event>,
    was_sent: bool,
}

/// The queue. Its front part is sent and not yet confirmed.
#[derive(Debug)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    bytes: usize,
    bounds: Bounds,
    sent: usize,
    /// The last number that was given.
    count: u64,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { items: VecDeque::new(), bytes: 0, bounds, sent: 0, count: 0, dropped: 0 }
    }

    /// Whether it takes an event without dropping another.
    pub(super) fn has_room(&self) -> bool {
        self.items.len() < self.bounds.events && (self.bytes < self.bounds.bytes)
    }

    /// Takes an event; where there is no room the oldest goes.
    pub(super) fn push(&mut self, event: Event) {
        while !self.items.is_empty() && !self.has_room() {
            self.drop_front();
        }
        self.count += 1;
        self.bytes += event.size_bytes();
        self.items.push_back(Item { count: self.count, event: Arc::new(event), was_sent: false });
    }

    /// Counts events that were lost before they came here: their numbers are never sent.
    pub(super) fn skip(&mut self, count: u64) {
        self.count += count;
        self.dropped += count;
    }

    /// The next to be sent on this connection, which is taken for sent; none if there are `window` unconfirmed.
    pub(super) fn send_next(&mut self, window: usize) -> Option<Item> {
        if self.sent >= window {
            return None;
        }
        let item = self.items.get_mut(self.sent)?;
        item.was_sent = true;
        self.sent += 1;
        Some(item.clone())
    }

    /// Drops what was just taken by [`send_next`](Self::send_next) and can never be sent.
    pub(super) fn refuse(&mut self, count: u64) {
        if let Some(at) = self.items.iter().position(|item| item.count == count)
            && let Some(item) = self.items.remove(at)
        {
            self.bytes -= item.event.size_bytes();
            self.dropped += 1;
            self.sent -= usize::from(at < self.sent);
        }
    }

    /// Everything up to `count` has arrived; says how many that were.
    pub(super) fn confirm(&mut self, count: u64) -> u64 {
        let mut confirmed = 0;
        while self.sent > 0 && self.items.front().is_some_and(|item| item.count <= count) {
            self.pop_front();
            confirmed += 1;
        }
        confirmed
    }

    /// The connection broke: what is not confirmed is sent again.
    pub(super) fn begin_again(&mut self) {
        self.sent = 0;
    }

    /// The last number that is given to an event sent, or never to be sent, on this connection.
    pub(super) fn count_sent(&self) -> u64 {
        match self.items.get(self.sent) {
            Some(next) => next.count - 1,
            None => self.count,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many events were dropped that were never sent.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn drop_front(&mut self) {
        if let Some(item) = self.pop_front() {
            // One that was sent has most likely arrived; if not, the receivers miss it and say so.
            self.dropped += u64::from(!item.was_sent);
        }
    }

    fn pop_front(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.event.size_bytes();
        self.sent = self.sent.saturating_sub(1);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::bus::Payload;

    fn event(sequence: u64) -> Event {
        let (session, kind) = ("s".into(), "a:b".into());
        Event { sequence, session, kind, time_us: 0, payload: Payload::json("1"), origin: None }
    }

    fn outbox(events: usize) -> Outbox {
        Outbox::new(Bounds { events, bytes: 1 << 20 })
    }

    fn counts(outbox: &mut Outbox, window: usize) -> Vec<u64> {
        std::iter::from_fn(|| outbox.send_next(window)).map(|item| item.count).collect()
    }

    #[test]
    fn what_is_not_confirmed_is_sent_again_in_order() {
        let mut outbox = outbox(10);
        (1..=6).for_each(|sequence| outbox.push(event(sequence)));
        assert_eq!(counts(&mut outbox, 4), [1, 2, 3, 4]);
        assert_eq!((outbox.confirm(2), outbox.count_sent()), (2, 4));
        assert_eq!(counts(&mut outbox, 4), [5, 6]);
        outbox.begin_again();
        assert_eq!(outbox.count_sent(), 2);
        assert_eq!(counts(&mut outbox, 4), [3, 4, 5, 6]);
        assert_eq!((outbox.confirm(6), outbox.dropped()), (4, 0));
        assert!(outbox.is_empty());
        assert_eq!(outbox.count_sent(), 6);
    }

    #[test]
    fn the_oldest_makes_room_and_only_what_was_never_sent_counts_as_dropped() {
        let mut outbox = outbox(3);
        (1..=3).for_each(|sequence| outbox.push(event(sequence)));
        assert_eq!(counts(&mut outbox, 1), [1]);
        (4..=6).for_each(|sequence| outbox.push(event(sequence)));
        assert_eq!((outbox.dropped(), outbox.len(), outbox.has_room()), (2, 3, false));
        outbox.skip(10);
        outbox.push(event(17));
        assert_eq!(outbox.dropped(), 13);
        assert_eq!(counts(&mut outbox, 9), [5, 6, 17]);
    }

    #[test]
    fn bytes_are_bounded_and_one_event_alone_has_room() {
        let mut outbox = Outbox::new(Bounds { events: 100, bytes: 1 });
        (1..=3).for_each(|sequence| outbox.push(event(sequence)));
        assert_eq!((outbox.len(), outbox.dropped()), (1, 2));
        outbox.confirm(3);
        assert_eq!(outbox.len(), 1, "what was not sent cannot be confirmed");
    }

    #[test]
    fn what_can_never_be_sent_leaves_its_number_out() {
        let mut outbox = outbox(9);
        (1..=3).for_each(|sequence| outbox.push(event(sequence)));
        assert_eq!(counts(&mut outbox, 2), [1, 2]);
        outbox.refuse(2);
        assert_eq!((counts(&mut outbox, 9), outbox.dropped()), (vec![3], 1));
        assert_eq!(outbox.confirm(3), 2);
        assert!(outbox.is_empty());
    }
}
