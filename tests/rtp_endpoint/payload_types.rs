//! Numbers mean what Asterisk or RFC 3551 says, or what was agreed.

use talkpath::protocol::rtp::{Format, PayloadTypes};

#[test]
fn the_default_is_what_asterisk_22_sends() {
    let types = PayloadTypes::default();
    for (number, name) in [
        (0, "ulaw"),
        (8, "alaw"),
        (9, "g722"),
        (10, "slin"),
        (11, "slin44"),
        (13, "cn"),
        (19, "cn"),
        (101, "telephone-event"),
        (107, "opus24"),
        (118, "slin16"),
        (122, "slin12"),
        (123, "slin24"),
        (124, "slin32"),
        (125, "slin44"),
        (126, "slin48"),
        (127, "slin96"),
    ] {
        assert_eq!(types.format(number), Some(name.parse().unwrap()), "{number}");
    }
    assert_eq!(types.iter().count(), 16);
    assert_eq!(types.number_of("slin".parse().unwrap()), Some(10));
    assert_eq!(types.number_of(Format::ComfortNoise), Some(13));
    assert_eq!(types.number_of("opus".parse().unwrap()), Some(107), "the rate is nothing of the wire's");
    assert_eq!(types.format(200), None);
}

#[test]
fn names_of_asterisk_and_of_sdp_say_the_same() {
    for (asterisk, sdp) in [
        ("ulaw", "PCMU/8000"),
        ("alaw", "PCMA/8000/1"),
        ("g722", "G722/8000"),
        ("slin", "L16/8000"),
        ("slin12", "L16/12000"),
        ("slin44", "L16/44100"),
        ("slin192", "l16/192000"),
        ("opus", "opus/48000/2"),
        ("opus48", "OPUS/48000"),
        ("opus16", "opus16"),
        ("cn", "CN/8000"),
        ("telephone-event", "telephone-event/8000"),
    ] {
        let format: Format = asterisk.parse().unwrap();
        assert_eq!(format, sdp.parse().unwrap(), "{sdp}");
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format, "{format}");
    }
    for wrong in [
        "",
        "slin7",
        "slin_be",
        "L16",
        "L16/8001",
        "G722/16000",
        "PCMU/8000/2",
        "gsm",
        "slin99999999",
        "L16/x",
        "opus32",
        "opus/16000",
        "opusx",
    ] {
        let error = wrong.parse::<Format>().unwrap_err();
        assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
    }
}

#[test]
fn numbers_that_rtp_cannot_use_are_refused() {
    let format: Format = "ulaw".parse().unwrap();
    for number in [64, 72, 95, 128, 255] {
        let error = PayloadTypes::default().with(number, format).unwrap_err();
        assert!(error.to_string().contains(&number.to_string()), "{error}");
    }
    let slin = talkpath::audio::codec::Codec::from_name("slin", talkpath::audio::frame::SampleRate::HZ_8000).unwrap();
    assert!(PayloadTypes::default().with(96, Format::Audio(slin)).is_err());
    let types = PayloadTypes::default().with(96, format).unwrap().without(0);
    assert_eq!((types.format(0), types.number_of(format)), (None, Some(96)));
}

#[test]
fn asterisks_own_numbers_of_linear_audio_are_answered_in_what_it_hears() {
    let types = PayloadTypes::default();
    let codec = |name: &str| match name.parse().unwrap() {
        Format::Audio(codec) => Some(codec),
        _ => None,
    };
    for (number, answer) in [(0, "ulaw"), (8, "alaw"), (9, "g722"), (10, "slin"), (11, "slin44"), (107, "opus24")] {
        assert_eq!(types.answer_to(number), codec(answer), "{number}");
    }
    for number in [118, 122, 123, 124, 125, 126, 127] {
        assert_eq!(types.answer_to(number), codec("g722"), "{number}");
    }
    assert_eq!([types.answer_to(13), types.answer_to(101), types.answer_to(96)], [None; 3]);
    let agreed = types.with(118, "slin16".parse().unwrap()).unwrap().with(96, "slin24".parse().unwrap()).unwrap();
    assert_eq!(agreed.answer_to(118), codec("slin16"));
    assert_eq!(agreed.answer_to(96), codec("slin24"));
    assert_eq!(agreed.answer_to(122), codec("g722"));
}
