//! Keys, pings, and control messages that mean nothing.

use talkpath::session::{EndReason, Event};
use tungstenite::Message;

use crate::harness::{JSON, SLIN, Server};

#[test]
fn every_key_arrives_once() {
    for kind in [SLIN, JSON] {
        let mut server = Server::start(|_| {});
        let (mut channel, mut call) = server.call(kind);
        for digit in "0123456789*#ABCDa".chars() {
            channel.tell("DTMF_END", "digit", &digit.to_string());
        }
        channel.socket.close(None).unwrap();
        let mut digits = String::new();
        server.wait_for_event(&mut call.agent, |event| match event {
            Event::Dtmf { digit, .. } => {
                digits.push(*digit);
                None
            }
            Event::Ended { .. } => Some(()),
            _ => None,
        });
        assert_eq!(digits, "0123456789*#ABCDA");
    }
}

#[test]
fn a_ping_is_answered_with_its_own_payload_even_between_fragments() {
    let mut server = Server::start(|_| {});
    let (mut channel, _call) = server.call(SLIN);
    channel.socket.send(Message::Ping("are you there?".into())).unwrap();
    channel.read_until("a pong", |channel| channel.pongs == [b"are you there?"]);
}

#[test]
fn what_means_nothing_is_skipped_and_counted() {
    let mut server = Server::start(|_| {});
    let (mut channel, mut call) = server.call(SLIN);
    let strange =
        ["", " ", "HELLO", "DTMF_END digit:z", "DTMF_END", "{}", "{\"event\":7}", "MEDIA_NEWS a:b", "MEDIA_START x"];
    for text in strange {
        channel.say(text);
    }
    channel.send_audio(&[]);
    channel.send_audio(&[1]);
    channel.tell("DTMF_END", "digit", "5");
    server.wait_for_event(&mut call.agent, |event| matches!(event, Event::Dtmf { digit: '5', .. }).then_some(()));
    channel.socket.close(None).unwrap();
    assert_eq!(server.wait_for_end(&mut call.agent), EndReason::CallerHangup);
    let line = server.wait_for_line("ended after");
    assert!(line.contains(&format!("skipped {} messages", strange.len() + 2)), "{line}");
}
