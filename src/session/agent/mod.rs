//! The agent's end of a session: what Python, C or a provider holds while a call runs.
//!
//! Three parts that can be used from three places: what the caller says ([`AgentInput`]), what the agent says
//! ([`AgentOutput`]) and what happened ([`AgentEvents`]); [`AgentControl`] is a handle for the rest, and can be cloned.
//! None of them ever waits for the media thread, nor it for them: a queue that is full or empty says so.

mod events;
mod input;
mod output;

use std::sync::Arc;

pub use events::AgentEvents;
pub use input::{AgentInput, HeardFrame};
pub use output::{AgentOutput, Written};

use super::config::{Config, FarEnd};
use super::event::EndReason;
use super::rings::{InboundRings, OutboundRings};
use super::shared::{HangupRequest, Shared, WireFormat};
use super::stats::Stats;

/// The agent's end of a session; see the module's head.
pub struct Agent {
    /// What the caller says.
    pub input: AgentInput,
    /// What the agent says.
    pub output: AgentOutput,
    /// What happened.
    pub events: AgentEvents,
    /// Hangup, statistics, the wire's format.
    pub control: AgentControl,
}

/// A handle on a session for everything that is neither audio nor event.
#[derive(Clone)]
pub struct AgentControl {
    shared: Arc<Shared>,
}

impl Agent {
    pub(super) fn new(
        shared: &Arc<Shared>,
        config: &Config,
        inbound: InboundRings,
        outbound: OutboundRings,
        events: super::NoticeReader,
    ) -> Self {
        Self {
            input: AgentInput::new(Arc::clone(shared), config, inbound),
            output: AgentOutput::new(Arc::clone(shared), config, outbound),
            events: AgentEvents::new(Arc::clone(shared), events),
            control: AgentControl { shared: Arc::clone(shared) },
        }
    }
}

impl AgentControl {
    /// Asks the session to end: after all that was written has been played, or at once.
    pub fn hangup(&self, after_drain: bool) {
        self.shared.request_hangup(if after_drain { HangupRequest::AfterDrain } else { HangupRequest::Now });
    }

    /// Ends the session at once because the agent's handler failed.
    pub fn fail(&self) {
        self.shared.request_hangup(HangupRequest::Failed);
    }

    /// Says whether the core interrupts the agent by itself when the caller speaks.
    pub fn set_automatic_barge_in(&self, automatic: bool) {
        self.shared.automatic_barge_in.store(automatic, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether the core interrupts the agent by itself when the caller speaks.
    #[must_use]
    pub fn automatic_barge_in(&self) -> bool {
        self.shared.automatic_barge_in.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The wire's formats.
    #[must_use]
    pub fn format(&self) -> WireFormat {
        self.shared.format
    }

    /// What the far end can do.
    #[must_use]
    pub fn far_end(&self) -> FarEnd {
        self.shared.far_end
    }

    /// Why the session ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        self.shared.ended()
    }

    /// How much audio was heard by now.
    #[must_use]
    pub fn heard(&self) -> std::time::Duration {
        self.shared.heard()
    }

    /// The call's counters now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}
