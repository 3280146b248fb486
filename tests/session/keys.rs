//! Keys that the agent presses reach the far end, and take nothing of what the agent says.

use std::time::Duration;

use talkpath::ErrorKind;
use talkpath::audio::codec::Codec;
use talkpath::audio::dtmf::DtmfGenerator;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, FarEnd};

use crate::harness::{Call, events, largest_step, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

/// What these keys sound like, without the last pause.
fn keys(keys: &str) -> Vec<i16> {
    let mut generator = DtmfGenerator::new(R);
    let mut audio = vec![];
    for key in keys.chars() {
        generator.press(key).unwrap();
        let mut one = [0; 1_600];
        generator.mix_into(&mut one);
        audio.extend(one);
    }
    audio
}

#[test]
fn in_band_they_are_tones_one_after_the_other() {
    for ptime in [10, 20, 30, 60] {
        let config = Config { ptime: Duration::from_millis(ptime), ..Config::default() };
        let (mut call, mut agent) = Call::with(config, FarEnd::default(), Codec::slin(R));
        agent.output.send_dtmf("19#").unwrap();
        call.idle(60);
        let begins = call.wire.iter().position(|&sample| sample != 0).unwrap();
        let expected = keys("19#");
        assert_eq!(call.wire[begins - 1..begins - 1 + expected.len()], expected, "at {ptime} ms");
        assert!(call.wire[begins - 1 + expected.len()..].iter().all(|&sample| sample == 0));
        assert!(call.keys.is_empty());
        assert_eq!(call.frames.iter().filter(|frame| frame.2).count(), 3, "each begins anew at {ptime} ms");
    }
}

#[test]
fn speech_waits_for_them_and_no_receipt_knows_them() {
    let (mut call, mut agent) = Call::phone();
    let speech = tone(R, 400, 300.0);
    say(&mut agent, &speech, "a");
    call.idle(5);
    agent.output.send_dtmf("7").unwrap();
    call.idle(10);
    assert_eq!(agent.output.position().played(), Duration::from_millis(100));
    call.idle(20);
    assert_eq!(agent.output.position().played(), Duration::from_millis(400));
    assert!(agent.output.is_drained());
    let (tones, rest) = (&call.wire[800..800 + 1_600], &call.wire[800 + 1_600..]);
    assert_eq!(tones[40..], keys("7")[40..], "nothing else is heard, but for the fade");
    assert_eq!(rest[40..2_400 - 40], speech[840..3_200 - 40], "and nothing is missing, but for the fades");
    assert!(largest_step(&call.wire) < 20_000, "no click: the two tones alone step by up to 14,000");
}

#[test]
fn a_far_end_that_takes_keys_gets_them_one_after_the_other() {
    let far_end = FarEnd { acks: false, takes_dtmf: true };
    let (mut call, mut agent) = Call::with(Config::default(), far_end, Codec::slin(R));
    say(&mut agent, &tone(R, 500, 300.0), "a");
    call.idle(5);
    agent.output.send_dtmf("1*D").unwrap();
    let mut pressed = vec![];
    for tick in 0..60 {
        let before = call.keys.len();
        call.idle(1);
        pressed.extend(call.keys[before..].iter().map(|&key| (key, tick)));
    }
    assert_eq!(pressed, [('1', 0), ('*', 10), ('D', 20)], "200 ms apart");
    assert!(call.wire[800 + 40..][..4_700].iter().all(|&sample| sample == 0), "frames that the keys take the place of");
    assert_eq!(agent.output.position().played(), Duration::from_millis(500));
}

#[test]
fn an_interruption_does_not_take_them_back_and_the_end_of_the_call_waits_for_them() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 500, 300.0), "a");
    agent.output.send_dtmf("12").unwrap();
    call.idle(2);
    agent.output.interrupt();
    agent.control.hangup(true);
    call.idle(17);
    assert!(!call.hung_up);
    call.idle(3);
    assert!(call.hung_up);
    assert_eq!(call.wire[1..3_000], keys("12")[1..3_000]);
}

#[test]
fn what_cannot_be_pressed_is_refused_whole() {
    let (mut call, mut agent) = Call::phone();
    let error = agent.output.send_dtmf("12x4").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "key 'x', wanted one of 0 to 9, *, #, A to D");
    agent.output.send_dtmf(&"5".repeat(60)).unwrap();
    let error = agent.output.send_dtmf("12345").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.to_string(), "5 keys where 64 may wait, wanted at most 4 now");
    agent.output.send_dtmf("").unwrap();
    call.idle(650);
    assert_eq!(call.frames.iter().filter(|frame| frame.2).count(), 60);
    agent.control.hangup(false);
    assert_eq!(agent.output.send_dtmf("1").unwrap_err().kind(), ErrorKind::SessionEnded);
    events(&mut agent);
}
