//! RFC 3550's jitter.

use crate::harness::{Line, linear};

#[test]
fn jitter_is_the_smoothed_change_of_transit_time() {
    let mut line = Line::new(linear());
    let mut expected = 0.0_f64;
    for n in 0..500_u64 {
        // Transit times alternate by 8 ms.
        line.send((0, 0), n, n * 20_000 + (n % 2) * 8_000);
        if n > 0 {
            expected += (8_000.0 - expected) / 16.0;
        }
        line.tick(n * 20_000 + 10_000);
    }
    let jitter = line.buffer.stats().jitter.as_micros() as f64;
    assert!((jitter - expected).abs() < 2.0, "{jitter} µs, wanted {expected}");
}
