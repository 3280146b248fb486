//! Silero's weights as the package carries them, and their way into layers.
//!
//! `weights.f32` is written by `benches/silero_weights.py` from silero-vad 6.2.3 (MIT, © 2020–present Silero Team; see
//! `LICENSE` beside it): 32-bit floats, little-endian, layer after layer, weights before biases. Half the size in half
//! precision would move scores by up to 0.006, which no test could tell from a mistake.

/// Reads the file from its beginning to its end.
pub(super) struct Reader(&'static [u8]);

impl Reader {
    pub(super) fn new() -> Self {
        Self(WEIGHTS)
    }

    /// Takes the next `count` numbers.
    ///
    /// # Panics
    /// If the file is shorter; it is part of the library, and a test reads it all.
    pub(super) fn take(&mut self, count: usize) -> Vec<f32> {
        let (now, later) = self.0.split_at(4 * count);
        self.0 = later;
        now.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

static WEIGHTS: &[u8] = include_bytes!("weights.f32");
