//! How late packets come, and how much delay that asks for.
//!
//! A packet's relative delay is its arrival minus its media time; the smallest of the last eight seconds stands for a
//! packet that never waited, which also follows the drift between two clocks. The wanted delay is a quantile of the
//! others over it. Which tick plays what, and how the delay is reached, is the buffer's business.

/// The relative delays of the last eight seconds.
#[derive(Clone, Debug)]
pub(super) struct Delays {
    /// By arrival: when, and how late, in microseconds; a ring once it is full.
    recent: Vec<(i64, i64)>,
    oldest: usize,
    /// The same delays by size.
    sorted: Vec<i64>,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self { recent: Vec::with_capacity(CAPACITY), oldest: 0, sorted: Vec::with_capacity(CAPACITY) }
    }

    /// Notes that a packet of media time `media_us` came at `arrival_us`.
    pub(super) fn note(&mut self, arrival_us: i64, media_us: i64) {
        let delay = arrival_us - media_us;
        if self.recent.len() == CAPACITY {
            let (_, old) = std::mem::replace(&mut self.recent[self.oldest], (arrival_us, delay));
            self.oldest = (self.oldest + 1) % CAPACITY;
            self.forget(old);
        } else {
            self.recent.push((arrival_us, delay));
        }
        let index = self.sorted.partition_point(|&other| other < delay);
        self.sorted.insert(index, delay);
    }

    fn forget(&mut self, delay: i64) {
        let index = self.sorted.partition_point(|&other| other < delay);
        self.sorted.remove(index);
    }

    /// The delay of a packet that did not wait, on the scale of arrival minus media time.
    pub(super) fn least(&self) -> Option<i64> {
        self.sorted.first().copied()
    }

    /// How much longer than the least all but a share of `1 - quantile` took, in microseconds.
    pub(super) fn spread(&self, quantile: f64) -> i64 {
        let Some(last) = self.sorted.len().checked_sub(1) else { return 0 };
        let index = ((self.sorted.len() as f64 * quantile).ceil() as usize).saturating_sub(1).min(last);
        self.sorted[index] - self.sorted[0]
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.sorted.clear();
        self.oldest = 0;
    }
}

/// Eight seconds of 20 ms packets.
const CAPACITY: usize = 400;
