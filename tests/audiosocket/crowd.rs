//! A crowd of connections that give no id keeps no call out, and takes nothing from running ones.

use crate::harness::{Peer, Server, id};

#[test]
fn half_open_connections_make_room_for_real_calls() {
    let mut server = Server::start(|config| config.max_pending = 16);
    let (mut running, _call) = server.call(1);
    let crowd: Vec<Peer> = (0..2_000).map(|_| server.connect()).collect();
    let (_late, late_call) = server.call(2);
    assert_eq!(late_call.id, id(2));
    assert!(server.server.stats().pending <= 16);
    server.wait_for("evictions", |server| (server.stats().connections_rejected >= 1_900).then_some(()));
    for _ in 0..10 {
        assert_eq!(running.read().unwrap().0, 0x10);
    }
    drop(crowd);
    server.wait_for("an empty door", |server| (server.stats().pending == 0).then_some(()));
}
