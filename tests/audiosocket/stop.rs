//! A server that stops lets its calls end in peace, but not for ever.

use std::net::TcpStream;
use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{EndReason, Written};

use crate::harness::{LIMIT, Server, time};

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start(|_| {});
    server.server.stop(LIMIT);
    let (took, ()) = time(|| server.wait_for("the stop", |server| server.is_stopped().then_some(())));
    assert!(took < LIMIT / 2, "{took:?}");
    assert!(TcpStream::connect(server.server.local_addr()).is_err(), "nobody listens");
}

#[test]
fn a_call_plays_what_it_has_before_the_server_stops() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    let tone = [1_000; 4_000];
    assert_eq!(call.agent.output.try_write(&tone, SampleRate::HZ_8000, "bye", 0).unwrap(), Written::Taken(4_000));
    server.server.stop(LIMIT);
    let (said_hangup, frames) = peer.read_to_end();
    assert!(said_hangup && frames >= 25, "{frames} frames, wanted the whole half second");
    drop(peer);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}

#[test]
fn what_is_left_after_the_grace_is_ended() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    let minute = vec![1_000; 60 * 8_000];
    call.agent.output.try_write(&minute, SampleRate::HZ_8000, "long", 0).unwrap();
    server.server.stop(Duration::from_millis(100));
    assert!(peer.read_to_end().0);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}

#[test]
fn a_second_stop_can_shorten_the_grace() {
    let mut server = Server::start(|_| {});
    let (_peer, mut call) = server.call(1);
    call.agent.output.try_write(&vec![1_000; 60 * 8_000], SampleRate::HZ_8000, "long", 0).unwrap();
    server.server.stop(Duration::from_secs(3_600));
    server.server.stop(Duration::ZERO);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
}

#[test]
fn dropping_a_server_ends_its_calls() {
    let mut server = Server::start(|_| {});
    let (mut peer, call) = server.call(1);
    drop(server);
    assert!(peer.read_to_end().0);
    assert_eq!(call.agent.control.ended(), Some(EndReason::ServerStopping));
}

#[test]
fn peers_that_talk_to_the_end_are_told_and_not_reset() {
    // A reset would make Asterisk hang the channel up, where an end lets the dialplan go on.
    let mut server = Server::start(|_| {});
    let (mut peer, _call) = server.call(1);
    let mut talking = peer.stream.try_clone().unwrap();
    let talker = std::thread::spawn(move || {
        let frame = [&[0x10, 1, 64][..], &[0; 320]].concat();
        while std::io::Write::write_all(&mut talking, &frame).is_ok() {}
    });
    peer.read().unwrap();
    server.server.stop(Duration::ZERO);
    assert!(peer.read_to_end().0, "a hangup message, then the end");
    drop(server);
    drop(peer);
    talker.join().unwrap();
}
