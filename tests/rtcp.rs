//! RTCP reads as it was written, whole datagrams or none, and takes any bytes without harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use proptest::prelude::*;
use talkpath::protocol::rtcp::{
    Compound, Item, MAX_COUNT, NtpTime, Packet, ParseError, ReportBlock, SenderInfo, WriteError, Writer, is_rtcp,
};

/// What a softphone sends: a sender report with one block, and a canonical name.
const SOFTPHONE: [u8; 72] = [
    0x81, 200, 0, 12, 0, 0, 0, 0x11, // sender report of 0x11
    0xe0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0x1f, 0x40, 0, 0, 0, 50, 0, 0, 0x1f, 0x40, // sender info
    0, 0, 0, 0x22, 26, 0xff, 0xff, 0xfe, 0, 1, 0, 7, 0, 0, 0, 9, 0, 1, 0x80, 0, 0, 0, 0x80, 0, // block
    0x81, 202, 0, 4, 0, 0, 0, 0x11, 1, 8, b'a', b'@', b'b', b'.', b'c', b'd', b'e', b'f', 0, 0, // description
];

fn any_block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(|(words, fraction_lost, lost)| {
        let [ssrc, highest_sequence, jitter, last_sender_report, delay_since_last] = words;
        ReportBlock { ssrc, fraction_lost, lost, highest_sequence, jitter, last_sender_report, delay_since_last }
    })
}

fn any_sender() -> impl Strategy<Value = SenderInfo> {
    (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(ntp, rtp_timestamp, packets, octets)| {
        SenderInfo { ntp: NtpTime(ntp), rtp_timestamp, packets, octets }
    })
}

/// Reads all there is to read.
fn read(compound: Compound<'_>) -> usize {
    let count = |packet| match packet {
        Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => reports.count(),
        Packet::SourceDescription(chunks) => chunks.map(|chunk| 1 + chunk.items().count()).sum(),
        Packet::Bye { ssrcs, reason } => ssrcs.len() + reason.len(),
        Packet::Other { body, .. } => body.len(),
    };
    compound.packets().map(count).sum()
}

#[test]
fn a_softphones_report_is_understood() {
    let compound = Compound::parse(&SOFTPHONE).unwrap();
    let packets: Vec<_> = compound.packets().collect();
    let [Packet::SenderReport { ssrc, sender, reports }, Packet::SourceDescription(chunks)] = packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!(ssrc, 0x11);
    let wanted = SenderInfo { ntp: NtpTime(0xe000_0001_8000_0000), rtp_timestamp: 8_000, packets: 50, octets: 8_000 };
    assert_eq!(sender, wanted);
    let block = ReportBlock {
        ssrc: 0x22,
        fraction_lost: 26,
        lost: -2,
        highest_sequence: 0x0001_0007,
        jitter: 9,
        last_sender_report: 0x0001_8000,
        delay_since_last: 0x8000,
    };
    assert_eq!(reports.collect::<Vec<_>>(), [block]);
    let chunks: Vec<_> = chunks.collect();
    assert_eq!(chunks.len(), 1);
    let items: Vec<_> = chunks[0].items().collect();
    assert_eq!(items, [Item { kind: Item::CNAME, text: b"a@b.cdef" }]);
    assert_eq!(compound.cname(0x11), Some(&b"a@b.cdef"[..]));
    assert_eq!(compound.cname(0x12), None);

    let mut out = [0; 72];
    let mut writer = Writer::new(&mut out);
    writer.sender_report(0x11, &sender, &[block]).unwrap();
    writer.cname(0x11, "a@b.cdef").unwrap();
    assert_eq!(writer.len(), 72);
    assert_eq!(out, SOFTPHONE);
}

#[test]
fn every_cut_and_every_wrong_length_is_refused() {
    for len in 0..SOFTPHONE.len() {
        // Between the two packets, what is left is a compound.
        assert_eq!(Compound::parse(&SOFTPHONE[..len]).is_ok(), len == 52, "{len} bytes");
    }
    for (at, byte) in [(3, 11), (3, 13), (0, 0x82), (55, 3), (55, 5), (61, 20)] {
        let mut bytes = SOFTPHONE;
        bytes[at] = byte;
        assert!(Compound::parse(&bytes).is_err(), "byte {at} is {byte}");
    }
}

#[test]
fn a_compound_begins_with_a_report_of_version_2() {
    assert_eq!(Compound::parse(&SOFTPHONE[52..]), Err(ParseError::First { packet_type: 202 }));
    let mut bytes = SOFTPHONE;
    bytes[52] = 0x41;
    assert_eq!(Compound::parse(&bytes), Err(ParseError::Version { version: 1 }));
    assert!(is_rtcp(&SOFTPHONE) && !is_rtcp(&[0x80, 0x80 | 111]) && !is_rtcp(&[0x80]));
}

#[test]
fn padding_is_at_the_end_and_whole_words() {
    let mut bytes = [0x80, 201, 0, 1, 0, 0, 0, 1, 0xa0, 204, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4];
    let compound = Compound::parse(&bytes).unwrap();
    let last = compound.packets().last();
    assert_eq!(last, Some(Packet::Other { packet_type: 204, count: 0, body: &[0, 0, 0, 9] }));
    for (padding, room) in [(0, 8), (3, 8), (12, 8)] {
        bytes[19] = padding;
        assert_eq!(Compound::parse(&bytes), Err(ParseError::Padding { padding, room }));
    }
    let mut bytes = SOFTPHONE;
    bytes[0] |= 0x20;
    assert!(matches!(Compound::parse(&bytes), Err(ParseError::Padding { .. })), "padding in the first packet");
}

