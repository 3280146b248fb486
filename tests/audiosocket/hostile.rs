//! Peers that break the rules lose their own connection, and nothing else.

use std::io::Write;
use std::time::Duration;

use talkpath::session::EndReason;

use crate::harness::{Server, id};

#[test]
fn an_id_may_come_byte_by_byte() {
    let mut server = Server::start(|_| {});
    let mut peer = server.connect();
    let message = [&[0x01, 0, 16][..], &[9; 16]].concat();
    for byte in message {
        peer.send(&[byte]);
    }
    assert_eq!(server.wait_for_call().id, id(9));
}

#[test]
fn a_peer_that_gives_no_id_is_closed_in_time() {
    let mut server = Server::start(|config| config.handshake_timeout = Duration::from_millis(50));
    let mut peer = server.connect();
    peer.send(&[0x01, 0]);
    assert_eq!(peer.read(), None, "closed");
    server.wait_for_line("gave no call id in time");
    assert_eq!(server.server.stats().connections_rejected, 1);
}

#[test]
fn a_peer_that_speaks_something_else_is_closed() {
    let mut server = Server::start(|_| {});
    let mut peer = server.connect();
    peer.send(b"GET / HTTP/1.1\r\n");
    // Closing on what was not read may reset the connection; either way it is over.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut peer.stream, &mut rest);
    assert!(rest.is_empty());
    server.wait_for_line("does not speak AudioSocket: first message has kind 0x47");
}

#[test]
fn a_peer_that_closes_before_its_id_is_forgotten() {
    let mut server = Server::start(|_| {});
    drop(server.connect());
    server.wait_for_line("closed before it gave a call id");
    server.wait_for("no pending connection", |server| (server.stats().pending == 0).then_some(()));
}

#[test]
fn a_stream_out_of_step_ends_its_call() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    peer.send(&[0x77, 0, 1, 0].repeat(100));
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ProtocolError);
    server.wait_for_line("50 messages of unknown kind in a row");
}

#[test]
fn a_second_id_ends_its_call() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    peer.send_id(2);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ProtocolError);
}

#[test]
fn a_message_of_the_greatest_length_does_no_harm() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    peer.send_audio(&[1; 65_535]);
    peer.send(&[0x99, 0xff, 0xff]);
    peer.send(&[0; 65_535]);
    peer.send(&[0x03, 0, 1, b'5']);
    server
        .wait_for_event(&mut call.agent, |event| matches!(event, talkpath::session::Event::Dtmf { .. }).then_some(()));
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut server = Server::start(|config| config.idle_timeout = Duration::from_millis(300));
    let (mut peer, mut call) = server.call(1);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::IdleTimeout);
    server.wait_for_line("the peer sent nothing for");
    peer.read_to_end();
}

#[test]
fn a_peer_that_never_reads_is_given_up_and_nobody_else_is_hurt() {
    let mut server = Server::start(|config| {
        // The widest audio there is fills the system's buffers soonest.
        config.session.output_rate = Some(talkpath::audio::frame::SampleRate::new(192_000).unwrap());
    });
    let (_deaf, mut call) = server.call(1);
    let (mut other, _other_call) = server.call(2);
    let mut frames = 0;
    let ended = loop {
        // The other peer's frames are the clock of this test.
        assert_eq!(other.read().unwrap().0, 0x18);
        frames += 1;
        assert!(frames < 4_000, "80 s, and still not given up");
        if let Some(reason) = call.agent.control.ended() {
            break reason;
        }
    };
    assert_eq!(ended, EndReason::TransportError);
    server.wait_for_line("the peer does not read");
    assert!(server.server.stats().frames_dropped > 0);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::TransportError);
}

#[test]
fn a_flood_is_read_slowly_and_hurts_nobody() {
    let mut server = Server::start(|_| {});
    let (mut flood, _call) = server.call(1);
    let (mut other, _other_call) = server.call(2);
    let writer = std::thread::spawn(move || {
        let message = [&[0x10, 1, 64][..], &[0; 320]].concat().repeat(100);
        // 13 minutes of audio, or until the server is gone.
        for _ in 0..400 {
            if flood.stream.write_all(&message).is_err() {
                break;
            }
        }
    });
    for _ in 0..50 {
        assert_eq!(other.read().unwrap().0, 0x10);
    }
    let lateness = server.server.stats().lateness.quantile(0.5);
    assert!(lateness < Duration::from_millis(20), "the other call's frames are late by {lateness:?}");
    drop(server);
    writer.join().unwrap();
}

#[test]
fn a_peer_that_reads_late_finds_whole_messages_and_the_call_goes_on() {
    let mut server = Server::start(|config| {
        config.session.output_rate = Some(talkpath::audio::frame::SampleRate::new(192_000).unwrap());
    });
    let (mut late, call) = server.call(1);
    let (mut other, _other_call) = server.call(2);
    while server.server.stats().frames_dropped == 0 {
        assert_eq!(other.read().unwrap().0, 0x18);
    }
    let behind = server.server.stats().frames_sent;
    for _ in 0..behind {
        let (kind, payload) = late.read().unwrap();
        assert_eq!((kind, payload.len()), (0x18, 7_680), "a message was cut");
    }
    assert_eq!(call.agent.control.ended(), None);
}
