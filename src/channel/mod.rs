//! The curated state of a hub: what a voice model and a listener need to know of everything that goes on, and no more.
//!
//! A hub's bus says thousands of things. [`View`] keeps what matters of them: what runs, who is active, the tasks, the last
//! words of either side, a window of recent rows and a digest of what fell out of it. It is pure: events come in with
//! their own times, nothing is looked up, and whatever comes, its size stays bounded. The raw bus never reaches a model;
//! this does.
//!
//! ```
//! use serde_json::json;
//! use talkpath::channel::{Taken, View};
//!
//! let mut view = View::new();
//! view.handle_event(&json!({"type": "session:start", "runId": "r", "ts": 1}));
//! view.handle_event(&json!({"type": "task:start", "id": "t1", "label": "Look it up", "ts": 2}));
//! assert_eq!(view.handle_event(&json!({"type": "transport:ping", "ts": 3})), Taken::Ignored);
//! assert_eq!(view.state().tasks[0].label, "Look it up");
//! assert_eq!(view.state().to_json()["run"]["status"], "running");
//! ```

mod digest;
mod filter;
mod state;
mod view;
mod window;

pub use digest::MAX_SUMMARY_CHARS;
pub use state::{Agent, AudioGauges, CuratedState, Fault, Mode, ProviderSession, Row, Run, RunStatus, Task, TaskState};
pub use view::{MAX_AGENTS, MAX_TASKS, Taken, View};
pub use window::MAX_ROWS;
