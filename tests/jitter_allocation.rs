//! The jitter buffer allocates nothing after it is made, whatever the network does.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoder};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Config, JitterBuffer, Packet, Playout};

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn loss_lateness_bursts_and_restarts_allocate_nothing() {
    let ms = Duration::from_millis;
    let playouts =
        [Playout::Adaptive { min: ms(0), max: ms(200) }, Playout::Fixed(ms(60)), Playout::Asap { wait: ms(40) }];
    // One that is decoded on arrival, and two that are decoded in the order of playing.
    let codecs = [Codec::PCMU, Codec::G722, Codec::opus(SampleRate::HZ_16000).unwrap()];
    for (playout, codec) in playouts.into_iter().flat_map(|playout| codecs.map(|codec| (playout, codec))) {
        let mut buffer = JitterBuffer::new(Config { codec, playout }).unwrap();
        let mut encoder = Encoder::new(codec);
        let rate = codec.rate();
        let ticks = codec.rtp_clock().frame_len() as u32;
        let (mut frame, mut payload, mut seed) = (vec![0; rate.frame_len()], vec![0; 2_000], 1_u32);
        let mut samples = vec![0_i16; rate.frame_len()];
        let before = allocations::of_this_thread();
        let mut due = 0_u32;
        for tick in 0..6_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let now = Timestamp::from_millis(u64::from(tick) * 20);
            // Now and then the network stands still, and all comes at once; one packet in sixteen is lost.
            if tick % 400 < 370 {
                while due <= tick {
                    for (n, sample) in samples.iter_mut().enumerate() {
                        *sample = ((seed >> 16) as i16) / 8 + (n as i16 % 40 - 20) * (due % 50) as i16;
                    }
                    let len = encoder.encode_into(&samples, &mut payload).unwrap();
                    let ssrc = due / 1_500;
                    let (sequence, timestamp, payload) = (due as u16, due * ticks, &payload[..len]);
                    let packet = Packet { ssrc, sequence, timestamp, marker: false, payload };
                    if !(seed ^ due).is_multiple_of(16) {
                        buffer.handle_packet(&packet, now);
                    }
                    due += 1;
                }
            }
            buffer.poll_frame(now, &mut frame);
            assert!(buffer.stats().packets <= u64::from(due));
        }
        assert_eq!(allocations::of_this_thread(), before, "{playout:?} {codec}");
    }
}
