//! Decodes payloads in the order of playing, for codecs whose packets build upon each other.
//!
//! Such a payload waits in the queue until playing has come near it without a gap. Across a gap the decoder must be led:
//! by what the following packet holds of the lost one, else by the codec's own concealment; a codec that has neither is
//! told what the [`Concealer`](crate::audio::conceal::Concealer) played. Decoding before the gap is filled would be
//! wrong, and after it too late for a concealment that looks at both sides: so the decoder is told what would be played
//! if nothing followed, decodes what does follow, and then the gap is bridged. Which gap is filled when is `playing`'s
//! business.

use super::queue::{Chunk, Origin};
use super::{JitterBuffer, LOOK_AHEAD};

impl JitterBuffer {
    /// Decodes what follows playing without a gap, as far as is looked ahead.
    pub(super) fn decode_ahead(&mut self) {
        if !self.config.codec.is_stateful() {
            return;
        }
        let Some(next) = self.next else { return };
        let until = next + (LOOK_AHEAD * self.frame) as i64;
        while let Some((index, chunk)) = self.queue.next_payload(next)
            && chunk.at < until
        {
            self.decode(index);
        }
    }

    /// Fills `out`, which begins a gap of `gap` samples before `first`, by the codec's own means, or prepares the
    /// decoder for what follows it; gives how many samples were filled.
    pub(super) fn fill_by_codec(&mut self, first: Chunk, gap: usize, out: &mut [i16]) -> usize {
        let Some(skipped) = first.undecoded() else { return 0 };
        // A packet holds one before it, of its own length.
        let beyond = gap.saturating_sub(skipped + first.len);
        if beyond > 0 {
            let len = beyond.min(out.len());
            let filled = self.conceal_by_codec(&mut out[..len]);
            if filled > 0 {
                return filled;
            }
        }
        let payload = self.queue.payload(0);
        let recovered = if first.origin.begins || gap > self.decoded.len() {
            0
        } else {
            self.decoder.recover_into(payload, gap, &mut self.decoded[..gap]).unwrap_or(0)
        };
        if recovered == gap {
            let filled = out.len().min(gap);
            out[..filled].copy_from_slice(&self.decoded[..filled]);
            let origin = Origin { recovered: true, marker: false, begins: false, ..first.origin };
            self.queue.insert(first.at - (gap - filled) as i64, origin, &self.decoded[filled..gap]);
            self.recorder.stats.samples_recovered += filled as u64;
            self.concealer.accept(&mut out[..filled]);
            return filled;
        }
        let len = gap.min(out.len());
        let filled = self.conceal_by_codec(&mut out[..len]);
        if filled == 0 && len == gap && !first.origin.begins {
            let foreseen = &mut self.decoded[..len];
            self.concealer.foresee(foreseen);
            let behind = self.concealer.played();
            self.decoder.resync(&behind[behind.len() - self.unseen.min(behind.len())..]);
            self.decoder.resync(&self.decoded[..len]);
            self.unseen = 0;
            self.decode(0);
        }
        filled
    }

    /// Fills `out` by the codec's own concealment; gives how many samples, 0 if it has none.
    pub(super) fn conceal_by_codec(&mut self, out: &mut [i16]) -> usize {
        let filled = self.decoder.conceal_into(out.len(), out).unwrap_or(0).min(out.len());
        self.concealer.accept(&mut out[..filled]);
        filled
    }

    /// Puts the samples of the payload at `index` of the queue in its place; leaves a gap if it cannot be decoded.
    fn decode(&mut self, index: usize) {
        let payload = self.queue.payload(index);
        let (len, skipped, begins) = match self.queue.chunk(index) {
            Some(chunk) => (chunk.len, chunk.undecoded().unwrap_or(0), chunk.origin.begins),
            None => return,
        };
        if begins {
            self.decoder.reset();
        } else if self.unseen > 0 {
            let behind = self.concealer.played();
            self.decoder.resync(&behind[behind.len() - self.unseen.min(behind.len())..]);
        }
        self.unseen = 0;
        let decoded = self.decoder.decode_into(payload, &mut self.decoded);
        let chunk = self.queue.remove(index);
        let stats = &mut self.recorder.stats;
        if decoded.is_ok_and(|decoded| decoded == skipped + len) {
            let held = self.queue.insert(chunk.at, chunk.origin, &self.decoded[skipped..skipped + len]);
            stats.samples_discarded += (len - held) as u64;
        } else {
            stats.packets_malformed += 1;
            stats.samples_discarded += len as u64;
        }
    }
}
