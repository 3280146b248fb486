//! The agent's rate is its own business: what is heard and said is aligned to the sample, and nothing is held back.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, Written};

use crate::harness::{Call, tone};

#[test]
fn what_is_written_at_24_khz_plays_for_exactly_as_long() {
    let (mut call, mut agent) = Call::phone();
    let rate = SampleRate::HZ_24000;
    let speech = tone(rate, 437, 300.0);
    for part in speech.chunks(481) {
        assert_eq!(agent.output.try_write(part, rate, "a", 0).unwrap(), Written::Taken(part.len()));
    }
    call.idle(40);
    assert!(agent.output.is_drained());
    let receipt = agent.output.position();
    assert_eq!(receipt.played(), Duration::from_millis(437));
    let begin = call.wire.iter().position(|&sample| sample != 0).unwrap();
    let end = call.wire.iter().rposition(|&sample| sample != 0).unwrap();
    let length = end + 1 - begin;
    assert!((437 * 8 - 45..=437 * 8 + 45).contains(&length), "{length}");
}

#[test]
fn audio_stays_aligned_over_pauses_and_chunks_of_any_size() {
    let rate = SampleRate::HZ_16000;
    let speech = tone(rate, 1_000, 300.0);
    let want = tone(SampleRate::HZ_8000, 1_000, 300.0);
    let (mut call, mut agent) = Call::phone();
    for (n, part) in speech.chunks(1_600).enumerate() {
        agent.output.try_write(part, rate, "a", 0).unwrap();
        agent.output.complete();
        call.idle(5 + n % 3);
    }
    call.idle(10);
    assert_eq!(agent.output.position().played(), Duration::from_secs(1));
    // Where the first piece begins is within a fade, so look for it; from there on it is the tone, to a few LSB.
    let begin = call.wire.iter().position(|&sample| sample != 0).unwrap();
    let error = |shift: usize| {
        let pairs = call.wire[begin + 60..begin + 700].iter().zip(&want[60 + shift..]);
        pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap()
    };
    let least = (0..20).map(error).min().unwrap();
    assert!(least < 60, "{least}");
}

#[test]
fn rates_may_change_from_write_to_write() {
    let (mut call, mut agent) = Call::start(Config::default(), SampleRate::HZ_16000);
    for hz in [8_000, 24_000, 48_000, 16_000, 8_000] {
        let rate = SampleRate::new(hz).unwrap();
        agent.output.try_write(&tone(rate, 100, 300.0), rate, "a", 0).unwrap();
    }
    call.idle(40);
    assert_eq!(agent.output.position().played(), Duration::from_millis(500));
    assert!(agent.output.is_drained());
}

#[test]
fn a_single_sample_is_not_lost() {
    let (mut call, mut agent) = Call::phone();
    agent.output.try_write(&[8_000; 3], SampleRate::HZ_24000, "a", 0).unwrap();
    agent.output.complete();
    call.idle(3);
    assert!(agent.output.is_drained());
    assert_eq!(agent.output.position().played(), Duration::from_micros(125));
}
