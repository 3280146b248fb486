//! Holds received audio in media order until it is played.
//!
//! Packets come in any order, twice, and in sizes from 10 to 200 ms. Samples are cut into chunks of at most one frame, so
//! that one fixed block of memory serves all sizes. A payload that must be decoded in its turn is one chunk of the same
//! list until then, its bytes in another fixed block. The queue knows positions, not time, and no codec: when to take
//! what, and what to make of it, is the buffer's business.

/// A piece of audio: samples of at most one frame, or a whole payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The unwrapped media timestamp of the first sample.
    pub(super) at: i64,
    /// How many samples it holds.
    pub(super) len: usize,
    pub(super) origin: Origin,
    store: Store,
}

/// The packet that a chunk is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Its unwrapped sequence number.
    pub(super) sequence: i64,
    /// When it came, in microseconds.
    pub(super) arrival_us: i64,
    /// Whether it follows a pause; of its chunks only the first says so.
    pub(super) marker: bool,
    /// Whether it begins a stream; of its chunks only the first says so.
    pub(super) begins: bool,
    /// Whether it never came: what a later packet held of it.
    pub(super) recovered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    /// The number of its block of samples.
    Samples(usize),
    /// Where its bytes lie, and how many of the samples they decode to come before the chunk.
    Payload { from: usize, bytes: usize, skipped: usize },
}

impl Chunk {
    /// The media timestamp after the last sample.
    pub(super) const fn end(&self) -> i64 {
        self.at + self.len as i64
    }

    /// Whether it is a payload still to be decoded; then how many of the decoded samples come before it.
    pub(super) const fn undecoded(&self) -> Option<usize> {
        match self.store {
            Store::Samples(_) => None,
            Store::Payload { skipped, .. } => Some(skipped),
        }
    }
}

/// Chunks in media order, bounded and allocated at once.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    chunks: Vec<Chunk>,
    /// The blocks of samples that are free.
    free: Vec<usize>,
    samples: Vec<i16>,
    chunk_len: usize,
    /// How many blocks there are, and how many payloads may be held.
    blocks: usize,
    most_payloads: usize,
    payloads: Vec<u8>,
    /// Where the next payload goes: nothing is held beyond.
    payloads_end: usize,
}

impl Queue {
    /// Makes room for `blocks` chunks of up to `chunk_len` samples, and for `most_payloads` of `payload_bytes` together.
    pub(super) fn new(blocks: usize, chunk_len: usize, most_payloads: usize, payload_bytes: usize) -> Self {
        Self {
            chunks: Vec::with_capacity(blocks + most_payloads),
            free: (0..blocks).rev().collect(),
            samples: vec![0; blocks * chunk_len],
            chunk_len,
            blocks,
            most_payloads,
            payloads: vec![0; payload_bytes],
            payloads_end: 0,
        }
    }

    /// Takes decoded samples; gives how many of them were new.
    ///
    /// A piece that overlaps what is there already, or finds no room, is left out.
    pub(super) fn insert(&mut self, at: i64, origin: Origin, samples: &[i16]) -> usize {
        let mut new = 0;
        for (n, piece) in samples.chunks(self.chunk_len).enumerate() {
            let at = at + (n * self.chunk_len) as i64;
            let Some(index) = self.place_of(at, piece.len()) else { continue };
            let Some(block) = self.free.pop() else { return new };
            self.samples[block * self.chunk_len..][..piece.len()].copy_from_slice(piece);
            let origin = Origin { marker: origin.marker && n == 0, begins: origin.begins && n == 0, ..origin };
            self.chunks.insert(index, Chunk { at, len: piece.len(), origin, store: Store::Samples(block) });
            new += piece.len();
        }
        new
    }

    /// Takes a payload that decodes to `len` samples from `at` on, and to `skipped` before; gives `len`, or 0 if it
    /// overlaps what is there already.
    ///
    /// Needs [`room_for_payload`](Self::room_for_payload) it.
    pub(super) fn insert_payload(
        &mut self,
        at: i64,
        origin: Origin,
        len: usize,
        skipped: usize,
        payload: &[u8],
    ) -> usize {
        let Some(index) = self.place_of(at, len) else { return 0 };
        if self.payloads.len() - self.payloads_end < payload.len() {
            self.move_payloads_together();
        }
        let from = self.payloads_end;
        self.payloads_end += payload.len();
        self.payloads[from..self.payloads_end].copy_from_slice(payload);
        let store = Store::Payload { from, bytes: payload.len(), skipped };
        self.chunks.insert(index, Chunk { at, len, origin, store });
        len
    }

