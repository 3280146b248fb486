//! Events come in the order in which things happened.

use talkpath::audio::frame::SampleRate;
use talkpath::session::{EndReason, Event, Input};

use crate::harness::{Call, events, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn a_small_call_from_beginning_to_end() {
    let (mut call, mut agent) = Call::phone();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    agent.output.mark("m").unwrap();
    say(&mut agent, &tone(R, 90, 300.0), "b");
    agent.output.complete();
    call.session.handle_input(Input::Dtmf('#'), call.now);
    call.idle(20);
    call.session.handle_input(Input::Ended(EndReason::CallerHangup), call.now);
    let names = events(&mut agent).into_iter().map(|event| match event {
        Event::Started { codec } => format!("started {codec}"),
        Event::Dtmf { digit, .. } => format!("dtmf {digit}"),
        Event::PlaybackStarted { tag } => format!("playback {tag}"),
        Event::MarkPlayed { name } => format!("mark {name}"),
        Event::Drained => "drained".into(),
        Event::Ended { reason } => format!("ended {reason}"),
        other => format!("{other:?}"),
    });
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["started slin at 8000 Hz", "dtmf #", "playback a", "mark m", "playback b", "drained", "ended caller_hangup"]
    );
}
