//! The rules: what each event of a hub changes in the curated state.
//!
//! It knows neither the bus nor the provider; whoever feeds it leaves out what the voice channel itself has emitted.

use serde_json::Value;

use super::digest::{Digest, clip};
use super::filter::{Class, classify};
use super::state::{Agent, CuratedState, Fault, Mode, Row, RunStatus, Task, TaskState};
use super::window;

/// How many tasks are kept at most.
pub const MAX_TASKS: usize = 50;

/// How many agents are kept at most.
pub const MAX_AGENTS: usize = 50;

const MAX_UTTERANCE_CHARS: usize = 280;
const MAX_NAME_CHARS: usize = 120;
const MAX_KIND_CHARS: usize = 64;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It changed the state, and is a row of it.
    Kept,
    /// It moved a gauge.
    Gauge,
    /// A status that says nothing new.
    Unchanged,
    /// It is none of those that matter.
    Ignored,
}

/// The curated state, and what it takes to keep it.
#[derive(Clone, Debug, Default)]
pub struct View {
    state: CuratedState,
    digest: Digest,
    ignored: u64,
    evicted: u64,
}

impl View {
    /// Makes the state of a hub of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event: an object with `type`, `ts` in milliseconds, and what its type says.
    ///
    /// What is not an object, or has fields of other shapes, counts as an event without them: a hub's clients are
    /// strangers, and nothing they say is an error of the channel.
    pub fn handle_event(&mut self, event: &Value) -> Taken {
        let kind = text_of(event, "type").unwrap_or_default();
        match classify(kind) {
            Class::Ignored => {
                self.ignored += 1;
                Taken::Ignored
            }
            Class::Gauge => {
                self.move_gauge(kind, event);
                Taken::Gauge
            }
            Class::Kept => self.keep(kind, event),
        }
    }

    /// Says that the provider is connected, or no longer: what was under way with it is over then.
    pub fn set_connected(&mut self, connected: bool) {
        self.state.session.connected = connected;
        self.state.session.response_in_progress = false;
    }

    /// Says whether the provider is answering.
    pub fn set_response_in_progress(&mut self, is_in_progress: bool) {
        self.state.session.response_in_progress = is_in_progress;
    }

    /// Says what went wrong with the provider.
    pub fn set_fault(&mut self, fault: Fault) {
        let clipped = |text: Option<String>| text.map(|text| clip(&text, MAX_UTTERANCE_CHARS));
        self.state.session.last_error =
            Some(Fault { code: clipped(fault.code), message: clipped(fault.message), param: clipped(fault.param) });
    }

    /// Says who ends a turn.
    pub fn set_mode(&mut self, mode: Mode) {
        self.state.mode = mode;
    }

    /// Puts a summary of one's own in place of the digest's; it is cut to [`MAX_SUMMARY_CHARS`](super::MAX_SUMMARY_CHARS)
    /// characters, and stands until the next row falls out of the window.
    pub fn set_summary(&mut self, summary: &str) {
        self.state.summary = Some(clip(summary, super::MAX_SUMMARY_CHARS));
    }

    /// The state as it is.
    #[must_use]
    pub fn state(&self) -> &CuratedState {
        &self.state
    }