#[test]
fn a_goodbye_says_who_and_why() {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    writer.receiver_report(7, &[]).unwrap();
    writer.bye(7, "shut down").unwrap();
    writer.bye(8, "").unwrap();
    let len = writer.len();
    let packets: Vec<_> = Compound::parse(&out[..len]).unwrap().packets().skip(1).collect();
    let first = Packet::Bye { ssrcs: &[[0, 0, 0, 7]], reason: b"shut down" };
    assert_eq!(packets, [first, Packet::Bye { ssrcs: &[[0, 0, 0, 8]], reason: b"" }]);
}

#[test]
fn a_sloppy_description_is_read_and_spoils_no_report() {
    // The item that should end the chunk is missing.
    let bytes = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'h', b'i'];
    assert_eq!(Compound::parse(&bytes).unwrap().cname(1), Some(&b"hi"[..]));
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut out = [7; 40];
    let mut writer = Writer::new(&mut out);
    assert_eq!(writer.cname(1, "a"), Err(WriteError::First));
    assert_eq!(writer.receiver_report(1, &[ReportBlock::default(); 32]), Err(WriteError::Count { count: 32 }));
    assert!(writer.is_empty());
    writer.receiver_report(1, &[ReportBlock::default()]).unwrap();
    assert_eq!(writer.cname(1, &"x".repeat(256)), Err(WriteError::Text { len: 256 }));
    assert_eq!(writer.cname(1, "four"), Err(WriteError::Room { len: 16, room: 8 }));
    assert_eq!(writer.bye(1, ""), Ok(()));
    assert_eq!(writer.len(), 40);
}

#[test]
fn a_round_trip_is_what_is_left_without_the_wait() {
    let sent = NtpTime::from_unix(Duration::from_millis(1_700_000_000_000));
    let block =
        ReportBlock { last_sender_report: sent.middle(), delay_since_last: 65_536 / 2, ..ReportBlock::default() };
    let arrival = NtpTime::from_unix(Duration::from_millis(1_700_000_000_620));
    let round_trip = block.round_trip(arrival).unwrap();
    assert!(round_trip.abs_diff(Duration::from_millis(120)) < Duration::from_micros(50), "{round_trip:?}");
    assert_eq!(block.round_trip(sent), None, "it would have come before it was sent");
    assert_eq!(ReportBlock::default().round_trip(arrival), None, "there was no sender report");
    assert_eq!(NtpTime::from_unix(Duration::ZERO).0 >> 32, 2_208_988_800);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        ssrc: u32,
        sender in prop::option::of(any_sender()),
        blocks in prop::collection::vec(any_block(), 0..=MAX_COUNT),
        name in "[a-z@.]{0,255}",
        reason in prop::option::of("[a-z ]{1,255}"),
    ) {
        let mut out = [0xee; 1_500];
        let mut writer = Writer::new(&mut out);
        match &sender {
            Some(sender) => writer.sender_report(ssrc, sender, &blocks).unwrap(),
            None => writer.receiver_report(ssrc, &blocks).unwrap(),
        }
        writer.cname(ssrc, &name).unwrap();
        if let Some(reason) = &reason {
            writer.bye(ssrc, reason).unwrap();
        }
        let len = writer.len();
        prop_assert!(len.is_multiple_of(4));
        let compound = Compound::parse(&out[..len]).unwrap();
        prop_assert_eq!(compound.cname(ssrc), Some(name.as_bytes()));
        let mut packets = compound.packets();
        let (reporter, got_sender, reports) = match packets.next().unwrap() {
            Packet::SenderReport { ssrc, sender, reports } => (ssrc, Some(sender), reports),
            Packet::ReceiverReport { ssrc, reports } => (ssrc, None, reports),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!((reporter, got_sender), (ssrc, sender));
        prop_assert_eq!(reports.collect::<Vec<_>>(), blocks);
        let bye = packets.nth(1);
        let ssrcs = [ssrc.to_be_bytes()];
        let wanted = reason.as_ref().map(|reason| Packet::Bye { ssrcs: &ssrcs, reason: reason.as_bytes() });
        prop_assert_eq!(bye, wanted);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(compound) = Compound::parse(&bytes) {
            read(compound);
        }
    }

    #[test]
    fn any_packets_are_read_or_refused(
        packets in prop::collection::vec((0_u8..8, 199_u8..208, prop::collection::vec(0_u8..12, 0..40)), 1..5),
    ) {
        let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        for (count, packet_type, body) in packets {
            let words = body.len() / 4;
            bytes.extend([0x80 | count, packet_type, 0, words as u8]);
            bytes.extend(&body[..words * 4]);
        }
        if let Ok(compound) = Compound::parse(&bytes) {
            let len: usize = read(compound);
            prop_assert!(len <= bytes.len());
            let types = compound.packets().count();
            prop_assert!(types >= 2);
        }
    }
}
