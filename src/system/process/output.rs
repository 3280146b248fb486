//! What a process has written and nobody has read yet: bounded, in items, with an exact count of what had to go.
//!
//! Full, it either keeps what it has and asks the reader of the pipe to pause ([`Overflow::Block`]: the process waits, as
//! it would at a terminal that is held), or lets the oldest items go and counts them ([`Overflow::DropOldest`]). It knows
//! no descriptor and no thread; [`stream`](super::stream) puts it between the two.

use std::collections::VecDeque;

use super::lines::Block;

/// What happens to output that nobody reads in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The process waits in its write until there is room.
    #[default]
    Block,
    /// The oldest output is dropped, and counted to the line and the byte.
    DropOldest,
}

/// Output that was dropped: between what was read before and what is read next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Lines, counted by their newlines.
    pub lines: u64,
    /// Bytes, newlines among them.
    pub bytes: u64,
}

impl Gap {
    /// Whether nothing was dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn count(&mut self, item: &[u8]) {
        self.lines += u64::from(item.ends_with(b"\n"));
        self.bytes += item.len() as u64;
    }
}

/// The queue of items.
#[derive(Debug)]
pub(crate) struct Output {
    blocks: VecDeque<Block>,
    /// Bytes in all blocks, those of an item that has begun among them.
    buffered: usize,
    limit: usize,
    longest: usize,
    overflow: Overflow,
    /// Dropped and not yet told to the reader.
    gap: Gap,
    /// Dropped since the start.
    dropped: Gap,
    is_paused: bool,
    is_finished: bool,
}

/// What [`Output::take`] hands over.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What was dropped before these items.
    pub gap: Gap,
    /// Blocks of whole items, oldest first.
    pub blocks: VecDeque<Block>,
    /// Whether whoever reads the pipe had paused and may go on.
    pub resumes: bool,
}

impl Output {
    /// Holds up to `limit` bytes in items of at most `longest`.
    pub(crate) fn new(limit: usize, longest: usize, overflow: Overflow) -> Self {
        Self {
            blocks: VecDeque::new(),
            buffered: 0,
            limit,
            longest,
            overflow,
            gap: Gap::default(),
            dropped: Gap::default(),
            is_paused: false,
            is_finished: false,
        }
    }

    /// How many bytes may be pushed now; at 0 whoever reads the pipe is to stop, and is called back by [`Taken::resumes`].
    pub(crate) fn room(&mut self) -> usize {
        match self.overflow {
            Overflow::DropOldest => usize::MAX,
            Overflow::Block => {
                let room = self.limit.saturating_sub(self.buffered);
                self.is_paused = room == 0;
                room
            }
        }
    }

