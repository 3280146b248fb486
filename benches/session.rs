//! What a call costs the media thread: one tick of a session, both ways, with and without speech.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::Packet;
use talkpath::session::{Agent, Config, FarEnd, Input, Output, Session, VadConfig};

fn tick(c: &mut Criterion) {
    let mut group = c.benchmark_group("session tick of 20 ms, 8 kHz");
    let quiet = vec![0i16; 160];
    let loud: Vec<i16> = (0..160).map(|n| ((n as f32 * 0.2).sin() * 9_000.0) as i16).collect();
    for (name, vad, heard, speaks) in [
        ("idle both ways, vad", true, &quiet, false),
        ("agent speaks, line quiet, vad", true, &quiet, true),
        ("both speak, vad", true, &loud, true),
        ("both speak, no vad", false, &loud, true),
    ] {
        let config = Config { vad: VadConfig { enabled: vad, ..VadConfig::default() }, ..Config::default() };
        let (mut session, mut agent) = start(config);
        let payload = Encoding::Slin.encode(heard);
        let mut now = Timestamp::from_millis(20);
        let chunk = vec![3_000i16; 16_000];
        group.bench_function(name, |b| {
            b.iter(|| {
                if speaks && agent.output.buffered() < Duration::from_millis(200) {
                    let generation = agent.output.generation();
                    let _ = agent.output.try_write(&chunk, SampleRate::HZ_8000, "t", generation);
                }
                while agent.input.read().is_some() {}
                session.handle_input(Input::Audio { codec: Codec::slin(SampleRate::HZ_8000), payload: &payload }, now);
                while !matches!(black_box(session.poll_output(now)), Output::Timeout(_)) {}
                now = now + Duration::from_millis(20);
            });
        });
    }
    for (name, codec) in [("both speak, no vad, PCMU in packets", Codec::PCMU), ("the same, G.722", Codec::G722)] {
        let config = Config { vad: VadConfig { enabled: false, ..VadConfig::default() }, ..Config::default() };
        let (mut session, payload, chunk) =
            (Session::new(config, FarEnd::default(), Timestamp::ZERO), [0x35; 160], [3_000; 16_000]);
        let (mut agent, mut ticks) = (None, 0_u32);
        group.bench_function(name, |b| {
            b.iter(|| {
                let now = Timestamp::from_millis(20 * u64::from(ticks));
                let (sequence, timestamp) = (ticks as u16, 160 * ticks);
                let packet = Packet { ssrc: 1, sequence, timestamp, marker: false, payload: &payload };
                session.handle_input(Input::Packet { codec, packet }, now);
                while !matches!(black_box(session.poll_output(now)), Output::Timeout(_)) {}
                ticks = ticks.wrapping_add(1);
                let agent: &mut Agent = agent.get_or_insert_with(|| session.take_agent().expect("the agent's end"));
                if agent.output.buffered() < Duration::from_millis(200) {
                    let generation = agent.output.generation();
                    let _ = agent.output.try_write(&chunk, codec.rate(), "t", generation);
                }
                while agent.input.read().is_some() {}
            });
        });
    }
    group.finish();
}

fn start(config: Config) -> (Session, Agent) {
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    let audio = Input::Audio { codec: Codec::slin(SampleRate::HZ_8000), payload: &[0; 320] };
    session.handle_input(audio, Timestamp::ZERO);
    while !matches!(session.poll_output(Timestamp::ZERO), Output::Timeout(_)) {}
    let agent = session.take_agent().expect("the agent's end after the first audio");
    (session, agent)
}

criterion_group!(benches, tick);
criterion_main!(benches);
