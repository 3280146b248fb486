//! A caller who speaks while the agent speaks is listened to.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{BargeInConfig, Config, Event, InterruptCause};

use crate::harness::{Call, events, say, tone};
use crate::input::voice;

const R: SampleRate = SampleRate::HZ_8000;

/// The agent speaks from 0 s, the caller from 1 s on; answers the call after 2 s and all events.
fn caller_talks_over(config: Config) -> (Call, talkpath::session::Agent, Vec<Event>) {
    let (mut call, mut agent) = Call::start(config, R);
    say(&mut agent, &tone(R, 10_000, 300.0), "long");
    call.quiet(50);
    for frame in voice(1_000).chunks(160) {
        call.hear(frame);
    }
    let all = events(&mut agent);
    (call, agent, all)
}

#[test]
fn the_core_interrupts_without_asking() {
    let (call, agent, all) = caller_talks_over(Config::default());
    let receipt = all.iter().find_map(|event| match event {
        Event::Interrupted { receipt, cause: InterruptCause::BargeIn } => Some(receipt.clone()),
        _ => None,
    });
    let receipt = receipt.unwrap_or_else(|| panic!("no interruption in {all:?}"));
    let segment = &receipt.segments[0];
    assert_eq!((segment.tag.as_str(), segment.received), ("long", Duration::from_secs(10)));
    assert_eq!(segment.received, segment.played + segment.discarded);
    let decided = all
        .iter()
        .find_map(|event| match event {
            Event::SpeechStarted { decided, .. } => Some(*decided),
            _ => None,
        })
        .expect("an onset");
    assert!(segment.played <= decided + Duration::from_millis(40), "{:?} {decided:?}", segment.played);
    assert!(segment.played >= Duration::from_secs(1), "not before the caller spoke");
    let silent_from = call.wire.iter().rposition(|&sample| sample != 0).unwrap() + 1;
    let fade = Duration::from_millis(5);
    assert!(R.duration_of(silent_from as u64) <= segment.played + fade + Duration::from_millis(1));
    assert!(agent.output.is_drained());
    assert_eq!(agent.control.stats().interruptions, 1);
    assert_eq!(agent.control.stats().output_discarded, segment.discarded);
}

#[test]
fn an_agent_that_wants_to_decide_itself_is_left_alone() {
    let barge_in = BargeInConfig { automatic: false, ..Default::default() };
    let (_call, agent, all) = caller_talks_over(Config { barge_in, ..Config::default() });
    assert!(all.iter().any(|event| matches!(event, Event::SpeechStarted { .. })));
    assert!(!all.iter().any(|event| matches!(event, Event::Interrupted { .. })));
    assert!(!agent.output.is_drained());
}

#[test]
fn a_silent_agent_is_not_interrupted() {
    let (mut call, mut agent) = Call::phone();
    for frame in voice(1_000).chunks(160) {
        call.hear(frame);
    }
    assert!(!events(&mut agent).iter().any(|event| matches!(event, Event::Interrupted { .. })));
    assert_eq!(agent.output.generation(), 0);
}

#[test]
fn the_agents_own_voice_from_the_line_does_not_interrupt() {
    for delay_ms in [40, 180, 350] {
        let (mut call, mut agent) = Call::phone();
        say(&mut agent, &voice(20_000), "long");
        let delay = delay_ms * 8;
        for _ in 0..950 {
            let heard: Vec<i16> = match call.wire.len().checked_sub(delay.max(160)) {
                Some(at) => call.wire[at..at + 160].iter().map(|&sample| (f32::from(sample) * 0.178) as i16).collect(),
                None => vec![0; 160],
            };
            call.hear(&heard);
            let interrupted = events(&mut agent).iter().any(|event| matches!(event, Event::Interrupted { .. }));
            assert!(!interrupted, "by its own echo after {delay_ms} ms, at {:?}", call.now);
        }
        assert!(agent.output.position().played() > Duration::from_secs(18));
    }
}

#[test]
fn the_first_moments_of_the_agent_are_protected() {
    let barge_in = BargeInConfig { protection: Duration::from_secs(3), ..Default::default() };
    let (_call, _agent, all) = caller_talks_over(Config { barge_in, ..Config::default() });
    assert!(!all.iter().any(|event| matches!(event, Event::Interrupted { .. })));
}
