//! What a call holds beside the audio that waits, either way: less than 64 KiB, also after a long speech.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Agent, Config, FarEnd, Input, Output, Session};

struct Weighing;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; weighing allocates nothing.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, SeqCst);
        // SAFETY: the caller keeps `dealloc`'s contract, which is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// A running call of ten seconds, both ways at work, with everything read and played; answers what it holds in bytes.
fn weigh(rate: SampleRate, input_buffer: Duration) -> isize {
    // Filters are shared by all calls, so they are made before the weighing.
    drop(run(rate, input_buffer));
    let before = HELD.load(SeqCst);
    let call = run(rate, input_buffer);
    let held = HELD.load(SeqCst) - before + (size_of::<Session>() + size_of::<Agent>()) as isize;
    drop(call);
    held
}

fn run(rate: SampleRate, input_buffer: Duration) -> (Session, Agent) {
    let config = Config { input_buffer, ..Config::default() };
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    let payload = vec![17; rate.frame_len() * 2];
    let mut agent: Option<Agent> = None;
    for frame in 0..500 {
        let now = Timestamp::from_millis(20 * frame);
        session.handle_input(Input::Audio { codec: Codec::slin(rate), payload: &payload }, now);
        while !matches!(session.poll_output(now), Output::Timeout(_)) {}
        let agent = agent.get_or_insert_with(|| session.take_agent().expect("the agent's end"));
        while let Some(heard) = agent.input.read() {
            let samples = heard.samples.to_vec();
            let generation = agent.output.generation();
            agent.output.try_write(&samples, rate, "echo", generation).expect("an open call");
        }
        while agent.events.poll(&mut agent.output).is_some() {}
    }
    (session, agent.expect("the agent's end"))
}

/// What a call still holds of five minutes of speech once they have been played and the agent has read of it.
fn weigh_played_speech() -> isize {
    let rate = SampleRate::HZ_8000;
    let (mut session, mut agent) = run(rate, Duration::from_secs(1));
    let before = HELD.load(SeqCst);
    let generation = agent.output.generation();
    let minutes = vec![9_000; 5 * 60 * 8_000];
    agent.output.try_write(&minutes, rate, "speech", generation).expect("an open call");
    drop(minutes);
    assert!(HELD.load(SeqCst) - before > 4_000_000, "it is held while it waits");
    for frame in 500..500 + 6 * 60 * 50 {
        while !matches!(session.poll_output(Timestamp::from_millis(20 * frame)), Output::Timeout(_)) {}
        while agent.events.poll(&mut agent.output).is_some() {}
    }
    assert!(agent.output.is_drained());
    HELD.load(SeqCst) - before
}

#[test]
fn a_call_is_light() {
    // The ring for what the agent has not read is as long as it is set to be; the rest is what a call costs. A second
    // less of it tells what a second takes.
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
        let second = weigh(rate, Duration::from_secs(2)) - weigh(rate, Duration::from_secs(1));
        let beside = weigh(rate, Duration::from_secs(1)) - second;
        assert!(second >= 2 * rate.hz() as isize, "a second of {rate} in {second} bytes");
        assert!(beside < 64 * 1024, "{beside} bytes at {rate}");
        println!("{rate}: {beside} bytes a call, {second} more for each second that its agent may lag behind");
    }
    let left = weigh_played_speech();
    assert!(left < 4 * 1024, "{left} bytes of what has been played");
}