    /// Whether samples find room.
    pub(super) fn room_for(&self, samples: usize) -> bool {
        samples.div_ceil(self.chunk_len) <= self.free.len()
    }

    /// Whether a payload finds room.
    pub(super) fn room_for_payload(&self, bytes: usize) -> bool {
        let held: usize = self.chunks.iter().map(|chunk| chunk.payload_bytes()).sum();
        let payloads = self.chunks.len() + self.free.len() - self.blocks;
        payloads < self.most_payloads && held + bytes <= self.payloads.len()
    }

    /// Whether a packet of `samples`, which are `bytes` if it is not decoded at once, could be held by an empty queue.
    pub(super) const fn fits(&self, samples: usize, bytes: usize) -> bool {
        samples.div_ceil(self.chunk_len) <= self.blocks && bytes <= self.payloads.len()
    }

    pub(super) fn remove_first(&mut self) -> Option<Chunk> {
        if self.chunks.is_empty() { None } else { Some(self.remove(0)) }
    }

    pub(super) fn first(&self) -> Option<Chunk> {
        self.chunks.first().copied()
    }

    pub(super) fn chunk(&self, index: usize) -> Option<Chunk> {
        self.chunks.get(index).copied()
    }

    /// The first payload, if there is no gap between `from` and it; and how it is asked for.
    pub(super) fn next_payload(&self, mut from: i64) -> Option<(usize, Chunk)> {
        for (index, chunk) in self.chunks.iter().enumerate() {
            if chunk.at > from {
                return None;
            }
            if chunk.undecoded().is_some() {
                return Some((index, *chunk));
            }
            from = chunk.end();
        }
        None
    }

    /// The bytes of the chunk at `index`; none of one of samples.
    pub(super) fn payload(&self, index: usize) -> &[u8] {
        match self.chunks.get(index).map(|chunk| chunk.store) {
            Some(Store::Payload { from, bytes, .. }) => &self.payloads[from..from + bytes],
            _ => &[],
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> Chunk {
        let chunk = self.chunks.remove(index);
        if let Store::Samples(block) = chunk.store {
            self.free.push(block);
        }
        chunk
    }

    /// How many received samples it holds.
    pub(super) fn held(&self) -> usize {
        self.chunks.iter().filter(|chunk| !chunk.origin.recovered).map(|chunk| chunk.len).sum()
    }

    /// Copies what is known and decoded without a gap from `at` on; gives how many samples that is.
    pub(super) fn peek(&self, mut at: i64, out: &mut [i16]) -> usize {
        let mut written = 0;
        for chunk in &self.chunks {
            if chunk.end() <= at {
                continue;
            }
            let Store::Samples(block) = chunk.store else { break };
            if chunk.at > at || written == out.len() {
                break;
            }
            let from = (at - chunk.at) as usize;
            let len = (chunk.len - from).min(out.len() - written);
            let start = block * self.chunk_len + from;
            out[written..written + len].copy_from_slice(&self.samples[start..start + len]);
            written += len;
            at += len as i64;
        }
        written
    }

    /// Where in the list `len` samples from `at` on belong; nowhere if they overlap a chunk.
    fn place_of(&self, at: i64, len: usize) -> Option<usize> {
        let index = self.chunks.partition_point(|chunk| chunk.at < at);
        let overlaps = self.chunks.get(index).is_some_and(|after| after.at < at + len as i64)
            || index.checked_sub(1).is_some_and(|before| self.chunks[before].end() > at);
        (!overlaps).then_some(index)
    }

    /// Closes the holes that played payloads left, from the front on.
    fn move_payloads_together(&mut self) {
        let mut end = 0;
        // The lowest that has not been moved, each time.
        while let Some((from, bytes)) = self
            .chunks
            .iter_mut()
            .filter_map(|chunk| match &mut chunk.store {
                Store::Payload { from, bytes, .. } if *from >= end && *bytes > 0 => Some((from, *bytes)),
                _ => None,
            })
            .min_by_key(|(from, _)| **from)
        {
            self.payloads.copy_within(*from..*from + bytes, end);
            *from = end;
            end += bytes;
        }
        self.payloads_end = end;
    }
}

impl Chunk {
    const fn payload_bytes(&self) -> usize {
        match self.store {
            Store::Samples(_) => 0,
            Store::Payload { bytes, .. } => bytes,
        }
    }
}
