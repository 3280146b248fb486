//! How a call ends: by the caller, by the agent, by the server, and by a connection that breaks.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::EndReason;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{JSON, LIMIT, SLIN, Server};

#[test]
fn the_caller_hangs_up_with_a_close_that_is_answered() {
    let mut server = Server::start(|_| {});
    let (mut channel, mut call) = server.call(SLIN);
    // What was closed answers no marks.
    channel.kind.answers_marks = false;
    channel.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).unwrap();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    channel.read_to_end();
    assert_eq!(
        (channel.closed, channel.count("HANGUP")),
        (Some(1_000), 0),
        "closed in due form, and not hung up again"
    );
}

#[test]
fn the_callers_end_of_the_stream_is_a_hangup() {
    let mut server = Server::start(|_| {});
    let (channel, mut call) = server.call(SLIN);
    drop(channel);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
}

#[test]
fn the_agent_hangs_up_in_so_many_words_after_its_last() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let (mut channel, mut call) = server.call(kind);
        call.agent.output.try_write(&[4_000; 1_600], SampleRate::HZ_8000, "bye", 0).unwrap();
        call.agent.control.hangup(true);
        channel.read_to_end();
        assert_eq!(channel.commands.last().unwrap(), "HANGUP");
        assert_eq!(channel.closed, Some(1_000));
        assert!(channel.has_sound());
        assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
    }
}

#[test]
fn an_agent_that_fails_ends_the_call() {
    let mut server = Server::start(|_| {});
    let (mut channel, call) = server.call(SLIN);
    drop(call);
    channel.read_to_end();
    assert_eq!((channel.commands.last().unwrap().as_str(), channel.closed), ("HANGUP", Some(1_000)));
}

#[test]
fn a_server_that_stops_lets_the_agent_finish_and_takes_nobody_in() {
    let mut server = Server::start(|_| {});
    let (mut channel, mut call) = server.call(SLIN);
    call.agent.output.try_write(&[4_000; 4_000], SampleRate::HZ_8000, "bye", 0).unwrap();
    server.server.stop(LIMIT);
    channel.read_to_end();
    let loud = channel.samples().iter().filter(|sample| **sample == 4_000).count();
    assert!(loud > 3_800, "{loud} samples, wanted the whole half second");
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    drop(channel);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
    assert!(std::net::TcpStream::connect(server.server.local_addr()).is_err(), "nobody listens");
}

#[test]
fn what_is_left_after_the_grace_is_ended() {
    let mut server = Server::start(|_| {});
    let (mut channel, mut call) = server.call(SLIN);
    call.agent.output.try_write(&vec![4_000; 60 * 8_000], SampleRate::HZ_8000, "long", 0).unwrap();
    server.server.stop(Duration::from_millis(100));
    channel.read_to_end();
    assert_eq!(channel.commands.last().unwrap(), "HANGUP");
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ServerStopping);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}

#[test]
fn a_channel_that_falls_silent_is_given_up() {
    let mut server = Server::start(|config| config.idle_timeout = Duration::from_millis(200));
    let (mut channel, mut call) = server.call(SLIN);
    channel.kind.answers_marks = false;
    channel.read_to_end();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::IdleTimeout);
    assert_eq!(channel.closed, Some(1_000));
}
