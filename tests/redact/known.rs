//! Secrets known by value, in every dress, and not kept.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use talkpath::system::redact::{KnownSecrets, REDACTED, Redactor, RedactorOptions};

fn redactor(secrets: &[&[u8]]) -> Redactor {
    let known = KnownSecrets::new();
    secrets.iter().for_each(|secret| known.add(secret).unwrap());
    Redactor::new(RedactorOptions { secrets: known, ..RedactorOptions::default() }).unwrap()
}

#[test]
fn a_known_secret_goes_from_anywhere() {
    let redactor = redactor(&[b"blue whale", b"4711", "größe/42?".as_bytes()]);
    let text = |text| redactor.redact_text(text).0.into_owned();
    assert_eq!(text("I typed blue whale, 4711!"), "I typed [redacted], [redacted]!");
    assert_eq!(text("blue whaleblue whale"), "[redacted][redacted]");
    assert_eq!(text("blue whal"), "blue whal");
    assert_eq!(text("/x?y=gr%C3%B6%C3%9Fe%2F42%3F"), "/x?y=[redacted]");
    assert_eq!(text("a größe/42? b"), "a [redacted] b");
    let json = redactor.redact_json(r#"{"blue whale": ["x blue\u0020whale y"]}"#).unwrap();
    assert_eq!(json, (r#"{"[redacted]": ["x [redacted] y"]}"#.into(), 2));
    assert_eq!(&*redactor.redact_bytes(b"\0blue whale\xff").0, b"\0[redacted]\xff");
}

#[test]
fn one_that_is_no_utf8_takes_the_characters_it_cuts() {
    let redactor = redactor(&[b"\xb6\xc3\x9fabcdef\xc3"]);
    assert_eq!(redactor.redact_text("ößabcdefßx").0, "[redacted]x");
}

#[test]
fn a_short_one_is_refused_and_the_same_one_counts_once() {
    let known = KnownSecrets::new();
    assert!(known.add(b"abc").is_err() && known.is_empty());
    known.add(b"abcd").unwrap();
    known.add(b"abcd").unwrap();
    assert_eq!((known.len(), format!("{known:?}")), (1, "KnownSecrets(1)".into()));
}

#[test]
fn the_processs_secrets_are_known_to_a_redactor_made_before() {
    let redactor = Redactor::default();
    KnownSecrets::of_process().add(b"typed into a shell").unwrap();
    assert_eq!(redactor.redact_text("$ typed into a shell").0, format!("$ {REDACTED}"));
}

proptest! {
    #[test]
    fn no_dress_hides_it(secret in prop::collection::vec(any::<u8>(), 8..60), before in prop::collection::vec(any::<u8>(), 0..9), after in prop::collection::vec(any::<u8>(), 0..9)) {
        let redactor = redactor(&[&secret]);
        let whole = [&before[..], &secret, &after].concat();
        prop_assert!(redactor.redact_bytes(&whole).1 > 0);
        let hex: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole), hex.to_uppercase(), hex] {
            let (redacted, count) = redactor.redact_text(&text);
            prop_assert!(count > 0, "{text}");
            // At the edges half a byte may be left of it, and no more.
            prop_assert!(redacted.len() <= text.len() - secret.len() + REDACTED.len() + 4 * before.len() + 4 * after.len() + 8);
        }
    }
}
