//! The caller over RTP: what it sends arrives, through a network as bad as it was told, and what comes back is recorded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::impair::Network;
use talkpath::io::caller::{Caller, CallerConfig};
use talkpath::io::server::{Listen, PortRange};
use talkpath::session::{EndReason, Event};

use crate::harness::Server;

const RATE: SampleRate = SampleRate::HZ_8000;

fn at(address: SocketAddr) -> Listen {
    Listen::Rtp(PortRange { host: address.ip(), first: address.port(), last: address.port() })
}

fn config(to: Listen, codec: Codec, ms: u64) -> CallerConfig {
    let audio: Arc<[i16]> = (0..codec.rate().hz() as i32 / 2).map(|n| (n * 37 % 9_000) as i16).collect();
    let mut config = CallerConfig::with_codec(to, audio, codec);
    config.duration = Duration::from_millis(ms);
    config.realtime_priority = false;
    config
}

#[test]
fn a_call_is_heard_answered_recorded_and_hung_up() {
    let mut server = Server::start(|_| {});
    for codec in [Codec::PCMU, Codec::G722, Codec::Plain { encoding: Encoding::SlinBe, rate: SampleRate::HZ_16000 }] {
        let mut config = config(at(server.ports[0]), codec, 900);
        config.keys = vec![(Duration::from_millis(200), '7')];
        let caller = Caller::start(config).unwrap();
        let mut call = server.wait_for_call();
        call.agent.output.try_write(&[4_000; 3_200], RATE, "answer", 0).unwrap();
        let (mut keys, mut heard) = (0, 0);
        let reason = server.wait_for("the end", |_| {
            while let Some(frame) = call.agent.input.read() {
                heard += frame.samples.iter().filter(|sample| **sample != 0).count();
            }
            while let Some(event) = call.agent.events.poll(&mut call.agent.output) {
                match event {
                    Event::Dtmf { digit: '7', .. } => keys += 1,
                    Event::Ended { reason } => return Some(reason),
                    _ => {}
                }
            }
            None
        });
        assert_eq!((reason, keys), (EndReason::CallerHangup, 1), "{codec}");
        assert!(heard > codec.rate().hz() as usize / 4, "{codec}: {heard} samples");
        let report = caller.finish().unwrap();
        assert_eq!((report.connected, report.failed, report.ended_early, report.silent), (1, 0, 0, 0), "{codec}");
        assert_eq!((report.frames_sent, report.frames_withheld), (45, 0));
        let recording = report.recording.unwrap();
        assert!(recording.frames.iter().all(|frame| frame.rate == codec.rate()));
        let loud = recording.samples.iter().filter(|sample| (3_500..4_500).contains(*sample)).count();
        assert!(loud > 2_000, "{codec}: {loud} samples of the answer");
    }
}

#[test]
fn a_worse_network_loses_what_its_seed_says() {
    let mut server = Server::start(|_| {});
    let text = "loss=30%,burst=2,jitter=5ms,dup=10%,seed=5";
    let mut config = config(at(server.ports[0]), Codec::PCMU, 1_000);
    config.impairment = text.parse().unwrap();
    let caller = Caller::start(config).unwrap();
    let mut call = server.wait_for_call();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    let report = caller.finish().unwrap();
    let mut network = Network::new(text.parse().unwrap()).unwrap();
    let arrivals = |n: u64| network.send(Timestamp::from_millis(20 * n)).count() as u64;
    let fates: Vec<u64> = (0..50).map(arrivals).collect();
    let lost = fates.iter().filter(|&&count| count == 0).count() as u64;
    assert_eq!((report.frames_sent, report.frames_withheld), (fates.iter().sum(), lost));
    assert!((8..30).contains(&lost), "{lost}");
}

