//! A call in any codec: what is sent is what was said, and each frame says what it is.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, FarEnd, Input, Output, Session, WireFormat};

use crate::harness::{Call, likeness, say, tone};

#[test]
fn both_ways_are_heard_in_every_codec() {
    let wide = SampleRate::HZ_16000;
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722, Codec::slin(wide), Codec::opus(wide).unwrap()] {
        let (mut call, mut agent) = Call::with(Config::default(), FarEnd::default(), codec);
        agent.control.set_automatic_barge_in(false);
        assert_eq!(agent.control.format(), WireFormat { input: codec, output: codec });
        let rate = codec.rate();
        let said = tone(rate, 2_000, 433.0);
        say(&mut agent, &tone(SampleRate::HZ_8000, 2_000, 433.0), "a");
        said.chunks(rate.frame_len()).for_each(|frame| call.hear(frame));
        let mut heard = vec![];
        while let Some(frame) = agent.input.read() {
            heard.extend_from_slice(frame.samples);
        }
        assert!(likeness(&heard[rate.frame_len()..], &said, 40) > 0.99, "the caller in {codec}");
        let second = &said[..rate.hz() as usize];
        assert!(likeness(&call.wire, second, 2 * rate.frame_len()) > 0.99, "the agent in {codec}");
    }
}

#[test]
fn the_answer_may_be_in_another_codec() {
    let config = Config { codec: Some(Codec::G722), ..Config::default() };
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    session.handle_input(Input::Audio { codec: Codec::PCMU, payload: &[0xff; 160] }, Timestamp::ZERO);
    assert!(matches!(session.poll_output(Timestamp::ZERO), Output::Started));
    let format = session.take_agent().unwrap().control.format();
    assert_eq!(format, WireFormat { input: Codec::PCMU, output: Codec::G722 });
    match session.poll_output(Timestamp::ZERO) {
        Output::Transmit { codec, payload, .. } => assert_eq!((codec, payload.len()), (Codec::G722, 160)),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn frames_are_numbered_and_say_where_the_agent_begins() {
    let (mut call, mut agent) = Call::phone();
    for _ in 0..2 {
        call.idle(2);
        say(&mut agent, &tone(SampleRate::HZ_8000, 40, 300.0), "a");
        agent.output.complete();
        call.idle(4);
    }
    let seen = call.frames;
    let begins: Vec<_> = seen.iter().filter(|frame| frame.2).map(|frame| frame.0 - seen[0].0).collect();
    let agents: Vec<_> = seen.iter().filter(|frame| frame.1).map(|frame| frame.0 - seen[0].0).collect();
    // 40 ms of audio each time, and the frame in which it fades.
    assert_eq!((begins, agents), (vec![2, 8], vec![2, 3, 4, 8, 9, 10]));
    assert!(seen.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1));
}

#[test]
fn a_packet_of_opus_is_heard_whole_however_long_it_is() {
    let opus = Codec::opus(SampleRate::HZ_16000).unwrap();
    for packet_ms in [10, 20, 60] {
        let (mut call, mut agent) = Call::with(Config::default(), FarEnd::default(), opus);
        let said = tone(SampleRate::HZ_16000, 1_200, 433.0);
        said.chunks(16 * packet_ms).for_each(|packet| call.hear(packet));
        let mut heard = vec![];
        while let Some(frame) = agent.input.read() {
            heard.extend_from_slice(frame.samples);
        }
        assert_eq!(heard.len(), 320 + said.len());
        assert!(likeness(&heard[3_200..], &said[..12_800], 40) > 0.95, "{packet_ms} ms");
    }
}

#[test]
fn a_packet_time_that_the_codec_has_not_becomes_the_next_shorter() {
    let opus = Codec::opus(SampleRate::HZ_16000).unwrap();
    let config = Config { ptime: Duration::from_millis(50), codec: Some(opus), ..Config::default() };
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    let mut sent = vec![];
    for ms in 0..1_000 {
        loop {
            match session.poll_output(Timestamp::from_millis(ms)) {
                Output::Transmit { codec, payload, .. } => sent.push((ms, codec.samples_in(payload).unwrap())),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    }
    let expected: Vec<_> = (0..25).map(|n| (40 * n, 640)).collect();
    assert_eq!(sent, expected);
}