    /// How many events did not matter.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many rows have fallen out of the window into the summary.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn move_gauge(&mut self, kind: &str, event: &Value) {
        // JSON has no other numbers, and a level beyond the scale is its end.
        let level = event.get("level").and_then(Value::as_f64).unwrap_or_default().clamp(0.0, 100.0).round() as u8;
        let audio = &mut self.state.audio;
        if kind == "voice:mic_level" {
            audio.mic_level = level;
        } else {
            audio.spk_level = level;
        }
        audio.last_packet_at = Some(time_of(event));
    }

    fn keep(&mut self, kind: &str, event: &Value) -> Taken {
        let row = row_of(kind, event);
        if window::changes_nothing(&self.state.recent, &row) {
            return Taken::Unchanged;
        }
        match kind.split_once(':') {
            Some(("session", what)) => self.session(what, event),
            Some(("phase", "start")) => {
                self.state.run.phase = name_of(event, "phase");
                self.state.run.status = RunStatus::Running;
            }
            Some(("task", what)) => self.task(what, event),
            Some(("agent", what)) => self.agent(what, event),
            Some(("voice", what)) => self.voice(what, event),
            _ => {}
        }
        if let Some(gone) = window::push(&mut self.state.recent, row) {
            let label = self.state.tasks.iter().find(|task| Some(&task.id) == gone.key.as_ref());
            self.digest.fold(&gone, label.filter(|_| gone.kind.starts_with("task:")).map(|task| task.label.as_str()));
            self.evicted += 1;
            self.state.summary = Some(self.digest.render());
        }
        Taken::Kept
    }

    fn session(&mut self, what: &str, event: &Value) {
        let run = &mut self.state.run;
        match what {
            "start" => {
                run.id = name_of(event, "runId");
                run.status = RunStatus::Running;
                run.phase = None;
                self.state.tasks.clear();
            }
            "pause" => run.status = RunStatus::Paused,
            "resume" => run.status = RunStatus::Running,
            "end" => run.status = RunStatus::Idle,
            "error" => {
                let error = event.get("error").unwrap_or(event);
                let owned = |name| text_of(error, name).map(str::to_owned);
                self.set_fault(Fault { code: owned("code"), message: owned("message"), param: owned("param") });
            }
            _ => {}
        }
    }

    fn task(&mut self, what: &str, event: &Value) {
        let state = match what {
            "pending" => TaskState::Pending,
            "start" => TaskState::Running,
            "complete" => TaskState::Done,
            _ => return,
        };
        let Some(id) = name_of(event, "id") else { return };
        let label = name_of(event, "label");
        let tasks = &mut self.state.tasks;
        if let Some(task) = tasks.iter_mut().find(|task| task.id == id) {
            task.state = state;
            if let Some(label) = label {
                task.label = label;
            }
            return;
        }
        if tasks.len() == MAX_TASKS {
            let first_done = tasks.iter().position(|task| task.state == TaskState::Done);
            tasks.remove(first_done.unwrap_or(0));
        }
        tasks.push(Task { label: label.unwrap_or_else(|| id.clone()), id, state });
    }

    fn agent(&mut self, what: &str, event: &Value) {
        if what == "text" {
            self.state.last_agent_utterance = utterance_of(event);
        }
        let Some(id) = name_of(event, "agentId") else { return };
        match what {
            "start" => self.state.active_agent = Some(self.upsert_agent(id, None, event)),
            "complete" => {
                self.upsert_agent(id.clone(), Some("done".into()), event);
                if self.state.active_agent.as_ref().is_some_and(|agent| agent.id == id) {
                    self.state.active_agent = None;
                }
            }
            "status" => {
                let status = name_of(event, "status");
                let agent = self.upsert_agent(id, status, event);
                if self.state.active_agent.as_ref().is_some_and(|active| active.id == agent.id) {
                    self.state.active_agent = Some(agent);
                }
            }
            _ => {}
        }
    }

    fn upsert_agent(&mut self, id: String, status: Option<String>, event: &Value) -> Agent {
        let (name, role) = (name_of(event, "name"), name_of(event, "role"));
        let active = self.state.active_agent.as_ref().map(|agent| agent.id.clone());
        let agents = &mut self.state.agents;
        if let Some(agent) = agents.iter_mut().find(|agent| agent.id == id) {
            agent.name = name.unwrap_or_else(|| agent.name.clone());
            agent.role = role.or_else(|| agent.role.take());
            agent.status = status;
            return agent.clone();
        }
        if agents.len() == MAX_AGENTS {
            let is_active = |agent: &Agent| Some(&agent.id) == active.as_ref();
            let first_done = agents.iter().position(|agent| agent.status.as_deref() == Some("done"));
            agents.remove(first_done.or_else(|| agents.iter().position(|agent| !is_active(agent))).unwrap_or(0));
        }
        let agent = Agent { name: name.unwrap_or_else(|| id.clone()), id, role, status };
        agents.push(agent.clone());
        agent
    }

    fn voice(&mut self, what: &str, event: &Value) {
        match what {
            "connected" => self.set_connected(true),
            "disconnected" => self.set_connected(false),
            "transcript" => self.state.last_user_utterance = utterance_of(event),
            "assistant_text" => self.state.last_agent_utterance = utterance_of(event),
            _ => {}
        }
    }
}

/// The row that an event becomes: its key is what it is about, its text what it says of it.
fn row_of(kind: &str, event: &Value) -> Row {
    let first = |names: &[&str]| names.iter().find_map(|name| text_of(event, name));
    let key = first(&["agentId", "id", "runId"]).map(|key| clip(key, MAX_NAME_CHARS));
    let text = first(&["text", "message", "status", "label", "phase", "name"]);
    let text = text.or_else(|| event.get("error").and_then(|error| text_of(error, "message")));
    Row {
        ts: time_of(event),
        kind: clip(kind, MAX_KIND_CHARS),
        key,
        text: text.map(|text| clip(text, MAX_UTTERANCE_CHARS)),
        count: 1,
    }
}

fn text_of<'a>(event: &'a Value, name: &str) -> Option<&'a str> {
    event.get(name)?.as_str()
}

fn name_of(event: &Value, name: &str) -> Option<String> {
    text_of(event, name).map(|text| clip(text, MAX_NAME_CHARS))
}

fn utterance_of(event: &Value) -> Option<String> {
    text_of(event, "text").map(|text| clip(text, MAX_UTTERANCE_CHARS))
}

/// An event's own time; one without any happened at the beginning.
fn time_of(event: &Value) -> u64 {
    event.get("ts").and_then(Value::as_u64).unwrap_or_default()
}
