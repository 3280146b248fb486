//! What a session is set up with: the one message that makes a model an agent.

use serde_json::{Map, Value, json};

use super::format::AudioFormat;

/// Who hears that the user's turn is over, at the provider.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnDetection {
    /// A detector of speech.
    ServerVad {
        /// How sure it must be, 0 to 1.
        threshold: f32,
        /// How much of the audio before speech belongs to it, in milliseconds.
        prefix_padding_ms: u32,
        /// How long a pause ends a turn, in milliseconds.
        silence_duration_ms: u32,
        /// Whether a turn is answered without being asked to.
        create_response: bool,
        /// Whether speech ends the response under way.
        interrupt_response: bool,
    },
    /// A model that hears whether a sentence is finished: `low`, `medium`, `high` or `auto` eager.
    SemanticVad {
        /// How soon it takes a turn for finished.
        eagerness: String,
    },
}

impl Default for TurnDetection {
    fn default() -> Self {
        Self::ServerVad {
            threshold: 0.5,
            prefix_padding_ms: 300,
            silence_duration_ms: 500,
            create_response: true,
            interrupt_response: true,
        }
    }
}

/// What the provider is told once a connection, and again after each.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// How audio is written, both ways.
    pub format: AudioFormat,
    /// What the model is to be and to do.
    pub instructions: Option<String>,
    /// Its voice; the provider's choice without one. It cannot be changed once it has spoken.
    pub voice: Option<String>,
    /// Which model writes down what the user says; none does without.
    pub transcription: Option<String>,
    /// Who hears that a turn is over; without one the user says so (push-to-talk).
    pub turn_detection: Option<TurnDetection>,
    /// The functions that the model may call: objects as the provider's reference describes them.
    pub tools: Vec<Value>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            format: AudioFormat::Pcmu,
            instructions: None,
            voice: None,
            transcription: Some(DEFAULT_TRANSCRIPTION.into()),
            turn_detection: Some(TurnDetection::default()),
            tools: Vec::new(),
        }
    }
}

impl SessionConfig {
    /// The `session` of a `session.update`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut input = json!({
            "format": self.format.to_json(),
            "turn_detection": self.turn_detection.as_ref().map_or(Value::Null, TurnDetection::to_json),
        });
        if let Some(model) = &self.transcription {
            input["transcription"] = json!({"model": model});
        }
        let mut output = json!({"format": self.format.to_json()});
        if let Some(voice) = &self.voice {
            output["voice"] = voice.as_str().into();
        }
        let mut session = Map::new();
        session.insert("type".into(), "realtime".into());
        session.insert("output_modalities".into(), json!(["audio"]));
        session.insert("audio".into(), json!({"input": input, "output": output}));
        if let Some(instructions) = &self.instructions {
            session.insert("instructions".into(), instructions.as_str().into());
        }
        if !self.tools.is_empty() {
            session.insert("tools".into(), self.tools.clone().into());
            session.insert("tool_choice".into(), "auto".into());
        }
        Value::Object(session)
    }
}

impl TurnDetection {
    fn to_json(&self) -> Value {
        match self {
            Self::ServerVad {
                threshold,
                prefix_padding_ms,
                silence_duration_ms,
                create_response,
                interrupt_response,
            } => json!({
                "type": "server_vad",
                // Rounded, since 0.1_f32 as a double is no number that anybody wrote.
                "threshold": (f64::from(*threshold) * 1e3).round() / 1e3,
                "prefix_padding_ms": prefix_padding_ms,
                "silence_duration_ms": silence_duration_ms,
                "create_response": create_response,
                "interrupt_response": interrupt_response,
            }),
            Self::SemanticVad { eagerness } => json!({"type": "semantic_vad", "eagerness": eagerness}),
        }
    }
}

const DEFAULT_TRANSCRIPTION: &str = "gpt-live-transcribe";
