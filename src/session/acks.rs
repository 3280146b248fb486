//! What the far end has confirmed: which frame was played, and how far playout was with it.
//!
//! A far end that queues what it is sent (chan_websocket) knows better than the wire what was heard. Frames have numbers;
//! this remembers for the newest of them where in the agent's audio each ended, so that a number that comes back is a
//! playout position again. What that position means for marks, events and receipts is decided elsewhere.

use super::position::Mark;

/// Where each of the newest frames ended, and how far they are confirmed.
#[derive(Debug)]
pub(super) struct Acks {
    /// By number, modulo its length.
    ends: Box<[Mark]>,
    /// How many frames were sent.
    sent: u64,
    /// How many of them are confirmed: all up to that number.
    confirmed: u64,
    /// Where the last confirmed one ended.
    heard: Mark,
}

impl Acks {
    pub(super) fn new() -> Self {
        let start = Mark { generation: 0, samples: 0 };
        Self { ends: vec![start; KEPT_FRAMES].into(), sent: 0, confirmed: 0, heard: start }
    }

    /// Notes that frame `number` goes out and ends at `end`; numbers only grow.
    pub(super) fn sent(&mut self, number: u64, end: Mark) {
        // Frames that were sent before the call had begun hold nothing.
        let start = Mark { generation: end.generation, samples: 0 };
        for unknown in self.sent.max(number.saturating_sub(KEPT_FRAMES as u64))..number {
            self.ends[(unknown % KEPT_FRAMES as u64) as usize] = start;
        }
        self.ends[(number % KEPT_FRAMES as u64) as usize] = end;
        self.sent = number + 1;
    }

    /// Takes the confirmation that all frames up to `number` were played; says whether that was news.
    ///
    /// A number that was never sent tells nothing, nor does one that is so old that it is forgotten.
    pub(super) fn confirm(&mut self, number: u64) -> bool {
        let is_news = (self.confirmed..self.sent).contains(&number) && self.sent - number <= KEPT_FRAMES as u64;
        if is_news {
            self.confirmed = number + 1;
            self.heard = self.ends[(number % KEPT_FRAMES as u64) as usize];
        }
        is_news
    }

    /// Where the last frame that was confirmed ended.
    pub(super) const fn heard(&self) -> Mark {
        self.heard
    }
}

/// How many frames may be on their way to be confirmed: 20 s of 20 ms, as many as chan_websocket queues.
const KEPT_FRAMES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(samples: u64) -> Mark {
        Mark { generation: 0, samples }
    }

    #[test]
    fn a_confirmation_stands_for_all_frames_before_it() {
        let mut acks = Acks::new();
        (5..10).for_each(|number| acks.sent(number, at(160 * (number - 4))));
        assert!(acks.confirm(3), "before the call had begun");
        assert_eq!(acks.heard(), at(0));
        assert!(acks.confirm(7));
        assert_eq!(acks.heard(), at(480));
    }

    #[test]
    fn old_repeated_and_invented_numbers_tell_nothing() {
        let mut acks = Acks::new();
        (0..2_000).for_each(|number| acks.sent(number, at(160 * (number + 1))));
        assert!(!acks.confirm(2_000), "not sent yet");
        assert!(!acks.confirm(u64::MAX));
        assert!(!acks.confirm(2_000 - 1_025), "forgotten");
        assert!(acks.confirm(2_000 - 1_024));
        assert!(acks.confirm(1_999));
        assert!(!acks.confirm(1_999), "again");
        assert!(!acks.confirm(1_998), "older");
        assert_eq!(acks.heard(), at(320_000));
    }
}
