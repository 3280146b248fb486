//! RTP packets read as they were written, and what does not add up is refused without harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use talkpath::audio::codec::Codec;
use talkpath::protocol::rtp::{
    Extension, FIRST_DYNAMIC_PAYLOAD_TYPE, Header, MAX_CSRCS, Packet, ParseError, StaticFormat, WriteError,
};

/// Two contributing sources, an extension of one word, four bytes of payload, three of padding.
const EVERYTHING: [u8; 35] = [
    0xb2, 0x89, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0xa1, 0xa2, 0xa3, 0xa4, // fixed header
    0xc1, 0, 0, 1, 0xc2, 0, 0, 2, // contributing sources
    0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, // extension
    0xd1, 0xd2, 0xd3, 0xd4, 0, 0, 3, // payload, padding
];

fn any_header() -> impl Strategy<Value = Header> {
    (any::<bool>(), 0_u8..128, any::<u16>(), any::<u32>(), any::<u32>())
        .prop_filter("would be rtcp", |&(marker, payload_type, ..)| !(marker && (64..96).contains(&payload_type)))
        .prop_map(|(marker, payload_type, sequence, timestamp, ssrc)| Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
        })
}

#[test]
fn every_part_is_found() {
    let packet = Packet::parse(&EVERYTHING).unwrap();
    let header = Header { marker: true, payload_type: 9, sequence: 0x1234, timestamp: 0x0102_0304, ssrc: 0xa1a2_a3a4 };
    assert_eq!(packet.header, header);
    assert_eq!(packet.csrcs, [[0xc1, 0, 0, 1], [0xc2, 0, 0, 2]]);
    assert_eq!(packet.extension, Some(Extension { profile: 0xbede, data: &[0x10, 0xff, 0, 0] }));
    assert_eq!(packet.payload, [0xd1, 0xd2, 0xd3, 0xd4]);
    assert_eq!(packet.padding, 3);

    let mut out = [7; 40];
    assert_eq!(packet.write_into(&mut out), Ok(35));
    assert_eq!((&out[..35], &out[35..]), (&EVERYTHING[..], &[7; 5][..]));
}

#[test]
fn every_cut_is_refused() {
    for len in 0..EVERYTHING.len() {
        let error = Packet::parse(&EVERYTHING[..len]).unwrap_err();
        // Where the cut leaves a whole header, the last byte left is taken for the padding's length.
        let is_header_whole = len > 28;
        assert_eq!(matches!(error, ParseError::Padding { .. }), is_header_whole, "{len} bytes: {error}");
        assert!(is_header_whole || matches!(error, ParseError::Short { .. }), "{len} bytes: {error}");
    }
}

#[test]
fn what_is_not_rtp_is_named() {
    assert_eq!(Packet::parse(&[0x40; 12]), Err(ParseError::Version { version: 1 }));
    let mut report = [0; 28];
    report[..2].copy_from_slice(&[0x80, 200]);
    assert_eq!(Packet::parse(&report), Err(ParseError::Rtcp { packet_type: 200 }));
    let mut padded = EVERYTHING;
    for (padding, is_sound) in [(0, false), (1, true), (7, true), (8, false), (255, false)] {
        padded[34] = padding;
        let parsed = Packet::parse(&padded);
        assert_eq!(parsed.is_ok(), is_sound, "padding {padding}: {parsed:?}");
    }
}

#[test]
fn what_the_wire_cannot_carry_is_refused() {
    let plain = Packet::new(Header::default(), &[1, 2, 3]);
    let mut out = [7; 100];
    let refused = [
        (Packet { header: Header { payload_type: 128, ..Header::default() }, ..plain }, "128"),
        (Packet { csrcs: &[[0; 4]; MAX_CSRCS + 1], ..plain }, "16"),
        (Packet { extension: Some(Extension { profile: 0, data: &[0; 5] }), ..plain }, "5 bytes"),
        (Packet { payload: &[0; 89], ..plain }, "101"),
    ];
    for (packet, said) in refused {
        let error = packet.write_into(&mut out).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(out, [7; 100]);
    }
    let too_long = vec![0; 262_144];
    let packet = Packet { extension: Some(Extension { profile: 0, data: &too_long }), ..plain };
    assert_eq!(packet.write_into(&mut out), Err(WriteError::Extension { len: 262_144 }));
    assert_eq!(plain.write_into(&mut out[..14]), Err(WriteError::Room { len: 15, room: 14 }));
}

#[test]
fn static_payload_types_are_those_of_rfc_3551() {
    let names: Vec<_> = (0..128).filter_map(|n| StaticFormat::of(n).map(|format| (n, format.name))).collect();
    assert_eq!(names.len(), 17);
    assert!(names.iter().all(|&(payload_type, _)| payload_type < FIRST_DYNAMIC_PAYLOAD_TYPE));
    for (payload_type, name, clock_hz, channels) in [
        (0, "PCMU", 8_000, 1),
        (8, "PCMA", 8_000, 1),
        (9, "G722", 8_000, 1),
        (10, "L16", 44_100, 2),
        (13, "CN", 8_000, 1),
    ] {
        assert_eq!(StaticFormat::of(payload_type), Some(StaticFormat { name, clock_hz, channels }));
    }
    let codec = |payload_type| StaticFormat::of(payload_type).and_then(StaticFormat::codec);
    assert_eq!([codec(0), codec(8), codec(9)], [Some(Codec::PCMU), Some(Codec::PCMA), Some(Codec::G722)]);
    assert_eq!(codec(11).map(|codec| (codec.name(), codec.rate().hz())), Some(("slin_be", 44_100)));
    assert_eq!([codec(10), codec(18), codec(13)], [None; 3]);
    for payload_type in 0..128 {
        let Some(codec) = codec(payload_type) else { continue };
        assert_eq!(StaticFormat::of(payload_type).unwrap().clock_hz, codec.rtp_clock().hz(), "{payload_type}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        header in any_header(),
        csrcs in prop::collection::vec(any::<[u8; 4]>(), 0..=MAX_CSRCS),
        extension in prop::option::of((any::<u16>(), prop::collection::vec(any::<[u8; 4]>(), 0..20))),
        payload in prop::collection::vec(any::<u8>(), 0..400),
        padding in any::<u8>(),
    ) {
        let extension = extension.as_ref();
        let extension = extension.map(|(profile, data)| Extension { profile: *profile, data: data.as_flattened() });
        let packet = Packet { header, csrcs: &csrcs, extension, payload: &payload, padding };
        let mut out = vec![0xee; packet.len()];
        prop_assert_eq!(packet.write_into(&mut out), Ok(out.len()));
        prop_assert_eq!(Packet::parse(&out), Ok(packet));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..80), is_version_2: bool) {
        if let (true, Some(first)) = (is_version_2, bytes.first_mut()) {
            *first = *first & 0x3f | 0x80;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            // Padding may hold anything, so what is written again is the same but for that.
            let mut out = vec![0; bytes.len()];
            prop_assert_eq!(packet.write_into(&mut out), Ok(bytes.len()));
            let kept = bytes.len() - usize::from(packet.padding);
            prop_assert_eq!(&out[..kept], &bytes[..kept]);
        }
    }
}
