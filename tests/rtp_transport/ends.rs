//! A call ends with a goodbye, or when the far end's host refuses what it is sent; then its port is free.

use std::time::Duration;

use talkpath::session::EndReason;

use crate::harness::{Peer, Server, time};

#[test]
fn a_goodbye_ends_the_call_and_the_port_takes_another() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    peer.say_goodbye();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    server.wait_for_line("caller_hangup");
    let (_, call) = server.call(0);
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn a_goodbye_on_the_port_of_the_audio_ends_the_call_too() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    let report = [0x80, 201, 0, 1, 0, 0, 0x7a, 0x1c, 0x81, 203, 0, 1, 0, 0, 0x7a, 0x1c];
    peer.rtp.send_to(&report, peer.to).unwrap();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
}

#[test]
fn a_peer_whose_port_is_closed_has_hung_up() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    peer.read();
    drop(peer);
    let (took, reason) = time(|| server.wait_for_end(&mut call.agent));
    assert_eq!(reason, EndReason::CallerHangup);
    assert!(took >= Duration::from_millis(900), "{took:?}: it might have been a restart of its media");
    let (_, call) = server.call(0);
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn a_peer_that_only_reports_nowhere_stays() {
    // Asterisk's externalMedia has no RTCP: whatever goes to the port above is refused.
    let mut server = Server::start(|_| {});
    let (peer, call) = server.call(0);
    for _ in 0..150 {
        peer.read();
    }
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn the_agents_hangup_is_a_goodbye() {
    let mut server = Server::start(|_| {});
    let mut peer = Peer::new(server.ports[0]);
    // Reports are expected on the port above the peer's own: find a peer that has it.
    let reports = loop {
        let port = peer.rtp.local_addr().unwrap().port();
        match port.checked_add(1).map(|above| std::net::UdpSocket::bind(("127.0.0.1", above))) {
            Some(Ok(socket)) => break socket,
            _ => peer = Peer::new(server.ports[0]),
        }
    };
    reports.set_read_timeout(Some(crate::harness::LIMIT)).unwrap();
    peer.send_audio(0);
    peer.send_audio(0);
    let mut call = server.wait_for_call();
    call.agent.control.hangup(false);
    peer.wait_for_goodbye(&reports);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
}

#[test]
fn what_the_old_peer_still_sends_begins_no_other_call() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(0);
    call.agent.control.hangup(false);
    server.wait_for_end(&mut call.agent);
    server.wait_for("the port", |server| (server.stats().calls == 0).then_some(()));
    for _ in 0..50 {
        peer.send_audio(1_000);
    }
    // A peer that comes now has the port, so it was free, and the old one's packets were read before.
    let (_, call) = server.call(0);
    assert_eq!(server.server.stats().calls_began, 2);
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn a_peer_that_is_silent_for_too_long_is_given_up() {
    let mut server = Server::start(|config| config.idle_timeout = Duration::from_millis(300));
    let (_peer, mut call) = server.call(0);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::IdleTimeout);
    server.wait_for_line("the peer sent nothing for");
}
