//! Events as JSON, for the event bus and whoever reads it in another language: the fields that Python has, in milliseconds.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Event;
use super::position::Receipt;

impl Event {
    /// What happened, in lower case, as Python and the event bus spell it: `session:<name>` is its kind there.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Dtmf { .. } => "dtmf",
            Self::SpeechStarted { .. } => "speech_started",
            Self::SpeechStopped { .. } => "speech_stopped",
            Self::PlaybackStarted { .. } => "playback_started",
            Self::MarkPlayed { .. } => "mark_played",
            Self::Drained => "drained",
            Self::Underrun { .. } => "underrun",
            Self::Interrupted { .. } => "interrupted",
            Self::EventsLost { .. } => "events_lost",
            Self::Ended { .. } => "ended",
        }
    }

    /// What there is to say about it, as a JSON object.
    ///
    /// ```
    /// use std::time::Duration;
    /// use talkpath::session::Event;
    ///
    /// let event = Event::Underrun { tag: "greeting".into(), gap: Duration::from_millis(40) };
    /// assert_eq!(event.to_json().to_string(), r#"{"gap_ms":40.0,"tag":"greeting"}"#);
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Started { codec } => json!({ "encoding": codec.name(), "rate": codec.rate().hz() }),
            Self::Dtmf { digit, position } => json!({ "digit": digit, "position_ms": ms(*position) }),
            Self::SpeechStarted { position, decided } | Self::SpeechStopped { position, decided } => {
                json!({ "position_ms": ms(*position), "decided_ms": ms(*decided) })
            }
            Self::PlaybackStarted { tag } => json!({ "tag": tag }),
            Self::MarkPlayed { name } => json!({ "name": name }),
            Self::Drained => json!({}),
            Self::Underrun { tag, gap } => json!({ "tag": tag, "gap_ms": ms(*gap) }),
            Self::Interrupted { receipt, cause } => json!({ "receipt": receipt_json(receipt), "cause": cause.name() }),
            Self::EventsLost { count } => json!({ "count": count }),
            Self::Ended { reason } => json!({ "reason": reason.name() }),
        }
    }
}

fn receipt_json(receipt: &Receipt) -> Value {
    let segments: Vec<Value> = receipt
        .segments
        .iter()
        .map(|it| {
            json!({
                "tag": it.tag,
                "received_ms": ms(it.received),
                "played_ms": ms(it.played),
                "discarded_ms": ms(it.discarded),
            })
        })
        .collect();
    json!({ "generation": receipt.generation, "certainty": receipt.certainty.name(), "segments": segments })
}

fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
