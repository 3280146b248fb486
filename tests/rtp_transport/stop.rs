//! A server that stops lets its calls end in peace, but not for ever, and gives back its ports.

use std::net::UdpSocket;
use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{EndReason, Written};

use crate::harness::{LIMIT, Server, above, time};

#[test]
fn an_idle_server_stops_at_once_and_its_ports_are_free() {
    let mut server = Server::with_ports(3, |_| {});
    server.server.stop(LIMIT);
    let (took, ()) = time(|| server.wait_for("the stop", |server| server.is_stopped().then_some(())));
    assert!(took < LIMIT / 2, "{took:?}");
    for port in &server.ports {
        assert!(UdpSocket::bind(port).is_ok() && UdpSocket::bind(above(*port)).is_ok());
    }
}

#[test]
fn a_call_plays_what_it_has_before_the_server_stops() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    let tone = [8_000; 4_000];
    assert_eq!(call.agent.output.try_write(&tone, SampleRate::HZ_8000, "bye", 0).unwrap(), Written::Taken(4_000));
    server.server.stop(LIMIT);
    for _ in 0..25 {
        peer.read_sound();
    }
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
    assert!(UdpSocket::bind(server.ports[0]).is_ok());
}

#[test]
fn what_is_left_after_the_grace_is_ended() {
    let mut server = Server::start(|_| {});
    let (_peer, mut call) = server.call(0);
    call.agent.output.try_write(&vec![1_000; 60 * 8_000], SampleRate::HZ_8000, "long", 0).unwrap();
    server.server.stop(Duration::from_millis(100));
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}

#[test]
fn a_server_that_stops_takes_no_more_calls() {
    let mut server = Server::with_ports(2, |_| {});
    let (_peer, mut call) = server.call(0);
    call.agent.output.try_write(&vec![1_000; 60 * 8_000], SampleRate::HZ_8000, "long", 0).unwrap();
    server.server.stop(LIMIT);
    server.wait_for_line("stopping");
    let free = server.ports[1];
    server.wait_for("nobody to listen there", |_| UdpSocket::bind(free).ok());
    call.agent.control.hangup(false);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}
