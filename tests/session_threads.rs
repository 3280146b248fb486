//! Both ends of a session on threads of their own: whatever the interleaving, receipts and wire agree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, Event, FarEnd, Input, Output, Session, Written};

/// What has gone out.
#[derive(Default)]
struct Wire {
    /// Samples that are as the agent wrote them.
    untouched: u64,
    /// How often such samples began after others.
    starts: u64,
    last: i16,
}

impl Wire {
    fn take(&mut self, payload: &[u8]) {
        for sample in Encoding::Slin.decode(payload).expect("whole samples") {
            self.untouched += u64::from(sample == 77);
            self.starts += u64::from(sample == 77 && self.last != 77);
            self.last = sample;
        }
    }
}

/// The agent writes samples of one value and interrupts at any moment; the wire must hold exactly as many as the receipts
/// say were played, fades apart.
#[test]
fn an_interruption_at_any_moment_is_counted_to_the_sample() {
    let rate = SampleRate::HZ_8000;
    let mut session = Session::new(Config::default(), FarEnd::default(), Timestamp::ZERO);
    let audio = Input::Audio { codec: Codec::slin(rate), payload: &[0; 320] };
    session.handle_input(audio, Timestamp::ZERO);
    while !matches!(session.poll_output(Timestamp::ZERO), Output::Timeout(_)) {}
    let mut agent = session.take_agent().expect("the agent's end");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let media = scope.spawn(|| {
            let mut now = Timestamp::ZERO;
            let mut wire = Wire::default();
            while !stop.load(Ordering::Acquire) {
                now = now + Duration::from_millis(20);
                loop {
                    match session.poll_output(now) {
                        Output::Transmit { payload, .. } => wire.take(payload),
                        Output::Timeout(_) => break,
                        _ => {}
                    }
                }
            }
            wire
        });
        let mut played = Duration::ZERO;
        let mut received = Duration::ZERO;
        let mut discarded = Duration::ZERO;
        let mut starts = 1;
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
                starts += 1;
            }
            while let Some(event) = agent.events.poll(&mut agent.output) {
                assert!(!matches!(event, Event::Ended { .. }));
                starts += u64::from(event == Event::Drained);
            }
        }
        let last = agent.output.interrupt();
        played += last.played();
        discarded += last.discarded();
        received += last.segments.iter().map(|segment| segment.received).sum::<Duration>();
        stop.store(true, Ordering::Release);
        let wire = media.join().expect("the media thread");
        assert_eq!(received, played + discarded);
        let played = played.as_micros() as u64 / 125;
        // What a fade has not touched is on the wire as it was written, and each start fades in over 5 ms.
        let faded = 40 * (starts + wire.starts);
        assert!(wire.untouched <= played, "{} on the wire, {played} in the receipts", wire.untouched);
        assert!(played <= wire.untouched + faded, "{} on the wire, {played} in the receipts", wire.untouched);
        assert_eq!(agent.control.stats().output_discarded, discarded);
    });
}
