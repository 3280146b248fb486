//! What crosses between the two ends of a session: pieces that were heard, chunks to be played, marks, keys.
//!
//! Everything here lies in rings without locks, one writer and one reader each. What it means is the business of the ends.

use std::sync::Arc;

use ringbuf::{HeapCons, HeapProd};

/// The agent's ends of the inbound rings.
pub(super) struct InboundRings {
    pub(super) heads: HeapCons<FrameHead>,
    pub(super) samples: HeapCons<i16>,
}

/// The agent's ends of the outbound rings.
pub(super) struct OutboundRings {
    pub(super) chunks: HeapProd<Arc<Chunk>>,
    pub(super) marks: HeapProd<QueuedMark>,
    pub(super) keys: HeapProd<char>,
}

/// What the media end says of each piece of audio that it leaves in the ring.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameHead {
    pub(super) samples: u32,
    pub(super) position_us: u64,
    pub(super) speech: bool,
    pub(super) level_dbfs: f32,
    pub(super) lost_us: u32,
    /// How far before the end of this piece the speech that it belongs to began, if the decision fell in it.
    pub(super) onset_ago_us: u32,
}

/// Audio on its way to the wire, in wire samples, aligned with the wire's clock.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) generation: u16,
    pub(super) tag: u32,
    /// Where the first sample lies, in wire samples of the generation.
    pub(super) start: u64,
    pub(super) samples: Vec<i16>,
    pub(super) tail: Vec<i16>,
}

/// A mark on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuedMark {
    pub(super) generation: u16,
    pub(super) number: u32,
    pub(super) at: u64,
}
