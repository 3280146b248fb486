//! Feeds the RTP parser any datagram: it must not panic, and what it reads must be written as it came, but for padding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::protocol::rtp::Packet;

fuzz_target!(|datagram: &[u8]| {
    let Ok(packet) = Packet::parse(datagram) else {
        return;
    };
    assert_eq!(packet.len(), datagram.len());
    let mut out = vec![0; datagram.len()];
    assert_eq!(packet.write_into(&mut out), Ok(datagram.len()));
    let kept = datagram.len() - usize::from(packet.padding);
    assert_eq!(out[..kept], datagram[..kept]);
    assert_eq!(Packet::parse(&out), Ok(packet));
});
