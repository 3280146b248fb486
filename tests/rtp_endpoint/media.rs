//! What goes out is numbered and timed as RTP wants it, and what comes in is what its payload type says.

use std::sync::Arc;
use std::time::Duration;

use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::{PTIME, SampleRate};
use talkpath::protocol::rtp::{Endpoint, Format, Header, Media, Packet, PayloadTypes, Received};

use crate::harness::{at, callee, caller, endpoint, feed, frame, heard, packet, pair, pcmu};

const SLIN16: Codec = Codec::Plain { encoding: Encoding::SlinBe, rate: SampleRate::HZ_16000 };

fn header_of(datagram: &[u8]) -> Header {
    Packet::parse(datagram).unwrap().header
}

#[test]
fn numbers_and_timestamps_go_on_evenly_and_the_first_packet_is_marked() {
    let mut end = endpoint();
    let first = header_of(&frame(&mut end, at(0)));
    assert!(first.marker);
    for n in 1..200_u16 {
        let header = header_of(&frame(&mut end, at(u64::from(n) * 20)));
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 160));
        assert!(!header.marker);
    }
    assert_eq!((end.stats().packets_sent, end.stats().octets_sent), (200, 32_000));
}

#[test]
fn a_stretch_without_packets_shows_in_the_timestamp_and_is_marked() {
    let mut end = endpoint();
    let first = header_of(&frame(&mut end, at(0)));
    // Sent late, but due on time: no pause. Then four frames are skipped.
    assert_eq!(header_of(&frame(&mut end, at(20))).timestamp, first.timestamp.wrapping_add(160));
    let next = header_of(&frame(&mut end, at(120)));
    assert_eq!((next.timestamp, next.marker), (first.timestamp.wrapping_add(6 * 160), true));
    assert_eq!(next.sequence, first.sequence.wrapping_add(2), "no packet is missing");
}

#[test]
fn every_codec_counts_in_its_own_clock() {
    for (codec, payload, ticks, number) in
        [(Codec::PCMA, 160, 160, 8), (Codec::G722, 160, 160, 9), (SLIN16, 640, 320, 118)]
    {
        let mut end = endpoint();
        let mut send = |ms| {
            let mut out = [0; 1_000];
            let len = end.write_frame(codec, &vec![0; payload], false, at(ms), &mut out).unwrap();
            assert_eq!(len, 12 + payload);
            header_of(&out[..len])
        };
        let (first, second) = (send(0), send(20));
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), ticks, "{codec}");
        assert_eq!(first.payload_type, number, "{codec}");
    }
}

#[test]
fn packets_of_10_to_60_ms_are_timed_by_their_length() {
    for ms in [10, 20, 30, 40, 60] {
        let ptime = Duration::from_millis(ms);
        let mut end = Endpoint::new(Arc::new(PayloadTypes::default()), ptime, caller(), 1, at(0));
        let mut send = |now| {
            let mut out = [0; 1_000];
            let len = end.write_frame(Codec::PCMU, &vec![0; ms as usize * 8], false, at(now), &mut out).unwrap();
            header_of(&out[..len]).timestamp
        };
        let first = send(0);
        assert_eq!(send(ms).wrapping_sub(first), ms as u32 * 8);
    }
}

#[test]
fn a_codec_without_a_number_and_a_frame_without_room_are_refused() {
    let mut end = endpoint();
    let mut out = [0; 170];
    let slin = Codec::Plain { encoding: Encoding::Slin, rate: SampleRate::HZ_8000 };
    assert!(end.write_frame(slin, &[0; 160], false, at(0), &mut out).unwrap_err().to_string().contains("slin at 8000"));
    let error = end.write_frame(Codec::PCMU, &[0; 160], false, at(0), &mut out).unwrap_err();
    assert!(error.to_string().contains("170") && error.to_string().contains("172"), "{error}");
    assert_eq!(end.stats().packets_sent, 0);
}

#[test]
fn the_far_end_is_answered_under_the_number_that_it_uses() {
    let types = PayloadTypes::default().with(96, "L16/16000".parse().unwrap()).unwrap();
    let types = types.with(120, "L16/16000".parse().unwrap()).unwrap();
    let mut end = Endpoint::new(Arc::new(types), PTIME, caller(), 1, at(0));
    let mut out = [0; 700];
    end.write_frame(SLIN16, &[0; 640], false, at(0), &mut out).unwrap();
    assert_eq!(header_of(&out[..652]).payload_type, 96, "the lowest");
    for sequence in 0..2 {
        let header = Header { payload_type: 120, sequence, timestamp: 0, ssrc: 9, marker: false };
        end.handle_rtp(&packet(header, &[0; 640]), caller(), at(5));
    }
    end.write_frame(SLIN16, &[0; 640], false, at(20), &mut out).unwrap();
    assert_eq!(header_of(&out[..652]).payload_type, 120);
}

