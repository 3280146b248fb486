//! The WebSocket decoder says the same whatever pieces a stream comes in, and agrees with tungstenite, both ways.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::result_large_err, reason = "the peer's signature")]

use std::io::{Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use proptest::prelude::*;
use talkpath::protocol::websocket::handshake::{
    AnswerError, MAX_HEAD_LEN, Offer, Refusal, accept, basic_authorization, encode_key, read_answer, read_request,
    request,
};
use talkpath::protocol::websocket::{
    DecodeError, Decoder, EncodeError, FrameError, MAX_HEADER_LEN, Message, Opcode, Role, apply_mask, close_code,
    encode_into,
};
use tungstenite::handshake::server::{Request as PeerRequest, Response as PeerResponse};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::protocol::{Role as PeerRole, WebSocket};

const MAX_LEN: usize = 70_000;
const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// A message that owns its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close(close) => Self::Close(close.map(|close| (close.code, close.reason.to_owned()))),
        }
    }
}

impl From<tungstenite::Message> for Owned {
    fn from(message: tungstenite::Message) -> Self {
        match message {
            tungstenite::Message::Text(text) => Self::Text(text.to_string()),
            tungstenite::Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            tungstenite::Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            tungstenite::Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            tungstenite::Message::Close(close) => {
                Self::Close(close.map(|close| (close.code.into(), close.reason.to_string())))
            }
            tungstenite::Message::Frame(_) => unreachable!("never read"),
        }
    }
}

impl Owned {
    fn opcode(&self) -> (Opcode, OpCode) {
        match self {
            Self::Text(_) => (Opcode::Text, OpCode::Data(Data::Text)),
            Self::Binary(_) => (Opcode::Binary, OpCode::Data(Data::Binary)),
            Self::Ping(_) => (Opcode::Ping, OpCode::Control(Control::Ping)),
            Self::Pong(_) => (Opcode::Pong, OpCode::Control(Control::Pong)),
            Self::Close(_) => (Opcode::Close, OpCode::Control(Control::Close)),
        }
    }

    fn payload(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.clone(),
            Self::Close(None) => Vec::new(),
            Self::Close(Some((code, reason))) => [&code.to_be_bytes(), reason.as_bytes()].concat(),
        }
    }

    /// What tungstenite makes of it: a data message in as many fragments as asked for, a ping between each two.
    fn peer_bytes(&self, fragments: usize, mask: Option<[u8; 4]>) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let mut put = |opcode, is_final, payload: &[u8]| {
            let header = FrameHeader { is_final, opcode, mask, ..FrameHeader::default() };
            Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
        };
        let payload = self.payload();
        let opcode = self.opcode().1;
        if fragments < 2 || matches!(opcode, OpCode::Control(_)) {
            put(opcode, true, &payload);
            return (bytes, 0);
        }
        let len = payload.len().div_ceil(fragments).max(1);
        let mut pieces: Vec<&[u8]> = payload.chunks(len).collect();
        pieces.resize(fragments, &[]);
        for (i, piece) in pieces.iter().enumerate() {
            if i > 0 {
                put(OpCode::Control(Control::Ping), true, b"between");
            }
            put(if i == 0 { opcode } else { OpCode::Data(Data::Continue) }, i + 1 == fragments, piece);
        }
        (bytes, fragments - 1)
    }
}

fn message() -> impl Strategy<Value = Owned> {
    prop_oneof![
        "\\PC{0,300}".prop_map(Owned::Text),
        prop::collection::vec(any::<u8>(), 0..700).prop_map(Owned::Binary),
        (60_000..MAX_LEN).prop_map(|len| Owned::Binary((0..len).map(|i| i as u8).collect())),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Owned::Ping),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Owned::Pong),
    ]
}

/// Feeds `stream` in pieces whose lengths go round in `cuts`.
fn decode(decoder: &mut Decoder, stream: &[u8], cuts: &[usize]) -> Result<Vec<Owned>, DecodeError> {
    let mut messages = Vec::new();
    let mut left = stream.to_vec();
    let mut left = &mut left[..];
    let mut cuts = cuts.iter().cycle();
    while !left.is_empty() {
        let n = (*cuts.next().unwrap()).min(left.len());
        let (mut piece, after) = left.split_at_mut(n);
        left = after;
        while let Some(message) = decoder.poll(&mut piece)? {
            messages.push(message.into());
        }
        assert!(piece.is_empty(), "nothing more to say, but {} bytes left", piece.len());
    }
    Ok(messages)
}

fn decode_whole(role: Role, stream: &[u8]) -> Result<Vec<Owned>, DecodeError> {
    decode(&mut Decoder::new(role, MAX_LEN), stream, &[stream.len().max(1)])
}

