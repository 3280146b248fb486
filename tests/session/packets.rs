//! What comes in packets is heard on the session's own tick, in the caller's own time.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::Playout;
use talkpath::session::{Agent, Config, Event, FarEnd, Input, InterruptCause, Output, Session};

use crate::harness::{Call, Caller, events, likeness, say, tone};
use crate::input::voice;

const R: SampleRate = SampleRate::HZ_8000;

/// Everything that waits for the agent, and where its first sample lies.
fn read(agent: &mut Agent) -> (Vec<i16>, Option<Duration>) {
    let (mut heard, mut began) = (vec![], None);
    while let Some(frame) = agent.input.read() {
        began.get_or_insert(frame.position);
        heard.extend_from_slice(frame.samples);
    }
    (heard, began)
}

#[test]
fn packets_are_heard_as_they_were_said() {
    for codec in [Codec::PCMU, Codec::G722, Codec::opus(SampleRate::HZ_24000).unwrap(), Codec::slin(R)] {
        for packet_ms in [10, 20, 30, 60].into_iter().filter(|&ms| codec.name() != "opus" || ms != 30) {
            let rate = codec.rate();
            let mut caller = Caller::new(codec);
            let (mut call, mut agent) = Call::packets(Config::default(), &mut caller);
            let said = tone(rate, 3_000, 433.0);
            let mut packets = said.chunks(rate.samples_in(Duration::from_millis(packet_ms)));
            let began = call.now;
            for n in 0.. {
                let Some(samples) = packets.next() else { break };
                while call.now < began + Duration::from_millis(packet_ms) * n {
                    call.idle(1);
                }
                call.receive(&caller.say(samples));
            }
            call.idle(2);
            let (heard, began) = read(&mut agent);
            assert_eq!(began, Some(Duration::ZERO));
            // A tone is like itself after a period.
            let like = likeness(&heard[5 * rate.frame_len()..], &said[..rate.hz() as usize], rate.hz() as usize / 400);
            assert!(like > 0.98, "{codec} in {packet_ms} ms: {like}");
        }
    }
}

#[test]
fn the_tick_does_not_depend_on_the_packet_time_of_the_answer() {
    let config = Config { ptime: Duration::from_millis(60), ..Config::default() };
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    let mut caller = Caller::new(Codec::PCMU);
    let mut timeouts = vec![];
    let mut heard_after = vec![];
    let mut now = Timestamp::ZERO;
    let mut agent = None;
    for n in 0..30_u64 {
        if n % 3 == 0 {
            let packet = caller.say(&tone(R, 60, 433.0));
            session.handle_input(Input::Packet { codec: Codec::PCMU, packet: packet.borrow() }, now);
        }
        loop {
            match session.poll_output(now) {
                Output::Started => {}
                Output::Timeout(when) => {
                    timeouts.push(when.since(now).as_millis());
                    break;
                }
                _ => {}
            }
        }
        let agent = agent.get_or_insert_with(|| {
            let mut agent = session.take_agent().unwrap();
            agent.input.configure(R, Duration::from_millis(20), false).unwrap();
            agent
        });
        let (heard, _) = read(agent);
        heard_after.push(heard.len());
        now = now + Duration::from_millis(20);
    }
    assert!(timeouts.iter().all(|&ms| ms == 20), "{timeouts:?}");
    assert!(heard_after[5..].iter().all(|&samples| samples == 160), "{heard_after:?}");
}

#[test]
fn what_is_lost_counts_as_heard_and_the_silence_before_the_first_packet_does_not() {
    let config = Config { playout: Playout::Fixed(Duration::from_millis(100)), ..Config::default() };
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(config, &mut caller);
    let began = call.now;
    for n in 0..100 {
        let packet = caller.say(&tone(R, 20, 400.0));
        if n % 10 != 5 {
            call.receive(&packet);
        }
        if n == 50 {
            // A tenth of a second behind what has come, all of which is of the call's own time.
            call.take(Input::Dtmf('1'));
        }
        call.idle(1);
    }
    let (heard, first) = read(&mut agent);
    assert_eq!(first, Some(Duration::ZERO));
    let elapsed = R.samples_in(call.now.since(began) + Duration::from_millis(20));
    let waited = elapsed - heard.len();
    assert!((640..=960).contains(&waited), "{waited} samples of delay");
    let all = events(&mut agent);
    let at = all.iter().find_map(|event| match event {
        Event::Dtmf { position, .. } => Some(position.as_millis()),
        _ => None,
    });
    assert!(at.is_some_and(|ms| (900..=960).contains(&ms)), "{at:?}");
    assert_eq!(call.session.jitter_stats().unwrap().packets_lost, 9, "the tenth is not known to be lost yet");
}

