//! A session in steady state allocates nothing, whatever its far end sends: packets of every kind of codec, lost, late and
//! doubled, comfort noise, confirmations, keys; nor when the agent is interrupted.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoder};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Packet, Playout};
use talkpath::session::{Agent, Config, FarEnd, Input, Output, RemoteReport, Session};

#[path = "common/allocations.rs"]
mod allocations;

/// Runs `work`; answers how often it allocated or released.
fn counted(work: impl FnOnce()) -> u64 {
    let before = allocations::of_this_thread();
    work();
    allocations::of_this_thread() - before
}

/// What a media thread does: something may come, and everything that is due is done.
fn drive(session: &mut Session, input: Option<Input<'_>>, now: Timestamp) -> (u64, u64) {
    let mut number = 0;
    let count = counted(|| {
        if let Some(input) = input {
            session.handle_input(input, now);
        }
        loop {
            match session.poll_output(now) {
                Output::Transmit { number: n, .. } => number = n,
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    });
    (count, number)
}

fn allocations(codec: Codec, playout: Playout, takes_dtmf: bool) -> (u64, u64) {
    let config = Config { playout, ..Config::default() };
    let mut session = Session::new(config, FarEnd { acks: true, takes_dtmf }, Timestamp::ZERO);
    let mut agent: Option<Agent> = None;
    let mut encoder = Encoder::new(codec);
    let (rate, len) = (codec.rate(), codec.rate().frame_len());
    let ticks = codec.rtp_clock().samples_in(Duration::from_millis(20)) as u32;
    let (mut before, mut total) = (0, 0);
    for n in 0..300_u32 {
        let now = Timestamp::from_millis(20 * u64::from(n));
        // A buzz and silence by turns, half a second each.
        let is_loud = (n / 25).is_multiple_of(2);
        let samples: Vec<i16> = (0..len).map(|i| if is_loud { (i % 57) as i16 * 300 } else { 0 }).collect();
        let payload = encoder.encode(&samples).unwrap();
        let packet = Packet { ssrc: 1, sequence: n as u16, timestamp: n * ticks, marker: false, payload: &payload };
        let mut count = 0;
        let mut note = |(allocations, _): (u64, u64)| count += allocations;
        // One in ten is lost, one comes twice, and one is comfort noise.
        match n % 10 {
            5 => note(drive(&mut session, None, now)),
            7 => note(drive(&mut session, Some(Input::ComfortNoise { packet, level: 60 }), now)),
            3 => {
                note(drive(&mut session, Some(Input::Packet { codec, packet }), now));
                note(drive(&mut session, Some(Input::Packet { codec, packet }), now));
            }
            _ => note(drive(&mut session, Some(Input::Packet { codec, packet }), now)),
        }
        note(drive(&mut session, Some(Input::Acked(u64::from(n.saturating_sub(5)))), now));
        if n % 60 == 30 {
            note(drive(&mut session, Some(Input::Dtmf('5')), now));
            note(drive(&mut session, Some(Input::Congested(true)), now));
            note(drive(&mut session, Some(Input::Report(RemoteReport::default())), now));
        }
        if n % 60 == 33 {
            note(drive(&mut session, Some(Input::Congested(false)), now));
        }
        // The first two seconds walk every path once: a call's start allocates.
        if n < 100 {
            before += count
        } else {
            total += count
        }
        let agent = agent.get_or_insert_with(|| session.take_agent().unwrap());
        while agent.input.read().is_some() {}
        while agent.events.poll(&mut agent.output).is_some() {}
        let generation = agent.output.generation();
        if !n.is_multiple_of(4) {
            agent.output.try_write(&vec![2_000; len * 2], rate, "tone", generation).unwrap();
        }
        match n % 50 {
            10 => agent.output.send_dtmf("1").unwrap(),
            20 => _ = agent.output.mark("m").unwrap(),
            49 => _ = agent.output.interrupt(),
            _ => {}
        }
    }
    (before, total)
}

#[test]
fn packets_acks_and_keys_allocate_nothing() {
    let wide = SampleRate::HZ_16000;
    let adaptive = talkpath::jitter::Config::default().playout;
    let at_once = Playout::Asap { wait: Duration::from_millis(40) };
    let opus = Codec::opus(wide).unwrap();
    for (codec, playout, takes_dtmf) in [
        (Codec::PCMU, adaptive, true),
        (Codec::PCMU, at_once, false),
        (Codec::G722, adaptive, false),
        (opus, adaptive, false),
        (opus, at_once, true),
    ] {
        let (at_start, later) = allocations(codec, playout, takes_dtmf);
        assert!(at_start > 0, "setting a call up allocates, so counting works");
        assert_eq!(later, 0, "{codec}, {playout:?}, keys taken: {takes_dtmf}");
    }
}
