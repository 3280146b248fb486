//! A far end that confirms what it plays: receipts and marks say what it has confirmed, and nothing more.

use std::time::Duration;

use proptest::prelude::*;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Agent, Certainty, Config, Event, FarEnd, Input, InterruptCause, Written};

use crate::harness::{Call, events, say, tone};
use crate::input::voice;

const R: SampleRate = SampleRate::HZ_8000;

fn call() -> (Call, Agent) {
    Call::with(Config::default(), FarEnd { acks: true, takes_dtmf: false }, Codec::slin(R))
}

/// The far end has played all but the last `queued` frames.
fn ack(call: &mut Call, queued: usize) {
    let number = call.frames[call.frames.len() - 1 - queued].0;
    call.take(Input::Acked(number));
}

#[test]
fn a_receipt_says_what_was_confirmed_and_the_rest_is_discarded() {
    let (mut call, mut agent) = call();
    say(&mut agent, &tone(R, 100, 300.0), "hello");
    say(&mut agent, &tone(R, 400, 400.0), "question");
    call.idle(15);
    ack(&mut call, 3);
    let position = agent.output.position();
    assert_eq!((position.played(), position.certainty), (Duration::from_millis(240), Certainty::Acked));
    let receipt = agent.output.interrupt();
    let ms = Duration::from_millis;
    let got: Vec<_> = receipt.segments.iter().map(|s| (s.tag.as_str(), s.received, s.played, s.discarded)).collect();
    assert_eq!(got, [("hello", ms(100), ms(100), ms(0)), ("question", ms(400), ms(140), ms(260))]);
    assert_eq!(receipt.certainty, Certainty::Acked);
    assert_eq!(call.flushes, 0);
    call.idle(1);
    assert_eq!(call.flushes, 1, "the far end's queue is dropped, once");
    assert_eq!(agent.control.stats().output_discarded, ms(260));
    ack(&mut call, 0);
    call.idle(5);
    assert_eq!(call.flushes, 1);
    assert!(call.frames[15..].iter().all(|frame| !frame.1), "no fade of what the far end has dropped");
}

#[test]
fn nothing_of_the_next_generation_goes_out_before_the_far_end_is_flushed() {
    let (mut call, mut agent) = call();
    say(&mut agent, &tone(R, 500, 300.0), "a");
    call.idle(5);
    agent.output.interrupt();
    say(&mut agent, &tone(R, 500, 300.0), "b");
    match call.session.poll_output(call.now) {
        talkpath::session::Output::Flush => {}
        other => panic!("unexpected {other:?}"),
    }
    call.idle(1);
    assert!(call.frames.last().unwrap().2, "then it begins");
}

#[test]
fn marks_and_the_end_of_playout_come_when_they_are_confirmed() {
    let (mut call, mut agent) = call();
    say(&mut agent, &tone(R, 100, 300.0), "a");
    agent.output.mark("m").unwrap();
    agent.output.complete();
    events(&mut agent);
    call.idle(10);
    assert_eq!(events(&mut agent), [Event::PlaybackStarted { tag: "a".into() }]);
    assert!(!agent.output.is_drained());
    ack(&mut call, 6);
    assert_eq!(events(&mut agent), []);
    ack(&mut call, 5);
    assert_eq!(events(&mut agent), [Event::MarkPlayed { name: "m".into() }, Event::Drained]);
    assert!(agent.output.is_drained());
}

#[test]
fn what_waits_at_the_far_end_can_be_interrupted() {
    let (mut call, mut agent) = call();
    say(&mut agent, &tone(R, 300, 300.0), "a");
    agent.output.complete();
    call.quiet(20);
    ack(&mut call, 12);
    voice(800).chunks(160).for_each(|samples| call.hear(samples));
    let receipt = events(&mut agent).into_iter().find_map(|event| match event {
        Event::Interrupted { receipt, cause: InterruptCause::BargeIn } => Some(receipt),
        _ => None,
    });
    let receipt = receipt.expect("an interruption of what the far end still plays");
    assert_eq!((receipt.played(), receipt.discarded()), (Duration::from_millis(160), Duration::from_millis(140)));
    assert_eq!(call.flushes, 1);
}

#[test]
fn a_hangup_after_drain_waits_for_the_far_end_but_not_for_ever() {
    for confirms in [true, false] {
        let (mut call, mut agent) = call();
        say(&mut agent, &tone(R, 200, 300.0), "goodbye");
        agent.control.hangup(true);
        call.idle(100);
        assert!(!call.hung_up);
        if confirms {
            ack(&mut call, 0);
            call.idle(1);
        } else {
            call.idle(200);
        }
        assert!(call.hung_up, "confirmed: {confirms}");
    }
}

