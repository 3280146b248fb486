//! An hour of a call over a network that loses, delays and drifts: nothing grows, and nothing gets out of step.

use std::collections::VecDeque;
use std::time::Duration;

use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::impair::Network;
use talkpath::session::{Config, VadConfig};

use crate::harness::{Call, Caller, events, largest_step, say, tone};

const R: SampleRate = SampleRate::HZ_8000;
const HOUR: u64 = 3_600 * 50;

/// A word of 300 ms, and as much of silence.
fn speech(packet: u64) -> Vec<i16> {
    if (packet / 15).is_multiple_of(2) { tone(R, 20, 400.0) } else { vec![0; 160] }
}

#[test]
fn an_hour_of_packets_with_drift_and_loss_stays_in_time() {
    // The detector is another matter, and takes most of the time.
    let config = Config { vad: VadConfig { enabled: false, ..VadConfig::default() }, ..Config::default() };
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(config, &mut caller);
    let mut network = Network::new("loss=2%,burst=2,jitter=15ms,drift=100ppm,seed=3".parse().unwrap()).unwrap();
    let mut on_the_way = VecDeque::new();
    let (mut heard, mut last, mut largest, mut delays) = (0, 0, 0, vec![]);
    for tick in 0..HOUR {
        let packet = caller.say(&speech(tick));
        on_the_way.extend(network.send(call.now).map(|arrival| (arrival, packet.clone())));
        while let Some(next) = on_the_way.iter().position(|(arrival, _)| *arrival <= call.now) {
            let (_, packet) = on_the_way.remove(next).unwrap();
            call.receive(&packet);
        }
        call.idle(1);
        while let Some(frame) = agent.input.read() {
            heard += frame.samples.len() as u64;
            let joint = (i32::from(frame.samples[0]) - last).abs();
            largest = largest.max(largest_step(frame.samples)).max(joint);
            last = i32::from(frame.samples[frame.samples.len() - 1]);
        }
        if tick % 500 == 0 {
            say(&mut agent, &tone(R, 5_000, 300.0), "agent");
            events(&mut agent);
            delays.push(call.session.jitter_stats().unwrap().delay);
            call.wire.clear();
        }
    }
    assert!((HOUR - 10..=HOUR + 1).contains(&(heard / 160)), "one frame a tick: {heard} samples");
    assert!(largest < 6_000, "no click: a step of {largest} where the tone has 2,500");
    let mean = |delays: &[Duration]| delays.iter().sum::<Duration>() / delays.len() as u32;
    let (first, latest) = (mean(&delays[10..70]), mean(&delays[300..]));
    assert!(latest < first + Duration::from_millis(10), "no growth of delay: {first:?}, then {latest:?}");
    assert!(delays.iter().all(|delay| *delay < Duration::from_millis(160)), "{:?}", delays.iter().max());
    assert_eq!(call.frames.len() as u64, HOUR, "one frame a tick");
    assert_eq!(agent.output.position().played(), Duration::from_secs(360 * 5));
    let stats = agent.control.stats();
    assert_eq!((stats.missed_ticks, stats.input_lost, stats.events_lost), (0, Duration::ZERO, 0));
    let network = stats.network.unwrap();
    assert!((0.015..0.03).contains(&network.concealed_share), "{network:?}");
}
