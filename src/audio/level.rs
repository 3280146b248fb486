//! How loud a block of samples is: RMS, peak and DC offset at once.
//!
//! Meters, the energy gate of voice detection and the statistics of a call all ask the same question of the same
//! samples, so it is asked once. Sums are exact integers, so a level does not depend on how the work was split. Smoothing
//! over time is the caller's business.

/// The level of a block of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The root mean square, in sample units: 32,768 is full scale; 0 for no samples.
    pub rms: f32,
    /// The largest magnitude: 0 to 32,768.
    pub peak: u16,
    /// The mean sample: how far the signal sits off zero.
    pub dc: f32,
}

impl Level {
    /// The lowest level that [`Level::rms_dbfs`] and [`Level::peak_dbfs`] give, also for silence: 2^-16 of full scale.
    ///
    /// A finite floor keeps averages, comparisons and JSON safe; no 16-bit signal of constant level lies below.
    pub const FLOOR_DBFS: f32 = -96.329_6;

    /// Measures `samples`; never allocates.
    ///
    /// No samples measure as silence.
    #[must_use]
    pub fn measure(samples: &[i16]) -> Self {
        if samples.is_empty() {
            return Self::default();
        }
        let (mut energy, mut sum, mut low, mut high) = (0_u64, 0_i64, 0_i16, 0_i16);
        for block in samples.chunks(BLOCK) {
            let block = Sums::of(block);
            energy += block.energy;
            sum += i64::from(block.sum);
            low = low.min(block.low);
            high = high.max(block.high);
        }
        let count = samples.len() as f64;
        Self {
            rms: (energy as f64 / count).sqrt() as f32,
            peak: low.unsigned_abs().max(high.unsigned_abs()),
            dc: (sum as f64 / count) as f32,
        }
    }

    /// The RMS in dB of full scale, at least [`Level::FLOOR_DBFS`].
    ///
    /// 0 dB is a square wave of magnitude 32,768, so the loudest sine has -3.01 dB.
    #[must_use]
    pub fn rms_dbfs(&self) -> f32 {
        dbfs(self.rms)
    }

    /// The peak in dB of full scale, at least [`Level::FLOOR_DBFS`]; 0 dB is 32,768.
    #[must_use]
    pub fn peak_dbfs(&self) -> f32 {
        dbfs(f32::from(self.peak))
    }
}

/// The sums of one block.
struct Sums {
    energy: u64,
    sum: i32,
    low: i16,
    high: i16,
}

impl Sums {
    /// Sums up at most [`BLOCK`] samples.
    ///
    /// Three loops over samples that are in the first-level cache, since each by itself vectorises better than all in
    /// one. Squares are summed in two halves: whole, they would need 64-bit lanes.
    fn of(samples: &[i16]) -> Self {
        let (low, high) = samples.iter().fold((0, 0), |(low, high), &sample| (sample.min(low), sample.max(high)));
        let sum = samples.iter().copied().map(i32::from).sum();
        let (top, rest) = samples.iter().fold((0_u32, 0_u32), |(top, rest), &sample| {
            let square = i32::from(sample).pow(2) as u32;
            (top + (square >> 16), rest + (square & 0xffff))
        });
        Self { energy: (u64::from(top) << 16) + u64::from(rest), sum, low, high }
    }
}

fn dbfs(magnitude: f32) -> f32 {
    (20.0 * (magnitude / FULL_SCALE).log10()).max(Level::FLOOR_DBFS)
}

/// The magnitude of 0 dBFS.
const FULL_SCALE: f32 = 32_768.0;

/// Samples whose sums cannot leave 32 bits: the limits are 2^16 samples for both `sum` and `rest`.
const BLOCK: usize = 16_384;
