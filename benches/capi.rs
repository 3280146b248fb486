//! What does a call through C cost over the Rust function behind it, and a whole call's 20 ms?
//!
//! One run prints one table: `cargo bench --features capi --bench capi`. Each side is the least of many rounds, which take
//! turns, so that a busy machine is fair to both. C functions are called by pointers that the compiler cannot see through,
//! as a program calls those of a shared library.
#![allow(unsafe_code, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::audio::level::Level;
use talkpath::audio::resample::Resampler;
use talkpath::capi::agent::{
    TalkpathAgent, TalkpathHeard, talkpath_agent_buffered, talkpath_agent_free, talkpath_agent_generation,
    talkpath_agent_read, talkpath_agent_write,
};
use talkpath::capi::codec::TALKPATH_CODEC_SLIN;
use talkpath::capi::g711::{talkpath_ulaw_decode, talkpath_ulaw_encode};
use talkpath::capi::level::{TalkpathLevel, talkpath_level_measure};
use talkpath::capi::resampler::{talkpath_resampler_free, talkpath_resampler_new, talkpath_resampler_process};
use talkpath::capi::session::{
    TALKPATH_OUTPUT_STARTED, TALKPATH_OUTPUT_TIMEOUT, TalkpathOutput, TalkpathSession, talkpath_session_free,
    talkpath_session_handle_audio, talkpath_session_new, talkpath_session_poll, talkpath_session_take_agent,
};
use talkpath::capi::session_config::talkpath_session_config_default;
use talkpath::capi::status::TalkpathStatus;
use talkpath::capi::vad::{TALKPATH_VAD_NONE, TALKPATH_VAD_PHONE};
use talkpath::session::{Agent, Config, FarEnd, Input, Output, Session, VadConfig};

fn main() {
    // `cargo test --benches` only wants to see it run.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 2_000 } else { 1 };
    println!("| | Rust | through C | more |\n| --- | --- | --- | --- |");
    g711(rounds);
    level(rounds);
    resampler(rounds);
    for (name, heard, has_vad) in [
        ("session, silence, no detection", silence(), false),
        ("session, silence", silence(), true),
        ("session, speech both ways, no detection", speech(), false),
        ("session, speech both ways", speech(), true),
    ] {
        let (mut by_rust, mut by_c) = (RustCall::new(has_vad), CCall::new(has_vad));
        let frames: Vec<&[u8]> = heard.chunks_exact(320).collect();
        let (mut first, mut second) = (frames.iter().cycle(), frames.iter().cycle());
        // A round is the same clip for both, from its beginning to its end.
        let calls = frames.len();
        let rust = || by_rust.tick(first.next().expect("a cycle"));
        let c = || by_c.tick(second.next().expect("a cycle"));
        measure(&format!("20 ms of a {name}"), rounds / 5 + 1, calls, rust, c);
    }
}

fn g711(rounds: usize) {
    let (bytes, samples) = ([0x35_u8; 160], [3_000_i16; 160]);
    let (mut out, mut written) = ([0_i16; 160], 0);
    let (mut rust_out, decode) = ([0_i16; 160], black_box(talkpath_ulaw_decode as DecodeFn));
    let rust = || {
        let _ = black_box(Encoding::Ulaw.decode_into(black_box(&bytes), black_box(&mut rust_out)));
    };
    let c = || {
        let input = black_box(&bytes);
        // SAFETY: all arrays have the lengths that are said.
        done(unsafe { decode(input.as_ptr(), input.len(), out.as_mut_ptr(), out.len(), &mut written) });
        black_box(&mut out);
    };
    measure("decode 160 samples of mu-law", rounds, 1_000, rust, c);

    let (mut out, mut rust_out) = ([0_u8; 160], [0_u8; 160]);
    let encode = black_box(talkpath_ulaw_encode as EncodeFn);
    let rust = || {
        let _ = black_box(Encoding::Ulaw.encode_into(black_box(&samples), black_box(&mut rust_out)));
    };
    let c = || {
        let input = black_box(&samples);
        // SAFETY: all arrays have the lengths that are said.
        done(unsafe { encode(input.as_ptr(), input.len(), out.as_mut_ptr(), out.len(), &mut written) });
        black_box(&mut out);
    };
    measure("encode 160 samples of mu-law", rounds, 1_000, rust, c);
}

fn level(rounds: usize) {
    let samples = [3_000_i16; 160];
    let measure_level = black_box(talkpath_level_measure as LevelFn);
    let mut level = TalkpathLevel { rms_dbfs: 0.0, peak_dbfs: 0.0 };
    let rust = || {
        let level = Level::measure(black_box(&samples));
        black_box((level.rms_dbfs(), level.peak_dbfs()));
    };
    let c = || {
        let input = black_box(&samples);
        // SAFETY: the array has the length that is said, and `level` is ours.
        done(unsafe { measure_level(input.as_ptr(), input.len(), &mut level) });
        black_box(&level);
    };
    measure("level of 160 samples", rounds, 1_000, rust, c);
}

