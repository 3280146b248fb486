//! The AudioSocket decoder says the same whatever pieces a stream comes in, and takes any bytes without harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use talkpath::audio::frame::SampleRate;
use talkpath::protocol::audiosocket::{
    CompandedSuspect, DecodeError, Decoder, EncodeError, Kind, MAX_PAYLOAD_LEN, MAX_UNKNOWN_RUN, Message, encode_into,
};
use talkpath::protocol::call_id::CallId;

const ID: [u8; 16] = *b"0123456789abcdef";
const RATES: [u32; 9] = [8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];

/// A message that owns its payload; audio in pieces is put together again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Hangup,
    Id(CallId),
    Dtmf(char),
    Audio(u32, Vec<u8>),
    Error(u8),
}

fn encode(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; payload.len() + 3];
    let len = encode_into(kind, payload, &mut out).unwrap();
    assert_eq!(len, out.len());
    out
}

impl Owned {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hangup => encode(Kind::Hangup, &[]),
            Self::Id(id) => encode(Kind::Id, id.as_bytes()),
            Self::Dtmf(digit) => encode(Kind::Dtmf, &[*digit as u8]),
            Self::Audio(hz, payload) => encode(Kind::Audio(SampleRate::new(*hz).unwrap()), payload),
            Self::Error(code) => encode(Kind::Error, &[*code]),
        }
    }
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Hangup => Self::Hangup,
            Message::Id(id) => Self::Id(id),
            Message::Dtmf(digit) => Self::Dtmf(digit),
            Message::Audio { rate, payload } => Self::Audio(rate.hz(), payload.to_vec()),
            Message::Error { code } => Self::Error(code),
        }
    }
}

/// Feeds `stream` in pieces whose lengths go round in `cuts`.
fn decode(decoder: &mut Decoder, stream: &[u8], cuts: &[usize]) -> Result<Vec<Owned>, DecodeError> {
    let mut messages = Vec::new();
    let mut left = stream;
    let mut cuts = cuts.iter().cycle();
    while !left.is_empty() {
        let (mut piece, after) = left.split_at((*cuts.next().unwrap()).min(left.len()));
        left = after;
        while let Some(message) = decoder.poll(&mut piece)? {
            messages.push(message.into());
        }
        assert!(piece.is_empty(), "nothing more to say, but {} bytes left", piece.len());
    }
    Ok(messages)
}

fn with_id(rest: &[u8]) -> Vec<u8> {
    let mut stream = encode(Kind::Id, &ID);
    stream.extend_from_slice(rest);
    stream
}

