//! Keys that the caller presses reach the agent, in order.

use talkpath::session::Event;

use crate::harness::Server;

#[test]
fn keys_arrive_in_order_between_audio() {
    let mut server = Server::start(|_| {});
    let (mut peer, mut call) = server.call(1);
    for key in *b"12*#Dx0" {
        peer.send(&[0x03, 0, 1, key]);
        peer.send_audio(&[0; 320]);
    }
    let mut keys = String::new();
    server.wait_for_event(&mut call.agent, |event| {
        if let Event::Dtmf { digit, .. } = event {
            keys.push(*digit);
        }
        (keys.len() == 6).then_some(())
    });
    assert_eq!(keys, "12*#D0", "x is no key");
}
