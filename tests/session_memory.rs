//! What a call holds beside the audio that waits, either way: less than 64 KiB, also after a long speech.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::Packet;
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
fn weigh(codec: Codec, packets: bool, input_buffer: Duration) -> isize {
    // Filters are shared by all calls, so they are made before the weighing.
    drop(run(codec, packets, input_buffer));
    let before = HELD.load(SeqCst);
    let call = run(codec, packets, input_buffer);
    let held = HELD.load(SeqCst) - before + (size_of::<Session>() + size_of::<Agent>()) as isize;
    drop(call);
    held
}

fn run(codec: Codec, packets: bool, input_buffer: Duration) -> (Session, Agent) {
    let rate = codec.rate();
    let config = Config { input_buffer, ..Config::default() };
    let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
    let payload = vec![17; codec.bytes_per_frame(Duration::from_millis(20))];
    let ticks = codec.rtp_clock().frame_len() as u32;
    let mut agent: Option<Agent> = None;
    for frame in 0..500_u32 {
        let now = Timestamp::from_millis(20 * u64::from(frame));
        let timestamp = frame * ticks;
        let packet = Packet { ssrc: 1, sequence: frame as u16, timestamp, marker: false, payload: &payload };
        let audio = Input::Audio { codec, payload: &payload };
        session.handle_input(if packets { Input::Packet { codec, packet } } else { audio }, now);
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
    let (mut session, mut agent) = run(Codec::slin(rate), false, Duration::from_secs(1));
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
        let weigh = |seconds| weigh(Codec::slin(rate), false, Duration::from_secs(seconds));
        let second = weigh(2) - weigh(1);
        let beside = weigh(1) - second;
        assert!(second >= 2 * rate.hz() as isize, "a second of {rate} in {second} bytes");
        // Half of it, and more in wideband, is the echo canceller's memory of what was sent and its filter.
        assert!(beside < 176 * 1024, "{beside} bytes at {rate}");
        println!("{rate}: {beside} bytes a call, {second} more for each second that its agent may lag behind");
    }
    // A jitter buffer holds as much as may come at once after the longest delay.
    for codec in [Codec::PCMU, Codec::G722] {
        let second = Duration::from_secs(1);
        let buffer = weigh(codec, true, second) - weigh(codec, false, second);
        assert!(buffer < 160 * 1024, "{buffer} bytes for {codec}");
        println!("{codec}: {buffer} bytes more for a jitter buffer");
    }
    let left = weigh_played_speech();
    assert!(left < 4 * 1024, "{left} bytes of what has been played");
}
