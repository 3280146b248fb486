//! Feeds the jitter buffer any packets at any time: it must not panic, nor lose a sample without counting it.
//!
//! The first byte chooses the playout and the codec; every eight bytes after it are a packet, near the one before or anywhere, and the
//! time until it comes.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Config, JitterBuffer, Packet, Playout};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, packets)) = input.split_first() else {
        return;
    };
    let ms = |ms: u8| Duration::from_millis(u64::from(ms));
    let playout = match choice % 3 {
        0 => Playout::Adaptive { min: Duration::ZERO, max: ms(choice.max(20)) },
        1 => Playout::Fixed(ms(choice)),
        _ => Playout::Asap { wait: ms(choice) },
    };
    let codec = match choice >> 6 {
        0 => Codec::PCMU,
        1 => Codec::Plain { encoding: Encoding::SlinBe, rate: SampleRate::HZ_8000 },
        _ => Codec::G722,
    };
    let mut buffer = JitterBuffer::new(Config { codec, playout }).expect("the values are within limits");
    let (mut now_us, mut sequence, mut timestamp, mut given) = (0_u64, 0_u16, 0_u32, 0_u64);
    let mut frame = vec![0_i16; codec.rate().frame_len()];
    for bytes in packets.chunks_exact(8) {
        let [kind, by, time, len, rest @ ..] = bytes else { continue };
        now_us += u64::from(*time) * 500;
        if kind & 7 == 0 {
            sequence = u16::from_le_bytes([rest[0], rest[1]]);
            timestamp = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        } else {
            sequence = sequence.wrapping_add(u16::from(*by % 4));
            timestamp = timestamp.wrapping_add(u32::from(rest[0]) * 2);
        }
        let (ssrc, marker) = (u32::from(kind >> 6), kind & 16 != 0);
        let now = Timestamp::from_micros(now_us);
        let packet = Packet { ssrc, sequence, timestamp, marker, payload: &input[..input.len().min(usize::from(*len) * 4)] };
        if kind & 32 == 0 {
            buffer.handle_packet(&packet, now);
        } else {
            buffer.handle_comfort_noise(&packet, *by, now);
        }
        while kind & 8 != 0 && buffer.poll_frame(now, &mut frame).is_some() {
            given += frame.len() as u64;
            if choice % 3 != 2 {
                break;
            }
        }
    }
    let stats = buffer.stats();
    let fates = stats.samples_played + stats.samples_removed + stats.samples_discarded + stats.samples_held;
    assert_eq!(stats.samples_received, fates, "{stats:?}");
    let sources = stats.samples_played + stats.samples_concealed + stats.samples_inserted + stats.samples_rested;
    assert_eq!(given, sources, "{stats:?}");
});
