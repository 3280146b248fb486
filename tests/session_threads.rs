//! Both ends of a session on threads of their own: whatever the interleaving, receipts and wire agree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::Encoding;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, Event, Input, Output, Session, Written};

/// The agent writes samples of one value and interrupts at any moment; the wire must hold exactly as many as the receipts
/// say were played, fades apart.
#[test]
fn an_interruption_at_any_moment_is_counted_to_the_sample() {
    let rate = SampleRate::HZ_8000;
    let mut session = Session::new(Config::default(), Timestamp::ZERO);
    let audio = Input::Audio { encoding: Encoding::Slin, rate, payload: &[0; 320] };
    session.handle_input(audio, Timestamp::ZERO);
    while !matches!(session.poll_output(Timestamp::ZERO), Output::Timeout(_)) {}
    let mut agent = session.take_agent().expect("the agent's end");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let media = scope.spawn(|| {
            let mut now = Timestamp::ZERO;
            let mut taken: u64 = 0;
            while !stop.load(Ordering::Acquire) {
                now = now + Duration::from_millis(20);
                loop {
                    match session.poll_output(now) {
                        Output::Transmit { payload, .. } => taken += u64::from(payload.len() == 320),
                        Output::Timeout(_) => break,
                        _ => {}
                    }
                }
            }
            taken
        });
        let mut played = Duration::ZERO;
        let mut received = Duration::ZERO;
        let mut discarded = Duration::ZERO;
        let mut seed: u32 = 7;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let n = 1 + (seed >> 20) as usize;
            let generation = agent.output.generation();
            assert_ne!(agent.output.try_write(&vec![77; n], rate, "t", generation).unwrap(), Written::Stale);
            if seed >> 29 == 0 {
                let receipt = agent.output.interrupt();
                for segment in &receipt.segments {
                    assert_eq!(segment.received, segment.played + segment.discarded);
                    received += segment.received;
                }
                played += receipt.played();
                discarded += receipt.discarded();
            }
            while let Some(event) = agent.events.poll(&mut agent.output) {
                assert!(!matches!(event, Event::Ended { .. }));
            }
        }
        let last = agent.output.interrupt();
        played += last.played();
        discarded += last.discarded();
        received += last.segments.iter().map(|segment| segment.received).sum::<Duration>();
        stop.store(true, Ordering::Release);
        let frames = media.join().expect("the media thread");
        assert_eq!(received, played + discarded);
        assert!(played <= rate.duration_of(frames * 160), "no more than the wire carried");
        assert_eq!(agent.control.stats().output_discarded, discarded);
    });
}
