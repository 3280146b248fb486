//! A call's audio: heard by the agent as it was sent, said to the peer a frame every 20 ms, in the rate of the call.

use talkpath::audio::frame::SampleRate;
use talkpath::io::clock::Clock;
use talkpath::protocol::audiosocket::Kind;
use talkpath::session::Written;

use crate::harness::{Server, id};

#[test]
fn the_peer_gets_silence_from_its_id_on_a_frame_every_20_ms() {
    let server = Server::start(|_| {});
    let mut peer = server.connect();
    peer.send_id(1);
    let began = Clock::now();
    let mut last = began;
    for i in 0..50 {
        let (kind, payload) = peer.read().unwrap();
        last = Clock::now();
        assert_eq!((kind, payload.len()), (0x10, 320), "frame {i}");
        assert!(payload.iter().all(|byte| *byte == 0));
    }
    let ms = last.since(began).as_millis();
    assert!(ms >= 970, "50 frames took {ms} ms: they come at their pace, and never ahead of it");
}

#[test]
fn the_agent_hears_what_was_sent_whatever_the_frames_lengths() {
    let mut server = Server::start(|_| {});
    let mut peer = server.connect();
    peer.send_id(1);
    let sent: Vec<i16> = (0..2_000).map(|i| (i * 16) as i16).collect();
    let bytes: Vec<u8> = sent.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    // The last frames of Asterisk's prompts are as short as this.
    let mut rest = bytes.as_slice();
    for len in [320, 36, 96, 224, 320, 2].into_iter().cycle() {
        let (frame, left) = rest.split_at(rest.len().min(len));
        if frame.is_empty() {
            break;
        }
        peer.send_audio(frame);
        rest = left;
    }
    let mut call = server.wait_for_call();
    assert_eq!((call.id, call.peer), (id(1), peer.stream.local_addr().unwrap()));
    let mut heard = Vec::new();
    // The agent gets whole frames of 20 ms: 2,000 samples are 12 of them and a half.
    server.wait_for("all samples", |_| {
        while let Some(frame) = call.agent.input.read() {
            heard.extend_from_slice(frame.samples);
        }
        (heard.len() >= 1_920).then_some(())
    });
    assert_eq!(heard[..1_920], sent[..1_920]);
}

#[test]
fn a_wideband_call_is_answered_in_wideband() {
    for (kind, hz) in [(0x10, 8_000), (0x12, 16_000), (0x13, 24_000), (0x16, 48_000), (0x18, 192_000)] {
        let mut server = Server::start(|_| {});
        let mut peer = server.connect();
        let rate = SampleRate::new(hz).unwrap();
        assert_eq!(Kind::Audio(rate).to_byte(), Some(kind));
        let len = rate.frame_len() * 2;
        peer.send_id(1);
        let header = [kind, (len >> 8) as u8, len as u8];
        peer.send(&[&header[..], &vec![0; len]].concat());
        let mut call = server.wait_for_call();
        assert_eq!(call.agent.control.format().input.rate(), rate);
        let tone: Vec<i16> = (0..rate.frame_len() as i32 * 20).map(|i| ((i % 40) * 100) as i16).collect();
        assert_eq!(call.agent.output.try_write(&tone, rate, "tone", 0).unwrap(), Written::Taken(tone.len()));
        let (_, frame) = peer.read_sound();
        assert_eq!(frame.len(), rate.frame_len(), "at {hz} Hz");
    }
}

#[test]
fn a_call_without_audio_begins_all_the_same() {
    let mut server = Server::start(|_| {});
    let mut peer = server.connect();
    peer.send_id(1);
    let call = server.wait_for_call();
    assert_eq!(call.agent.control.format().input.rate(), SampleRate::HZ_8000);
}

#[test]
fn another_codec_under_the_label_of_slin_is_named_in_the_log() {
    let mut server = Server::start(|_| {});
    let mut peer = server.connect();
    peer.send_id(1);
    for _ in 0..10 {
        peer.send_audio(&[0xff; 160]);
    }
    let line = server.wait_for_line("c(slin)");
    assert!(line.starts_with(&format!("call {}", id(1))), "{line}");
}
