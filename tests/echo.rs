//! Recorded speech, sent and come back: what the canceller takes out, what it leaves, and what it leaves alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use talkpath::audio::codec::Encoding;
use talkpath::audio::echo::{EchoCanceller, EchoMode, Share};
use talkpath::audio::frame::SampleRate;
use talkpath::audio::resample::resample;

const FRAME: usize = 160;

/// The packaged recordings: the agent's voice and the caller's, at 8 kHz.
fn recording(name: &str) -> Vec<i16> {
    let path = format!("{}/python/talkpath/data/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn agent(seconds: usize, rate: SampleRate) -> Vec<i16> {
    let once = resample(&recording("question"), SampleRate::HZ_8000, rate);
    once.iter().copied().cycle().take(seconds * rate.hz() as usize).collect()
}

/// How the line sends back what it gets.
#[derive(Clone, Copy)]
enum Path {
    Plain,
    Hybrid,
}

/// What comes back of `sent`: 15 dB below, after `delay` samples, with a little noise, through mu-law.
fn echo_of(sent: &[i16], delay: usize, path: Path) -> Vec<f32> {
    let response: &[f32] = match path {
        Path::Plain => &[1.0],
        Path::Hybrid => &[0.2, -0.5, 0.7, 0.4, -0.3, 0.1, 0.15, -0.1, 0.05, -0.03, 0.02, 0.01],
    };
    let loudness = response.iter().map(|tap| tap * tap).sum::<f32>().sqrt();
    let at = |n: usize| if n < delay { 0.0 } else { f32::from(sent[n - delay]) };
    let gain = 0.178 / loudness;
    let taps = |n: usize| response.iter().enumerate().filter(move |(k, _)| *k <= n);
    (0..sent.len()).map(|n| taps(n).map(|(k, tap)| tap * at(n - k)).sum::<f32>() * gain).collect()
}

/// A line: mu-law, and noise at -66 dBFS.
fn through_line(samples: impl Iterator<Item = f32>) -> Vec<i16> {
    let mut state = 7_u32;
    let noisy: Vec<i16> = samples
        .map(|sample| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (sample + ((state >> 16) as f32 / 65_536.0 - 0.5) * 56.0) as i16
        })
        .collect();
    Encoding::Ulaw.decode(&Encoding::Ulaw.encode(&noisy)).unwrap()
}

/// Sends and hears frame by frame; answers what is left, and of which share each frame was.
fn cancel(canceller: &mut EchoCanceller, sent: &[i16], heard: &[i16], len: usize) -> (Vec<i16>, Vec<Share>) {
    let mut left = Vec::new();
    let mut shares = Vec::new();
    for (sent, heard) in sent.chunks_exact(len).zip(heard.chunks_exact(len)) {
        let mut frame = heard.to_vec();
        shares.push(canceller.cancel(&mut frame));
        canceller.handle_sent(sent);
        left.extend(frame);
    }
    (left, shares)
}

fn db(samples: &[i16]) -> f64 {
    10.0 * samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>().max(1.0).log10()
}

#[test]
fn echo_is_found_and_taken_out_whatever_its_delay() {
    for (delay_ms, path) in [(40, Path::Plain), (180, Path::Hybrid), (350, Path::Plain), (480, Path::Hybrid)] {
        let sent = agent(10, SampleRate::HZ_8000);
        let heard = through_line(echo_of(&sent, delay_ms * 8, path).into_iter());
        let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
        let (left, shares) = cancel(&mut canceller, &sent, &heard, FRAME);
        let found = canceller.delay().expect("an echo").as_millis() as i64 + 20;
        assert!((found - delay_ms as i64).abs() <= 3, "{delay_ms}: {found} ms");
        let erle = db(&heard[32_000..]) - db(&left[32_000..]);
        assert!(erle >= 20.0, "{delay_ms}: {erle} dB");
        let taken_for_caller = shares[100..].iter().filter(|&&share| share == Share::Caller).count();
        assert!(taken_for_caller * 10 < shares.len(), "{delay_ms}: {taken_for_caller} of {}", shares.len());
    }
}

