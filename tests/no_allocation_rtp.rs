//! A media thread that carries RTP allocates nothing in steady state, whatever the network and strangers do.
//!
//! The allocator counts for all threads but the test's own; the server's door thread sleeps meanwhile, so that what is
//! counted is the media thread. Real sockets, real time: the answers are the clock.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::Timestamp;
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::io::clock::Clock;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{Call, Listen, Server, ServerConfig};
use talkpath::protocol::rtp::{Endpoint, Media, PayloadTypes, Received};

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn a_media_thread_that_carries_rtp_allocates_nothing() {
    allocations::leave_this_thread_out();
    let notifier = Arc::new(Notifier::new().unwrap());
    let config = ServerConfig {
        listen: Listen::resolve("rtp://127.0.0.1:0").unwrap(),
        media_threads: 1,
        realtime_priority: false,
        ..ServerConfig::default()
    };
    let server = Server::bind(config, Arc::clone(&notifier)).unwrap();
    let mut line = RtpLine::open(&server);
    for i in 0..100 {
        line.step(&server, &notifier, i);
    }
    let before = allocations::of_the_others();
    // Six seconds at least, and until a report came: their intervals are drawn at random, of up to six seconds.
    for i in 100..1_000 {
        line.step(&server, &notifier, i);
        if i >= 400 && line.reports > 0 {
            break;
        }
    }
    let counted = allocations::of_the_others() - before;
    assert!(line.has_heard_sound && line.reports > 0, "{} reports", line.reports);
    assert_eq!(counted, 0, "allocations and releases in a call");
}

/// A peer over RTP and its call.
struct RtpLine {
    peer: UdpSocket,
    stranger: UdpSocket,
    endpoint: Endpoint,
    call: Option<Call>,
    has_heard_sound: bool,
    reports: u64,
}

impl RtpLine {
    fn open(server: &Server) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = bind();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let types = Arc::new(PayloadTypes::default());
        let endpoint = Endpoint::new(types, PTIME, server.local_addr(), 1, Clock::now());
        Self { peer, stranger: bind(), endpoint, call: None, has_heard_sound: false, reports: 0 }
    }

    /// Sends frame `i`, now and then lost, doubled, junk, a key or a report; has the agent do its part, and waits for a
    /// frame in return.
    fn step(&mut self, server: &Server, notifier: &Notifier, i: usize) {
        let to = server.local_addr();
        let mut out = [0; 2_048];
        let is_loud = (i / 37).is_multiple_of(2);
        let payload: [u8; 160] = std::array::from_fn(|n| if is_loud { 0x80 + (n % 57) as u8 } else { 0xff });
        if i % 50 == 25 {
            self.endpoint.send_key('5').unwrap();
        }
        let due = Timestamp::from_millis(i as u64 * 20);
        let len = self.endpoint.write_frame(Codec::PCMU, &payload, false, due, &mut out).unwrap();
        for _ in 0..if i < 2 { 1 } else { [1, 1, 0, 1, 2][i % 5] } {
            self.peer.send_to(&out[..len], to).unwrap();
        }
        self.stranger.send_to(&out[..len], to).unwrap();
        self.peer.send_to(&out[..7], to).unwrap();
        if let Some(len) = self.endpoint.poll_report(Clock::now(), &mut out) {
            // On the port of the audio, where the answer then comes, too.
            self.peer.send_to(&out[..len], to).unwrap();
        }
        let began = Clock::now();
        while self.call.is_none() && i > 0 {
            assert!(Clock::now().since(began) < Duration::from_secs(10), "no call");
            self.call = server.accept();
            let mut fds = [PollFd::new(notifier.fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(5_u16));
            notifier.take();
        }
        let Some(call) = &mut self.call else { return };
        let agent = &mut call.agent;
        while agent.input.read().is_some() {}
        while agent.events.poll(&mut agent.output).is_some() {}
        let generation = agent.output.generation();
        if !i.is_multiple_of(4) {
            agent.output.try_write(&[2_000; 320], SampleRate::HZ_8000, "tone", generation).unwrap();
        }
        if i.is_multiple_of(70) {
            agent.output.send_dtmf("7").unwrap();
        }
        loop {
            let (len, from) = self.peer.recv_from(&mut out).unwrap();
            match self.endpoint.handle_rtp(&out[..len], from, Clock::now()) {
                Received::Media { media, .. } => {
                    if let Media::Audio { payload, .. } = media {
                        self.has_heard_sound |= payload.iter().any(|byte| *byte != 0xff);
                    }
                    break;
                }
                Received::Taken if len != 172 => self.reports += 1,
                _ => {}
            }
        }
        server.poll_ready(&mut Vec::new());
    }
}
