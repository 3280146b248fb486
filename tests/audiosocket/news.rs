//! News of a call reach the program once, and the last one surely.

use crate::harness::Server;

#[test]
fn a_call_with_news_is_named_once_until_it_has_more() {
    let mut server = Server::start(|_| {});
    let (mut peer, call) = server.call(1);
    let mut ready = Vec::new();
    server.wait_for("the first news", |server| {
        server.poll_ready(&mut ready);
        (!ready.is_empty()).then_some(())
    });
    assert_eq!(ready, [call.key]);
    for _ in 0..5 {
        ready.clear();
        peer.send_audio(&[0; 320]);
        server.wait_for("news of audio", |server| {
            server.poll_ready(&mut ready);
            (!ready.is_empty()).then_some(())
        });
        assert_eq!(ready, [call.key]);
    }
}

#[test]
fn the_end_of_a_call_is_told_though_its_place_was_given_away() {
    let mut server = Server::start(|config| config.max_calls = 1);
    let mut keys = Vec::new();
    for number in 1..=3 {
        let (peer, mut call) = server.call(number);
        keys.push(call.key);
        drop(peer);
        server.wait_for_end(&mut call.agent);
        server.wait_for("room", |server| (server.stats().calls == 0).then_some(()));
    }
    let mut ready = Vec::new();
    server.server.poll_ready(&mut ready);
    assert_eq!(ready, keys, "one entry for each call, though nobody asked in between");
}
