//! What a listener would say of the call: bursts and gaps of loss, and the rating of the E-model.
//!
//! Loss in bursts sounds worse than the same loss spread out, so RFC 3611 reports both apart (section 4.7.2, by the
//! counting of its appendix A.2), and ITU-T G.107 rates a call by delay, loss and burstiness. Counting starts with the
//! stream and never forgets. How much of the loss is heard depends on concealment, which G.107 has a constant for.

use std::time::Duration;

/// Counts loss and discard as RFC 3611 does.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    /// Packets since the last missing one.
    since: u64,
    /// Missing packets in the burst that may be going on.
    missing: u64,
    runs: u64,
    total_missing: u64,
    total: u64,
    c11: u64,
    c13: u64,
    c14: u64,
    c22: u64,
    c23: u64,
    c33: u64,
}

/// Loss and discard by bursts and gaps, as RFC 3611 reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BurstGap {
    /// The share of packets missing within bursts, 0 to 1.
    pub burst_density: f64,
    /// The mean length of a burst.
    pub burst: Duration,
    /// The share of packets missing between bursts, 0 to 1.
    pub gap_density: f64,
    /// The mean length of a gap between bursts.
    pub gap: Duration,
}

impl Bursts {
    pub(super) fn received(&mut self) {
        self.since += 1;
        self.total += 1;
    }

    pub(super) fn missed(&mut self) {
        self.total += 1;
        self.total_missing += 1;
        self.runs += u64::from(self.since > 0 || self.total_missing == 1);
        if self.since >= GAP_MIN {
            if self.missing == 1 {
                self.c14 += 1;
            } else {
                self.c13 += 1;
            }
            self.missing = 1;
            self.c11 += self.since;
        } else {
            self.missing += 1;
            if self.since == 0 {
                self.c33 += 1;
            } else {
                self.c23 += 1;
                self.c22 += self.since - 1;
            }
        }
        self.since = 0;
    }

    /// The report so far, for packets of `ptime`.
    pub(super) fn report(&self, ptime: Duration) -> BurstGap {
        let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let (c31, c32) = (self.c13, self.c23);
        let p32 = ratio(c32, c31 + c32 + self.c33);
        let p23 = if self.c22 + self.c23 == 0 { 1.0 } else { 1.0 - ratio(self.c22, self.c22 + self.c23) };
        let all = self.c11 + self.c14 + self.c13 + self.c22 + self.c23 + c31 + c32 + self.c33;
        let burst_density = if self.total_missing == 0 { 0.0 } else { p23 / (p23 + p32) };
        let gap_packets = ratio(self.c11 + self.c14 + self.c13, self.c13);
        let burst_packets = (ratio(all, self.c13) - gap_packets).max(0.0);
        BurstGap {
            burst_density: if self.c13 == 0 { 0.0 } else { burst_density },
            burst: ptime.mul_f64(burst_packets),
            gap_density: ratio(self.c14, self.c11 + self.c14),
            gap: ptime.mul_f64(gap_packets),
        }
    }

    /// The transmission rating R of G.107, 0 to 93.2, for G.711 with concealment and `delay` from mouth to ear.
    pub(super) fn rating(&self, delay: Duration) -> f64 {
        let ms = delay.as_secs_f64() * 1_000.0;
        let impaired_by_delay = 0.024 * ms + 0.11 * (ms - 177.3).max(0.0);
        let share = if self.total == 0 { 0.0 } else { self.total_missing as f64 / self.total as f64 };
        // How much longer the runs of missing packets are than they would be at random.
        let run = if self.runs == 0 { 1.0 } else { self.total_missing as f64 / self.runs as f64 };
        let burstiness = (run * (1.0 - share)).max(1.0);
        let percent = 100.0 * share;
        let impaired_by_loss = 95.0 * percent / (percent / burstiness + ROBUSTNESS);
        (93.2 - impaired_by_delay - impaired_by_loss).clamp(0.0, 93.2)
    }
}

/// The mean opinion that a rating stands for, 1 to 4.5 (G.107, annex B).
pub(super) fn opinion(rating: f64) -> f64 {
    if rating <= 0.0 {
        return 1.0;
    }
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
}

/// How many packets in a row end a burst.
const GAP_MIN: u64 = 16;
/// The loss robustness of G.711 with concealment (ITU-T G.113, appendix I).
const ROBUSTNESS: f64 = 25.1;

#[cfg(test)]
mod tests {
    use super::*;

    const PTIME: Duration = Duration::from_millis(20);

    #[test]
    fn a_clean_call_is_rated_best_and_says_so() {
        let mut bursts = Bursts::default();
        (0..1_000).for_each(|_| bursts.received());
        assert_eq!(bursts.report(PTIME), BurstGap::default());
        assert!((bursts.rating(Duration::ZERO) - 93.2).abs() < 1e-9);
        assert!((opinion(93.2) - 4.41).abs() < 0.01);
        assert!(bursts.rating(Duration::from_millis(400)) < 60.0);
    }

    #[test]
    fn spread_loss_lies_in_gaps_and_packed_loss_in_bursts() {
        let (mut spread, mut packed) = (Bursts::default(), Bursts::default());
        for n in 0..10_000 {
            if n % 50 == 49 {
                spread.missed()
            } else {
                spread.received()
            }
            if n % 500 >= 490 { packed.missed() } else { packed.received() }
        }
        let (even, burst) = (spread.report(PTIME), packed.report(PTIME));
        assert!((even.gap_density - 0.02).abs() < 0.001, "{even:?}");
        assert!(even.burst < PTIME * 2, "{even:?}");
        assert!(burst.burst_density > 0.9, "{burst:?}");
        assert!((burst.burst.as_millis() as i64 - 200).abs() <= 20, "{burst:?}");
        assert!((burst.gap.as_millis() as i64 - 9_800).abs() < 600, "{burst:?}");
        assert!(packed.rating(Duration::ZERO) < spread.rating(Duration::ZERO));
    }

    #[test]
    fn the_rating_of_g_107_is_met() {
        // 5 % random loss of G.711 with concealment and no delay: Ie,eff = 95 · 5 / (5 + 25.1).
        let mut bursts = Bursts::default();
        (0..2_000).for_each(|n| if n % 20 == 10 { bursts.missed() } else { bursts.received() });
        assert!((bursts.rating(Duration::ZERO) - (93.2 - 95.0 * 5.0 / 30.1)).abs() < 0.1);
    }
}
