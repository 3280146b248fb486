//! Source descriptions: names for the sources of a stream (RFC 3550, section 6.5).

use super::{ParseError, take};

/// What one source says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The source.
    pub ssrc: u32,
    /// The items, checked, up to the one that ends them.
    items: &'a [u8],
}

/// One thing that a source says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// What it is: 1 for the canonical name, 2 for a name, 6 for the program.
    pub kind: u8,
    /// What it says: at most 255 bytes that should be UTF-8.
    pub text: &'a [u8],
}

impl Item<'_> {
    /// The kind of the canonical name, which stays the same when a source changes its id.
    pub const CNAME: u8 = 1;
}

impl<'a> Chunk<'a> {
    /// Goes through the items, in their order.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (item, after) = read_item(rest).ok()??;
            rest = after;
            Some(item)
        })
    }

    /// The canonical name, if it is there.
    #[must_use]
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == Item::CNAME).map(|item| item.text)
    }
}

/// The chunks of a source description, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Chunks<'a> {
    pub(super) fn parse(bytes: &'a [u8], count: usize) -> Result<Self, ParseError> {
        let mut rest = bytes;
        for _ in 0..count {
            rest = read_chunk(rest)?.1;
        }
        Ok(Self { bytes, left: count })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (chunk, rest) = read_chunk(self.bytes).ok()?;
        self.bytes = rest;
        Some(chunk)
    }
}

/// Takes a chunk and the zeroes that fill its last word.
fn read_chunk(bytes: &[u8]) -> Result<(Chunk<'_>, &[u8]), ParseError> {
    let (ssrc, items) = take(bytes)?;
    let mut rest = items;
    while let Some((_, after)) = read_item(rest)? {
        rest = after;
    }
    let len = items.len() - rest.len();
    // The item that ends the chunk takes at least one byte, up to the next word; some leave it out of the last chunk.
    let after = items.get((len + 1).next_multiple_of(4)..).unwrap_or_default();
    Ok((Chunk { ssrc: u32::from_be_bytes(*ssrc), items: &items[..len] }, after))
}

/// Takes an item; nothing at the one that ends a chunk, nor at the end of a chunk's items.
fn read_item(bytes: &[u8]) -> Result<Option<(Item<'_>, &[u8])>, ParseError> {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if kind == 0 {
        return Ok(None);
    }
    let (&[len], rest) = take(rest)?;
    let short = ParseError::Short { len: rest.len(), wanted: usize::from(len) };
    let (text, rest) = rest.split_at_checked(usize::from(len)).ok_or(short)?;
    Ok(Some((Item { kind, text }, rest)))
}
