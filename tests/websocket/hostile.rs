//! Strangers at the door, and channels that break the protocol: they cost nobody a call.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use talkpath::session::EndReason;
use tungstenite::Message;

use crate::harness::{Kind, SLIN, Server};

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn what_is_no_websocket_request_gets_a_clear_answer() {
    let mut server = Server::start(|_| {});
    let cases = [
        ("GET /media HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426, "wanted an upgrade"),
        (format!("GET /elsewhere HTTP/1.1\r\n{UPGRADE}\r\n"), 404, "nothing is served at this path"),
        (format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n"), 404, "nothing is served at this path"),
        (format!("POST /media HTTP/1.1\r\n{UPGRADE}\r\n"), 405, "wanted GET"),
        (format!("GET /media?id=7 HTTP/1.1\r\n{UPGRADE}\r\n"), 400, "id is no UUID"),
        (format!("GET /media HTTP/1.1\r\n{UPGRADE}Sec-WebSocket-Protocol: ari\r\n\r\n"), 400, "sub-protocol"),
        (format!("GET /media HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9_000)), 431, "too long"),
        ("\x16\x03\x01\x02\x00\x01\x00 TLS\r\n\r\n".to_owned(), 400, "no HTTP request"),
    ];
    for (head, status, text) in &cases {
        let answer = server.ask(head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        assert!(answer.contains(text) && answer.contains("Connection: "), "{answer}");
    }
    let rejected = server.wait_for("the count", |server| {
        let rejected = server.stats().connections_rejected;
        (rejected == cases.len() as u64).then_some(rejected)
    });
    assert_eq!(rejected, cases.len() as u64);
    let (_channel, _call) = server.call(SLIN);
}

#[test]
fn credentials_are_asked_for_where_they_are_wanted() {
    let mut server = Server::listen("ws://agent:sesame@127.0.0.1:0/media", |_| {});
    for authorization in ["", "Authorization: Basic YWdlbnQ6d3Jvbmc=\r\n", "Authorization: Bearer YWdlbnQ6c2VzYW1l\r\n"]
    {
        let answer = server.ask(&format!("GET /media HTTP/1.1\r\n{UPGRADE}{authorization}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("WWW-Authenticate: Basic"), "{answer}");
    }
    let mut stream = server.tcp();
    write!(stream, "GET /media HTTP/1.1\r\n{UPGRADE}Authorization: Basic YWdlbnQ6c2VzYW1l\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    assert!(server.log().iter().all(|line| !line.contains("sesame")));
}

#[test]
fn a_connection_that_says_nothing_makes_room_and_is_given_up() {
    let mut server = Server::start(|config| {
        config.max_pending = 2;
        config.handshake_timeout = Duration::from_millis(300);
    });
    let mut slow: Vec<_> = (0..3).map(|_| server.tcp()).collect();
    slow[2].write_all(b"GET /media HTTP/1.1\r\n").unwrap();
    server.wait_for_line("made room for a newer connection");
    let (_channel, _call) = server.call(SLIN);
    server.wait_for_line("sent no MEDIA_START in time");
    for mut stream in slow {
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed");
    }
}

#[test]
fn a_connection_that_does_not_begin_with_its_channel_is_closed() {
    let mut server = Server::start(|_| {});
    let unknown = Kind { format: "g729", ..SLIN };
    let mut channel = server.dial("/media", unknown);
    channel.start();
    channel.read_to_end();
    assert_eq!(channel.closed, Some(1_003));
    assert!(server.wait_for_line("g729").contains("c(slin16)"), "the log says what to do");

    for first in [Message::text("HELLO"), Message::binary(vec![0; 320]), Message::text("MEDIA_START")] {
        let mut channel = server.dial("/media", SLIN);
        channel.socket.send(first).unwrap();
        channel.read_to_end();
        assert_eq!(channel.closed, Some(1_008));
    }
    assert_eq!(server.server.stats().calls_began, 0);
}

#[test]
fn a_channel_that_breaks_the_protocol_loses_its_call_and_no_other() {
    let mut server = Server::start(|_| {});
    let (mut innocent, _other) = server.call(SLIN);
    let breaches: [(&[u8], u16); 4] = [
        // No mask; a reserved opcode; a text that is no UTF-8; a length beyond the limit.
        (b"\x82\x01x", 1_002),
        (b"\x83\x80abcd", 1_002),
        (b"\x81\x81\x00\x00\x00\x00\xff", 1_007),
        (b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00abcd", 1_009),
    ];
    for (bytes, code) in breaches {
        let (mut channel, mut call) = server.call(SLIN);
        channel.socket.get_mut().write_all(bytes).unwrap();
        assert_eq!(server.wait_for_end(&mut call.agent), EndReason::ProtocolError);
        channel.read_to_end();
        assert_eq!(channel.closed, Some(code));
    }
    let before = innocent.frames.len();
    innocent.read_until("frames as ever", |channel| channel.frames.len() > before + 10);
}

#[test]
fn an_id_is_one_calls_and_a_full_server_says_so() {
    let mut server = Server::start(|config| config.max_calls = 1);
    let id = "32966726-4388-456b-a333-fdf5dbecc60d";
    let mut channel = server.dial(&format!("/media?id={id}"), SLIN);
    channel.start();
    let _call = channel.while_answering(|| server.wait_for_call());
    let taken = server.ask(&format!("GET /media?id={id} HTTP/1.1\r\n{UPGRADE}\r\n"));
    assert!(taken.starts_with("HTTP/1.1 409 "), "{taken}");
    let full = server.ask(&format!("GET /media HTTP/1.1\r\n{UPGRADE}\r\n"));
    assert!(full.starts_with("HTTP/1.1 503 ") && full.contains("Retry-After"), "{full}");
}

#[test]
fn a_channel_that_reads_nothing_is_given_up_and_the_others_are_served() {
    let mut server = Server::start(|_| {});
    let (mut innocent, _other) = server.call(SLIN);
    let kind = Kind { format: "slin192", frame_len: 7_680, ..SLIN };
    let (_deaf, mut call) = server.call(kind);
    let noise: Vec<i16> = (0..192_000_i32 * 8).map(|i| i.wrapping_mul(7_919) as i16).collect();
    call.agent.output.try_write(&noise, talkpath::audio::frame::SampleRate::new(192_000).unwrap(), "noise", 0).unwrap();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::TransportError);
    let before = innocent.frames.len();
    innocent.read_until("frames as ever", |channel| channel.frames.len() > before + 10);
}
