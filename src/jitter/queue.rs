//! Holds received audio in media order until it is played.
//!
//! Packets come in any order, twice, and in sizes from 10 to 60 ms. The queue cuts them into chunks of at most one frame,
//! so that one fixed block of memory serves all sizes, and keeps the chunks sorted. It knows positions, not time: when to
//! take what is the buffer's business.

/// A piece of audio of at most one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The unwrapped media timestamp of the first sample.
    pub(super) at: i64,
    /// How many samples it holds.
    pub(super) len: usize,
    /// The unwrapped sequence number of its packet.
    pub(super) sequence: i64,
    /// When its packet came, in microseconds.
    pub(super) arrival_us: i64,
    /// Whether it begins a packet that follows a pause.
    pub(super) marker: bool,
    slot: usize,
}

impl Chunk {
    /// The media timestamp after the last sample.
    pub(super) const fn end(&self) -> i64 {
        self.at + self.len as i64
    }
}

/// Chunks in media order, bounded and allocated at once.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    chunks: Vec<Chunk>,
    free: Vec<usize>,
    samples: Vec<i16>,
    chunk_len: usize,
    capacity: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize, chunk_len: usize) -> Self {
        Self {
            chunks: Vec::with_capacity(capacity),
            free: (0..capacity).rev().collect(),
            samples: vec![0; capacity * chunk_len],
            chunk_len,
            capacity,
        }
    }

    /// Takes the samples of a packet; gives how many of them were new.
    ///
    /// A piece that overlaps what is there already is left out. Needs [`room_for`](Self::room_for) them.
    pub(super) fn insert(&mut self, at: i64, sequence: i64, arrival_us: i64, marker: bool, samples: &[i16]) -> usize {
        let mut new = 0;
        for (n, piece) in samples.chunks(self.chunk_len).enumerate() {
            let at = at + (n * self.chunk_len) as i64;
            let index = self.chunks.partition_point(|chunk| chunk.at < at);
            let overlaps = self.chunks.get(index).is_some_and(|after| after.at < at + piece.len() as i64)
                || index.checked_sub(1).is_some_and(|before| self.chunks[before].end() > at);
            if overlaps {
                continue;
            }
            let Some(slot) = self.free.pop() else { return new };
            self.samples[slot * self.chunk_len..][..piece.len()].copy_from_slice(piece);
            let marker = marker && n == 0;
            self.chunks.insert(index, Chunk { at, len: piece.len(), sequence, arrival_us, marker, slot });
            new += piece.len();
        }
        new
    }

    pub(super) fn room_for(&self, samples: usize) -> bool {
        samples.div_ceil(self.chunk_len) <= self.free.len()
    }

    /// Whether a packet of `samples` could be held by an empty queue.
    pub(super) fn fits(&self, samples: usize) -> bool {
        samples > 0 && samples.div_ceil(self.chunk_len) <= self.capacity
    }

    pub(super) fn remove_first(&mut self) -> Option<Chunk> {
        if self.chunks.is_empty() {
            return None;
        }
        let chunk = self.chunks.remove(0);
        self.free.push(chunk.slot);
        Some(chunk)
    }

    pub(super) fn first(&self) -> Option<Chunk> {
        self.chunks.first().copied()
    }

    /// How many samples it holds.
    pub(super) fn held(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len).sum()
    }

    /// Copies what is known without a gap from `at` on; gives how many samples that is.
    pub(super) fn peek(&self, mut at: i64, out: &mut [i16]) -> usize {
        let mut written = 0;
        for chunk in &self.chunks {
            if chunk.end() <= at {
                continue;
            }
            if chunk.at > at || written == out.len() {
                break;
            }
            let from = (at - chunk.at) as usize;
            let len = (chunk.len - from).min(out.len() - written);
            let start = chunk.slot * self.chunk_len + from;
            out[written..written + len].copy_from_slice(&self.samples[start..start + len]);
            written += len;
            at += len as i64;
        }
        written
    }
}
