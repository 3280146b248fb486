//! Cuts a stream of bytes into items: lines, pieces of lines that are too long, and prompts that no newline ends.
//!
//! An item holds its newline, if it has one, so that what is handed out joins to exactly what was read; an item without
//! one is what there was so far. Items of text never part a character of UTF-8. Nothing here knows what is kept or dropped
//! ([`output`](super::output) does), or what the time is.

use memchr::memchr_iter;

/// A run of bytes that holds whole items, and the beginning of the next one behind them.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// Where each item ends in `bytes`.
    ends: Vec<usize>,
    /// How many items at the front are gone.
    taken: usize,
}

impl Block {
    /// A block that begins with `partial`, the beginning of an item.
    pub(crate) fn with_partial(partial: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(partial.len().max(INITIAL));
        bytes.extend_from_slice(partial);
        Self { bytes, ends: Vec::new(), taken: 0 }
    }

    /// Appends `bytes`, and ends an item after each newline, and wherever one has become as long as `limit`.
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let mut begin = self.last_end();
        for newline in memchr_iter(b'\n', bytes) {
            let end = base + newline + 1;
            begin = self.cut_long(begin, end, limit);
            self.ends.push(end);
            begin = end.max(begin);
        }
        self.cut_long(begin, self.bytes.len(), limit);
    }

    /// Ends the item that has begun, but for the beginning of a character at its end; says whether there was one.
    pub(crate) fn end_partial(&mut self) -> bool {
        let begin = self.last_end();
        let end = self.bytes.len() - unfinished_utf8(&self.bytes[begin..]);
        if end > begin {
            self.ends.push(end);
        }
        end > begin
    }

    /// Ends the item that has begun, whatever is in it; says whether there was one.
    pub(crate) fn finish(&mut self) -> bool {
        let has_partial = self.last_end() < self.bytes.len();
        if has_partial {
            self.ends.push(self.bytes.len());
        }
        has_partial
    }

    /// Takes the oldest item.
    pub(crate) fn pop(&mut self) -> Option<&[u8]> {
        let begin = self.begin();
        let end = *self.ends.get(self.taken)?;
        self.taken += 1;
        Some(&self.bytes[begin..end])
    }

    /// Parts the items from the beginning of the next one, which is left in the block that stays.
    pub(crate) fn take_items(&mut self) -> Self {
        let rest = Self::with_partial(self.partial());
        let mut items = std::mem::replace(self, rest);
        let end = items.last_end();
        items.bytes.truncate(end);
        items
    }

    /// The beginning of an item that has not ended.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.bytes[self.last_end()..]
    }

    /// How many items are left.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() - self.taken
    }

    /// How many bytes are left, those of the item that has begun among them.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len() - self.begin()
    }

    /// How many bytes it holds on to, whether or not they were taken.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.len()
    }

    fn begin(&self) -> usize {
        self.taken.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn last_end(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Ends items of `limit` bytes between `begin` and `end`; answers where the last one, which is not longer, begins.
    fn cut_long(&mut self, mut begin: usize, end: usize, limit: usize) -> usize {
        while end - begin > limit {
            let piece = &self.bytes[begin..begin + limit];
            // A limit below the length of a character would cut nothing for ever.
            let length = match limit - unfinished_utf8(piece) {
                0 => limit,
                length => length,
            };
            begin += length;
            self.ends.push(begin);
        }
        begin
    }
}

/// How many bytes at the end are the beginning of a character of UTF-8 whose rest is missing: 0 to 3.
pub(crate) fn unfinished_utf8(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let wanted = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return 0,
        };
        return if wanted > back { back } else { 0 };
    }
    0
}

/// What a block has room for before it grows: a prompt and its answer.
const INITIAL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(block: &mut Block) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| block.pop().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn lines_keep_their_newline_and_the_rest_waits() {
        let mut block = Block::default();
        block.push(b"one\ntw", 64);
        block.push(b"o\n\nthree", 64);
        assert_eq!(block.len(), 3);
        assert_eq!(items(&mut block), [&b"one\n"[..], b"two\n", b"\n"]);
        assert_eq!(block.partial(), b"three");
        assert!(block.end_partial() && !block.end_partial());
        assert_eq!(items(&mut block), [b"three"]);
    }

    #[test]
    fn an_endless_line_comes_in_bounded_pieces() {
        let mut block = Block::default();
        for _ in 0..100 {
            block.push(&[b'x'; 7], 64);
        }
        block.push(b"\n", 64);
        let items = items(&mut block);
        assert!(items.iter().all(|item| item.len() <= 64));
        assert_eq!(items.concat().len(), 701);
        assert_eq!(items.iter().filter(|item| item.ends_with(b"\n")).count(), 1);
    }

    #[test]
    fn a_character_is_never_parted() {
        let text = "äöü€😀".repeat(40);
        for split in 0..text.len() {
            let mut block = Block::default();
            block.push(&text.as_bytes()[..split], 7);
            block.end_partial();
            block.push(&text.as_bytes()[split..], 7);
            block.finish();
            let items = items(&mut block);
            assert!(items.iter().all(|item| std::str::from_utf8(item).is_ok()), "split at {split}");
            assert_eq!(items.concat(), text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_utf8_is_not_held_back() {
        for bytes in [&b"\xFF"[..], b"\x80\x80\x80\x80", b"a\xC0", b"\xF5"] {
            assert_eq!(unfinished_utf8(bytes), 0, "{bytes:?}");
        }
        assert_eq!(unfinished_utf8(b"a\xE2\x82"), 2);
        assert_eq!(unfinished_utf8("€".as_bytes()), 0);
    }

    #[test]
    fn a_limit_below_a_character_still_cuts() {
        let mut block = Block::default();
        block.push("😀😀".as_bytes(), 2);
        block.finish();
        assert_eq!(items(&mut block).concat(), "😀😀".as_bytes());
    }

    proptest! {
        #[test]
        fn items_join_to_what_was_pushed(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 0..20),
            limit in 1_usize..20,
            ends in prop::collection::vec(any::<bool>(), 20),
        ) {
            let mut block = Block::default();
            let mut got = Vec::new();
            for (piece, end) in pieces.iter().zip(ends) {
                block.push(piece, limit);
                if end {
                    block.end_partial();
                    let mut whole = block.take_items();
                    got.extend(items(&mut whole));
                    prop_assert_eq!(whole.byte_len(), 0);
                }
                prop_assert!(block.partial().len() <= limit);
            }
            block.finish();
            got.extend(items(&mut block));
            prop_assert!(got.iter().all(|item| !item.is_empty() && item.len() <= limit.max(4)));
            prop_assert!(got.iter().all(|item| memchr::memchr(b'\n', &item[..item.len() - 1]).is_none()));
            prop_assert_eq!(got.concat(), pieces.concat());
        }
    }
}
