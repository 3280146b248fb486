//! A call ends once, for one reason, whoever ends it; the others go on.

use talkpath::audio::frame::SampleRate;
use talkpath::session::{EndReason, Written};

use crate::harness::{Server, id};

#[test]
fn the_caller_hangs_up_by_closing() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(1);
    drop(peer);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    server.wait_for_line("caller_hangup");
}

#[test]
fn the_caller_hangs_up_by_closing_one_half() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    peer.half_close();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    peer.read_to_end();
}

#[test]
fn the_caller_hangs_up_by_a_reset() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(1);
    peer.reset();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
}

#[test]
fn the_caller_hangs_up_by_saying_so() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    peer.send(&[0, 0, 0]);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    peer.read_to_end();
}

#[test]
fn the_agent_hangs_up_and_the_peer_is_told() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    call.agent.control.hangup(false);
    assert!(peer.read_to_end().0, "a hangup message");
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
}

#[test]
fn the_peer_is_told_even_with_audio_of_its_own_unread() {
    // Closing on unread data resets a connection, and a reset makes Asterisk hang the channel up.
    let mut server = Server::start(|_| {});
    let (mut peer, call) = server.call(1);
    call.agent.control.hangup(false);
    for _ in 0..200 {
        if std::io::Write::write_all(&mut peer.stream, &[&[0x10, 1, 64][..], &[0; 320]].concat()).is_err() {
            break;
        }
    }
    assert!(peer.read_to_end().0, "a hangup message, and no reset");
}

#[test]
fn the_agent_hangs_up_after_what_it_said() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    let tone = [1_000; 8_000];
    assert_eq!(call.agent.output.try_write(&tone, SampleRate::HZ_8000, "bye", 0).unwrap(), Written::Taken(8_000));
    call.agent.control.hangup(true);
    let (said_hangup, frames) = peer.read_to_end();
    assert!(said_hangup && frames >= 50, "{frames} frames, wanted the whole second");
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
}

#[test]
fn an_agent_that_lets_go_ends_its_call_and_no_other() {
    let mut server = Server::start(|_| {});
    let (mut peer, call) = server.call(1);
    let (mut other, other_call) = server.call(2);
    drop(call.agent);
    assert!(peer.read_to_end().0);
    server.wait_for_line(&format!("call {}: ended after", id(1)));
    assert_eq!(other_call.agent.control.ended(), None);
    for _ in 0..10 {
        assert_eq!(other.read().unwrap().0, 0x10);
    }
}

#[test]
fn an_id_can_be_used_again_as_soon_as_its_call_is_over() {
    // A dialplan that loops over AudioSocket() with one id calls again before the server has cleaned up.
    let mut server = Server::start(|_| {});
    for _ in 0..20 {
        let (mut peer, call) = server.call(7);
        call.agent.control.hangup(false);
        while peer.read().is_some_and(|(kind, _)| kind != 0) {}
    }
    assert_eq!(server.server.stats().calls_began, 20);
    assert_eq!(server.server.stats().calls_refused, 0);
}
