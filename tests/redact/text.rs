//! Secrets in texts: by the name before them, and by their looks.

use talkpath::system::redact::{Redactor, RedactorOptions};

use super::{CANARY, assert_gone, redact};

#[test]
fn what_follows_a_secret_name_goes() {
    for name in [
        "password",
        "Password",
        "PASSWD",
        "db_password",
        "dbPassword",
        "token",
        "access_token",
        "accessToken",
        "authtoken",
        "x-api-key",
        "apiKey",
        "api_key",
        "OPENAI_API_KEY",
        "client_secret",
        "secret",
        "passphrase",
        "private_key",
        "Proxy-Authorization",
        "Set-Cookie",
        "credentials",
        "tokens",
        "pwd",
        "pin",
        "session.token",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        for text in [
            format!("{name}={CANARY}"),
            format!("{name}: {CANARY}"),
            format!("{name} = {CANARY}"),
            format!("{name}='{CANARY}'"),
            format!("{name}=\"{CANARY} {CANARY}\""),
            format!("\"{name}\": \"{CANARY}\""),
            format!("{{\\\"{name}\\\": \\\"{CANARY}\\\"}}"),
            format!("GET /?a=1&{name}={CANARY}&b=2"),
            format!("run --{name} {CANARY} now"),
            format!("--{name}={CANARY}"),
            format!("got {{'{name}': '{CANARY}'}}"),
        ] {
            assert_gone(&text);
        }
    }
}

#[test]
fn a_whole_line_goes_where_a_person_typed_or_a_header_was_sent() {
    assert_gone(&format!("[sudo] password for user: {CANARY}"));
    assert_gone(&format!("Enter passphrase for key '/home/me/.ssh/id': {CANARY}"));
    assert_gone(&format!("Authorization: Basic {CANARY}"));
    assert_gone(&format!("authorization=Bearer {CANARY}"));
    assert_gone(&format!("Cookie: a=1; session={CANARY}; b={CANARY}"));
    assert_gone(&format!("Passphrase: correct {CANARY} battery"));
    assert_eq!(redact("password: a b c\nnext line stays"), "password: [redacted]\nnext line stays");
}

#[test]
fn bearers_and_urls_lose_only_the_secret() {
    assert_eq!(redact("sent bearer abc123def to it"), "sent bearer [redacted] to it");
    assert_eq!(redact("postgres://me:hunter2@db/x"), "postgres://me:[redacted]@db/x");
    assert_eq!(redact("nats://s3cr3ttoken@127.0.0.1:4222"), "nats://[redacted]@127.0.0.1:4222");
    assert_eq!(redact("token=abc&user=bob"), "token=[redacted]&user=bob");
}

#[test]
fn well_known_keys_are_seen_by_their_looks() {
    for key in [
        "sk-proj-abcdefghijklmnop1234",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
    ] {
        assert_eq!(redact(&format!("it says {key}, twice: x={key}")), "it says [redacted], twice: x=[redacted]");
    }
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\nxyz\n-----END RSA PRIVATE KEY-----";
    assert_eq!(redact(&format!("a {pem} b")), "a [redacted] b");
    assert_eq!(redact("-----BEGIN PRIVATE KEY-----\ncut off"), "[redacted]");
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "the secretary said: come in",
        "total_tokens: 523, prompt_tokens=17",
        "tokens: 523 used",
        "https://example.org/a:b@c",
        "a basic understanding of bearer channels",
        "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----",
        "spin: 3",
        "password=",
        "token: null",
        "12:30:45 keyboard: us",
        "[redacted]",
        "password: [redacted]",
        "token=\"[redacted]\"",
        "",
        "ünïcode: ß=…",
    ] {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn redacting_twice_changes_nothing_more() {
    for text in ["Password: a b", "token=abc", "postgres://me:x1@h/", "--token abc", "Authorization: Bearer abc123"] {
        let once = redact(text);
        assert_eq!(redact(&once), once);
    }
}

#[test]
fn names_exceptions_and_patterns_of_ones_own() {
    let redactor = Redactor::new(RedactorOptions {
        names: vec!["Room Code".into()],
        except: vec!["page_token".into()],
        patterns: vec!["caller (?<secret>[0-9]+)".into(), "IBAN [A-Z]{2}[0-9]+".into()],
        ..RedactorOptions::default()
    })
    .unwrap();
    let redact = |text| redactor.redact_text(text).0.into_owned();
    assert_eq!(redact("hotel_roomCode=42"), "hotel_roomCode=[redacted]");
    assert_eq!(redact("page_token=abc"), "page_token=abc");
    assert_eq!(redact("caller 0301234 gave IBAN DE12"), "caller [redacted] gave [redacted]");
    for (names, patterns) in [(vec!["--".to_owned()], vec![]), (vec![], vec!["(".to_owned()])] {
        let options = RedactorOptions { names, patterns, ..RedactorOptions::default() };
        assert!(Redactor::new(options).is_err());
    }
}
