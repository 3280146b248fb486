//! What was played is what the channel says was played; an interruption empties its queue, and a full one is waited for.

use std::time::Duration;

use talkpath::audio::frame::SampleRate;
use talkpath::session::{Certainty, Event};

use crate::harness::{Channel, JSON, Kind, MUTE, SLIN, Server};

const SECOND: [i16; 8_000] = [4_000; 8_000];

#[test]
fn a_position_is_what_the_channel_has_played() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let (mut channel, mut call) = server.call(kind);
        channel.kind.answers_marks = false;
        call.agent.output.try_write(&SECOND, SampleRate::HZ_8000, "second", 0).unwrap();
        channel.read_until("a quarter of a second", |channel| sound_frames(channel) >= 12);
        let before = call.agent.output.position();
        assert_eq!(before.certainty, Certainty::Acked);
        assert_eq!(before.segments[0].played, Duration::ZERO, "nothing is known to be played");
        // Every frame of the agent's has its mark; the channel says that ten are played.
        let silent = channel.frames.len() - sound_frames(&channel);
        let marks = std::mem::take(&mut channel.marks);
        let wanted: Vec<String> = (silent..).map(|number| number.to_string()).take(10).collect();
        assert!(marks.ends_with(&marks[marks.len() - 10..]) && wanted.iter().all(|id| marks.contains(id)), "{marks:?}");
        channel.tell("MEDIA_MARK_PROCESSED", "correlation_id", &wanted[9]);
        let played = server.wait_for("the position", |_| {
            let played = call.agent.output.position().segments[0].played;
            (played > Duration::ZERO).then_some(played)
        });
        assert_eq!(played, Duration::from_millis(200));
        // What cannot be true changes nothing.
        for id in ["1", "99999999", "18446744073709551615", "x", ""] {
            channel.tell("MEDIA_MARK_PROCESSED", "correlation_id", id);
        }
        channel.tell("DTMF_END", "digit", "7");
        server.wait_for_event(&mut call.agent, |event| matches!(event, Event::Dtmf { digit: '7', .. }).then_some(()));
        assert_eq!(call.agent.output.position().segments[0].played, played);
    }
}

#[test]
fn an_interruption_empties_the_channels_queue() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let (mut channel, mut call) = server.call(kind);
        channel.kind.answers_marks = false;
        call.agent.output.try_write(&[4_000; 80_000], SampleRate::HZ_8000, "speech", 0).unwrap();
        channel.read_until("speech", |channel| sound_frames(channel) >= 20);
        channel.tell("MEDIA_MARK_PROCESSED", "correlation_id", channel.marks.last().cloned().unwrap().as_str());
        server.wait_for("the position", |_| {
            (call.agent.output.position().segments[0].played > Duration::ZERO).then_some(())
        });
        let receipt = call.agent.output.interrupt();
        assert_eq!(receipt.certainty, Certainty::Acked);
        channel.read_until("the flush", |channel| channel.count("FLUSH_MEDIA") == 1);
        let before = channel.frames.len();
        channel.read_until("silence", |channel| channel.frames.len() >= before + 5);
        let after: Vec<i16> =
            channel.frames[before + 1..].concat().chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        assert!(after.iter().all(|sample| *sample == 0), "nothing of the agent's follows the flush but the fade");
    }
}

#[test]
fn a_full_queue_is_waited_for_and_nothing_is_lost() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let (mut channel, mut call) = server.call(kind);
        call.agent.output.try_write(&SECOND, SampleRate::HZ_8000, "second", 0).unwrap();
        channel.read_until("speech", |channel| sound_frames(channel) >= 5);
        channel.tell("MEDIA_XOFF", "", "");
        channel.socket.send(tungstenite::Message::Ping("stopped?".into())).unwrap();
        channel.read_until("the pong", |channel| !channel.pongs.is_empty());
        let before = channel.frames.len();
        // What the server does meanwhile can be seen only by what it does not do: 200 ms are ten frames.
        let timeout = Duration::from_millis(200);
        channel.socket.get_ref().set_read_timeout(Some(timeout)).unwrap();
        let quiet = channel.socket.read();
        assert!(matches!(quiet, Err(tungstenite::Error::Io(_))), "nothing is sent to a full queue: {quiet:?}");
        channel.socket.get_ref().set_read_timeout(Some(crate::harness::LIMIT)).unwrap();
        channel.tell("MEDIA_XON", "", "");
        channel.read_until("the rest", |channel| sound_frames(channel) >= 50);
        assert!(channel.frames.len() > before);
        let loud = channel.samples().iter().filter(|sample| **sample == 4_000).count();
        assert!((7_800..=8_000).contains(&loud), "{loud} samples, all but the faded edges");
    }
}

#[test]
fn a_channel_without_marks_is_asked_for_its_queue() {
    let mut server = Server::start(|_| {});
    let (mut channel, mut call) = server.call(MUTE);
    call.agent.output.try_write(&SECOND, SampleRate::HZ_8000, "second", 0).unwrap();
    assert_eq!(call.agent.output.position().certainty, Certainty::Written);
    channel.read_until("a question", |channel| channel.count("GET_STATUS") == 1);
    assert_eq!(channel.frames.len(), 250, "every five seconds");
    assert_eq!(channel.count("MARK_MEDIA"), 1, "once, to see whether it is answered");
    channel.say("STATUS channel_id:pbx-1.2 queue_length:11 xon_level:800 xoff_level:900 queue_full:false bulk_media:false media_paused:false");
    channel.read_until("the next question", |channel| channel.count("GET_STATUS") == 2);
    assert_eq!(channel.frames.len(), 490, "ten frames of silence were too many");
}

#[test]
fn a_channel_that_refuses_marks_is_a_call_at_once() {
    let kind = Kind { answers_marks: false, ..JSON };
    let mut server = Server::start(|_| {});
    let mut channel = server.dial("/media", kind);
    channel.start();
    channel.read_until("the mark", |channel| channel.count("MARK_MEDIA") == 1);
    channel.tell("ERROR", "error_text", "MARK_MEDIA not supported in passthrough mode");
    channel.send_audio(&[0; 320]);
    let mut call = server.wait_for_call();
    assert_eq!(call.agent.output.position().certainty, Certainty::Written);
    call.agent.output.interrupt();
    channel.read_until("some frames", |channel| channel.frames.len() > 20);
    assert_eq!((channel.count("MARK_MEDIA"), channel.count("FLUSH_MEDIA")), (1, 0));
}

fn sound_frames(channel: &Channel) -> usize {
    channel.frames.iter().filter(|frame| frame.iter().any(|byte| *byte != 0)).count()
}
