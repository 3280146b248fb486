//! An RTP endpoint allocates nothing after it is made, whatever comes.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::PTIME;
use talkpath::protocol::rtp::{Endpoint, PayloadTypes, Received};

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn audio_keys_reports_restarts_and_strangers_allocate_nothing() {
    let types = Arc::new(PayloadTypes::default());
    let addresses = ["192.0.2.1:4000", "192.0.2.2:5000", "203.0.113.9:4000"].map(|text| text.parse().unwrap());
    let [here, there, stranger] = addresses;
    let mut one = Endpoint::new(Arc::clone(&types), PTIME, there, 1, Timestamp::ZERO);
    let mut other = Endpoint::new(Arc::clone(&types), PTIME, here, 2, Timestamp::ZERO);
    let mut another = Endpoint::new(types, PTIME, there, 3, Timestamp::ZERO);
    let before = allocations::of_this_thread();
    let mut heard = 0;
    let mut out = [0; 200];
    for tick in 0..20_000_u64 {
        let now = Timestamp::from_millis(tick * 20);
        // The far end takes another id again and again.
        let one = if tick / 500 % 2 == 0 { &mut one } else { &mut another };
        if tick % 50 == 0 {
            one.send_key('5').unwrap();
        }
        let len = one.write_frame(Codec::PCMU, &[0xff; 160], false, now, &mut out).unwrap();
        other.handle_rtp(&out[..len], stranger, now);
        if tick % 7 != 0 {
            heard += u64::from(matches!(other.handle_rtp(&out[..len], here, now), Received::Media { .. }));
        }
        other.handle_rtp(&out[..9], here, now);
        if let Some(len) = one.poll_report(now, &mut out) {
            other.handle_rtcp(&out[..len], here, now);
        }
        let len = other.write_frame(Codec::PCMU, &[0xff; 160], false, now, &mut out).unwrap();
        one.handle_rtp(&out[..len], there, now);
        if let Some(len) = other.poll_report(now, &mut out) {
            one.handle_rtcp(&out[..len], there, now);
        }
    }
    assert_eq!(allocations::of_this_thread(), before);
    let stats = other.stats();
    assert!(heard > 17_000 && stats.restarts == 39 && stats.reports_received > 30, "{heard} {stats:?}");
}
