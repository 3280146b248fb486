//! The digest: what fell out of the window, in at most 600 characters, without asking a model.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::state::Row;

/// How long the summary is at most, in characters.
pub const MAX_SUMMARY_CHARS: usize = 600;

const MAX_PHASES: usize = 8;
const MAX_TASKS: usize = 6;
const MAX_LINES: usize = 3;
const MAX_LINE_CHARS: usize = 60;

/// What is remembered of the rows that are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Digest {
    phases: VecDeque<String>,
    done: VecDeque<String>,
    open: VecDeque<String>,
    user: VecDeque<String>,
    agent: VecDeque<String>,
    errors: u64,
    folded: u64,
}

impl Digest {
    /// Takes in a row that fell out of the window. `label` is what a task is called, where that is still known.
    pub(super) fn fold(&mut self, row: &Row, label: Option<&str>) {
        self.folded += u64::from(row.count);
        let name = label.or(row.text.as_deref()).or(row.key.as_deref()).unwrap_or_default();
        match row.kind.as_str() {
            "phase:start" => remember(&mut self.phases, name, MAX_PHASES),
            "task:complete" => {
                let name = clip(name, MAX_LINE_CHARS);
                self.open.retain(|open| *open != name);
                remember(&mut self.done, &name, MAX_TASKS);
            }
            "task:pending" | "task:start" => remember(&mut self.open, name, MAX_TASKS),
            "voice:transcript" => remember(&mut self.user, name, MAX_LINES),
            "agent:text" | "voice:assistant_text" => remember(&mut self.agent, name, MAX_LINES),
            "session:error" | "voice:error" => self.errors += u64::from(row.count),
            _ => {}
        }
    }

    /// The digest as a text, the most important first.
    pub(super) fn render(&self) -> String {
        let mut text = format!("{} earlier events.", self.folded);
        if self.errors > 0 {
            let _ = write!(text, " Errors: {}.", self.errors);
        }
        for (title, names) in [
            ("Phases", &self.phases),
            ("Open", &self.open),
            ("Done", &self.done),
            ("User", &self.user),
            ("Agent", &self.agent),
        ] {
            if !names.is_empty() {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let _ = write!(text, " {title}: {}.", names.join("; "));
            }
        }
        clip(&text, MAX_SUMMARY_CHARS)
    }
}

/// Cuts a text to so many characters, the last of them an ellipsis where something was cut.
pub(super) fn clip(text: &str, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text.into();
    }
    let mut clipped: String = text.chars().take(max_chars - 1).collect();
    clipped.push('…');
    clipped
}

/// Keeps a name as the newest of at most `max`, each once.
fn remember(names: &mut VecDeque<String>, name: &str, max: usize) {
    let name = clip(name, MAX_LINE_CHARS);
    if name.is_empty() {
        return;
    }
    names.retain(|other| *other != name);
    names.push_back(name);
    if names.len() > max {
        names.pop_front();
    }
}