#[test]
fn wideband_is_cancelled_in_wideband() {
    let rate = SampleRate::HZ_16000;
    let sent = agent(8, rate);
    let heard: Vec<i16> = echo_of(&sent, 180 * 16, Path::Hybrid).iter().map(|&sample| sample as i16).collect();
    let mut canceller = EchoCanceller::new(rate, EchoMode::Auto).unwrap();
    let (left, _) = cancel(&mut canceller, &sent, &heard, rate.frame_len());
    let erle = db(&heard[64_000..]) - db(&left[64_000..]);
    assert!(erle >= 20.0, "{erle} dB");
}

#[test]
fn a_caller_over_the_echo_stays_as_he_is() {
    let sent = agent(12, SampleRate::HZ_8000);
    let caller = recording("interruption");
    let said = |n: usize| if n < 40_000 { 0.0 } else { f32::from(caller[(n - 40_000) % caller.len()]) };
    let echo = echo_of(&sent, 180 * 8, Path::Hybrid);
    let heard = through_line(echo.iter().enumerate().map(|(n, echo)| echo + said(n)));
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let (left, shares) = cancel(&mut canceller, &sent, &heard, FRAME);
    let range = 40_000..left.len();
    let wrong: Vec<i16> = range.clone().map(|n| left[n] - said(n) as i16).collect();
    let alone: Vec<i16> = range.clone().map(|n| said(n) as i16).collect();
    let echo: Vec<i16> = range.map(|n| echo[n] as i16).collect();
    let (left_over, before) = (db(&alone) - db(&wrong), db(&alone) - db(&echo));
    assert!(left_over > before + 8.0, "caller over the rest: {left_over} dB, over the echo {before} dB");
    let loud = |frame: usize| db(&alone[frame * FRAME..][..FRAME]) > 10.0 * (FRAME as f64 * 1e6).log10();
    let (mut spoken, mut taken) = (0, 0);
    for (frame, share) in shares[250..].iter().enumerate().filter(|&(frame, _)| loud(frame)) {
        spoken += 1;
        taken += usize::from(*share == Share::Echo);
        let _ = frame;
    }
    assert!(spoken > 100 && taken * 50 <= spoken, "{taken} of {spoken} frames of the caller's taken for echo");
}

#[test]
fn a_line_without_echo_passes_to_the_bit() {
    let sent = agent(20, SampleRate::HZ_8000);
    let caller = recording("interruption");
    let heard = through_line((0..sent.len()).map(|n| f32::from(caller[n % caller.len()])));
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let (left, shares) = cancel(&mut canceller, &sent, &heard, FRAME);
    assert_eq!(canceller.delay(), None);
    assert!(left == heard && shares.iter().all(|&share| share == Share::Clear));
}

#[test]
fn an_agent_that_repeats_the_caller_is_no_echo() {
    for delay in [160, 480, 1_600, 4_000] {
        let caller = recording("interruption");
        let heard: Vec<i16> = caller.iter().copied().cycle().take(160_000).collect();
        let mut sent = vec![0; delay];
        sent.extend(&heard[..heard.len() - delay]);
        let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
        let (left, _) = cancel(&mut canceller, &sent, &heard, FRAME);
        assert_eq!(canceller.delay(), None, "{delay}");
        assert!(left == heard, "{delay}");
    }
}

#[test]
fn the_same_tone_both_ways_is_no_echo() {
    for hz in [50.0, 300.0, 440.0, 1_000.0] {
        let wave = |n: usize, phase: f32| (n as f32 * std::f32::consts::TAU * hz / 8_000.0 + phase).sin() * 8_000.0;
        let sent: Vec<i16> = (0..80_000).map(|n| wave(n, 0.0) as i16).collect();
        let heard = through_line((0..80_000).map(|n| wave(n, 1.0)));
        let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
        let (left, _) = cancel(&mut canceller, &sent, &heard, FRAME);
        assert!(left == heard, "{hz} Hz");
    }
}

#[test]
fn while_the_agent_is_silent_the_caller_passes_to_the_bit() {
    let mut sent = agent(6, SampleRate::HZ_8000);
    sent.resize(12 * 8_000, 0);
    let caller = recording("interruption");
    let echo = echo_of(&sent, 320, Path::Plain);
    let said = |n: usize| if n < 60_000 { 0.0 } else { f32::from(caller[(n - 60_000) % caller.len()]) };
    let heard = through_line(echo.iter().enumerate().map(|(n, echo)| echo + said(n)));
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let (left, shares) = cancel(&mut canceller, &sent, &heard, FRAME);
    assert!(canceller.delay().is_some());
    assert!(left[..48_000] != heard[..48_000], "the echo was there");
    assert!(left[60_000..] == heard[60_000..]);
    assert!(shares[375..].iter().all(|&share| share == Share::Clear));
}

