//! Whatever is written, played and interrupted in whatever order: the wire and the receipts agree to the sample.

use proptest::prelude::*;
use talkpath::audio::frame::SampleRate;
use talkpath::session::Written;

use crate::harness::{Call, events};

const R: SampleRate = SampleRate::HZ_8000;

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Complete,
    Mark,
    Pause,
    Resume,
    Run(usize),
    Interrupt,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..2_000).prop_map(Step::Write),
        1 => Just(Step::Complete),
        1 => Just(Step::Mark),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        4 => (0usize..12).prop_map(Step::Run),
        1 => Just(Step::Interrupt),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_reordered(steps in prop::collection::vec(step(), 1..60)) {
        let (mut call, mut agent) = Call::phone();
        let mut written: u64 = 0;
        let mut accounted: u64 = 0;
        let samples = |duration: std::time::Duration| (duration.as_micros() as u64 + 62) / 125;
        for step in steps {
            match step {
                Step::Write(n) => {
                    let generation = agent.output.generation();
                    let taken = agent.output.try_write(&vec![5_000; n], R, "t", generation).unwrap();
                    prop_assert_eq!(taken, Written::Taken(n));
                    written += n as u64;
                }
                Step::Complete => agent.output.complete(),
                Step::Mark => {
                    agent.output.mark("m").unwrap();
                }
                Step::Pause => agent.output.pause(),
                Step::Resume => agent.output.resume(),
                Step::Run(frames) => call.idle(frames),
                Step::Interrupt => {
                    let receipt = agent.output.interrupt();
                    for segment in &receipt.segments {
                        prop_assert_eq!(segment.received, segment.played + segment.discarded);
                        accounted += samples(segment.received);
                    }
                }
            }
            events(&mut agent);
        }
        agent.output.resume();
        call.idle(60 * 2_000 / 160 + 100);
        prop_assert!(agent.output.is_drained());
        let last = agent.output.position();
        for segment in &last.segments {
            prop_assert_eq!(segment.received, segment.played, "all of the last generation is out");
            accounted += samples(segment.received);
        }
        prop_assert_eq!(accounted, written);
    }
}
