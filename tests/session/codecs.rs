//! A call in any codec: what is sent is what was said, and each frame says what it is.

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, FarEnd, Input, Output, Session, WireFormat};

use crate::harness::{Call, say, tone};

/// How alike two signals are, 0 to 1, at the best delay of up to `most` samples.
fn likeness(heard: &[i16], said: &[i16], most: usize) -> f64 {
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    (0..most)
        .map(|delay| {
            let n = said.len().min(heard.len() - delay);
            let (a, b) = (&heard[delay..delay + n], &said[..n]);
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        })
        .fold(0.0, f64::max)
}

#[test]
fn both_ways_are_heard_in_every_codec() {
    let wide = SampleRate::HZ_16000;
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722, Codec::slin(wide)] {
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
    let mut seen = vec![];
    for tick in 0..12 {
        if tick == 2 || tick == 8 {
            say(&mut agent, &tone(SampleRate::HZ_8000, 40, 300.0), "a");
            agent.output.complete();
        }
        loop {
            match call.session.poll_output(call.now) {
                Output::Transmit { number, is_agent, begins, .. } => seen.push((number, is_agent, begins)),
                Output::Timeout(when) => {
                    call.now = when;
                    break;
                }
                _ => {}
            }
        }
    }
    let begins: Vec<_> = seen.iter().filter(|frame| frame.2).map(|frame| frame.0 - seen[0].0).collect();
    let agents: Vec<_> = seen.iter().filter(|frame| frame.1).map(|frame| frame.0 - seen[0].0).collect();
    assert_eq!((begins, agents), (vec![2, 8], vec![2, 3, 8, 9]));
    assert!(seen.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1));
}
