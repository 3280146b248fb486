//! Feeds the RTCP parser any datagram: it must not panic, nor read a byte twice; and what it reads of reports and names
//! must be written again as something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::protocol::rtcp::{Compound, Packet, ReportBlock, Writer};

fuzz_target!(|datagram: &[u8]| {
    let Ok(compound) = Compound::parse(datagram) else {
        return;
    };
    let mut bytes_seen = 0;
    for packet in compound.packets() {
        bytes_seen += match packet {
            Packet::SenderReport { ssrc, sender, reports } => {
                let reports: Vec<ReportBlock> = reports.collect();
                let mut out = [0; 1_024];
                let mut writer = Writer::new(&mut out);
                writer.sender_report(ssrc, &sender, &reports).expect("there is room");
                let len = writer.len();
                let again = Compound::parse(&out[..len]).expect("what was written is sound").packets().next();
                assert_eq!(again, Some(packet));
                len
            }
            Packet::ReceiverReport { reports, .. } => 8 + reports.count() * ReportBlock::LEN,
            Packet::SourceDescription(chunks) => {
                let items = chunks.flat_map(|chunk| chunk.items().map(|item| 2 + item.text.len()).collect::<Vec<_>>());
                4 + chunks.count() * 4 + items.sum::<usize>()
            }
            Packet::Bye { ssrcs, reason } => 4 + ssrcs.len() * 4 + reason.len(),
            Packet::Other { body, .. } => 4 + body.len(),
        };
    }
    assert!(bytes_seen >= 8 && bytes_seen <= datagram.len());
});