#[test]
fn what_is_under_way_arrives_before_the_call_ends() {
    let mut server = Server::start(|_| {});
    let mut config = config(at(server.ports[0]), Codec::PCMU, 300);
    config.impairment = "delay=250ms,drift=5000ppm".parse().unwrap();
    let caller = Caller::start(config).unwrap();
    let mut call = server.wait_for_call();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    let report = caller.finish().unwrap();
    assert_eq!((report.connected, report.frames_sent), (1, 15));
    // The last of its frames is sent after 14 of its packet times, each 20.1 ms, and 250 ms later it has arrived.
    assert!(report.elapsed >= Duration::from_micros(14 * 20_100 + 250_000), "{:?}", report.elapsed);
}

#[test]
fn many_calls_take_a_place_each() {
    let mut server = Server::with_ports(4, |_| {});
    let (first, last) = (server.ports[0], server.ports[3]);
    for to in [Listen::Rtp(PortRange { host: first.ip(), first: first.port(), last: last.port() + 1 }), at(first)] {
        let mut config = config(to, Codec::PCMA, 500);
        config.calls = 4;
        let caller = Caller::start(config).unwrap();
        let mut calls: Vec<_> = (0..4).map(|_| server.wait_for_call()).collect();
        let mut ports: Vec<_> = calls.iter().map(|call| call.local).collect();
        ports.sort();
        assert_eq!(ports, server.ports);
        for call in &mut calls {
            assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
        }
        let report = caller.finish().unwrap();
        assert_eq!((report.connected, report.failed, report.frames_sent), (4, 0, 100));
    }
}

#[test]
fn an_agent_that_hangs_up_ends_the_call_early() {
    let mut server = Server::start(|_| {});
    let caller = Caller::start(config(at(server.ports[0]), Codec::PCMU, 8_000)).unwrap();
    let mut call = server.wait_for_call();
    // Before it has heard anything from the server it believes no goodbye.
    server.wait_for("an answer", |_| (caller.poll().frames_received > 2).then_some(()));
    call.agent.control.hangup(false);
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
    let report = caller.finish().unwrap();
    assert_eq!((report.connected, report.ended_early, report.failed), (1, 1, 0));
    assert!(report.elapsed < Duration::from_secs(8));
}

#[test]
fn nobody_there_is_a_failed_call_and_no_error() {
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let report = Caller::start(config(at(closed), Codec::PCMU, 500)).unwrap().finish().unwrap();
    assert_eq!((report.connected, report.failed, report.silent), (0, 1, 0));
    assert!(report.failure.unwrap().contains("refused"));
    // Somebody who does not answer.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = at(silent.local_addr().unwrap());
    let report = Caller::start(config(to, Codec::PCMU, 200)).unwrap().finish().unwrap();
    assert_eq!((report.connected, report.failed, report.frames_sent), (0, 1, 10));
    assert_eq!(report.failure.unwrap(), "no answer");
}

#[test]
fn what_a_transport_cannot_do_is_refused() {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let refused = |config| Caller::start(config).err().unwrap().to_string();
    let mut many = config(Listen::Rtp(PortRange { host, first: 9_000, last: 9_005 }), Codec::PCMU, 100);
    many.calls = 4;
    assert_eq!(refused(many), "4 calls to rtp://127.0.0.1:9000-9005, wanted at most 3");
    let slin = Codec::Plain { encoding: Encoding::Slin, rate: RATE };
    let text = refused(config(Listen::Rtp(PortRange { host, first: 9_000, last: 9_000 }), slin, 100));
    assert_eq!(text, "slin at 8000 Hz over rtp, wanted a codec with a payload type");
    let mut lossy = CallerConfig::new(SocketAddr::new(host, 9_000), Arc::new([]), RATE);
    lossy.impairment = "loss=1%".parse().unwrap();
    let wanted = "wanted only delay, jitter and drift: a stream keeps order and loses nothing";
    assert_eq!(refused(lossy), format!("impairments loss=1% over audiosocket, {wanted}"));
    let ulaw = config(Listen::AudioSocket(SocketAddr::new(host, 9_000)), Codec::PCMU, 100);
    assert!(refused(ulaw).ends_with("over audiosocket, wanted slin"));
    let nowhere = config(Listen::Rtp(PortRange { host, first: 0, last: 0 }), Codec::PCMU, 100);
    assert_eq!(refused(nowhere), "port 0, wanted one to call");
}