fn encode(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = vec![0; payload.len() + MAX_HEADER_LEN];
    let len = encode_into(opcode, payload, mask, &mut out).unwrap();
    out.truncate(len);
    out
}

proptest! {
    #[test]
    fn what_tungstenite_sends_arrives_in_any_pieces(
        messages in prop::collection::vec((message(), 1_usize..5), 1..8),
        cuts in prop::collection::vec(1_usize..400, 1..10),
        from_client in any::<bool>(),
        mask in any::<[u8; 4]>(),
    ) {
        let (role, mask) = if from_client { (Role::Server, Some(mask)) } else { (Role::Client, None) };
        let (mut stream, mut wanted) = (Vec::new(), Vec::new());
        for (message, fragments) in messages {
            let (bytes, pings) = message.peer_bytes(fragments, mask);
            stream.extend(bytes);
            wanted.extend(vec![Owned::Ping(b"between".to_vec()); pings]);
            wanted.push(message);
        }
        prop_assert_eq!(&decode_whole(role, &stream).unwrap(), &wanted);
        prop_assert_eq!(&decode(&mut Decoder::new(role, MAX_LEN), &stream, &cuts).unwrap(), &wanted);
    }

    #[test]
    fn what_is_sent_tungstenite_understands(message in message(), to_server in any::<bool>(), mask in any::<[u8; 4]>()) {
        let (role, mask) = if to_server { (PeerRole::Server, Some(mask)) } else { (PeerRole::Client, None) };
        let bytes = encode(message.opcode().0, &message.payload(), mask);
        let mut peer = WebSocket::from_partially_read(Cursor::new(Vec::new()), bytes, role, None);
        prop_assert_eq!(Owned::from(peer.read().unwrap()), message);
    }

    #[test]
    fn any_bytes_say_the_same_in_any_pieces(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1_usize..9, 1..5),
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
    ) {
        let mut pieces = Decoder::new(role, 1_000);
        let mut whole = Decoder::new(role, 1_000);
        prop_assert_eq!(decode(&mut pieces, &stream, &cuts), decode(&mut whole, &stream, &[stream.len().max(1)]));
    }

    #[test]
    fn a_mask_works_at_any_offset(bytes in prop::collection::vec(any::<u8>(), 0..100), mask in any::<[u8; 4]>(), cut in 0_usize..100) {
        let wanted: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
        let mut masked = bytes;
        let cut = cut.min(masked.len());
        apply_mask(&mut masked[..cut], mask, 0);
        apply_mask(&mut masked[cut..], mask, cut);
        prop_assert_eq!(masked, wanted);
    }
}

#[test]
fn each_breach_of_the_protocol_is_named_and_has_its_code() {
    let masked = |first: u8, payload: &[u8]| {
        let mut bytes = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    };
    let cases: Vec<(Vec<u8>, DecodeError, u16)> = vec![
        (vec![0xc2, 0x80], FrameError::ReservedBits { bits: 0b100 }.into(), close_code::PROTOCOL_ERROR),
        (vec![0x83, 0x80], FrameError::ReservedOpcode { opcode: 3 }.into(), close_code::PROTOCOL_ERROR),
        (vec![0x09, 0x80], FrameError::FragmentedControl.into(), close_code::PROTOCOL_ERROR),
        (vec![0x89, 0xfe, 0, 126], FrameError::LongControl { len: 126 }.into(), close_code::PROTOCOL_ERROR),
        (vec![0x82, 0xfe, 0, 125], FrameError::Length { len: 125 }.into(), close_code::PROTOCOL_ERROR),
        (
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            FrameError::Length { len: 65_535 }.into(),
            close_code::PROTOCOL_ERROR,
        ),
        (
            vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            FrameError::Length { len: 1 << 63 }.into(),
            close_code::PROTOCOL_ERROR,
        ),
        (vec![0x82, 0x01, 0x00], DecodeError::Unmasked, close_code::PROTOCOL_ERROR),
        (masked(0x80, b"x"), DecodeError::NothingToContinue, close_code::PROTOCOL_ERROR),
        ([masked(0x02, b"x"), masked(0x82, b"y")].concat(), DecodeError::UnfinishedMessage, close_code::PROTOCOL_ERROR),
        (
            vec![0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4],
            DecodeError::TooLong { len: 1 << 32, max: MAX_LEN },
            close_code::TOO_LONG,
        ),
        (
            [masked(0x02, b"x"), vec![0x80, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70, 1, 2, 3, 4]].concat(),
            DecodeError::TooLong { len: 70_001, max: MAX_LEN },
            close_code::TOO_LONG,
        ),
        (masked(0x81, b"\xc3\x28"), DecodeError::NotUtf8, close_code::NOT_UTF8),
        ([masked(0x01, b"\xc3"), masked(0x80, b"\x28")].concat(), DecodeError::NotUtf8, close_code::NOT_UTF8),
        (masked(0x88, b"\x03"), DecodeError::HalfCloseCode, close_code::PROTOCOL_ERROR),
        (masked(0x88, b"\x03\xed"), DecodeError::CloseCode { code: 1_005 }, close_code::PROTOCOL_ERROR),
        (masked(0x88, b"\x03\xe8\xff"), DecodeError::NotUtf8, close_code::NOT_UTF8),
    ];
    for (stream, error, code) in cases {
        let mut decoder = Decoder::new(Role::Server, MAX_LEN);
        assert_eq!(decode(&mut decoder, &stream, &[stream.len()]), Err(error), "{stream:x?}");
        assert_eq!(error.close_code(), code);
        let mut more = masked(0x82, b"x");
        assert_eq!(decoder.poll(&mut &mut more[..]), Err(error), "the same from then on");
    }
    let masked_by_a_server = masked(0x82, b"x");
    assert_eq!(decode_whole(Role::Client, &masked_by_a_server), Err(DecodeError::Masked));
}