fn any_message() -> impl Strategy<Value = Owned> {
    prop_oneof![
        1 => Just(Owned::Hangup),
        2 => prop::sample::select(b"0123456789*#ABCD".as_slice()).prop_map(|digit| Owned::Dtmf(char::from(digit))),
        1 => any::<u8>().prop_map(Owned::Error),
        8 => (prop::sample::select(RATES.as_slice()), prop::collection::vec(any::<u8>(), 1..Decoder::CAPACITY))
            .prop_map(|(hz, payload)| Owned::Audio(hz, payload)),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_messages_that_were_encoded(
        messages in prop::collection::vec(any_message(), 0..12),
        cuts in prop::collection::vec(1_usize..700, 1..8),
    ) {
        let mut expected = vec![Owned::Id(CallId::from_bytes(ID))];
        expected.extend(messages);
        let stream: Vec<u8> = expected.iter().flat_map(Owned::encode).collect();
        for cuts in [cuts.as_slice(), &[1], &[usize::MAX]] {
            let mut decoder = Decoder::new();
            prop_assert_eq!(decode(&mut decoder, &stream, cuts), Ok(expected.clone()));
            prop_assert!(decoder.is_between_messages());
            prop_assert_eq!(decoder.skipped(), 0);
        }
    }

    #[test]
    fn a_message_longer_than_the_buffer_comes_in_pieces_that_add_up(
        payload in prop::collection::vec(any::<u8>(), Decoder::CAPACITY..3 * Decoder::CAPACITY),
        cuts in prop::collection::vec(1_usize..9_000, 1..8),
    ) {
        let stream = with_id(&encode(Kind::Audio(SampleRate::HZ_16000), &payload));
        let messages = decode(&mut Decoder::new(), &stream, &cuts).unwrap();
        let mut whole = Vec::new();
        for (i, message) in messages[1..].iter().enumerate() {
            let Owned::Audio(16_000, piece) = message else { panic!("{message:?}") };
            prop_assert!(piece.len() % 2 == 0 || i + 2 == messages.len(), "no sample is cut in two");
            whole.extend_from_slice(piece);
        }
        prop_assert_eq!(whole, payload);
    }

    #[test]
    fn any_bytes_do_no_harm_and_give_the_same_in_any_pieces(
        garbage in prop::collection::vec(any::<u8>(), 0..2_000),
        cuts in prop::collection::vec(1_usize..100, 1..8),
    ) {
        let stream = with_id(&garbage);
        let mut whole = Decoder::new();
        let mut split = Decoder::new();
        prop_assert_eq!(decode(&mut whole, &stream, &[usize::MAX]), decode(&mut split, &stream, &cuts));
        prop_assert_eq!(whole.skipped(), split.skipped());
    }
}

#[test]
fn the_first_message_must_be_an_id_of_16_bytes() {
    let audio = encode(Kind::Audio(SampleRate::HZ_8000), &[0; 320]);
    assert_eq!(decode(&mut Decoder::new(), &audio, &[1]), Err(DecodeError::NoId { kind: 0x10, len: 320 }));
    let http = b"GET / HTTP/1.1\r\n\r\n";
    let mut decoder = Decoder::new();
    let error = decode(&mut decoder, http, &[5]).unwrap_err();
    assert_eq!(error.to_string(), "first message has kind 0x47 and 17748 bytes, wanted an id (0x01) of 16 bytes");
    assert_eq!(decode(&mut decoder, &with_id(&[]), &[19]), Err(error), "an error is for good");
    assert_eq!(decode(&mut Decoder::new(), b"\x01\x00\x0f", &[3]), Err(DecodeError::NoId { kind: 1, len: 15 }));
}

#[test]
fn a_second_id_is_an_error() {
    assert_eq!(decode(&mut Decoder::new(), &with_id(&with_id(&[])), &[7]), Err(DecodeError::SecondId));
}

#[test]
fn what_means_nothing_is_skipped_and_counted() {
    let mut rest = vec![0x02, 0, 4, 1, 2, 3, 4]; // a kind that Asterisk reserves
    rest.extend([0x10, 0, 0]); // empty audio
    rest.extend([0x03, 0, 1, b'x']); // no digit
    rest.extend([0x03, 0, 0]);
    rest.extend([0x03, 0, 3, b'c', b'7', b'7']); // one digit and two bytes too many
    for cuts in [1, 4, 1_000] {
        let mut decoder = Decoder::new();
        let messages = decode(&mut decoder, &with_id(&rest), &[cuts]).unwrap();
        assert_eq!(messages[1..], [Owned::Dtmf('C')]);
        assert_eq!(decoder.skipped(), 4);
        assert!(decoder.is_between_messages());
    }
}

#[test]
fn a_huge_message_of_unknown_kind_passes_through_without_being_held() {
    let mut rest = vec![0x42, 0xff, 0xff];
    rest.extend(vec![0; MAX_PAYLOAD_LEN]);
    rest.extend(encode(Kind::Dtmf, b"1"));
    let messages = decode(&mut Decoder::new(), &with_id(&rest), &[997]).unwrap();
    assert_eq!(messages[1..], [Owned::Dtmf('1')]);
}

#[test]
fn a_stream_out_of_step_is_given_up() {
    let unknown = [0x55, 0, 0].repeat(usize::from(MAX_UNKNOWN_RUN));
    let error = decode(&mut Decoder::new(), &with_id(&unknown), &[10]).unwrap_err();
    assert_eq!(error, DecodeError::OutOfStep { count: MAX_UNKNOWN_RUN, kind: 0x55 });
    let mut mixed = unknown[3..].to_vec();
    mixed.extend(encode(Kind::Dtmf, b"1"));
    mixed.extend(&unknown[3..]);
    assert_eq!(decode(&mut Decoder::new(), &with_id(&mixed), &[10]).unwrap().len(), 2, "a known kind starts anew");
}

#[test]
fn the_encoder_refuses_what_would_end_the_call() {
    let mut out = [0; 400];
    let slin = Kind::Audio(SampleRate::HZ_8000);
    assert_eq!(encode_into(slin, &[], &mut out), Err(EncodeError::PayloadLen { len: 0 }));
    assert_eq!(encode_into(slin, &[0; 65_536], &mut out), Err(EncodeError::PayloadLen { len: 65_536 }));
    assert_eq!(encode_into(slin, &[0; 400], &mut out), Err(EncodeError::Room { len: 403, room: 400 }));
    let odd = Kind::Audio(SampleRate::new(22_050).unwrap());
    assert_eq!(encode_into(odd, &[0; 882], &mut out), Err(EncodeError::Rate { hz: 22_050 }));
    assert_eq!(encode_into(Kind::Hangup, &[], &mut out), Ok(3));
    assert_eq!(out[..3], [0, 0, 0]);
}

#[test]
fn every_kind_has_one_byte_and_back() {
    let known: Vec<u8> = (0..=255).filter(|byte| Kind::from_byte(*byte).is_some()).collect();
    assert_eq!(known, [0x00, 0x01, 0x03, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0xff]);
    for byte in known {
        assert_eq!(Kind::from_byte(byte).unwrap().to_byte(), Some(byte));
    }
    assert_eq!(Kind::from_byte(0x15), Some(Kind::Audio(SampleRate::new(44_100).unwrap())));
}

#[test]
fn another_codec_under_the_label_of_slin_is_noticed_once() {
    let mut suspect = CompandedSuspect::default();
    let said: Vec<bool> = (0..10).map(|_| suspect.observe(SampleRate::HZ_8000, 160)).collect();
    assert_eq!(said.iter().filter(|said| **said).count(), 1);
    assert!(said[4], "with the fifth frame");
    let mut prompt = CompandedSuspect::default();
    assert!(!prompt.observe(SampleRate::HZ_8000, 320));
    assert!((0..10).all(|_| !prompt.observe(SampleRate::HZ_8000, 160)), "short frames of slin are none");
}
