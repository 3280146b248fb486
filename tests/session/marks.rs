//! A mark is reported when playout has reached it, and not after an interruption.

use talkpath::audio::frame::SampleRate;
use talkpath::session::Event;

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

fn marks(all: &[Event]) -> Vec<&str> {
    all.iter()
        .filter_map(|event| match event {
            Event::MarkPlayed { name } => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn marks_come_in_order_at_their_places() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    assert!(agent.output.mark("first").unwrap());
    say(&mut agent, &tone(R, 100, 300.0), "a");
    assert!(agent.output.mark("second").unwrap());
    call.idle(4);
    assert!(marks(&events(&mut agent)).is_empty());
    call.idle(1);
    assert_eq!(marks(&events(&mut agent)), ["first"]);
    call.idle(5);
    assert_eq!(marks(&events(&mut agent)), ["second"]);
}

#[test]
fn an_interruption_cancels_them() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 300, 300.0), "a");
    agent.output.mark("never").unwrap();
    call.idle(5);
    agent.output.interrupt();
    say(&mut agent, &tone(R, 100, 300.0), "b");
    agent.output.mark("soon").unwrap();
    call.idle(20);
    assert_eq!(marks(&events(&mut agent)), ["soon"]);
}

#[test]
fn there_is_a_limit_and_it_is_told() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    let set = (0..1_000).take_while(|n| agent.output.mark(&n.to_string()).unwrap()).count();
    assert_eq!(set, 64);
    call.idle(10);
    assert!(agent.output.mark("again").unwrap());
}
