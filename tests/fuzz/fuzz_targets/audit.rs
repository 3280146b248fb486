//! Feeds the audit log's reader any file: it must not panic, must come to the end, and must account for every byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::system::audit::{ChainKey, Found, HEADER_LEN, Header, Scan, Tail};
use talkpath::system::redact::Redactor;

fuzz_target!(|bytes: &[u8]| {
    // A header that holds, so that what follows is reached; and the bytes as they are.
    let header = Header {
        keyed: false,
        log_id: [7; 16],
        file_number: 1,
        first_record: 1,
        created_us: 0,
        previous: [0; 32],
    };
    scan(bytes);
    scan(&[&header.to_bytes(), bytes].concat());
    if let Ok(text) = str::from_utf8(bytes) {
        let redactor = Redactor::default();
        let _ = redactor.redact_json(text);
        let _ = redactor.redact_text(text);
    }
});

fn scan(bytes: &[u8]) {
    let key = ChainKey::none();
    let Ok(mut scan) = Scan::new(bytes, &key) else { return };
    let mut at = HEADER_LEN;
    for found in &mut scan {
        let (offset, len) = match found {
            Found::Record { offset, record, .. } => (offset, record.len_bytes()),
            Found::Unreadable { offset, len, .. } => (offset, len),
        };
        assert_eq!(offset, at);
        at += len;
    }
    match scan.tail() {
        Some(Tail::Torn { offset }) => assert_eq!(offset, at),
        Some(Tail::Whole | Tail::Damaged { .. }) => assert_eq!(bytes.len(), at),
        None => panic!("the walk did not come to the end"),
    }
}