#[test]
fn a_close_is_the_last_thing_said() {
    let stream = [
        encode(Opcode::Close, b"\x03\xe9bye", MASK),
        encode(Opcode::Binary, b"more", MASK),
        b"not WebSocket at all".to_vec(),
    ]
    .concat();
    let mut decoder = Decoder::new(Role::Server, MAX_LEN);
    let said = decode(&mut decoder, &stream, &[5]).unwrap();
    assert_eq!(said, [Owned::Close(Some((close_code::GOING_AWAY, "bye".into())))]);
    assert!(decoder.is_closed());
    assert_eq!(decode_whole(Role::Client, b"\x88\x00").unwrap(), [Owned::Close(None)]);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut out = [0xaa; 8];
    assert_eq!(encode_into(Opcode::Binary, &[1; 7], None, &mut out), Err(EncodeError::Room { len: 9, room: 8 }));
    assert_eq!(encode_into(Opcode::Ping, &[1; 126], None, &mut out), Err(EncodeError::LongControl { len: 126 }));
    assert_eq!(out, [0xaa; 8]);
    assert_eq!(encode_into(Opcode::Binary, &[1; 6], None, &mut out), Ok(8));
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn head(without: &str, with: &str) -> Vec<u8> {
    let fields = [
        "Host: pbx",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    let kept = fields.iter().filter(|field| without.is_empty() || !field.starts_with(without));
    let fields: String = kept
        .copied()
        .chain(with.split('\n'))
        .filter(|field| !field.is_empty())
        .fold(String::new(), |all, field| all + field + "\r\n");
    format!("GET /media HTTP/1.1\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_request_is_read_in_any_pieces_and_what_follows_is_left() {
    let mut bytes = head("", "Sec-WebSocket-Protocol: chat , media\nAuthorization: Basic dTpw");
    let len = bytes.len();
    for cut in 0..len {
        assert_eq!(read_request(&bytes[..cut], "media"), Ok(None));
    }
    bytes.extend_from_slice(b"\x82\x80");
    let (request, read) = read_request(&bytes, "media").unwrap().unwrap();
    assert_eq!((request.path, request.query, request.key, request.offer), ("/media", None, KEY, Offer::Wanted));
    assert_eq!((request.authorization, read), (Some(&b"Basic dTpw"[..]), len));
    assert!(request.has_authorization(&basic_authorization("u:p")));
    assert!(!request.has_authorization(&basic_authorization("u:q")) && !request.has_authorization("Basic dTp"));
    let others = head("", "sec-websocket-protocol: chat\nSEC-WEBSOCKET-PROTOCOL: ari");
    assert_eq!(read_request(&others, "media").unwrap().unwrap().0.offer, Offer::Others);
}

#[test]
fn what_is_no_upgrade_is_refused_with_a_clear_answer() {
    let cases: Vec<(Vec<u8>, Refusal, u16)> = vec![
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Refusal::PlainHttp, 426),
        (head("Upgrade", ""), Refusal::PlainHttp, 426),
        (head("Connection", "Connection: close"), Refusal::PlainHttp, 426),
        (head("Sec-WebSocket-Version", ""), Refusal::Version, 426),
        (head("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), Refusal::Version, 426),
        (head("Sec-WebSocket-Key", ""), Refusal::Malformed("no Sec-WebSocket-Key of 16 bytes"), 400),
        (
            head("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            Refusal::Malformed("no Sec-WebSocket-Key of 16 bytes"),
            400,
        ),
        (
            head("Sec-WebSocket-Key", "Sec-WebSocket-Key: short"),
            Refusal::Malformed("no Sec-WebSocket-Key of 16 bytes"),
            400,
        ),
        (b"POST /media HTTP/1.1\r\n\r\n".to_vec(), Refusal::Method, 405),
        (b"GET http://a/ HTTP/1.1\r\n\r\n".to_vec(), Refusal::Malformed("no path"), 400),
        (
            String::from_utf8(head("", "")).unwrap().replace("1.1", "1.0").into_bytes(),
            Refusal::Malformed("not HTTP/1.1"),
            400,
        ),
        (b"\x01\x00\x10".to_vec(), Refusal::Malformed("no HTTP request"), 400),
        (vec![b'A'; MAX_HEAD_LEN], Refusal::TooLong, 431),
        (head("", &"X: y\n".repeat(70)), Refusal::TooLong, 431),
        (head("", &format!("X: {}", "y".repeat(MAX_HEAD_LEN))), Refusal::TooLong, 431),
    ];
    for (bytes, refusal, status) in cases {
        assert_eq!(read_request(&bytes, "media"), Err(refusal), "{}", String::from_utf8_lossy(&bytes));
        let answer = String::from_utf8(refusal.to_response()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())) && body.contains(&refusal.to_string()));
    }
}

#[test]
fn an_answer_is_held_to_what_was_asked() {
    let request = head("", "Sec-WebSocket-Protocol: media");
    let (request, _) = read_request(&request, "media").unwrap().unwrap();
    let good = accept(&request, Some("media"));
    for cut in 0..good.len() {
        assert_eq!(read_answer(&good[..cut], KEY, "media"), Ok(None));
    }
    assert_eq!(read_answer(&good, KEY, "media"), Ok(Some(good.len())));
    let silent = accept(&request, None);
    assert_eq!(read_answer(&silent, KEY, "media"), Ok(Some(silent.len())));

    let text = String::from_utf8(good.clone()).unwrap();
    let cases = [
        (text.replace("101", "404"), AnswerError::Status { status: 404 }),
        (text.replace("Upgrade: websocket\r\n", ""), AnswerError::Header("Upgrade")),
        (text.replace("Connection: Upgrade\r\n", ""), AnswerError::Header("Connection")),
        (text.replace("xOo=", "xOp="), AnswerError::Header("Sec-WebSocket-Accept")),
        (text.replace("media", "ari"), AnswerError::Header("Sec-WebSocket-Protocol")),
        (
            text.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            AnswerError::Header("Sec-WebSocket-Extensions"),
        ),
        ("SSH-2.0-OpenSSH\r\n".into(), AnswerError::Malformed),
        ("x".repeat(MAX_HEAD_LEN), AnswerError::Malformed),
        (format!("HTTP/1.1 101 {}", "x".repeat(MAX_HEAD_LEN)), AnswerError::TooLong),
    ];
    for (answer, error) in cases {
        assert_eq!(read_answer(answer.as_bytes(), KEY, "media"), Err(error), "{answer}");
    }
}

#[test]
fn tungstenite_takes_the_request_and_is_taken_at_its_answer() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let check = |request: &PeerRequest, mut response: PeerResponse| {
            assert_eq!(request.uri(), "/media/1?x=2");
            assert_eq!(request.headers()["authorization"], "Basic dTpw");
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        tungstenite::accept_hdr(there, check).unwrap().read().unwrap()
    });
    let key = encode_key([7; 16]);
    let authorization = basic_authorization("u:p");
    here.write_all(&request("pbx:8088", "/media/1?x=2", &key, "media", Some(&authorization))).unwrap();
    let mut answer = vec![0; 4_096];
    let mut len = 0;
    while read_answer(&answer[..len], &key, "media").unwrap().is_none() {
        len += here.read(&mut answer[len..]).unwrap();
    }
    here.write_all(&encode(Opcode::Text, b"hello", MASK)).unwrap();
    assert_eq!(server.join().unwrap(), tungstenite::Message::text("hello"));
}

#[test]
fn tungstenite_as_the_client_is_let_in() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let client = thread::spawn(move || {
        let (mut socket, _) = tungstenite::client("ws://pbx/media", there).unwrap();
        socket.read().unwrap()
    });
    let mut bytes = vec![0; 4_096];
    let mut len = 0;
    let answer = loop {
        len += here.read(&mut bytes[len..]).unwrap();
        if let Some((request, _)) = read_request(&bytes[..len], "media").unwrap() {
            assert_eq!((request.path, request.offer), ("/media", Offer::None));
            break accept(&request, None);
        }
    };
    here.write_all(&answer).unwrap();
    here.write_all(&encode(Opcode::Text, b"hello", None)).unwrap();
    assert_eq!(client.join().unwrap(), tungstenite::Message::text("hello"));
}
