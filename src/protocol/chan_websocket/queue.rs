//! What waits in Asterisk's queue: which frames are marked, which are played, and how deep the queue is kept.
//!
//! Asterisk plays from its queue on a clock of its own. Ours is never quite as fast, so what is sent at an even pace would
//! run dry now and then, or pile up by a second in an hour. A queue has one frame more in it than it needs: enough for a
//! frame that comes late. Where it does not, that is put right in silence, where nobody hears it: by a frame of silence
//! more, or less. Agent audio is never touched.
//!
//! How deep the queue is shows when a mark comes back: by what was sent since. That holds what is under way on the network,
//! too, so it is measured against the least that was ever seen. The frames themselves are the transport's business.

/// Keeps account of one channel's queue.
///
/// ```
/// use talkpath::protocol::chan_websocket::{FarQueue, Plan};
///
/// let mut queue = FarQueue::new();
/// let plan = queue.plan(0, false);
/// assert_eq!(plan, Plan::Send { copies: 1, mark: true });
/// queue.handle_sent(0, plan);
/// assert_eq!(queue.handle_mark(0), Some(0));
/// assert_eq!(queue.handle_mark(1), None, "it was never sent");
/// ```
#[derive(Clone, Debug)]
pub struct FarQueue {
    /// How many frames were sent.
    sent: u64,
    /// Marks that have not come back, oldest first.
    marks: [Mark; MAX_MARKS],
    first: usize,
    len: usize,
    /// The number of the last frame that was marked.
    last_marked: Option<u64>,
    /// The number of the last frame that is known to be played.
    played: Option<u64>,
    /// The least that was ever seen under way and in the queue together, in frames.
    floor: Option<u64>,
    /// The least that the last marks have seen, and how many marks that were.
    recent: (u64, u32),
    /// How many frames of silence there are too many; negative, too few.
    surplus: i64,
}

/// A frame that was marked.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    number: u64,
    /// How many frames had been sent then, itself included.
    sent: u64,
}

/// What to do about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The queue is deep enough: this silence need not be sent.
    Skip,
    /// Send it.
    Send {
        /// How often: twice if it is silence that the queue lacks.
        copies: u8,
        /// Whether to put a [`MarkMedia`](super::Command::MarkMedia) with the frame's number behind it.
        mark: bool,
    },
}

impl FarQueue {
    /// Makes the account of a queue that is empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sent: 0,
            marks: [Mark::default(); MAX_MARKS],
            first: 0,
            len: 0,
            last_marked: None,
            played: None,
            floor: None,
            recent: NOTHING_SEEN,
            surplus: 0,
        }
    }

    /// Says what to do about the frame of that number; numbers go up.
    #[must_use]
    pub fn plan(&self, number: u64, is_agent: bool) -> Plan {
        if !is_agent && self.surplus > 0 {
            return Plan::Skip;
        }
        let copies = if !is_agent && self.surplus < 0 { 2 } else { 1 };
        let mark = (is_agent || number.is_multiple_of(SILENCE_PER_MARK)) && self.len < MAX_MARKS;
        Plan::Send { copies, mark }
    }

    /// Notes that a plan was carried out; one that could not be needs no word.
    pub fn handle_sent(&mut self, number: u64, plan: Plan) {
        let Plan::Send { copies, mark } = plan else {
            self.surplus -= 1;
            return;
        };
        self.sent += u64::from(copies);
        self.surplus += i64::from(copies) - 1;
        if mark && self.len < MAX_MARKS {
            self.marks[(self.first + self.len) % MAX_MARKS] = Mark { number, sent: self.sent };
            self.len += 1;
            self.last_marked = Some(number);
        }
    }

    /// Takes a mark that came back, and returns the number up to which everything is played; nothing if that is no news,
    /// or no such mark was sent.
    pub fn handle_mark(&mut self, number: u64) -> Option<u64> {
        if self.last_marked.is_none_or(|last| number > last) || self.played.is_some_and(|played| number <= played) {
            return None;
        }
        self.played = Some(number);
        while self.len > 0 && self.marks[self.first].number <= number {
            let mark = self.marks[self.first];
            self.first = (self.first + 1) % MAX_MARKS;
            self.len -= 1;
            if mark.number == number {
                let depth = self.sent - mark.sent;
                let floor = self.floor.map_or(depth, |floor| floor.min(depth));
                self.floor = Some(floor);
                self.judge(depth, floor);
            }
        }
        Some(number)
    }

    /// Judges whether the queue is too deep or too shallow.
    ///
    /// Frames that come late make it look deeper than it is: one look is enough to see that it lacks something, but that it
    /// has too much must be seen for a while.
    fn judge(&mut self, depth: u64, floor: u64) {
        // What is under way shows in whole frames, and one more or less as the clocks' phases shift.
        let wanted = floor as i64 + CUSHION + i64::from(floor > 0);
        let (least, marks) = self.recent;
        self.recent = (least.min(depth), marks + 1);
        let lacking = depth as i64 - wanted;
        if lacking < 0 {
            self.surplus = lacking;
            self.recent = NOTHING_SEEN;
        } else if self.recent.1 >= MARKS_TO_JUDGE {
            self.surplus = self.recent.0 as i64 - wanted;
            self.recent = NOTHING_SEEN;
        }
    }

    /// Takes what a channel without marks says of its queue ([`Status`](super::Status)), in frames.
    pub fn handle_length(&mut self, frames: u32) {
        self.surplus = i64::from(frames.min(MAX_LENGTH)) - CUSHION;
    }

    /// Notes that Asterisk was told to drop what it had, marks included; one that is on its way back still counts.
    pub fn handle_flush(&mut self) {
        self.len = 0;
        self.surplus = 0;
        self.recent = NOTHING_SEEN;
    }

    /// How many marks have not come back.
    #[must_use]
    pub fn marks_under_way(&self) -> usize {
        self.len
    }
}

impl Default for FarQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// How many marks may be under way: more than a second of agent audio, each frame of it marked.
const MAX_MARKS: usize = 64;
/// Of how many frames of silence one is marked: enough to see how deep the queue is, six times a second.
const SILENCE_PER_MARK: u64 = 8;
/// How many frames a queue has beyond what it needs.
const CUSHION: i64 = 1;
/// How many marks must have seen that a queue is too deep.
const MARKS_TO_JUDGE: u32 = 12;
const NOTHING_SEEN: (u64, u32) = (u64::MAX, 0);
/// More than Asterisk's queue holds.
const MAX_LENGTH: u32 = 1_000;