    /// Takes what was read; says whether a reader has something new.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let longest = self.longest;
        let block = self.open_block();
        let before = block.len();
        block.push(bytes, longest);
        let is_news = block.len() > before;
        self.buffered += bytes.len();
        if self.overflow == Overflow::DropOldest {
            self.drop_oldest();
        }
        is_news
    }

    /// Whether an item has begun and not ended: a prompt, if nothing follows.
    pub(crate) fn has_partial(&self) -> bool {
        self.blocks.back().is_some_and(|block| !block.partial().is_empty())
    }

    /// Ends the item that has begun, as nothing has followed; says whether a reader has something new.
    pub(crate) fn end_partial(&mut self) -> bool {
        self.blocks.back_mut().is_some_and(Block::end_partial)
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self) {
        if let Some(block) = self.blocks.back_mut() {
            block.finish();
        }
        self.is_finished = true;
    }

    /// Hands over all items, or about `most` bytes of them, and what was dropped before.
    pub(crate) fn take(&mut self, most: usize) -> Taken {
        let mut taken = Taken { gap: std::mem::take(&mut self.gap), ..Taken::default() };
        let mut bytes = 0;
        while bytes < most {
            let Some(block) = self.blocks.front_mut() else { break };
            let part = if block.partial().is_empty() {
                self.blocks.pop_front().unwrap_or_default()
            } else if block.len() > 0 {
                block.take_items()
            } else {
                break;
            };
            bytes += part.byte_len();
            if part.len() > 0 {
                taken.blocks.push_back(part);
            }
        }
        self.buffered -= bytes;
        taken.resumes = self.resumes();
        taken
    }

    /// Copies the oldest item into `item`; answers what was dropped before it and whether the pipe's reader may go on, None
    /// if there is no item.
    pub(crate) fn take_item(&mut self, item: &mut Vec<u8>) -> Option<(Gap, bool)> {
        while self.blocks.len() > 1 && self.blocks.front().is_some_and(|block| block.len() == 0) {
            self.blocks.pop_front();
        }
        let oldest = self.blocks.front_mut()?.pop()?;
        item.clear();
        item.extend_from_slice(oldest);
        self.buffered -= item.len();
        Some((std::mem::take(&mut self.gap), self.resumes()))
    }

    /// Whether all was read, and nothing more will come.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_finished && self.buffered == 0 && self.gap.is_empty()
    }

    /// Whether [`take`](Self::take) would hand something over.
    pub(crate) fn has_news(&self) -> bool {
        !self.gap.is_empty() || self.blocks.iter().any(|block| block.len() > 0)
    }

    /// All that was dropped since the start.
    pub(crate) fn dropped(&self) -> Gap {
        self.dropped
    }

    /// The block that takes more: the newest, or one after it when that is full.
    fn open_block(&mut self) -> &mut Block {
        let partial = match self.blocks.back() {
            Some(block) if block.footprint() < BLOCK => None,
            Some(block) => Some(Block::with_partial(block.partial())),
            None => Some(Block::default()),
        };
        if let Some(next) = partial {
            if let Some(full) = self.blocks.back_mut() {
                // What was the beginning of an item goes on in the next block.
                let items = full.take_items();
                *full = items;
                if full.len() == 0 {
                    self.blocks.pop_back();
                }
            }
            self.blocks.push_back(next);
        }
        // There is one now; an empty one is made only to spare a panic that cannot happen.
        if self.blocks.is_empty() {
            self.blocks.push_back(Block::default());
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Whether whoever has paused may go on; said once. Not at every item's worth of room: each return to reading costs
    /// the other thread a wake-up.
    fn resumes(&mut self) -> bool {
        let resumes = self.is_paused && self.buffered <= self.limit / 2;
        self.is_paused &= !resumes;
        resumes
    }

    fn drop_oldest(&mut self) {
        while self.buffered > self.limit {
            let Some(block) = self.blocks.front_mut() else { return };
            let Some(item) = block.pop() else {
                if self.blocks.len() == 1 {
                    // Only an item that has begun is left, and it is shorter than any limit.
                    return;
                }
                self.blocks.pop_front();
                continue;
            };
            self.gap.count(item);
            self.dropped.count(item);
            self.buffered -= item.len();
        }
    }
}

/// When the next block is begun, in bytes: what a reader takes at once, and what is freed at once.
const BLOCK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(taken: &mut Taken) -> Vec<Vec<u8>> {
        let mut items = Vec::new();
        for block in &mut taken.blocks {
            while let Some(item) = block.pop() {
                items.push(item.to_vec());
            }
        }
        items
    }

    #[test]
    fn blocking_asks_to_pause_and_to_go_on_at_half() {
        let mut output = Output::new(8, 64, Overflow::Block);
        assert_eq!(output.room(), 8);
        output.push(b"abc\nef\ng");
        assert_eq!(output.room(), 0);
        let mut taken = output.take(usize::MAX);
        assert!(taken.resumes && taken.gap.is_empty());
        assert_eq!(read(&mut taken), [&b"abc\n"[..], b"ef\n"]);
        assert!(!output.take(usize::MAX).resumes);
        assert_eq!(output.room(), 7);
    }

    #[test]
    fn dropping_counts_lines_and_bytes() {
        let mut output = Output::new(10, 64, Overflow::DropOldest);
        for line in 0..100 {
            output.push(format!("{line:03}\n").as_bytes());
        }
        let mut taken = output.take(usize::MAX);
        assert_eq!(taken.gap, Gap { lines: 98, bytes: 392 });
        assert_eq!(read(&mut taken), [b"098\n", b"099\n"]);
        assert!(output.take(usize::MAX).gap.is_empty());
        assert_eq!(output.dropped(), Gap { lines: 98, bytes: 392 });
    }

    #[test]
    fn a_prompt_is_handed_out_once_it_is_ended() {
        let mut output = Output::new(1_000, 64, Overflow::Block);
        assert!(!output.push(b"Password: "));
        assert!(output.has_partial() && !output.has_news());
        assert!(output.end_partial());
        assert_eq!(read(&mut output.take(usize::MAX)), [b"Password: "]);
        output.push(b"\n");
        output.finish();
        assert!(!output.is_exhausted());
        assert_eq!(read(&mut output.take(usize::MAX)), [b"\n"]);
        assert!(output.is_exhausted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn nothing_is_lost_uncounted(
            pieces in prop::collection::vec(
                (prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60), 0_usize..700, any::<bool>()),
                0..8,
            ),
            drops in any::<bool>(),
            limit in 1_usize..150_000,
        ) {
            let overflow = if drops { Overflow::DropOldest } else { Overflow::Block };
            let mut output = Output::new(limit, 1_000, overflow);
            let (mut got, mut gaps, mut pushed) = (Vec::new(), Gap::default(), Vec::new());
            let mut collect = |output: &mut Output, most| {
                let mut taken = output.take(most);
                gaps.lines += taken.gap.lines;
                gaps.bytes += taken.gap.bytes;
                got.extend(read(&mut taken).concat());
            };
            for (pattern, times, takes) in &pieces {
                let piece = pattern.repeat(*times);
                let room = output.room().min(piece.len());
                output.push(&piece[..room]);
                pushed.extend_from_slice(&piece[..room]);
                prop_assert!(output.buffered <= limit.max(1_000));
                if *takes {
                    collect(&mut output, 70_000);
                }
            }
            output.finish();
            while !output.is_exhausted() {
                collect(&mut output, usize::MAX);
            }
            prop_assert_eq!(got.len() as u64 + gaps.bytes, pushed.len() as u64);
            let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            prop_assert_eq!(newlines(&got) + gaps.lines, newlines(&pushed));
            prop_assert_eq!(gaps, output.dropped());
            if !drops {
                prop_assert_eq!(got, pushed);
            }
        }
    }
}
