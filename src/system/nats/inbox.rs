//! What came from each other bridge: new, or seen before, or with some missing in between. Pure.

use std::collections::HashMap;

/// How far each origin is.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    last: HashMap<String, u64>,
}

/// What a count says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether it was not seen before.
    pub(super) is_new: bool,
    /// The first and the last that are missing before it.
    pub(super) missing: Option<(u64, u64)>,
}

impl Inbox {
    /// Notes an event's count. What an origin sent before it was first heard of is not missing.
    pub(super) fn event(&mut self, origin: &str, count: u64) -> Seen {
        self.reach(origin, count, count.saturating_sub(1))
    }

    /// Notes that an origin has sent, or dropped, all up to `count`.
    pub(super) fn mark(&mut self, origin: &str, count: u64) -> Option<(u64, u64)> {
        self.reach(origin, count, count).missing
    }

    fn reach(&mut self, origin: &str, count: u64, sent_before: u64) -> Seen {
        match self.last.get_mut(origin) {
            Some(last) => {
                let missing = (sent_before > *last).then_some((*last + 1, sent_before));
                let is_new = count > *last;
                *last = count.max(*last);
                Seen { is_new, missing }
            }
            None => {
                if self.last.len() >= MAX_ORIGINS {
                    // Bridges that are long gone, mostly; one that is not is taken for new.
                    self.last.clear();
                }
                self.last.insert(origin.into(), count);
                Seen { is_new: true, missing: None }
            }
        }
    }
}

const MAX_ORIGINS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing_is_told_once() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.mark("a", 3), None);
        assert_eq!(inbox.event("a", 4), Seen { is_new: true, missing: None });
        assert_eq!(inbox.event("a", 7), Seen { is_new: true, missing: Some((5, 6)) });
        assert_eq!(inbox.event("a", 6), Seen { is_new: false, missing: None });
        assert_eq!(inbox.mark("a", 9), Some((8, 9)));
        assert_eq!(inbox.mark("a", 9), None);
        assert_eq!(inbox.event("b", 50), Seen { is_new: true, missing: None });
    }

    proptest! {
        /// However much is lost, sent again and repeated: what came and what is missing is all there was.
        #[test]
        fn it_adds_up(fates in prop::collection::vec((any::<bool>(), 0..3_u64), 1..200)) {
            let (mut inbox, mut got, mut missing) = (Inbox::default(), 0, 0);
            inbox.mark("a", 0);
            let total = fates.len() as u64;
            for (count, (arrives, back)) in (1_u64..).zip(fates) {
                // Now and then the sender begins again a few counts earlier.
                for again in count.saturating_sub(back).max(1)..=count {
                    if arrives {
                        let seen = inbox.event("a", again);
                        got += u64::from(seen.is_new);
                        missing += seen.missing.map_or(0, |(first, last)| last - first + 1);
                    }
                }
            }
            missing += inbox.mark("a", total).map_or(0, |(first, last)| last - first + 1);
            prop_assert_eq!(got + missing, total);
        }
    }
}
