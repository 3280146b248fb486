//! Feeds any text to the reader of Asterisk's control messages, as words and as JSON: it must not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::protocol::chan_websocket::{Event, codec_of};

fuzz_target!(|input: &str| {
    check(input);
    check(&format!("MEDIA_START connection_id:1 format:ulaw optimal_frame_size:160 {input}"));
    check(&format!(r#"{{"event":"MEDIA_START","connection_id":"1","format":"ulaw","optimal_frame_size":160,{input}"#));
});

fn check(text: &str) {
    match Event::parse(text) {
        Ok(Event::MediaStart(start)) => {
            assert!(!start.connection_id.is_empty() && !start.format.is_empty());
            assert!((1..=1_000).contains(&start.ptime_ms));
            let _ = codec_of(&start.format);
        }
        Ok(Event::DtmfEnd { digit }) => assert!("0123456789*#ABCD".contains(digit)),
        Ok(Event::Unknown { name }) => assert!(!name.is_empty()),
        _ => {}
    }
}
