//! The curated state itself: plain values, and their JSON in the names that clients of the hub know.
//!
//! It holds no rules; those are the [`View`](super::View)'s.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

/// Who ends a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The user holds a key while speaking.
    #[default]
    PushToTalk,
    /// The provider's detector hears where a turn ends.
    Conversation,
}

/// Whether the run is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunStatus {
    /// Nothing runs.
    #[default]
    Idle,
    /// It is under way.
    Running,
    /// It waits for somebody.
    Paused,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for its turn.
    Pending,
    /// Somebody is at it.
    Running,
    /// It is finished.
    Done,
}

/// What is being done at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The run's own name.
    pub id: Option<String>,
    /// The phase it is in.
    pub phase: Option<String>,
    /// Whether it is under way.
    pub status: RunStatus,
}

/// One who works in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its key.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// What it is there for.
    pub role: Option<String>,
    /// What it says of itself, or `done`.
    pub status: Option<String>,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its key.
    pub id: String,
    /// What a person calls it.
    pub label: String,
    /// How far it is.
    pub state: TaskState,
}

/// One line of what happened last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When, in the event's own milliseconds; of the newest where it stands for several.
    pub ts: u64,
    /// The event's type.
    pub kind: String,
    /// What it was about: a key, where there is one.
    pub key: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// For how many events it stands.
    pub count: u32,
}

/// How loud it is, and when that was last known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioGauges {
    /// The microphone's level, 0 to 100.
    pub mic_level: u8,
    /// The speaker's level, 0 to 100.
    pub spk_level: u8,
    /// When the newest of both came.
    pub last_packet_at: Option<u64>,
}

/// What went wrong last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its name for programs.
    pub code: Option<String>,
    /// Its text for people.
    pub message: Option<String>,
    /// Which part of a request it is about.
    pub param: Option<String>,
}

/// How the provider is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderSession {
    /// Whether it is there.
    pub connected: bool,
    /// Whether it is answering.
    pub response_in_progress: bool,
    /// What went wrong last.
    pub last_error: Option<Fault>,
}

/// Everything that a client of the voice channel is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CuratedState {
    /// Who ends a turn.
    pub mode: Mode,
    /// What is being done.
    pub run: Run,
    /// Who is at it.
    pub active_agent: Option<Agent>,
    /// All who work in the run, in the order in which they came.
    pub agents: Vec<Agent>,
    /// What is to be done, in the order in which it came.
    pub tasks: Vec<Task>,
    /// The user's last words.
    pub last_user_utterance: Option<String>,
    /// The agent's last words.
    pub last_agent_utterance: Option<String>,
    /// What fell out of `recent`, in a few lines.
    pub summary: Option<String>,
    /// What happened last, the oldest first.
    pub recent: VecDeque<Row>,
    /// How loud it is.
    pub audio: AudioGauges,
    /// How the provider is.
    pub session: ProviderSession,
}

impl CuratedState {
    /// The state as the clients of the hub read it: names in camelCase, what is not known left out or `null`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("mode".into(), self.mode.as_str().into());
        object.insert("run".into(), {
            json!({ "id": self.run.id, "phase": self.run.phase, "status": self.run.status.as_str() })
        });
        object.insert("activeAgent".into(), self.active_agent.as_ref().map_or(Value::Null, Agent::to_json));
        object.insert("agents".into(), self.agents.iter().map(Agent::to_json).collect());
        let tasks = self.tasks.iter();
        object.insert(
            "tasks".into(),
            tasks.map(|task| json!({ "id": task.id, "label": task.label, "state": task.state.as_str() })).collect(),
        );
        insert_known(&mut object, "lastUserUtterance", self.last_user_utterance.as_deref());
        insert_known(&mut object, "lastAgentUtterance", self.last_agent_utterance.as_deref());
        insert_known(&mut object, "summary", self.summary.as_deref());
        object.insert("recent".into(), self.recent.iter().map(Row::to_json).collect());
        let mut audio = json!({ "micLevel": self.audio.mic_level, "spkLevel": self.audio.spk_level });
        if let Some(at) = self.audio.last_packet_at {
            audio["lastPacketAt"] = at.into();
        }
        object.insert("audio".into(), audio);
        let session = &self.session;
        let mut shown = json!({ "connected": session.connected, "responseInProgress": session.response_in_progress });
        if let Some(fault) = &session.last_error {
            shown["lastError"] = fault.to_json();
        }
        object.insert("session".into(), shown);
        Value::Object(object)
    }
}

impl Mode {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PushToTalk => "push-to-talk",
            Self::Conversation => "conversation",
        }
    }
}

impl RunStatus {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }
}

impl TaskState {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

impl Agent {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("id".into(), self.id.as_str().into());
        object.insert("name".into(), self.name.as_str().into());
        insert_known(&mut object, "role", self.role.as_deref());
        insert_known(&mut object, "status", self.status.as_deref());
        Value::Object(object)
    }
}

impl Row {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("ts".into(), self.ts.into());
        object.insert("type".into(), self.kind.as_str().into());
        insert_known(&mut object, "text", self.text.as_deref());
        if self.count > 1 {
            object.insert("n".into(), self.count.into());
        }
        Value::Object(object)
    }
}

impl Fault {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        insert_known(&mut object, "code", self.code.as_deref());
        insert_known(&mut object, "message", self.message.as_deref());
        insert_known(&mut object, "param", self.param.as_deref());
        Value::Object(object)
    }
}

fn insert_known(object: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.insert(name.into(), text.into());
    }
}
