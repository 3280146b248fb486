//! A channel becomes a call in its own codec; what either side says the other hears, in both forms of control messages.

use talkpath::audio::codec::{Codec, Decoder};
use talkpath::audio::frame::SampleRate;
use talkpath::protocol::chan_websocket::codec_of;
use talkpath::session::Written;

use crate::harness::{JSON, Kind, MUTE, SLIN, Server};

const ID: &str = "32966726-4388-456b-a333-fdf5dbecc60d";

fn ramp(len: i16) -> Vec<i16> {
    (0..len).map(|i| i * 7 - 9_000).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[test]
fn the_agent_hears_what_was_sent_whatever_the_messages_lengths() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let mut channel = server.dial("/media", kind);
        channel.start();
        let sent = ramp(2_000);
        let all = bytes(&sent);
        let mut rest = all.as_slice();
        for len in [320, 36, 96, 1_500, 2].into_iter().cycle() {
            let (message, left) = rest.split_at(rest.len().min(len));
            if message.is_empty() {
                break;
            }
            channel.send_audio(message);
            rest = left;
        }
        // All of it is there before the channel has answered the first mark, and none of it is lost.
        let mut call = channel.while_answering(|| server.wait_for_call());
        let mut heard = Vec::new();
        server.wait_for("all samples", |_| {
            while let Some(frame) = call.agent.input.read() {
                heard.extend_from_slice(frame.samples);
            }
            (heard.len() >= 1_920).then_some(())
        });
        assert_eq!(heard[..1_920], sent[..1_920]);
    }
}

#[test]
fn what_the_agent_says_arrives_whole() {
    for kind in [SLIN, JSON, MUTE] {
        let mut server = Server::start(|config| config.session.prebuffer = std::time::Duration::ZERO);
        let (mut channel, mut call) = server.call(kind);
        let said = ramp(3_200);
        assert_eq!(call.agent.output.try_write(&said, SampleRate::HZ_8000, "ramp", 0).unwrap(), Written::Taken(3_200));
        let loud = |channel: &crate::harness::Channel| channel.samples().iter().filter(|sample| **sample != 0).count();
        channel.read_until("the ramp", |channel| loud(channel) >= 3_100);
        let heard = channel.samples();
        let first = heard.iter().position(|sample| *sample != 0).unwrap();
        // The edges are faded.
        assert_eq!(heard[first + 200..first + 2_800], said[200..2_800]);
        assert!(channel.frames.iter().all(|frame| frame.len() == 320), "one packet time a message");
    }
}

#[test]
fn a_call_has_the_codec_of_its_channel_both_ways() {
    let cases = [("ulaw", 160), ("alaw", 160), ("g722", 160), ("slin16", 640), ("slin48", 1_920), ("opus", 0)];
    for (format, frame_len) in cases {
        let codec = codec_of(format).unwrap();
        let mut server = Server::start(|_| {});
        let kind = Kind { format, frame_len, ..SLIN };
        let mut channel = server.dial("/media", kind);
        channel.start();
        // A caller who says nothing is no reason to answer in another codec.
        let mut call = channel.while_answering(|| server.wait_for_call());
        let wire = call.agent.control.format();
        assert_eq!((wire.input, wire.output), (codec, codec));
        assert_eq!(call.agent.control.stats().frames_received, 0);
        let tone: Vec<i16> = (0..codec.rate().hz()).map(|i| ((i as f32 * 0.06).sin() * 8_000.0) as i16).collect();
        call.agent.output.try_write(&tone, codec.rate(), "tone", 0).unwrap();
        channel.read_until("half a second", |channel| channel.frames.len() >= 25);
        let mut decoder = Decoder::new(codec);
        let heard: Vec<i16> = channel.frames.iter().flat_map(|frame| decoder.decode(frame).unwrap()).collect();
        let loudest = heard.iter().map(|sample| i32::from(*sample).abs()).max().unwrap();
        assert!((6_000..10_000).contains(&loudest), "{format}: {loudest}");
        if !matches!(codec, Codec::Opus { .. }) {
            assert!(channel.frames.iter().all(|frame| frame.len() == frame_len), "{format}");
        }
    }
}

#[test]
fn a_call_has_the_id_that_was_asked_for_or_a_random_one() {
    let mut server = Server::start(|_| {});
    let mut channel = server.dial(&format!("/media?x=1&id={ID}"), SLIN);
    channel.start();
    let call = channel.while_answering(|| server.wait_for_call());
    assert_eq!(call.id.to_string(), ID);
    assert!(server.wait_for_line("WebSocket/talkpath/0x7f").contains(ID), "the log names the channel");
    let (_, first) = server.call(SLIN);
    let (_, second) = server.call(SLIN);
    assert_ne!(first.id, second.id);
}

#[test]
fn frames_go_out_at_another_packet_time_than_the_channels() {
    for (ms, is_buffered) in [(10, true), (30, true), (40, false)] {
        let mut server = Server::start(|config| config.session.ptime = std::time::Duration::from_millis(ms));
        let (mut channel, _call) = server.call(SLIN);
        channel.read_until("some frames", |channel| channel.frames.len() >= 10);
        assert_eq!(channel.count("START_MEDIA_BUFFERING"), usize::from(is_buffered), "{ms} ms");
        assert!(channel.frames.iter().all(|frame| frame.len() == 16 * ms as usize));
    }
}
