//! A peer is heard and answered: audio, keys, and nobody else's.

use std::time::Duration;

use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::Playout;
use talkpath::protocol::rtcp::{ReportBlock, Writer};
use talkpath::protocol::rtp::{Format, PayloadTypes};
use talkpath::protocol::telephone_event::Receiver;
use talkpath::session::{Event, Written};

use crate::harness::{Peer, Server, above};

const SLIN16: Codec = Codec::Plain { encoding: Encoding::SlinBe, rate: SampleRate::HZ_16000 };

#[test]
fn a_call_begins_with_two_packets_and_both_are_heard() {
    let mut server = Server::start(|_| {});
    let mut peer = Peer::new(server.ports[0]);
    peer.send_audio(4_000);
    peer.send_audio(4_000);
    let mut call = server.wait_for_call();
    assert_eq!(call.agent.control.format().input, Codec::PCMU);
    let mut heard = 0;
    server.wait_for("both packets", |_| {
        while let Some(frame) = call.agent.input.read() {
            heard += frame.samples.iter().filter(|sample| (3_000..5_000).contains(*sample)).count();
        }
        (heard >= 300).then_some(())
    });
}

#[test]
fn the_answer_goes_back_to_where_it_came_from_evenly() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    let first = peer.read();
    assert_eq!((first.header.payload_type, first.payload.len(), first.header.marker), (0, 160, true));
    for n in 1..25_u16 {
        let next = peer.read();
        assert_eq!(next.header.ssrc, first.header.ssrc);
        assert_eq!(next.header.sequence, first.header.sequence.wrapping_add(n));
    }
    let written = call.agent.output.try_write(&[8_000; 1_600], SampleRate::HZ_8000, "hello", 0).unwrap();
    assert_eq!(written, Written::Taken(1_600));
    let sound = peer.read_sound();
    assert!(sound.header.marker, "a talkspurt begins");
    assert!(!peer.read_sound().header.marker);
}

#[test]
fn keys_are_heard_once_each_and_before_any_audio_too() {
    let mut server = Server::start(|_| {});
    let mut peer = Peer::new(server.ports[0]);
    "15".bytes().for_each(|key| peer.press(key - b'0'));
    peer.send_audio(0);
    peer.press(11);
    let mut call = server.wait_for_call();
    let mut keys = String::new();
    server.wait_for_event(&mut call.agent, |event| {
        if let Event::Dtmf { digit, .. } = event {
            keys.push(*digit);
        }
        (keys.len() == 3).then_some(())
    });
    peer.send_audio(0);
    assert_eq!(keys, "15#");
}

#[test]
fn wideband_linear_audio_that_nobody_agreed_upon_is_answered_in_what_asterisk_hears() {
    let mut server = Server::start(|_| {});
    let mut peer = Peer::new(server.ports[0]);
    (0..3).for_each(|_| peer.send(118, &[0x10; 640], 320));
    let call = server.wait_for_call();
    let format = call.agent.control.format();
    assert_eq!((format.input, format.output), (SLIN16, Codec::G722));
    for _ in 0..5 {
        let got = peer.read();
        assert_eq!((got.header.payload_type, got.payload.len()), (9, 160));
    }
}

#[test]
fn wideband_linear_audio_that_was_agreed_upon_is_answered_alike() {
    let mut server = Server::start(|config| {
        config.payload_types = PayloadTypes::default().with(118, Format::Audio(SLIN16)).unwrap();
    });
    let mut peer = Peer::new(server.ports[0]);
    (0..3).for_each(|_| peer.send(118, &[0x10; 640], 320));
    let mut call = server.wait_for_call();
    assert_eq!(call.agent.control.format().output, SLIN16);
    call.agent.output.try_write(&[0x0102; 16_000], SampleRate::HZ_16000, "hello", 0).unwrap();
    let sound = loop {
        let got = peer.read();
        assert_eq!((got.header.payload_type, got.payload.len()), (118, 640));
        if got.payload[320..] == [1, 2].repeat(160) {
            break got;
        }
    };
    let next = peer.read();
    assert_eq!(next.header.timestamp, sound.header.timestamp.wrapping_add(320));
}