fn resampler(rounds: usize) {
    let samples = [3_000_i16; 160];
    let (mut out, mut rust_out, mut written) = ([0_i16; 320], [0_i16; 320], 0);
    let mut ours = Resampler::new(SampleRate::HZ_8000, SampleRate::HZ_16000);
    let (mut theirs, process) = (null_mut(), black_box(talkpath_resampler_process as ResampleFn));
    // SAFETY: `theirs` is ours to write.
    done(unsafe { talkpath_resampler_new(8_000, 16_000, 0, &mut theirs) });
    let rust = || {
        let _ = black_box(ours.process_into(black_box(&samples), black_box(&mut rust_out)));
    };
    let c = || {
        let input = black_box(&samples);
        // SAFETY: the resampler is new, and all arrays have the lengths that are said.
        done(unsafe { process(theirs, input.as_ptr(), input.len(), out.as_mut_ptr(), out.len(), &mut written) });
        black_box(&mut out);
    };
    measure("160 samples from 8 to 16 kHz", rounds, 200, rust, c);
    // SAFETY: made above, freed once.
    unsafe { talkpath_resampler_free(theirs) };
}

/// A call in Rust: what is heard is read, the agent speaks all the time.
struct RustCall {
    session: Session,
    agent: Agent,
    now: Timestamp,
    chunk: Vec<i16>,
}

impl RustCall {
    fn new(has_vad: bool) -> Self {
        let config = Config { vad: VadConfig { enabled: has_vad, ..VadConfig::default() }, ..Config::default() };
        let mut session = Session::new(config, FarEnd::default(), Timestamp::ZERO);
        let payload = &[0; 320];
        session.handle_input(Input::Audio { codec: Codec::slin(SampleRate::HZ_8000), payload }, Timestamp::ZERO);
        while !matches!(session.poll_output(Timestamp::ZERO), Output::Timeout(_)) {}
        let agent = session.take_agent().expect("the agent's end after the first audio");
        Self { session, agent, now: Timestamp::from_millis(20), chunk: said() }
    }

    fn tick(&mut self, payload: &[u8]) {
        if self.agent.output.buffered() < Duration::from_millis(200) {
            let generation = self.agent.output.generation();
            let _ = self.agent.output.try_write(&self.chunk, SampleRate::HZ_8000, "t", generation);
        }
        self.session.handle_input(Input::Audio { codec: Codec::slin(SampleRate::HZ_8000), payload }, self.now);
        while !matches!(black_box(self.session.poll_output(self.now)), Output::Timeout(_)) {}
        let mut copy = [0_i16; 480];
        while let Some(frame) = self.agent.input.read() {
            copy[..frame.samples.len()].copy_from_slice(frame.samples);
            black_box(&copy);
        }
        self.now = self.now + Duration::from_millis(20);
    }
}

/// The same by C's functions.
struct CCall {
    session: *mut TalkpathSession,
    agent: *mut TalkpathAgent,
    now_us: u64,
    chunk: Vec<i16>,
    handle_audio: HandleAudioFn,
    poll: PollFn,
    read: ReadFn,
}

impl CCall {
    fn new(has_vad: bool) -> Self {
        let mut config = std::mem::MaybeUninit::uninit();
        let (mut session, mut agent) = (null_mut(), null_mut());
        // SAFETY: `config` is written by the first call, and each call gets what the one before it has handed over.
        unsafe {
            done(talkpath_session_config_default(config.as_mut_ptr(), size_of_val(&config)));
            let mut config = config.assume_init();
            config.vad = if has_vad { TALKPATH_VAD_PHONE } else { TALKPATH_VAD_NONE };
            done(talkpath_session_new(&config, false, false, 0, &mut session));
            done(talkpath_session_handle_audio(session, TALKPATH_CODEC_SLIN, 8_000, [0; 320].as_ptr(), 320, 0));
            let mut output = nothing();
            while output.kind != TALKPATH_OUTPUT_TIMEOUT {
                done(talkpath_session_poll(session, 0, &mut output));
                if output.kind == TALKPATH_OUTPUT_STARTED {
                    done(talkpath_session_take_agent(session, &mut agent));
                }
            }
        }
        let handle_audio = black_box(talkpath_session_handle_audio as HandleAudioFn);
        let poll = black_box(talkpath_session_poll as PollFn);
        let read = black_box(talkpath_agent_read as ReadFn);
        Self { session, agent, now_us: 20_000, chunk: said(), handle_audio, poll, read }
    }

