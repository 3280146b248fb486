//! Counts what a queue had to drop, exactly: how many events of which session, from which number to which.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Event, Gap};

/// The gaps that a reader has not been told of yet, in the order in which they opened.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    open: VecDeque<Gap>,
    /// Where the last dropped event was counted: the next one is mostly of the same session.
    last: usize,
    /// Counted together, as there are too many sessions.
    others: u64,
}

impl Gaps {
    /// Counts an event that is dropped.
    pub(super) fn count(&mut self, event: &Event) {
        let of_session = |gap: &Gap| gap.session.as_ref().is_some_and(|session| Arc::ptr_eq(session, &event.session));
        let known = if self.open.get(self.last).is_some_and(of_session) {
            Some(self.last)
        } else {
            self.open.iter().position(of_session)
        };
        if let Some(index) = known {
            let gap = &mut self.open[index];
            gap.count += 1;
            gap.last_sequence = event.sequence;
            self.last = index;
        } else if self.open.len() < MAX_GAPS {
            self.last = self.open.len();
            self.open.push_back(Gap {
                session: Some(Arc::clone(&event.session)),
                count: 1,
                first_sequence: event.sequence,
                last_sequence: event.sequence,
            });
        } else {
            self.others += 1;
        }
    }

    /// The next gap to tell of.
    pub(super) fn pop(&mut self) -> Option<Gap> {
        self.last = self.last.saturating_sub(1);
        self.open.pop_front().or_else(|| {
            let count = std::mem::take(&mut self.others);
            (count > 0).then_some(Gap { session: None, count, first_sequence: 0, last_sequence: 0 })
        })
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.others == 0
    }
}

/// Of how many sessions gaps are counted apart; a reader who is so far behind looks at the total.
const MAX_GAPS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::bus::Payload;

    fn event(session: &Arc<str>, sequence: u64) -> Event {
        let (session, payload) = (Arc::clone(session), Payload::json("1"));
        Event { sequence, session, kind: "k".into(), time_us: 0, payload, origin: None }
    }

    #[test]
    fn sessions_are_counted_apart_until_there_are_too_many() {
        let mut gaps = Gaps::default();
        let sessions: Vec<Arc<str>> = (0..MAX_GAPS + 2).map(|i| i.to_string().into()).collect();
        for sequence in [3, 4, 9] {
            for session in &sessions {
                gaps.count(&event(session, sequence));
            }
        }
        for session in &sessions[..MAX_GAPS] {
            let wanted = Gap { session: Some(Arc::clone(session)), count: 3, first_sequence: 3, last_sequence: 9 };
            assert_eq!(gaps.pop(), Some(wanted));
        }
        assert_eq!(gaps.pop(), Some(Gap { session: None, count: 6, first_sequence: 0, last_sequence: 0 }));
        assert!(gaps.is_empty() && gaps.pop().is_none());
    }
}