#[test]
fn an_output_rate_is_kept_and_the_high_byte_goes_first() {
    let mut server = Server::start(|config| config.session.output_rate = Some(SampleRate::HZ_16000));
    let mut peer = Peer::new(server.ports[0]);
    (0..3).for_each(|_| peer.send(10, &[0; 320], 160));
    let mut call = server.wait_for_call();
    call.agent.output.try_write(&[0x0102; 16_000], SampleRate::HZ_16000, "hello", 0).unwrap();
    loop {
        let got = peer.read();
        assert_eq!(got.header.payload_type, 118);
        if got.payload[320..] == [1, 2].repeat(160) {
            break;
        }
    }
}

#[test]
fn calls_on_several_ports_do_not_mix() {
    let mut server = Server::with_ports(4, |_| {});
    let mut calls: Vec<_> = (0..4).map(|place| server.call(place)).collect();
    for (n, (_, call)) in calls.iter_mut().enumerate() {
        let value = 1_000 * (n as i16 + 1);
        call.agent.output.try_write(&[value; 8_000], SampleRate::HZ_8000, "hello", 0).unwrap();
    }
    for (n, (peer, _)) in calls.iter().enumerate() {
        peer.read_sound();
        let level = Encoding::Ulaw.decode(&peer.read_sound().payload).unwrap()[80];
        assert!((level - 1_000 * (n as i16 + 1)).abs() < 100, "{level} on port {n}");
    }
    let mut ids: Vec<_> = calls.iter().map(|(_, call)| call.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[test]
fn the_agents_keys_go_out_as_telephone_events() {
    let mut server = Server::start(|_| {});
    let (peer, mut call) = server.call(0);
    call.agent.output.send_dtmf("15#").unwrap();
    let mut receiver = Receiver::new(SampleRate::HZ_8000);
    let (mut keys, mut numbers) = (String::new(), Vec::new());
    while keys.len() < 3 {
        let got = peer.read();
        numbers.push(got.header.sequence);
        if got.header.payload_type == 101 {
            let events = receiver.handle_packet(got.header.timestamp, &got.payload).unwrap();
            keys.extend(events.filter_map(|event| event.digit()));
        }
    }
    assert_eq!(keys, "15#");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "in place of frames: {numbers:?}");
}

#[test]
fn what_gets_lost_and_comes_out_of_order_is_put_right() {
    let mut server = Server::start(|config| config.session.playout = Playout::Fixed(Duration::from_millis(60)));
    let (mut peer, mut call) = server.call(0);
    // Packets in pairs, each pair the wrong way round; the answers are the clock.
    for n in 0..60_i16 {
        let step = if n % 2 == 0 { 1 } else { -1_i16 };
        let (sequence, timestamp) = (peer.sequence, peer.timestamp);
        peer.sequence = sequence.wrapping_add_signed(step);
        peer.timestamp = timestamp.wrapping_add_signed(160 * i32::from(step));
        peer.send_audio(200 * (n + step) + 2_000);
        (peer.sequence, peer.timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(160));
        peer.read();
    }
    let mut heard = Vec::new();
    server.wait_for("the audio", |_| {
        while let Some(frame) = call.agent.input.read() {
            heard.extend(frame.samples.iter().copied().filter(|sample| *sample >= 2_000));
        }
        heard.iter().any(|sample| *sample > 12_000).then_some(())
    });
    assert!(heard.windows(2).all(|pair| pair[1] >= pair[0] - 200), "steps only go up");
}

#[test]
fn what_both_sides_report_reaches_the_statistics() {
    let mut server = Server::start(|_| {});
    let (peer, call) = server.call(0);
    let got = peer.read();
    let block = ReportBlock { ssrc: got.header.ssrc, fraction_lost: 64, lost: 7, jitter: 80, ..ReportBlock::default() };
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    writer.receiver_report(peer.ssrc, &[block]).unwrap();
    let len = writer.len();
    peer.rtcp.send_to(&out[..len], above(peer.to)).unwrap();
    let remote = server.wait_for("the report", |_| call.agent.control.stats().network?.remote);
    assert_eq!((remote.loss, remote.packets_lost, remote.jitter), (0.25, 7, Duration::from_millis(10)));
    assert_eq!(remote.round_trip, None, "it answers no report of ours");
}
