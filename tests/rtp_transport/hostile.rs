//! Peers that break the rules, and strangers, harm nobody.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::io::server::{self, Listen, PortRange, ServerConfig};
use talkpath::protocol::rtp::Header;
use talkpath::session::EndReason;

use crate::harness::{Peer, Server, above, datagram};

fn stranger() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

#[test]
fn junk_begins_no_call_and_keeps_none_out() {
    let mut server = Server::start(|_| {});
    let port = server.ports[0];
    let from = stranger();
    for n in 0..200_u16 {
        from.send_to(&n.to_be_bytes(), port).unwrap();
        from.send_to(&[], port).unwrap();
        from.send_to(&[0x80; 200], above(port)).unwrap();
        let header = Header { payload_type: 0, sequence: n * 7, ssrc: 1, ..Header::default() };
        from.send_to(&datagram(header, &[1; 160]), port).unwrap();
    }
    // The system drops what it has no room for, the peer's packets too: it sends on, as peers do.
    let mut peer = Peer::new(port);
    let call = server.wait_for("a call", |server| {
        peer.send_audio(0);
        server.accept()
    });
    assert_eq!(call.peer, peer.rtp.local_addr().unwrap());
    assert_eq!(server.server.stats().calls_began, 1);
}

#[test]
fn strangers_are_neither_heard_nor_answered_and_are_counted() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(0);
    let from = stranger();
    from.set_nonblocking(true).unwrap();
    for n in 0..50 {
        let header =
            Header { payload_type: 0, sequence: peer.sequence.wrapping_add(n), ssrc: peer.ssrc, ..Header::default() };
        from.send_to(&datagram(header, &[0; 160]), server.ports[0]).unwrap();
        let keys = Header { payload_type: 101, ..header };
        from.send_to(&datagram(keys, &[5, 10, 1, 64]), server.ports[0]).unwrap();
    }
    peer.press(7);
    let mut keys = Vec::new();
    server.wait_for_event(&mut call.agent, |event| match event {
        talkpath::session::Event::Dtmf { digit, .. } => {
            keys.push(*digit);
            Some(())
        }
        _ => None,
    });
    assert_eq!(keys, ['7']);
    (0..10).for_each(|_| drop(peer.read()));
    assert!(from.recv(&mut [0; 10]).is_err(), "nothing was sent to the stranger");
    call.agent.control.hangup(false);
    server.wait_for_end(&mut call.agent);
    server.wait_for_line("skipped 100 messages");
}

#[test]
fn junk_from_the_peer_itself_is_survived() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(0);
    for n in 0..100_u8 {
        peer.rtp.send_to(&vec![n; usize::from(n)], peer.to).unwrap();
        peer.rtp.send_to(&[0x80, 200 + n % 8, 0, n, 1, 2, 3, 4], peer.to).unwrap();
        peer.rtcp.send_to(&[0x81, 200 + n % 8, 0, 1, 0, 0, 0x7a, 0x1c], above(peer.to)).unwrap();
        peer.send(n % 128, &[n; 33], 160);
    }
    peer.rtp.send_to(&[0x80; 60_000], peer.to).unwrap();
    server.wait_for("a key", |_| {
        peer.press(3);
        let agent = &mut call.agent;
        let mut events = std::iter::from_fn(|| agent.events.poll(&mut agent.output));
        events.any(|event| matches!(event, talkpath::session::Event::Dtmf { digit: '3', .. })).then_some(())
    });
    assert_eq!(call.agent.control.ended(), None);
}

#[test]
fn a_flood_hurts_no_other_call() {
    let mut server = Server::with_ports(2, |_| {});
    let (_flooded, _call) = server.call(0);
    let (other, _other_call) = server.call(1);
    let (from, to) = (stranger(), server.ports[0]);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_done = std::sync::Arc::clone(&done);
    let flood = std::thread::spawn(move || {
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            // Sending fails while the system has no room: that is a flood, too.
            let _ = from.send_to(&[0x80; 172], to);
        }
    });
    for _ in 0..50 {
        assert_eq!(other.read().payload.len(), 160);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().unwrap();
    let lateness = server.server.stats().lateness.quantile(0.5);
    assert!(lateness < Duration::from_millis(20), "the other call's frames are late by {lateness:?}");
}

#[test]
fn calls_beyond_the_limit_are_refused_and_their_ports_stay_free() {
    let mut server = Server::with_ports(2, |config| config.max_calls = 1);
    let (first, mut call) = server.call(0);
    let mut second = Peer::new(server.ports[1]);
    second.send_audio(0);
    second.send_audio(0);
    server.wait_for_line("refused");
    (0..100).for_each(|_| second.send_audio(0));
    first.say_goodbye();
    server.wait_for_end(&mut call.agent);
    server.wait_for("the place", |server| (server.stats().calls == 0).then_some(()));
    server.call(1);
    assert_eq!(server.server.stats().calls_refused, 1, "said once, whatever it sent after");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = stranger();
    let port = taken.local_addr().unwrap().port();
    let range = PortRange { host: Ipv4Addr::LOCALHOST.into(), first: port, last: port };
    let config = ServerConfig { listen: Listen::Rtp(range), ..ServerConfig::default() };
    let notifier = std::sync::Arc::new(talkpath::io::notify::Notifier::new().unwrap());
    let Err(error) = server::Server::bind(config, notifier) else { panic!("it is taken") };
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[test]
fn a_peer_that_changes_its_id_goes_on() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(0);
    (peer.ssrc, peer.sequence) = (0x1234, 100);
    peer.press(4);
    server.wait_for_event(&mut call.agent, |event| {
        matches!(event, talkpath::session::Event::Dtmf { digit: '4', .. }).then_some(())
    });
    call.agent.output.try_write(&[8_000; 1_600], SampleRate::HZ_8000, "hello", 0).unwrap();
    peer.read_sound();
    peer.say_goodbye();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
}

#[test]
fn what_has_no_payload_type_cannot_be_answered_in() {
    let bind = |change: fn(&mut ServerConfig)| {
        let range = PortRange { host: Ipv4Addr::LOCALHOST.into(), first: 0, last: 0 };
        let mut config = ServerConfig { listen: Listen::Rtp(range), ..ServerConfig::default() };
        change(&mut config);
        let notifier = std::sync::Arc::new(talkpath::io::notify::Notifier::new().unwrap());
        server::Server::bind(config, notifier).map(drop)
    };
    bind(|config| config.session.codec = Some(Codec::slin(SampleRate::HZ_8000))).unwrap();
    let without_opus = |config: &mut ServerConfig| {
        config.session.codec = Some(Codec::opus(SampleRate::HZ_24000).unwrap());
        config.payload_types = std::mem::take(&mut config.payload_types).without(107);
    };
    assert!(bind(without_opus).unwrap_err().to_string().contains("opus"));
    let odd_rate = |config: &mut ServerConfig| config.session.output_rate = Some(SampleRate::new(22_050).unwrap());
    assert!(bind(odd_rate).unwrap_err().to_string().contains("22050"));
}
