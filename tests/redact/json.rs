//! Secrets in JSON: values under secret names, texts within, and everything else kept to the byte.

use proptest::prelude::*;
use talkpath::system::redact::Redactor;

use super::{CANARY, redact_json};

#[test]
fn a_value_under_a_secret_name_goes_whatever_it_is() {
    for value in ["\"Xq7hunter2Zz\"", "1234", "-1.5e3", "[1, \"Xq7hunter2Zz\"]", "{\"a\": {\"b\": \"Xq7hunter2Zz\"}}"] {
        let json = format!("{{\"a\" : 1,\"apiKey\" : {value} , \"z\":[ ]}}");
        assert_eq!(redact_json(&json), "{\"a\" : 1,\"apiKey\" : \"[redacted]\" , \"z\":[ ]}");
    }
}

#[test]
fn counts_of_tokens_stay_and_lists_of_them_go() {
    let json = r#"{"total_tokens":5,"tokens":{"in":3,"of":"abc"},"token_count":7,"token":null,"secret":true}"#;
    let wanted = r#"{"total_tokens":5,"tokens":{"in":3,"of":"[redacted]"},"token_count":7,"token":null,"secret":true}"#;
    assert_eq!(redact_json(json), wanted);
}

#[test]
fn pairs_flags_and_nested_texts() {
    for json in [
        r#"["--password", "Xq7hunter2Zz"]"#,
        r#"["run", "-v", "--api-key", "Xq7hunter2Zz", "x"]"#,
        r#"["Authorization", "Xq7hunter2Zz"]"#,
        r#"{"name": "X-Api-Key", "value": "Xq7hunter2Zz"}"#,
        r#"{"env": ["A=1", "DB_PASSWORD=Xq7hunter2Zz"]}"#,
        r#"{"line": "Password: Xq7hunter2Zz"}"#,
        r#"{"line": "Pass\u0077ord: Xq7hunter2Zz"}"#,
        r#"{"data": "{\"token\": \"Xq7hunter2Zz\", \"x\": \"{\\\"pwd\\\":\\\"Xq7hunter2Zz\\\"}\"}"}"#,
        r#"{"pass\u0077ord": "Xq7hunter2Zz"}"#,
        r#"{"token=Xq7hunter2Zz": 1}"#,
        r#""secret = Xq7hunter2Zz""#,
    ] {
        let redacted = redact_json(json);
        assert!(!redacted.contains(CANARY), "{json} became {redacted}");
        serde_json::from_str::<serde_json::Value>(&redacted).unwrap();
    }
}

#[test]
fn what_is_not_json_is_refused_and_pythons_numbers_are_not() {
    for json in ["", "{", "[1,]", "{\"a\" 1}", "\"a", "\"\\", "\"\\é\"", "nul", "1 2", "01x", "{\"a\":}", "\"\n\"", "e"]
    {
        assert!(Redactor::default().redact_json(json).is_none(), "{json:?}");
    }
    assert!(Redactor::default().redact_json(&"[".repeat(200)).is_none());
    let json = r#"[NaN, -Infinity, 1E400, 123456789012345678901234567890, "\ud800"]"#;
    assert_eq!(redact_json(json), json);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\ ]{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is around it, a value under a secret name is gone, and what is left is JSON.
    #[test]
    fn a_canary_is_found_in_any_json(mut around in any_json(), pretty in any::<bool>()) {
        let canary = serde_json::json!({"deep": [{"user_password": CANARY}], "text": format!("x token={CANARY} y")});
        match &mut around {
            serde_json::Value::Array(items) => items.push(canary),
            serde_json::Value::Object(items) => { items.insert("zz".into(), canary); }
            other => *other = canary,
        }
        let json = if pretty { serde_json::to_string_pretty(&around).unwrap() } else { around.to_string() };
        let redacted = redact_json(&json);
        prop_assert!(!redacted.contains(CANARY), "{redacted}");
        serde_json::from_str::<serde_json::Value>(&redacted).unwrap();
    }

    #[test]
    fn any_text_is_taken(text in "\\PC*") {
        let redactor = Redactor::default();
        let _ = redactor.redact_json(&text);
        let (once, _) = redactor.redact_text(&text);
        prop_assert!(once.len() <= text.len() * 12 + 12);
    }
}
