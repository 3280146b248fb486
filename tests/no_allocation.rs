//! A media thread in steady state allocates nothing, whatever the calls do: speech, silence, keys, writes, interruptions.
//!
//! The allocator counts for all threads but the test's own; the server's door thread sleeps meanwhile, so that what is
//! counted is the media thread. Real sockets, real time: the peer's frames are the clock.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::audio::frame::SampleRate;
use talkpath::io::clock::Clock;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{Call, Listen, Server, ServerConfig};

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn a_media_thread_in_steady_state_allocates_nothing() {
    allocations::leave_this_thread_out();
    let notifier = Arc::new(Notifier::new().unwrap());
    let config = ServerConfig {
        listen: Listen::resolve("127.0.0.1:0").unwrap(),
        media_threads: 1,
        realtime_priority: false,
        ..ServerConfig::default()
    };
    let server = Server::bind(config, Arc::clone(&notifier)).unwrap();
    let mut lines: Vec<Line> = [8_000, 16_000, 48_000].map(|hz| Line::open(&server, hz)).into();
    // Every path is walked once: setting a call up may allocate, and so may the first of anything.
    for i in 0..100 {
        lines.iter_mut().for_each(|line| line.step(&server, &notifier, i));
    }
    assert!(allocations::of_the_others() > 0, "setting calls up allocates, so counting works");
    let before = allocations::of_the_others();
    for i in 100..300 {
        lines.iter_mut().for_each(|line| line.step(&server, &notifier, i));
    }
    let counted = allocations::of_the_others() - before;
    let said = lines.iter().filter(|line| line.has_heard_sound).count();
    assert_eq!(said, lines.len(), "every peer has heard its agent");
    assert_eq!(counted, 0, "allocations and releases in 4 s of three calls");
}

/// A peer and its call.
struct Line {
    peer: TcpStream,
    call: Option<Call>,
    rate: SampleRate,
    has_heard_sound: bool,
}

impl Line {
    fn open(server: &Server, hz: u32) -> Self {
        let mut peer = TcpStream::connect(server.local_addr()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        peer.write_all(&[&[0x01, 0, 16][..], &[(hz / 1_000) as u8; 16]].concat()).unwrap();
        Self { peer, call: None, rate: SampleRate::new(hz).unwrap(), has_heard_sound: false }
    }

    /// Sends the peer's frame `i`, has the agent do its part, and waits for a frame in return.
    fn step(&mut self, server: &Server, notifier: &Notifier, i: usize) {
        let len = self.rate.frame_len();
        let kind = match self.rate.hz() {
            8_000 => 0x10,
            16_000 => 0x12,
            _ => 0x16,
        };
        // Three quarters of a second of a buzz, then as much of silence.
        let is_loud = (i / 37).is_multiple_of(2);
        let mut message = vec![kind, ((len * 2) >> 8) as u8, (len * 2) as u8];
        message.extend((0..len).flat_map(|n| if is_loud { ((n % 57) as i16 * 300).to_le_bytes() } else { [0; 2] }));
        if i.is_multiple_of(50) {
            message.extend([0x03, 0, 1, b'5']);
        }
        self.peer.write_all(&message).unwrap();
        let began = Clock::now();
        while self.call.is_none() {
            assert!(Clock::now().since(began) < Duration::from_secs(10), "no call");
            self.call = server.accept();
            let mut fds = [PollFd::new(notifier.fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(5_u16));
            notifier.take();
        }
        let call = self.call.as_mut().unwrap();
        assert_eq!(u32::from(call.id.as_bytes()[0]) * 1_000, self.rate.hz(), "its own call");
        let agent = &mut call.agent;
        let generation = agent.output.generation();
        while agent.input.read().is_some() {}
        while agent.events.poll(&mut agent.output).is_some() {}
        if !i.is_multiple_of(4) {
            let rate = self.rate;
            agent.output.try_write(&vec![2_000; rate.frame_len() * 2], rate, "tone", generation).unwrap();
        }
        if i % 60 == 59 {
            agent.output.interrupt();
        }
        let mut header = [0; 3];
        self.peer.read_exact(&mut header).unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]]))];
        self.peer.read_exact(&mut payload).unwrap();
        self.has_heard_sound |= payload.iter().any(|byte| *byte != 0);
        server.poll_ready(&mut Vec::new());
    }
}
