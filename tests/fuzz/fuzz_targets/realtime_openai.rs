//! Feeds lines of any text to a conversation as the provider's messages: it must not panic, nor play what it was not sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::Timestamp;
use talkpath::protocol::realtime::openai::{Conversation, Output, ServerEvent, SessionConfig};

fuzz_target!(|input: &str| {
    let mut conversation = Conversation::new(SessionConfig::default());
    let (mut received, mut played) = (0, 0);
    for (tick, line) in input.lines().enumerate() {
        let now = Timestamp::from_millis(tick as u64 * 20);
        match ServerEvent::parse(line) {
            Ok(event) => {
                if let ServerEvent::AudioDelta { audio, .. } = &event {
                    received += audio.len();
                }
                conversation.handle_event(event, now);
            }
            Err(_) => conversation.interrupt(std::time::Duration::from_millis(tick as u64)),
        }
        while let Some(output) = conversation.poll_output() {
            match output {
                Output::Play { audio, .. } => played += audio.len(),
                Output::Send(event) => assert_eq!(event.to_json()["type"], event.kind()),
                _ => {}
            }
        }
    }
    assert!(played <= received);
});
