//! A port is kept for a call that the program expects, which is then known by its id.

use std::time::Duration;

use talkpath::ErrorKind;
use talkpath::protocol::call_id::CallId;

use crate::harness::{LIMIT, Peer, Server};

fn id(number: u8) -> CallId {
    CallId::from_bytes([number; 16])
}

#[test]
fn a_call_on_a_kept_port_has_the_id_that_was_expected() {
    let mut server = Server::with_ports(3, |_| {});
    let kept = [1, 2].map(|number| server.server.expect(id(number), LIMIT).unwrap());
    assert_ne!(kept[0], kept[1]);
    assert!(kept.iter().all(|address| server.ports.contains(address)));
    for (n, address) in kept.into_iter().enumerate().rev() {
        let mut peer = Peer::new(address);
        peer.send_audio(0);
        peer.send_audio(0);
        let call = server.wait_for_call();
        assert_eq!((call.id, call.local), (id(n as u8 + 1), address));
    }
    let other = (0..3).find(|place| !kept.contains(&server.ports[*place])).unwrap();
    let (_, call) = server.call(other);
    assert!(![id(1), id(2)].contains(&call.id));
}

#[test]
fn ports_are_kept_one_after_the_other_and_only_while_there_are_any() {
    let server = Server::with_ports(2, |_| {});
    let first = server.server.expect(id(1), LIMIT).unwrap();
    let twice = server.server.expect(id(1), LIMIT).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidArgument);
    let second = server.server.expect(id(2), LIMIT).unwrap();
    assert_ne!(first, second);
    assert_eq!(server.server.expect(id(3), LIMIT).unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_port_is_kept_no_longer_than_was_asked() {
    let mut server = Server::with_ports(1, |_| {});
    server.server.expect(id(1), Duration::from_millis(50)).unwrap();
    server.wait_for("the port", |server| server.expect(id(2), Duration::from_millis(1)).ok());
    server.wait_for("the port again", |server| server.expect(id(3), LIMIT).ok());
    let (_, call) = server.call(0);
    assert_eq!(call.id, id(3));
    assert_eq!(server.server.expect(id(3), LIMIT).unwrap_err().kind(), ErrorKind::InvalidArgument, "it runs");
}
