//! What is beyond a limit is refused, politely and in the log.

use std::sync::Arc;

use talkpath::ErrorKind;
use talkpath::audio::frame::SampleRate;
use talkpath::io::notify::Notifier;
use talkpath::io::server::{self, Listen, ServerConfig};

use crate::harness::{Server, id};

#[test]
fn one_call_too_many_is_hung_up_until_another_ends() {
    let mut server = Server::start(|config| config.max_calls = 2);
    let (first, mut first_call) = server.call(1);
    let (_second, _second_call) = server.call(2);
    let mut third = server.connect();
    third.send_id(3);
    assert_eq!(third.read_to_end(), (true, 0), "told to hang up, without a frame");
    let line = server.wait_for_line("there are 2 calls, the limit");
    assert!(line.starts_with(&format!("call {}: refused 127.0.0.1:", id(3))), "{line}");
    assert_eq!(server.server.stats().calls_refused, 1);
    drop(first);
    server.wait_for_end(&mut first_call.agent);
    server.wait_for("room", |server| (server.stats().calls == 1).then_some(()));
    let _fourth = server.call(4);
}

#[test]
fn a_second_call_with_the_same_id_is_refused_and_the_first_goes_on() {
    let mut server = Server::start(|_| {});
    let (mut first, _call) = server.call(1);
    let mut second = server.connect();
    second.send_id(1);
    assert_eq!(second.read_to_end(), (true, 0));
    server.wait_for_line("another call has this id");
    assert_eq!(first.read().unwrap().0, 0x10);
    assert_eq!(server.server.stats().calls_refused, 1);
}

#[test]
fn a_value_out_of_range_is_named() {
    let mut narrow = ServerConfig { max_calls: 0, ..ServerConfig::default() };
    assert_eq!(narrow.validate().unwrap_err().to_string(), "max_calls of 0, wanted 1 to 65536");
    narrow.max_calls = 1;
    narrow.session.output_rate = Some(SampleRate::new(22_050).unwrap());
    assert!(narrow.validate().unwrap_err().to_string().contains("22050 Hz"));
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let server = Server::start(|_| {});
    let config = ServerConfig { listen: Listen::AudioSocket(server.server.local_addr()), ..ServerConfig::default() };
    let error = server::Server::bind(config, Arc::new(Notifier::new().unwrap())).err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with(&format!("listen on {}: ", server.server.local_addr())), "{error}");
}
