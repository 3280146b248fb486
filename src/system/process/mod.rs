//! Runs other programs, and leaves none of them behind: start, output, input, end.
//!
//! [`guardian`] is the lower half: a process of its own that is the parent of every program, and outlives the agent by as
//! long as it takes to end what the agent had started. [`ProcessSpec`] says what to start, [`ProcessManager`] starts it, [`Process`] is
//! what its starter holds. One thread a manager, the supervisor, reads all outputs and writes all inputs, so that neither
//! the agent's loops nor its locks hold anything up; what nobody reads is bounded, and what is dropped is counted.
//!
//! ```
//! use talkpath::system::process::{ManagerConfig, ProcessManager, ProcessSpec, Stream};
//!
//! let manager = ProcessManager::new(ManagerConfig::default())?;
//! let process = manager.start(&ProcessSpec::argv(["sh", "-c", "echo hello; exit 3"]))?;
//! assert_eq!(process.wait(None)?.code(), Some(3));
//! assert_eq!(process.read(Stream::Stdout, usize::MAX).pop(), Some(&b"hello\n"[..]));
//! # Ok::<(), talkpath::Error>(())
//! ```

mod bell;
mod clean;
mod console;
mod environment;
mod exit;
pub mod guardian;
mod handle;
mod input;
mod lines;
mod mailbox;
mod manager;
mod output;
mod records;
mod registry;
mod running;
mod spec;
mod supervisor;
mod terminal;
#[allow(dead_code, reason = "shared with talkpath-guard, which uses the other half")]
mod wire;

pub use clean::CleanText;
pub use environment::INHERITED;
pub use exit::{Exit, ExitStatus, LimitKind};
pub use guardian::Tier;
pub use handle::{Batch, Process, Stream, Ticket, Typed};
pub use manager::{ManagerConfig, ProcessManager};
pub use output::{Gap, Overflow};
pub use records::{AgentRecord, ProcessRecord};
pub use registry::Found;
pub use spec::{Limits, ProcessSpec, Stderr, TerminalSize, user_shell};

/// The agents of this user that run now and have started something, with what runs of it.
#[must_use]
pub fn running_agents() -> Vec<AgentRecord> {
    records::agents(&guardian::runtime_directory())
}