#[test]
fn an_echo_that_moves_is_found_again_and_one_that_ends_is_let_go() {
    let sent = agent(50, SampleRate::HZ_8000);
    let early = echo_of(&sent, 60 * 8, Path::Plain);
    let late = echo_of(&sent, 300 * 8, Path::Plain);
    let echo = (0..sent.len()).map(|n| match n / 8_000 {
        0..10 => early[n],
        10..20 => late[n],
        _ => 0.0,
    });
    let heard = through_line(echo);
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let (left, _) = cancel(&mut canceller, &sent[..160_000], &heard[..160_000], FRAME);
    let found = canceller.delay().expect("the later echo").as_millis();
    assert!((277..=283).contains(&found), "{found} ms");
    let erle = db(&heard[120_000..160_000]) - db(&left[120_000..]);
    assert!(erle >= 20.0, "{erle} dB");
    cancel(&mut canceller, &sent[160_000..], &heard[160_000..], FRAME);
    assert_eq!(canceller.delay(), None);
}

#[test]
fn pieces_of_any_length_come_out_ten_milliseconds_late_at_most() {
    let sent = agent(8, SampleRate::HZ_8000);
    let heard = through_line(echo_of(&sent, 640, Path::Plain).into_iter());
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let mut left = Vec::new();
    let lengths = [160, 37, 80, 1, 123, 160, 159];
    let (mut at, mut told) = (0, 0);
    for len in lengths.iter().cycle() {
        let Some(piece) = heard.get(at..at + len) else { break };
        let mut piece = piece.to_vec();
        canceller.cancel(&mut piece);
        left.extend(piece);
        at += len;
        while told + 160 <= at {
            canceller.handle_sent(&sent[told..told + 160]);
            told += 160;
        }
    }
    assert_eq!(left.len(), at, "as many samples come out as go in");
    let erle = db(&heard[32_000..at]) - db(&left[32_000..at]);
    assert!(erle >= 18.0, "{erle} dB");
}

#[test]
fn a_gap_in_what_is_heard_moves_nothing() {
    let sent = agent(24, SampleRate::HZ_8000);
    let heard = through_line(echo_of(&sent, 640, Path::Plain).into_iter());
    let mut canceller = EchoCanceller::new(SampleRate::HZ_8000, EchoMode::Auto).unwrap();
    let mut after = (Vec::new(), Vec::new());
    for (n, (sent, heard)) in sent.chunks_exact(FRAME).zip(heard.chunks_exact(FRAME)).enumerate() {
        // The peer sends nothing for half a second; the agent goes on.
        if !(500..525).contains(&n) {
            let mut frame = heard.to_vec();
            canceller.cancel(&mut frame);
            if n >= 900 {
                after.0.extend_from_slice(heard);
                after.1.extend(frame);
            }
        }
        canceller.handle_sent(sent);
    }
    let erle = db(&after.0) - db(&after.1);
    assert!(erle >= 20.0, "{erle} dB");
    assert_eq!(canceller.delay().map(|delay| (delay.as_millis() + 5) / 10 * 10), Some(60));
}

#[test]
fn rates_without_whole_blocks_have_no_canceller() {
    for hz in SampleRate::ALL {
        let canceller = EchoCanceller::new(SampleRate::new(hz).unwrap(), EchoMode::Auto);
        assert_eq!(canceller.is_none(), [11_025, 22_050].contains(&hz), "{hz}");
    }
}

#[test]
fn modes_have_names() {
    assert_eq!("auto".parse::<EchoMode>().unwrap(), EchoMode::default());
    assert_eq!("on".parse::<EchoMode>().unwrap(), EchoMode::On);
    let off: EchoMode = "off".parse().unwrap();
    assert!(EchoCanceller::new(SampleRate::HZ_8000, off).is_none());
    assert!("loud".parse::<EchoMode>().unwrap_err().to_string().contains("loud"));
}
