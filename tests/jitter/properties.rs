//! Whatever comes, in whatever order: one frame a tick, nothing lost in silence, no click.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::jitter::{Config, JitterBuffer, Packet, Played, Playout};

use crate::harness::{FRAME, LINEAR, Line, assert_adds_up, largest_step, linear, payload};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tone_never_clicks_and_every_sample_is_accounted_for(
        first in any::<(u16, u32)>(),
        phase in 0..20_000_u64,
        // Lost, late by a little, late by a lot, or twice.
        fates in vec(prop_oneof![
            6 => (0..5_000_u64).prop_map(Some),
            2 => (0..80_000_u64).prop_map(Some),
            1 => (0..400_000_u64).prop_map(Some),
            1 => Just(None),
        ], 50..300),
        again in vec(any::<bool>(), 300),
    ) {
        let mut line = Line::new(linear());
        let mut arrivals = Vec::new();
        for (n, fate) in fates.iter().enumerate() {
            let at = n as u64 * 20_000;
            arrivals.extend(fate.map(|late| (n as u64, at + late)));
            arrivals.extend(fate.filter(|_| again[n]).map(|late| (n as u64, at + late + 13_000)));
        }
        let ticks = fates.len() as u64 + 30;
        line.run(first, &arrivals, phase, ticks);
        prop_assert_eq!(line.heard.len(), ticks as usize * FRAME);
        assert_adds_up(&line.buffer.stats(), line.heard.len());
        let step = largest_step(&line.heard);
        prop_assert!(step < 3_500, "step {}", step);
    }

    #[test]
    fn nonsense_is_survived_and_accounted_for(
        packets in vec((any::<u16>(), any::<u32>(), 0..3_u32, any::<bool>(), 0..900_usize, 0..60_000_u64), 1..200),
        mode in 0..3,
        codec in select(vec![LINEAR, Codec::PCMU, Codec::G722]),
    ) {
        let ms = std::time::Duration::from_millis;
        let playout = match mode {
            0 => Playout::Adaptive { min: ms(0), max: ms(100) },
            1 => Playout::Fixed(ms(40)),
            _ => Playout::Asap { wait: ms(40) },
        };
        let mut buffer = JitterBuffer::new(Config { codec, playout }).unwrap();
        let (mut now, mut given, mut near) = (0, 0, (0_u16, 0_u32));
        let mut frame = vec![0; codec.rate().frame_len()];
        for (n, (sequence, timestamp, ssrc, leap, len, later)) in packets.into_iter().enumerate() {
            now += later;
            let step = (near.0.wrapping_add(sequence % 4), near.1.wrapping_add(timestamp % 500));
            near = if leap { (sequence, timestamp) } else { step };
            let payload = vec![n as u8; len];
            let ssrc = if leap { ssrc } else { 0 };
            let packet = Packet { ssrc, sequence: near.0, timestamp: near.1, marker: leap, payload: &payload };
            buffer.handle_packet(&packet, Timestamp::from_micros(now));
            if n % 7 == 0 {
                let noise = Packet { payload: &[], sequence: near.0.wrapping_add(1), ..packet };
                buffer.handle_comfort_noise(&noise, (timestamp % 200) as u8, Timestamp::from_micros(now));
            }
            assert_adds_up(&buffer.stats(), given);
            for _ in 0..40 {
                match buffer.poll_frame(Timestamp::from_micros(now), &mut frame) {
                    Some(_) => given += frame.len(),
                    None => break,
                }
                if mode != 2 {
                    break;
                }
            }
        }
        assert_adds_up(&buffer.stats(), given);
    }

    #[test]
    fn in_quiet_the_delay_follows_what_the_network_needs(jitter_ms in 0..150_u64, phase in 0..20_000_u64) {
        let mut line = Line::new(linear());
        let silence = [0; FRAME];
        let mut sent: Vec<_> = (0..1_500_u64).map(|n| (n, n * 20_000 + n * 7_919 % (jitter_ms * 1_000 + 1))).collect();
        sent.sort_by_key(|&(_, at)| at);
        let mut sent = sent.into_iter().peekable();
        for tick in 0..1_500 {
            let now = tick * 20_000 + phase;
            while let Some((n, at)) = sent.next_if(|&(_, at)| at <= now) {
                let (sequence, timestamp) = (n as u16, n as u32 * 160);
                let packet = Packet { ssrc: 1, sequence, timestamp, marker: false, payload: &payload(&silence) };
                line.buffer.handle_packet(&packet, Timestamp::from_micros(at));
            }
            line.tick(now);
        }
        let delay = line.buffer.stats().delay.as_millis() as u64;
        prop_assert!(delay <= jitter_ms + 46, "{} ms for {}", delay, jitter_ms);
        let made_up = line.kinds[600..].iter().filter(|&&kind| kind == Played::Concealed).count();
        prop_assert!(made_up <= 45, "{} frames for {} ms", made_up, jitter_ms);
    }
}