    fn tick(&mut self, payload: &[u8]) {
        let (mut buffered_us, mut room, mut generation, mut taken) = (0, 0, 0, 0);
        let mut output = nothing();
        let mut copy = [0_i16; 480];
        let mut heard =
            TalkpathHeard { len: 0, rate_hz: 0, level_dbfs: 0.0, position_us: 0, lost_us: 0, speech: false };
        // SAFETY: session and agent live as long as `self`, on this thread alone; all arrays have the lengths that are said.
        unsafe {
            done(talkpath_agent_buffered(self.agent, 8_000, &mut buffered_us, &mut room));
            if buffered_us < 200_000 {
                done(talkpath_agent_generation(self.agent, &mut generation));
                let (samples, len, tag) = (self.chunk.as_ptr(), self.chunk.len(), c"t".as_ptr());
                // An interruption by the caller comes between now and then.
                black_box(talkpath_agent_write(self.agent, samples, len, 8_000, tag, generation, &mut taken));
            }
            let (bytes, len) = (payload.as_ptr(), payload.len());
            done((self.handle_audio)(self.session, TALKPATH_CODEC_SLIN, 8_000, bytes, len, self.now_us));
            while output.kind != TALKPATH_OUTPUT_TIMEOUT {
                done((self.poll)(self.session, self.now_us, &mut output));
                black_box(&output);
            }
            while (self.read)(self.agent, copy.as_mut_ptr(), 480, &mut heard) == TalkpathStatus::Ok {
                black_box(&copy);
            }
        }
        self.now_us += 20_000;
    }
}

impl Drop for CCall {
    fn drop(&mut self) {
        // SAFETY: both were handed over to `self`, and are freed once.
        unsafe {
            talkpath_session_free(self.session);
            talkpath_agent_free(self.agent);
        }
    }
}

/// Prints a row: the least of `rounds` rounds of `calls` calls for either side.
fn measure(name: &str, rounds: usize, calls: usize, mut rust: impl FnMut(), mut c: impl FnMut()) {
    let mut least = [f64::INFINITY; 2];
    for _ in 0..rounds {
        let sides: [&mut dyn FnMut(usize); 2] =
            [&mut |calls| (0..calls).for_each(|_| rust()), &mut |calls| (0..calls).for_each(|_| c())];
        for (side, least) in sides.into_iter().zip(&mut least) {
            let begin = Instant::now();
            side(calls);
            *least = least.min(begin.elapsed().as_secs_f64() / calls as f64);
        }
    }
    let [rust, c] = least.map(|seconds| 1e9 * seconds);
    println!("| {name} | {} | {} | {:.1} ns |", time(rust), time(c), c - rust);
}

fn time(ns: f64) -> String {
    if ns < 1_000.0 { format!("{ns:.1} ns") } else { format!("{:.2} µs", ns / 1e3) }
}

fn done(status: TalkpathStatus) {
    assert!(status == TalkpathStatus::Ok, "{status:?}");
}

fn nothing() -> TalkpathOutput {
    TalkpathOutput {
        kind: -1,
        codec: 0,
        rate_hz: 0,
        reason: 0,
        payload: null(),
        payload_len: 0,
        due_us: 0,
        number: 0,
        timeout_us: 0,
        is_agent: false,
        begins: false,
        digit: 0,
    }
}

/// Three seconds of a caller's silence, as slin.
fn silence() -> Vec<u8> {
    vec![0; 48_000]
}

/// Three seconds of a caller's recorded speech, as slin.
fn speech() -> Vec<u8> {
    include_bytes!("../python/talkpath/data/question.wav")[44..].to_vec()
}

/// A second of what the agent says.
fn said() -> Vec<i16> {
    (0..8_000).map(|n| (6_000.0 * (0.3 * f64::from(n)).sin()) as i16).collect()
}

type DecodeFn = unsafe extern "C" fn(*const u8, usize, *mut i16, usize, *mut usize) -> TalkpathStatus;
type EncodeFn = unsafe extern "C" fn(*const i16, usize, *mut u8, usize, *mut usize) -> TalkpathStatus;
type LevelFn = unsafe extern "C" fn(*const i16, usize, *mut TalkpathLevel) -> TalkpathStatus;
type ResampleFn = unsafe extern "C" fn(
    *mut talkpath::capi::resampler::TalkpathResampler,
    *const i16,
    usize,
    *mut i16,
    usize,
    *mut usize,
) -> TalkpathStatus;
type HandleAudioFn = unsafe extern "C" fn(*mut TalkpathSession, i32, u32, *const u8, usize, u64) -> TalkpathStatus;
type PollFn = unsafe extern "C" fn(*mut TalkpathSession, u64, *mut TalkpathOutput) -> TalkpathStatus;
type ReadFn = unsafe extern "C" fn(*mut TalkpathAgent, *mut i16, usize, *mut TalkpathHeard) -> TalkpathStatus;
