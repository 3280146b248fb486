//! Whatever comes from a transport, in whatever order: the session goes on, one frame a tick, and ends when it is told to.

use std::time::Duration;

use proptest::prelude::*;
use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Packet, Playout};
use talkpath::session::{Agent, Config, EndReason, FarEnd, Input, Output, Session, VadConfig};

#[derive(Clone, Debug)]
enum Step {
    Audio(Codec, Vec<u8>),
    Packet(Codec, Head, Vec<u8>),
    ComfortNoise(Head, u8),
    Dtmf(char),
    Acked(u64),
    Congested(bool),
    Write(usize),
    Keys(&'static str),
    Interrupt,
    /// So many milliseconds pass before the session is looked at again.
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
struct Head {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
}

impl Head {
    fn packet(self, payload: &[u8]) -> Packet<'_> {
        let Self { ssrc, sequence, timestamp, marker } = self;
        Packet { ssrc, sequence, timestamp, marker, payload }
    }
}

fn codec() -> impl Strategy<Value = Codec> {
    let rate = prop::sample::select(SampleRate::ALL.to_vec()).prop_map(|hz| SampleRate::new(hz).unwrap());
    let encoding = prop::sample::select(Encoding::ALL.to_vec());
    prop_oneof![
        4 => Just(Codec::PCMU),
        2 => Just(Codec::G722),
        2 => Just(Codec::opus(SampleRate::HZ_24000).unwrap()),
        2 => (encoding, rate).prop_map(|(encoding, rate)| Codec::Plain { encoding, rate }),
    ]
}

/// Mostly one stream that goes on, sometimes nothing of the kind.
fn head() -> impl Strategy<Value = Head> {
    let near = (0u16..40, any::<bool>()).prop_map(|(n, marker)| Head {
        ssrc: 1,
        sequence: 65_520_u16.wrapping_add(n),
        timestamp: (u32::MAX - 1_000).wrapping_add(160 * u32::from(n)),
        marker,
    });
    let far = any::<(u32, u16, u32, bool)>().prop_map(|(ssrc, sequence, timestamp, marker)| Head {
        ssrc,
        sequence,
        timestamp,
        marker,
    });
    prop_oneof![4 => near, 1 => far]
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..700);
    prop_oneof![
        3 => (codec(), bytes()).prop_map(|(codec, bytes)| Step::Audio(codec, bytes)),
        8 => (codec(), head(), bytes()).prop_map(|(codec, head, bytes)| Step::Packet(codec, head, bytes)),
        1 => (head(), any::<u8>()).prop_map(|(head, level)| Step::ComfortNoise(head, level)),
        1 => any::<char>().prop_map(Step::Dtmf),
        2 => prop_oneof![0..300_u64, any::<u64>()].prop_map(Step::Acked),
        1 => any::<bool>().prop_map(Step::Congested),
        3 => (1usize..3_000).prop_map(Step::Write),
        1 => prop::sample::select(vec!["1", "23#", "ABCD"]).prop_map(Step::Keys),
        1 => Just(Step::Interrupt),
        8 => prop_oneof![8 => 0..60_u64, 1 => 60..3_000_u64].prop_map(Step::Wait),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let playout = prop_oneof![
        Just(Playout::default()),
        Just(Playout::Fixed(Duration::from_millis(60))),
        Just(Playout::Asap { wait: Duration::from_millis(40) }),
    ];
    let ptime = prop::sample::select(vec![10, 20, 30, 40, 50, 60]).prop_map(Duration::from_millis);
    (playout, ptime, prop::option::of(codec()), any::<bool>()).prop_map(|(playout, ptime, codec, enabled)| Config {
        playout,
        ptime,
        codec,
        vad: VadConfig { enabled, ..VadConfig::default() },
        ..Config::default()
    })
}

/// The frames that go out now: their numbers. Nothing is due at once again, and each is due when it should be.
fn drain(session: &mut Session, now: Timestamp, ended: &mut Option<EndReason>) -> Result<Vec<u64>, TestCaseError> {
    let mut numbers = vec![];
    for _ in 0..1_000 {
        match session.poll_output(now) {
            Output::Transmit { codec, payload, due, number, is_agent, begins } => {
                prop_assert!(due <= now);
                prop_assert!(is_agent || !begins);
                prop_assert!(codec.samples_in(payload).is_ok());
                numbers.push(number);
            }
            Output::Timeout(when) => {
                prop_assert!(when > now, "a time-out lies ahead");
                return Ok(numbers);
            }
            Output::Ended(reason) => {
                *ended = Some(reason);
                return Ok(numbers);
            }
            _ => {}
        }
    }
    Err(TestCaseError::fail("the session never comes to rest"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_session_bears_it(
        config in config(),
        far_end in any::<(bool, bool)>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (ptime, far_end) = (config.ptime, FarEnd { acks: far_end.0, takes_dtmf: far_end.1 });
        config.validate().unwrap();
        let mut session = Session::new(config, far_end, Timestamp::ZERO);
        let (mut now, mut agent, mut ended): (_, Option<Agent>, _) = (Timestamp::ZERO, None, None);
        let (mut sent, mut is_congested) = (vec![], false);
        for step in &steps {
            match step {
                Step::Audio(codec, payload) => session.handle_input(Input::Audio { codec: *codec, payload }, now),
                Step::Packet(codec, head, payload) => {
                    session.handle_input(Input::Packet { codec: *codec, packet: head.packet(payload) }, now);
                }
                Step::ComfortNoise(head, level) => {
                    session.handle_input(Input::ComfortNoise { packet: head.packet(&[]), level: *level }, now);
                }
                Step::Dtmf(key) => session.handle_input(Input::Dtmf(*key), now),
                Step::Acked(number) => session.handle_input(Input::Acked(*number), now),
                Step::Congested(congested) => {
                    is_congested = *congested;
                    session.handle_input(Input::Congested(*congested), now);
                }
                Step::Wait(ms) => now = now + Duration::from_millis(*ms),
                Step::Write(samples) => {
                    if let Some(agent) = &mut agent {
                        let generation = agent.output.generation();
                        agent.output.try_write(&vec![9_000; *samples], SampleRate::HZ_8000, "t", generation).unwrap();
                    }
                }
                Step::Keys(keys) => {
                    if let Some(agent) = &mut agent {
                        // There may be no room.
                        let _ = agent.output.send_dtmf(keys);
                    }
                }
                Step::Interrupt => {
                    if let Some(agent) = &mut agent {
                        let receipt = agent.output.interrupt();
                        prop_assert!(receipt.segments.iter().all(|it| it.received == it.played + it.discarded));
                    }
                }
            }
            let frames = drain(&mut session, now, &mut ended)?;
            prop_assert!(!is_congested || frames.is_empty());
            sent.extend(frames);
            agent = agent.or_else(|| session.take_agent());
            if let Some(agent) = &mut agent {
                while let Some(frame) = agent.input.read() {
                    prop_assert!(!frame.samples.is_empty());
                }
                while agent.events.poll(&mut agent.output).is_some() {}
            }
        }
        prop_assert!(sent.iter().copied().eq(0..sent.len() as u64), "numbers without a gap");
        prop_assert_eq!(ended, None);
        session.handle_input(Input::Congested(false), now);
        let frames = (0..50).map(|_| {
            now = now + ptime;
            drain(&mut session, now, &mut ended).map(|frames| frames.len())
        });
        let frames = frames.collect::<Result<Vec<_>, _>>()?;
        prop_assert!(frames[10..].iter().all(|&n| (1..=3).contains(&n)), "the pace goes on: {:?}", frames);
        session.handle_input(Input::Ended(EndReason::CallerHangup), now);
        drain(&mut session, now, &mut ended)?;
        prop_assert_eq!(ended, Some(EndReason::CallerHangup));
    }
}
