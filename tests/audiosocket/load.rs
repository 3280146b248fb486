//! The caller's own part: what it sends arrives, what comes back is recorded and measured.

use std::sync::Arc;
use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::io::caller::{Caller, CallerConfig};
use talkpath::io::clock::Clock;
use talkpath::session::{EndReason, Event};

use crate::harness::{LIMIT, Server, id};

#[test]
fn a_call_is_heard_recorded_and_hung_up() {
    let mut server = Server::start(|_| {});
    let rate = SampleRate::HZ_16000;
    let said: Arc<[i16]> = (0..8_000).map(|i| (i * 4) as i16).collect();
    let mut config = CallerConfig::new(server.server.local_addr(), Arc::clone(&said), rate);
    config.id = Some(id(5));
    config.keys = vec![(Duration::from_millis(100), '7')];
    config.duration = Duration::from_millis(600);
    config.realtime_priority = false;
    let caller = Caller::start(config).unwrap();
    let mut call = server.wait_for_call();
    assert_eq!(call.id, id(5));
    call.agent.output.try_write(&[1_234; 3_200], rate, "answer", 0).unwrap();
    let mut heard = Vec::new();
    let mut keys = 0;
    let ended = server.wait_for("the end", |_| {
        while let Some(frame) = call.agent.input.read() {
            heard.extend_from_slice(frame.samples);
        }
        while let Some(event) = call.agent.events.poll(&mut call.agent.output) {
            match event {
                Event::Dtmf { digit: '7', .. } => keys += 1,
                Event::Ended { reason } => return Some(reason),
                _ => {}
            }
        }
        None
    });
    assert_eq!(ended, EndReason::CallerHangup);
    assert_eq!(keys, 1);
    assert_eq!(heard[..8_000], said[..], "all that was said, exactly");
    assert!(heard[8_000..].iter().all(|sample| *sample == 0), "then silence");

    let report = caller.finish().unwrap();
    assert_eq!((report.connected, report.failed, report.ended_early, report.silent), (1, 0, 0, 0));
    assert_eq!(report.frames_sent, 30);
    let recording = report.recording.unwrap();
    let loud = recording.samples.iter().filter(|sample| **sample == 1_234).count();
    assert!(loud > 2_500, "{loud} samples of the answer, wanted 3,200 but for its fades");
    assert_eq!(recording.frames.iter().map(|frame| frame.samples).sum::<usize>(), recording.samples.len());
    assert!(recording.frames.is_sorted_by_key(|frame| frame.at));
    assert_eq!(recording.frames.last().unwrap().rate, rate);
}

#[test]
fn many_calls_are_carried_at_once() {
    let mut server = Server::start(|_| {});
    let mut config = CallerConfig::new(server.server.local_addr(), Arc::new([]), SampleRate::HZ_8000);
    config.calls = 40;
    config.stagger = Duration::from_millis(100);
    config.duration = Duration::from_secs(1);
    config.realtime_priority = false;
    let caller = Caller::start(config).unwrap();
    let mut calls = Vec::new();
    server.wait_for("all calls", |server| {
        calls.extend(std::iter::from_fn(|| server.accept()));
        (calls.len() == 40).then_some(())
    });
    server.wait_for("the end", |_| caller.is_finished().then_some(()));
    let report = caller.finish().unwrap();
    assert_eq!((report.connected, report.failed, report.ended_early, report.silent), (40, 0, 0, 0));
    assert_eq!(report.frames_sent + report.frames_blocked, 40 * 50);
    // What a busy machine may cost is no business of this test; that frames come back in every call is.
    assert!(report.frames_received >= 40 * 25, "{} of about 2,000 frames came back", report.frames_received);
    assert!(report.lateness.count() > 0 && report.recording.is_some());
}

#[test]
fn nobody_there_is_a_failed_call_and_no_error() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = CallerConfig::new(address, Arc::new([0; 800]), SampleRate::HZ_8000);
    let report = Caller::start(config).unwrap().finish().unwrap();
    assert_eq!((report.connected, report.failed), (0, 1));
    assert!(report.failure.unwrap().contains("refused"));
}

#[test]
fn a_call_that_the_far_end_ends_is_counted() {
    let mut server = Server::start(|_| {});
    let mut config = CallerConfig::new(server.server.local_addr(), Arc::new([]), SampleRate::HZ_8000);
    config.duration = LIMIT;
    let caller = Caller::start(config).unwrap();
    server.wait_for_call().agent.control.hangup(false);
    let report = caller.finish().unwrap();
    assert_eq!((report.connected, report.ended_early), (1, 1));
}

#[test]
fn stopping_hangs_up() {
    let mut server = Server::start(|_| {});
    let mut config = CallerConfig::new(server.server.local_addr(), Arc::new([]), SampleRate::HZ_8000);
    config.duration = Duration::from_secs(3_600);
    let caller = Caller::start(config).unwrap();
    let mut call = server.wait_for_call();
    assert!(caller.poll().active <= 1 && !caller.is_finished());
    let began = Clock::now();
    caller.stop();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    assert_eq!(caller.finish().unwrap().ended_early, 0);
    assert!(Clock::now().since(began) < LIMIT);
}