#[test]
fn a_full_far_end_is_sent_nothing_and_loses_nothing() {
    let (mut call, mut agent) = call();
    let speech = tone(R, 400, 300.0);
    say(&mut agent, &speech, "a");
    call.idle(5);
    call.take(Input::Congested(true));
    let before = call.frames.len();
    call.idle(50);
    assert_eq!(call.frames.len(), before);
    call.take(Input::Congested(false));
    call.idle(20);
    assert_eq!(call.frames[before].0, call.frames[before - 1].0 + 1, "numbers go on");
    assert!(!call.frames[before].2, "the frame goes on where the one before ended");
    let end = 3_200 - 40;
    assert_eq!(call.wire[40..end], speech[40..end], "but for the fades");
    ack(&mut call, 0);
    assert!(agent.output.is_drained());
    assert_eq!(agent.control.stats().missed_ticks, 0);
}

#[test]
fn a_call_whose_far_end_takes_nothing_can_still_be_ended() {
    let (mut call, mut agent) = call();
    say(&mut agent, &tone(R, 400, 300.0), "a");
    call.idle(5);
    call.take(Input::Congested(true));
    agent.control.hangup(true);
    call.idle(240);
    assert!(!call.hung_up);
    call.idle(20);
    assert!(call.hung_up);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Run(usize),
    /// The far end plays so many of its queued frames.
    Play(usize),
    Confirm,
    /// A number that means nothing.
    Lie(u64),
    Congest(bool),
    Interrupt,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..2_000).prop_map(Step::Write),
        4 => (0usize..12).prop_map(Step::Run),
        4 => (0usize..12).prop_map(Step::Play),
        3 => Just(Step::Confirm),
        1 => any::<u64>().prop_map(Step::Lie),
        1 => any::<bool>().prop_map(Step::Congest),
        1 => Just(Step::Interrupt),
    ]
}

/// A far end that keeps a queue: which samples of which generation it has been sent, played and confirmed.
#[derive(Default)]
struct FarSide {
    /// Agent samples in each frame since the start, with the generation they are of.
    frames: Vec<(u64, u16, usize)>,
    played: usize,
    confirmed: usize,
}

impl FarSide {
    /// What of a generation has been confirmed, in samples.
    fn confirmed_of(&self, generation: u16) -> usize {
        self.sounding(generation).sum()
    }

    /// How many samples sound in each confirmed frame of a generation.
    fn sounding(&self, generation: u16) -> impl Iterator<Item = usize> {
        let frames = self.frames[..self.confirmed].iter().filter(move |frame| frame.1 == generation);
        frames.map(|frame| frame.2).filter(|&samples| samples > 0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn receipts_say_exactly_what_was_confirmed(steps in prop::collection::vec(step(), 1..60)) {
        let (mut call, mut agent) = call();
        let mut far = FarSide::default();
        let (mut written, mut accounted, mut interruptions) = (0, 0, 0);
        let samples = |duration: Duration| (duration.as_micros() as usize + 62) / 125;
        for step in steps {
            match step {
                Step::Write(n) => {
                    let generation = agent.output.generation();
                    let taken = agent.output.try_write(&vec![5_000; n], R, "t", generation).unwrap();
                    prop_assert_eq!(taken, Written::Taken(n));
                    written += n;
                }
                Step::Run(ticks) => {
                    for _ in 0..ticks {
                        let (before, sent) = (call.wire.len(), call.frames.len());
                        call.idle(1);
                        for (n, frame) in call.frames[sent..].iter().enumerate() {
                            let part = &call.wire[before + n * 160..before + n * 160 + 160];
                            let agents = part.iter().rposition(|&sample| sample != 0).map_or(0, |at| at + 1);
                            far.frames.push((frame.0, agent.output.generation(), agents));
                        }
                    }
                }
                Step::Play(frames) => far.played = (far.played + frames).min(far.frames.len()),
                Step::Confirm => {
                    if let Some(frame) = far.frames[..far.played].last() {
                        far.confirmed = far.played;
                        call.take(Input::Acked(frame.0));
                    }
                }
                Step::Lie(number) => {
                    let newest = far.frames.last().map_or(0, |frame| frame.0);
                    call.take(Input::Acked(newest + 2 + number % 1_000_000));
                }
                Step::Congest(is_congested) => call.take(Input::Congested(is_congested)),
                Step::Interrupt => {
                    let generation = agent.output.generation();
                    let receipt = agent.output.interrupt();
                    interruptions += 1;
                    let played: usize = receipt.segments.iter().map(|segment| samples(segment.played)).sum();
                    let most = far.confirmed_of(generation);
                    // A fade is no agent audio and cannot be told from it on the wire: at most 40 samples of a frame.
                    let least = most - 40 * far.sounding(generation).count();
                    prop_assert!((least..=most).contains(&played), "{} of {} confirmed", played, most);
                    for segment in &receipt.segments {
                        prop_assert_eq!(segment.received, segment.played + segment.discarded);
                        accounted += samples(segment.received);
                    }
                }
            }
            events(&mut agent);
        }
        call.take(Input::Congested(false));
        call.idle(60 * 2_000 / 160 + 100);
        if !call.frames.is_empty() {
            ack(&mut call, 0);
        }
        prop_assert!(agent.output.is_drained());
        let last = agent.output.position();
        for segment in &last.segments {
            prop_assert_eq!(segment.received, segment.played, "all of the last generation is out");
            accounted += samples(segment.received);
        }
        prop_assert_eq!(accounted, written);
        prop_assert!(call.flushes <= interruptions);
    }
}
