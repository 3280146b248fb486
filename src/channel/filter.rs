//! Which events of a hub matter: a few families by name; all else is counted and forgotten.

/// What an event is to the curated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It matters, and becomes a row.
    Kept,
    /// A level: it moves a gauge, and is no row.
    Gauge,
    /// Audio, transport noise, heartbeats and what nobody here knows.
    Ignored,
}

/// Classes an event by its type.
pub(super) fn classify(kind: &str) -> Class {
    match kind.split_once(':') {
        Some(("phase" | "task" | "agent" | "session", what)) if what != "heartbeat" => Class::Kept,
        Some(("voice", "mic_level" | "spk_level")) => Class::Gauge,
        Some((
            "voice",
            "connected" | "disconnected" | "transcript" | "assistant_text" | "notice" | "error" | "interrupted",
        )) => Class::Kept,
        _ => Class::Ignored,
    }
}
