//! The messages themselves, as the provider's reference has them.

use serde_json::{Value, json};
use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::protocol::realtime::openai::{
    AudioFormat, ClientEvent, ResponseStatus, Role, ServerEvent, SessionConfig, TurnDetection,
};

use crate::harness::ms;

fn parse(message: &Value) -> ServerEvent {
    ServerEvent::parse(&message.to_string()).unwrap()
}

#[test]
fn a_session_is_set_up_in_the_shape_of_general_availability() {
    let config = SessionConfig {
        instructions: Some("Be brief.".into()),
        voice: Some("marin".into()),
        tools: vec![json!({"type": "function", "name": "book", "parameters": {"type": "object"}})],
        ..SessionConfig::default()
    };
    let wanted = json!({"type": "session.update", "session": {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-live-transcribe"},
                "turn_detection": {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                    "silence_duration_ms": 500, "create_response": true, "interrupt_response": true},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
        "tools": [{"type": "function", "name": "book", "parameters": {"type": "object"}}],
        "tool_choice": "auto",
    }});
    assert_eq!(ClientEvent::SessionUpdate(config.to_json()).to_json(), wanted);
}

#[test]
fn push_to_talk_is_no_turn_detection() {
    let config = SessionConfig { turn_detection: None, transcription: None, ..SessionConfig::default() };
    let input = &config.to_json()["audio"]["input"];
    assert_eq!(*input, json!({"format": {"type": "audio/pcmu"}, "turn_detection": null}));
    let eager = TurnDetection::SemanticVad { eagerness: "high".into() };
    let config = SessionConfig { turn_detection: Some(eager), ..SessionConfig::default() };
    let detection = &config.to_json()["audio"]["input"]["turn_detection"];
    assert_eq!(*detection, json!({"type": "semantic_vad", "eagerness": "high"}));
}

#[test]
fn a_call_keeps_its_own_format_where_the_provider_has_it() {
    for (codec, format, bytes_per_second) in [
        (Codec::PCMU, AudioFormat::Pcmu, 8_000),
        (Codec::PCMA, AudioFormat::Pcma, 8_000),
        (Codec::G722, AudioFormat::Pcm24k, 48_000),
        (Codec::slin(SampleRate::HZ_8000), AudioFormat::Pcm24k, 48_000),
    ] {
        assert_eq!(AudioFormat::for_codec(codec), format);
        assert_eq!(format.duration_of(bytes_per_second), ms(1_000));
        assert_eq!(format.codec().bytes_per_frame(ms(1_000)), bytes_per_second);
    }
    assert_eq!(AudioFormat::Pcm24k.to_json(), json!({"type": "audio/pcm", "rate": 24_000}));
}

#[test]
fn what_is_said_to_the_provider_has_its_names() {
    let text = |role, text: &str| ClientEvent::CreateText { role, text: text.into() }.to_json();
    for (message, wanted) in [
        (ClientEvent::Append(vec![1, 2, 3]).to_json(), json!({"type": "input_audio_buffer.append", "audio": "AQID"})),
        (ClientEvent::Commit.to_json(), json!({"type": "input_audio_buffer.commit"})),
        (ClientEvent::Clear.to_json(), json!({"type": "input_audio_buffer.clear"})),
        (ClientEvent::CreateResponse.to_json(), json!({"type": "response.create"})),
        (ClientEvent::CancelResponse(None).to_json(), json!({"type": "response.cancel"})),
        (
            ClientEvent::CancelResponse(Some("r".into())).to_json(),
            json!({"type": "response.cancel", "response_id": "r"}),
        ),
        (
            ClientEvent::Truncate {
                item_id: "i".into(),
                content_index: 0,
                audio_end: std::time::Duration::from_micros(1_999),
            }
            .to_json(),
            json!({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1}),
        ),
        (
            text(Role::User, "hi"),
            json!({"type": "conversation.item.create", "item":
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}}),
        ),
        (
            text(Role::Assistant, "ho"),
            json!({"type": "conversation.item.create", "item":
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ho"}]}}),
        ),
        (
            ClientEvent::CreateCallOutput { call_id: "c".into(), output: "{}".into() }.to_json(),
            json!({"type": "conversation.item.create", "item":
                {"type": "function_call_output", "call_id": "c", "output": "{}"}}),
        ),
    ] {
        assert_eq!(message, wanted);
    }
}

#[test]
fn audio_is_understood_under_both_of_its_names() {
    for kind in ["response.output_audio.delta", "response.audio.delta"] {
        let message = json!({"type": kind, "response_id": "r", "item_id": "i", "content_index": 2, "delta": "AQID"});
        let wanted = ServerEvent::AudioDelta {
            response_id: "r".into(),
            item_id: "i".into(),
            content_index: 2,
            audio: vec![1, 2, 3],
        };
        assert_eq!(parse(&message), wanted);
    }
}

#[test]
fn a_response_says_how_it_ended_and_why_it_failed() {
    let done = |status: &str| {
        parse(&json!({"type": "response.done", "response": {"id": "r", "status": status, "status_details":
            {"type": "failed", "error": {"type": "server_error", "code": "rate_limit_exceeded"}}}}))
    };
    for (name, wanted) in [
        ("completed", ResponseStatus::Completed),
        ("cancelled", ResponseStatus::Cancelled),
        ("incomplete", ResponseStatus::Incomplete),
        ("failed", ResponseStatus::Failed),
    ] {
        let ServerEvent::ResponseDone { status, fault, .. } = done(name) else { panic!("the end of a response") };
        assert_eq!((status, fault.unwrap().code.as_deref()), (wanted, Some("rate_limit_exceeded")));
    }
}

#[test]
fn quotas_are_read_and_a_strange_one_is_left_out() {
    let message = json!({"type": "rate_limits.updated", "rate_limits": [
        {"name": "requests", "limit": 100, "remaining": 7, "reset_seconds": 1.5}, {"name": 7}]});
    let ServerEvent::RateLimits(limits) = parse(&message) else { panic!("quotas") };
    assert_eq!((limits.len(), limits[0].remaining, limits[0].reset_seconds), (1, 7, 1.5));
}

#[test]
fn what_is_not_known_is_no_error() {
    let kind = "conversation.item.sung".to_owned();
    assert_eq!(parse(&json!({"type": kind, "verse": 1})), ServerEvent::Unknown { kind });
}

#[test]
fn what_is_broken_is_an_error_that_says_what() {
    for (text, wanted) in [
        ("{", "a message that is no json: EOF while parsing an object at line 1 column 1"),
        ("[]", "a message without a text type"),
        (r#"{"type": 7}"#, "a message without a text type"),
        (r#"{"type": "response.created"}"#, "response.created without response"),
        (
            r#"{"type": "input_audio_buffer.committed", "item_id": 3}"#,
            "input_audio_buffer.committed with a item_id that is no text",
        ),
        (
            r#"{"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "*"}"#,
            "response.output_audio.delta with a delta that is no base64: Invalid symbol 42, offset 0.",
        ),
    ] {
        let error = ServerEvent::parse(text).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (wanted, talkpath::ErrorKind::Protocol));
    }
    let long = " ".repeat(16 * 1024 * 1024 + 1);
    assert!(ServerEvent::parse(&long).unwrap_err().to_string().ends_with("wanted at most 16777216"));
}
