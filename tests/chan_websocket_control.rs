//! Asterisk's control messages mean the same in both formats; whatever else comes does no harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::protocol::chan_websocket::{Command, Event, EventError, Format, MAX_COMMAND_LEN, Status, codec_of};

/// What Asterisk 22.10 sends, in the words and in the JSON of its source.
const SAID: [(&str, &str); 9] = [
    ("MEDIA_XOFF", r#"{"event":"MEDIA_XOFF","channel_id":"pbx-1.2"}"#),
    ("MEDIA_XON", r#"{"event":"MEDIA_XON","channel_id":"pbx-1.2"}"#),
    ("QUEUE_DRAINED", r#"{"event":"QUEUE_DRAINED","channel_id":"pbx-1.2"}"#),
    (
        "MEDIA_MARK_PROCESSED 18446744073709551615",
        r#"{"event":"MEDIA_MARK_PROCESSED","channel_id":"pbx-1.2","correlation_id":"18446744073709551615"}"#,
    ),
    ("MEDIA_MARK_PROCESSED", r#"{"event":"MEDIA_MARK_PROCESSED","channel_id":"pbx-1.2","correlation_id":""}"#),
    (
        "MEDIA_BUFFERING_COMPLETED 7",
        r#"{"event":"MEDIA_BUFFERING_COMPLETED","channel_id":"pbx-1.2","correlation_id":"7"}"#,
    ),
    ("DTMF_END digit:# channel_id:pbx-1.2", r##"{"event":"DTMF_END","channel_id":"pbx-1.2","digit":"#"}"##),
    (
        "STATUS channel_id:pbx-1.2 queue_length:12 xon_level:800 xoff_level:900 queue_full:false bulk_media:true media_paused:false",
        r#"{"event":"STATUS","channel_id":"pbx-1.2","queue_length":12,"xon_level":800,"xoff_level":900,"queue_full":false,"bulk_media":true,"media_paused":false}"#,
    ),
    (
        "ERROR channel_id:pbx-1.2 error_text:MARK_MEDIA not supported: in passthrough mode",
        r#"{"event":"ERROR","channel_id":"pbx-1.2","error_text":"MARK_MEDIA not supported: in passthrough mode"}"#,
    ),
];

#[test]
fn both_formats_mean_the_same() {
    let meant = [
        Event::MediaXoff,
        Event::MediaXon,
        Event::QueueDrained,
        Event::MarkProcessed { id: Some(u64::MAX) },
        Event::MarkProcessed { id: None },
        Event::BufferingCompleted { id: Some(7) },
        Event::DtmfEnd { digit: '#' },
        Event::Status(Status {
            queue_length: 12,
            xon_level: 800,
            xoff_level: 900,
            bulk_media: true,
            ..Status::default()
        }),
        Event::Error { text: "MARK_MEDIA not supported: in passthrough mode".into() },
    ];
    for ((words, json), meant) in SAID.iter().zip(meant) {
        assert_eq!(Event::parse(words).unwrap(), meant);
        assert_eq!(Event::parse(json).unwrap(), meant);
        assert_eq!((Format::of(words), Format::of(json)), (Format::PlainText, Format::Json));
    }
}

#[test]
fn a_start_says_what_the_media_are() {
    let words = "MEDIA_START connection_id:32966726-4388-456b-a333-fdf5dbecc60d channel:WebSocket/INCOMING/0x7f \
                 channel_id:pbx-1.2 format:slin16 optimal_frame_size:640 ptime:20";
    let json = r#"{ "event": "MEDIA_START", "connection_id": "32966726-4388-456b-a333-fdf5dbecc60d",
        "channel": "WebSocket\/INCOMING\/0x7f", "channel_id": "pbx-1.2", "format": "slin16",
        "optimal_frame_size": 640, "ptime": 20, "channel_variables": { "A": "b \"c\"", "event": "X", "D": [1, {}] } }"#;
    let Event::MediaStart(start) = Event::parse(words).unwrap() else { panic!("no start") };
    assert_eq!(Event::parse(json).unwrap(), Event::MediaStart(start.clone()));
    let start = start.into_owned();
    assert_eq!(start.connection_id, "32966726-4388-456b-a333-fdf5dbecc60d");
    assert_eq!((&*start.channel, &*start.channel_id), ("WebSocket/INCOMING/0x7f", "pbx-1.2"));
    assert_eq!((&*start.format, start.optimal_frame_size, start.ptime_ms), ("slin16", 640, 20));

    // 22.6 says less.
    let old = "MEDIA_START connection_id:labws channel:WebSocket/labws/0x7f format:ulaw optimal_frame_size:160";
    let Event::MediaStart(old) = Event::parse(old).unwrap() else { panic!("no start") };
    assert_eq!((&*old.channel_id, old.ptime_ms), ("", 20));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let wanted = |event, field| Err(EventError::Field { event, field });
    let cases = [
        ("", Err(EventError::Malformed)),
        ("   ", Err(EventError::Malformed)),
        ("{}", Err(EventError::Malformed)),
        ("{", Err(EventError::Malformed)),
        (r#"{"event":7}"#, Err(EventError::Malformed)),
        (r#"{"event":"STATUS","queue_length":-1}"#, Err(EventError::Malformed)),
        ("STATUS queue_length:many", Err(EventError::Malformed)),
        ("DTMF_END", wanted("DTMF_END", "digit")),
        ("DTMF_END digit:55", wanted("DTMF_END", "digit")),
        ("DTMF_END digit:é", wanted("DTMF_END", "digit")),
        ("MEDIA_START", wanted("MEDIA_START", "connection_id")),
        ("MEDIA_START connection_id:x", wanted("MEDIA_START", "format")),
        ("MEDIA_START connection_id:x format:ulaw", wanted("MEDIA_START", "optimal_frame_size")),
        ("MEDIA_START connection_id:x format:ulaw ptime:0", wanted("MEDIA_START", "ptime")),
    ];
    for (text, error) in cases {
        assert_eq!(Event::parse(text), error, "{text:?}");
    }
    assert_eq!(Event::parse("MEDIA_NEWS a:b").unwrap(), Event::Unknown { name: "MEDIA_NEWS".into() });
}

#[test]
fn formats_are_known_by_asterisks_names() {
    let slin =
        |hz| Codec::Plain { encoding: Encoding::Slin, rate: talkpath::audio::frame::SampleRate::new(hz).unwrap() };
    for (name, hz) in [
        ("slin", 8_000),
        ("slin12", 12_000),
        ("slin16", 16_000),
        ("slin24", 24_000),
        ("slin32", 32_000),
        ("slin44", 44_100),
        ("slin48", 48_000),
        ("slin96", 96_000),
        ("slin192", 192_000),
    ] {
        assert_eq!(codec_of(name), Some(slin(hz)));
    }
    assert_eq!(codec_of("alaw"), Some(Codec::PCMA));
    assert_eq!(codec_of("g722"), Some(Codec::G722));
    assert_eq!(codec_of("opus").map(|codec| (codec.name(), codec.rate().hz())), Some(("opus", 24_000)));
    for unknown in ["", "g729", "slin11", "slin016", "ULAW", "h264"] {
        assert_eq!(codec_of(unknown), None, "{unknown}");
    }
}

#[test]
fn commands_read_as_asterisk_wants_them() {
    let commands = [
        Command::Answer,
        Command::Hangup,
        Command::StartMediaBuffering,
        Command::StopMediaBuffering(u64::MAX),
        Command::MarkMedia(u64::MAX),
        Command::FlushMedia,
        Command::PauseMedia,
        Command::ContinueMedia,
        Command::GetStatus,
        Command::ReportQueueDrained,
    ];
    for command in commands {
        let mut out = [0; MAX_COMMAND_LEN];
        let len = command.write_into(Format::PlainText, &mut out);
        let words = std::str::from_utf8(&out[..len]).unwrap().to_owned();
        let len = command.write_into(Format::Json, &mut out);
        assert!(len < MAX_COMMAND_LEN, "{command:?} takes {len} bytes");
        let json: serde_json::Value = serde_json::from_slice(&out[..len]).unwrap();
        assert_eq!(json["command"], command.name());
        let id = json["correlation_id"].as_str().map_or(String::new(), |id| format!(" {id}"));
        assert_eq!(words, format!("{}{id}", command.name()));
    }
}

proptest! {
    #[test]
    fn any_text_does_no_harm(text in "\\PC{0,200}") {
        let _ = Event::parse(&text);
    }

    #[test]
    fn what_is_nearly_a_message_does_no_harm(
        (words, json) in prop::sample::select(SAID.to_vec()),
        cut in 0_usize..200,
        put in "\\PC{0,5}",
    ) {
        for text in [words, json] {
            let cut = cut.min(text.len());
            if text.is_char_boundary(cut) {
                let _ = Event::parse(&format!("{}{put}{}", &text[..cut], &text[cut..]));
            }
        }
    }

    #[test]
    fn a_name_is_taken_with_escapes_or_without(name in "[a-zA-Z]{1,20}") {
        let escaped: String = name.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let text = format!(r#"{{"event":"{escaped}"}}"#);
        prop_assert_eq!(Event::parse(&text).unwrap(), Event::Unknown { name: name.into() });
    }
}
