//! A call on a free port begins with a source that proves itself, and with nothing else.

use talkpath::protocol::rtp::{PayloadTypes, Probation, Proved};

use crate::harness::{address, at, caller, pcmu, stranger};

fn knock(door: &mut Probation, ssrc: u32, sequence: u16, from: std::net::SocketAddr, ms: u64) -> Option<Proved> {
    door.handle_datagram(&PayloadTypes::default(), &pcmu(ssrc, sequence), from, at(ms))
}

#[test]
fn two_packets_in_sequence_from_one_source_begin_a_call() {
    let mut door = Probation::default();
    assert_eq!(knock(&mut door, 1, 65_535, caller(), 0), None);
    assert_eq!(knock(&mut door, 1, 0, stranger(), 5), None, "another address");
    assert_eq!(knock(&mut door, 2, 0, caller(), 10), None, "another id");
    let proved = knock(&mut door, 1, 0, caller(), 20).unwrap();
    assert_eq!(proved.from, caller());
    assert_eq!(proved.early.each_ref().map(|early| early.came), [at(0), at(20)]);
    assert_eq!(proved.early.map(|early| early.datagram), [pcmu(1, 65_535), pcmu(1, 0)]);
    assert_eq!(door.dropped(), 2);
}

#[test]
fn junk_begins_no_call() {
    let mut door = Probation::default();
    let types = PayloadTypes::default();
    let mut unknown = [pcmu(1, 1), pcmu(1, 2)];
    unknown.iter_mut().for_each(|datagram| datagram[1] = 50);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let long = [pcmu(1, 1), vec![0; 5_000]].concat();
    let empty = pcmu(1, 2)[..12].to_vec();
    let junk = [&b""[..], b"GET / HTTP/1.1", &report, &long, &empty, &unknown[0], &unknown[1]];
    for datagram in junk {
        assert_eq!(door.handle_datagram(&types, datagram, caller(), at(0)), None);
    }
    assert_eq!(door.dropped(), 7);
}

#[test]
fn a_crowd_of_strangers_keeps_no_call_out() {
    let mut door = Probation::default();
    for n in 0..1_000_u16 {
        knock(&mut door, 5, n.wrapping_mul(3), address(&format!("203.0.113.{}:{}", n % 256, 1_024 + n)), u64::from(n));
    }
    assert_eq!(knock(&mut door, 1, 7, caller(), 2_000), None);
    for n in 0..31 {
        knock(&mut door, 9, n, address(&format!("203.0.113.1:{}", 40_000 + n)), 2_001);
    }
    assert!(knock(&mut door, 1, 8, caller(), 2_020).is_some());
}

#[test]
fn the_tail_of_a_call_that_is_over_begins_no_other() {
    let mut door = Probation::default();
    door.shun(caller(), 1, at(0));
    for n in 0..200_u16 {
        assert_eq!(knock(&mut door, 1, n, caller(), u64::from(n) * 20), None);
    }
    assert_eq!(knock(&mut door, 1, 300, caller(), 5_000), None, "silent for a second: it may begin");
    assert!(knock(&mut door, 1, 301, caller(), 5_020).is_some());

    door.shun(caller(), 1, at(6_000));
    assert_eq!(knock(&mut door, 2, 1, caller(), 6_020), None);
    assert!(knock(&mut door, 2, 2, caller(), 6_040).is_some(), "another id is another call");
}

#[test]
fn a_proof_that_comes_too_late_is_none() {
    let mut door = Probation::default();
    assert_eq!(knock(&mut door, 1, 5, caller(), 0), None);
    assert_eq!(knock(&mut door, 1, 6, caller(), 1_001), None, "two stray packets are no call");
    assert!(knock(&mut door, 1, 7, caller(), 1_021).is_some());
}