#[test]
fn without_a_playout_clock_frames_come_as_soon_as_they_are_there() {
    let config = Config { playout: Playout::Asap { wait: Duration::from_millis(60) }, ..Config::default() };
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(config, &mut caller);
    let said = tone(R, 1_000, 433.0);
    let burst: Vec<_> = said.chunks(160).map(|samples| caller.say(samples)).collect();
    burst.iter().for_each(|packet| call.receive(packet));
    let (heard, _) = read(&mut agent);
    assert_eq!(heard.len(), 160 + 8_000, "before any tick");
    assert!(likeness(&heard, &said, 161) > 0.99);
    assert!(matches!(call.session.poll_output(call.now), Output::Transmit { .. }));
    assert!(matches!(call.session.poll_output(call.now), Output::Wake));
}

#[test]
fn a_peer_may_change_its_codec_during_the_call() {
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(Config::default(), &mut caller);
    let mut total = 0;
    for codec in [Codec::PCMU, Codec::G722, Codec::PCMA] {
        caller.encoder = talkpath::audio::codec::Encoder::new(codec);
        let said = tone(codec.rate(), 1_000, 433.0);
        for samples in said.chunks(codec.rate().frame_len()) {
            call.receive(&caller.say(samples));
            call.idle(1);
        }
        let (heard, _) = read(&mut agent);
        total += heard.len();
        let expected = tone(R, 500, 433.0);
        assert!(likeness(&heard[2_000..], &expected, 100) > 0.95, "{codec}");
    }
    assert!((3 * 8_000 - 1_600..=3 * 8_000 + 320).contains(&total), "still at the call's rate: {total}");
}

#[test]
fn a_caller_who_speaks_in_packets_interrupts() {
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(Config::default(), &mut caller);
    say(&mut agent, &tone(R, 10_000, 300.0), "long");
    for _ in 0..50 {
        call.receive(&caller.say(&[0; 160]));
        call.idle(1);
    }
    let spoke_at = call.now;
    for samples in voice(1_500).chunks(160) {
        call.receive(&caller.say(samples));
        call.idle(1);
    }
    let all = events(&mut agent);
    let cause = all.iter().find_map(|event| match event {
        Event::Interrupted { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, Some(InterruptCause::BargeIn), "{all:?}");
    let silent_from = call.frames.iter().rposition(|frame| frame.1).unwrap();
    let silent_at = Timestamp::from_millis(20 * call.frames[silent_from].0);
    assert!(silent_at.since(spoke_at) < Duration::from_millis(400), "{silent_at:?} after {spoke_at:?}");
}

#[test]
fn a_pause_of_the_caller_is_filled_and_stays_in_time() {
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(Config::default(), &mut caller);
    for _ in 0..50 {
        call.receive(&caller.say(&tone(R, 20, 400.0)));
        call.idle(1);
    }
    let noise = caller.say(&[]);
    call.take(Input::ComfortNoise { packet: noise.borrow(), level: 60 });
    read(&mut agent);
    caller.pause(8_000);
    call.idle(50);
    let (pause, began) = read(&mut agent);
    assert_eq!(pause.len(), 8_000, "one frame a tick");
    assert!((Duration::from_millis(900)..Duration::from_millis(1_050)).contains(&began.unwrap()), "{began:?}");
    let loudest = pause[1_600..].iter().map(|sample| sample.abs()).max().unwrap();
    assert!((20..200).contains(&loudest), "background at -60 dB: {loudest}");
    assert_eq!(call.session.jitter_stats().unwrap().packets_lost, 0);
}

#[test]
fn a_driver_that_was_away_does_not_hear_a_burst() {
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, mut agent) = Call::packets(Config::default(), &mut caller);
    for _ in 0..20 {
        call.receive(&caller.say(&tone(R, 20, 400.0)));
        call.idle(1);
    }
    read(&mut agent);
    call.now = call.now + Duration::from_millis(50);
    call.drain();
    assert_eq!(read(&mut agent).0.len(), 3 * 160, "what was missed is caught up");
    call.now = call.now + Duration::from_secs(2);
    call.drain();
    assert_eq!(read(&mut agent).0.len(), 160, "but not seconds of it");
}
