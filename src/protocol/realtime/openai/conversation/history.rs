//! What both sides have said, for a connection that knows nothing of the one before: there is no resuming.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::client::{ClientEvent, Role};

#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<(Role, String)>,
}

impl History {
    pub(super) fn push(&mut self, role: Role, text: &str) {
        let text: String = text.trim().chars().take(MAX_CHARS).collect();
        if text.is_empty() {
            return;
        }
        self.lines.push_back((role, text));
        if self.lines.len() > MAX_LINES {
            self.lines.pop_front();
        }
    }

    /// The messages that say it all again.
    pub(super) fn replay(&self) -> impl Iterator<Item = ClientEvent> + '_ {
        self.lines.iter().map(|(role, text)| ClientEvent::CreateText { role: *role, text: text.clone() })
    }
}

/// The part of a text that was heard, when `played` of `received` was; words are taken to be said at an even pace.
pub(super) fn heard_part(text: &str, played: Duration, received: Duration) -> String {
    if played >= received {
        return text.into();
    }
    let share = played.as_secs_f64() / received.as_secs_f64();
    // Rounding down: a word that was cut was not heard.
    let chars = (text.chars().count() as f64 * share) as usize;
    let mut part: String = text.chars().take(chars).collect();
    if let Some(end) = part.rfind(char::is_whitespace) {
        part.truncate(end);
    } else {
        part.clear();
    }
    if !part.is_empty() {
        part.push('…');
    }
    part
}

const MAX_LINES: usize = 40;
const MAX_CHARS: usize = 2_000;
