//! A media thread that carries chan_websocket allocates nothing in steady state: frames, marks, keys, pings, flushes.
//!
//! The allocator counts for all threads but the test's own; the server's door thread sleeps meanwhile, so that what is
//! counted is the media thread. Real sockets, real time: the answers are the clock.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::audio::frame::SampleRate;
use talkpath::io::clock::Clock;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{Call, Listen, Server, ServerConfig};
use talkpath::protocol::chan_websocket::MAX_MESSAGE_LEN;
use talkpath::protocol::websocket::handshake::{read_answer, request};
use talkpath::protocol::websocket::{Decoder, Message, Opcode, Role, encode_into};

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn a_media_thread_that_carries_websockets_allocates_nothing() {
    allocations::leave_this_thread_out();
    let notifier = Arc::new(Notifier::new().unwrap());
    let config = ServerConfig {
        listen: Listen::resolve("ws://127.0.0.1:0/media").unwrap(),
        media_threads: 1,
        realtime_priority: false,
        ..ServerConfig::default()
    };
    let server = Server::bind(config, Arc::clone(&notifier)).unwrap();
    let mut lines = [Line::open(&server, &notifier, false), Line::open(&server, &notifier, true)];
    for i in 0..100 {
        lines.iter_mut().for_each(|line| line.step(&server, i));
    }
    let before = allocations::of_the_others();
    for i in 100..300 {
        lines.iter_mut().for_each(|line| line.step(&server, i));
    }
    let counted = allocations::of_the_others() - before;
    for line in &lines {
        assert!(line.has_heard_sound && line.marks > 50 && line.flushes > 2 && line.pongs > 2);
    }
    assert_eq!(counted, 0, "allocations and releases in 4 s of two calls");
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A channel of Asterisk's and its call.
struct Line {
    peer: TcpStream,
    decoder: Decoder,
    is_json: bool,
    call: Call,
    has_heard_sound: bool,
    marks: u32,
    flushes: u32,
    pongs: u32,
}

impl Line {
    fn open(server: &Server, notifier: &Notifier, is_json: bool) -> Self {
        let mut peer = TcpStream::connect(server.local_addr()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        peer.set_nodelay(true).unwrap();
        peer.write_all(&request("pbx", "/media", KEY, "media", None)).unwrap();
        let mut answer = Vec::new();
        while read_answer(&answer, KEY, "media").unwrap().is_none() {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        let start = if is_json {
            r#"{"event":"MEDIA_START","connection_id":"x","channel":"WebSocket/x/1","format":"slin","optimal_frame_size":320,"ptime":20}"#
        } else {
            "MEDIA_START connection_id:x channel:WebSocket/x/1 channel_id:1.2 format:slin optimal_frame_size:320 ptime:20"
        };
        let mut decoder = Decoder::new(Role::Client, MAX_MESSAGE_LEN);
        say(&mut peer, Opcode::Text, start.as_bytes());
        let (mut call, mut marks) = (None, 0);
        let began = Clock::now();
        while call.is_none() {
            assert!(Clock::now().since(began) < Duration::from_secs(10), "no call");
            if marks == 0 {
                marks = answer_marks(&mut peer, &mut decoder, is_json).marks;
            }
            let mut fds = [PollFd::new(notifier.fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(5_u16));
            notifier.take();
            call = server.accept();
        }
        let call = call.unwrap();
        Self { peer, decoder, is_json, call, has_heard_sound: false, marks, flushes: 0, pongs: 0 }
    }

    /// Sends the channel's frame `i`, has the agent do its part, and waits for something in return.
    fn step(&mut self, server: &Server, i: usize) {
        let is_loud = (i / 37).is_multiple_of(2);
        let frame: Vec<u8> =
            (0..160).flat_map(|n| if is_loud { ((n % 57) * 300_i16).to_le_bytes() } else { [0; 2] }).collect();
        say(&mut self.peer, Opcode::Binary, &frame);
        if i.is_multiple_of(50) {
            let key = if self.is_json { r#"{"event":"DTMF_END","digit":"5"}"# } else { "DTMF_END digit:5" };
            say(&mut self.peer, Opcode::Text, key.as_bytes());
            say(&mut self.peer, Opcode::Ping, b"there?");
        }
        let agent = &mut self.call.agent;
        while agent.input.read().is_some() {}
        while agent.events.poll(&mut agent.output).is_some() {}
        let generation = agent.output.generation();
        if !i.is_multiple_of(4) {
            agent.output.try_write(&[2_000; 320], SampleRate::HZ_8000, "tone", generation).unwrap();
        }
        if i % 60 == 59 {
            agent.output.interrupt();
        }
        let said = answer_marks(&mut self.peer, &mut self.decoder, self.is_json);
        self.has_heard_sound |= said.has_sound;
        self.marks += said.marks;
        self.flushes += said.flushes;
        self.pongs += said.pongs;
        server.poll_ready(&mut Vec::new());
    }
}

/// What one read held.
#[derive(Default)]
struct Said {
    has_sound: bool,
    marks: u32,
    flushes: u32,
    pongs: u32,
}

/// Reads once, and says of every mark that it is played.
fn answer_marks(peer: &mut TcpStream, decoder: &mut Decoder, is_json: bool) -> Said {
    let mut bytes = [0; 4_096];
    let n = peer.read(&mut bytes).unwrap();
    let mut input = &mut bytes[..n];
    let mut said = Said::default();
    while let Some(message) = decoder.poll(&mut input).unwrap() {
        match message {
            Message::Binary(payload) => said.has_sound |= payload.iter().any(|byte| *byte != 0),
            Message::Pong(_) => said.pongs += 1,
            Message::Text(text) => {
                said.flushes += u32::from(text.contains("FLUSH_MEDIA"));
                if !text.contains("MARK_MEDIA") {
                    continue;
                }
                let id: String = text.chars().filter(char::is_ascii_digit).collect();
                said.marks += 1;
                let event = if is_json {
                    format!(r#"{{"event":"MEDIA_MARK_PROCESSED","channel_id":"1.2","correlation_id":"{id}"}}"#)
                } else {
                    format!("MEDIA_MARK_PROCESSED {id}")
                };
                say(peer, Opcode::Text, event.as_bytes());
            }
            Message::Ping(_) | Message::Close(_) => panic!("neither is ever sent"),
        }
    }
    said
}

fn say(peer: &mut TcpStream, opcode: Opcode, payload: &[u8]) {
    let mut out = [0; 1_024];
    let len = encode_into(opcode, payload, Some([1, 2, 3, 4]), &mut out).unwrap();
    peer.write_all(&out[..len]).unwrap();
}
