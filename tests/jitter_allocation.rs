//! The jitter buffer allocates nothing after it is made, whatever the network does.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::jitter::{Config, JitterBuffer, Packet, Playout};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn loss_lateness_bursts_and_restarts_allocate_nothing() {
    let ms = Duration::from_millis;
    for playout in
        [Playout::Adaptive { min: ms(0), max: ms(200) }, Playout::Fixed(ms(60)), Playout::Asap { wait: ms(40) }]
    {
        let mut buffer = JitterBuffer::new(Config { playout, ..Config::default() }).unwrap();
        let (mut frame, mut seed) = ([0; 160], 1_u32);
        let before = COUNT.with(Cell::get);
        let mut due = 0_u32;
        for tick in 0..20_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let now = Timestamp::from_millis(u64::from(tick) * 20);
            // Now and then the network stands still, and all comes at once; one packet in sixteen is lost.
            if tick % 400 < 370 {
                while due <= tick {
                    let samples: [i16; 160] =
                        std::array::from_fn(|n| ((seed >> 16) as i16) / 8 + (n as i16 % 40 - 20) * (due % 50) as i16);
                    let ssrc = due / 5_000;
                    let packet =
                        Packet { ssrc, sequence: due as u16, timestamp: due * 160, marker: false, samples: &samples };
                    if !(seed ^ due).is_multiple_of(16) {
                        buffer.handle_packet(&packet, now);
                    }
                    due += 1;
                }
            }
            buffer.poll_frame(now, &mut frame);
            assert!(buffer.stats().packets <= u64::from(due));
        }
        assert_eq!(COUNT.with(Cell::get), before, "{playout:?}");
    }
}