#[test]
fn the_codec_may_change_in_the_middle() {
    let mut end = endpoint();
    feed(&mut end, 1, 0..2, 0);
    let header = Header { payload_type: 118, sequence: 2, timestamp: 320, ssrc: 1, marker: true };
    let wide = packet(header, &[1; 640]);
    let Received::Media { before: None, media } = end.handle_rtp(&wide, caller(), at(40)) else {
        panic!("not heard");
    };
    assert_eq!(media, Media::Audio { codec: SLIN16, header, payload: &[1; 640] });
}

#[test]
fn comfort_noise_is_a_level_under_either_number() {
    let mut end = endpoint();
    feed(&mut end, 1, 0..2, 0);
    for (payload_type, sequence) in [(13, 2), (19, 3)] {
        let header = Header { payload_type, sequence, timestamp: 320, ssrc: 1, marker: false };
        let noise = packet(header, &[0x80 | 62, 7, 7]);
        let Received::Media { media, .. } = end.handle_rtp(&noise, caller(), at(40)) else {
            panic!("not heard");
        };
        assert_eq!(media, Media::ComfortNoise { header, level: 62 });
    }
}

#[test]
fn keys_take_the_place_of_frames_and_arrive_once_each() {
    let (mut one, mut other) = pair();
    "15*0#".chars().for_each(|key| one.send_key(key).unwrap());
    let mut keys = String::new();
    let (mut events, mut starts) = (0, Vec::new());
    for n in 0..100 {
        let sent = frame(&mut one, at(n * 20));
        let header = header_of(&sent);
        if header.payload_type == 101 {
            assert_eq!(sent.len(), 16);
            assert_eq!(header.marker, starts.last() != Some(&header.timestamp), "the first of a key alone");
            starts.push(header.timestamp);
            events += 1;
        }
        // The network loses every third packet and doubles every fourth.
        for _ in 0..if n % 3 == 2 { 0 } else { 1 + u64::from(n % 4 == 0) } {
            keys += &heard(other.handle_rtp(&sent, caller(), at(n * 20))).1;
        }
    }
    assert_eq!(keys, "15*0#");
    assert_eq!(events, 5 * 7, "five for 100 ms, the last three times");
    starts.dedup();
    assert_eq!(starts.len(), 5);
    assert_eq!(one.stats().packets_sent, 100, "one packet a frame, audio or key");
}

#[test]
fn keys_go_on_when_the_codec_changes() {
    let (mut one, mut other) = pair();
    "12".chars().for_each(|key| one.send_key(key).unwrap());
    let mut keys = String::new();
    for n in 0..40_u64 {
        let codec = if n < 3 { Codec::PCMU } else { SLIN16 };
        let mut out = [0; 700];
        let payload = vec![0; codec.bytes_per_frame(PTIME)];
        let len = one.write_frame(codec, &payload, false, at(n * 20), &mut out).unwrap();
        keys += &heard(other.handle_rtp(&out[..len], caller(), at(n * 20))).1;
    }
    assert_eq!(keys, "12");
}

#[test]
fn keys_need_a_number_and_must_be_keys() {
    let types = Arc::new(PayloadTypes::default().without(101));
    let mut end = Endpoint::new(types, PTIME, callee(), 1, at(0));
    assert!(end.send_key('1').unwrap_err().to_string().contains("no payload type"));
    assert!(endpoint().send_key('x').is_err());
    assert_eq!(PayloadTypes::of_rfc_3551().number_of(Format::TelephoneEvent), None);
}

#[test]
fn a_broken_key_is_counted_and_no_key() {
    let mut end = endpoint();
    feed(&mut end, 1, 0..2, 0);
    let header = Header { payload_type: 101, sequence: 2, timestamp: 320, ssrc: 1, marker: true };
    assert_eq!(heard(end.handle_rtp(&packet(header, &[5, 0, 0]), caller(), at(40))), (vec![], String::new()));
    assert_eq!(end.stats().malformed, 1);
    assert_eq!(heard(end.handle_rtp(&pcmu(1, 3), caller(), at(60))).0, [3]);
}
