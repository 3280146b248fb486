//! What happened, as the agent reads it: the media end's notices with names and receipts added.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringbuf::traits::{Consumer, Observer};

use super::AgentOutput;
use crate::session::NoticeReader;
use crate::session::event::{Event, InterruptCause, Notice};
use crate::session::shared::Shared;

/// The reading end of a session's events.
pub struct AgentEvents {
    shared: Arc<Shared>,
    notices: NoticeReader,
    lost: u32,
    ended: bool,
}

impl AgentEvents {
    pub(super) fn new(shared: Arc<Shared>, notices: NoticeReader) -> Self {
        Self { shared, notices, lost: 0, ended: false }
    }

    /// Reads the next event. `output` is the same agent's: it knows the names of tags and what a receipt says.
    ///
    /// After [`Event::Ended`] there is none.
    pub fn poll(&mut self, output: &mut AgentOutput) -> Option<Event> {
        let ended = self.shared.ended();
        if let Some(notice) = self.notices.try_pop() {
            return Some(translate(notice, output));
        }
        if let Some(event) = output.own_events.pop_front() {
            return Some(event);
        }
        let lost = self.shared.counters.events_lost.load(Ordering::Relaxed);
        if lost != self.lost {
            let count = lost.wrapping_sub(self.lost);
            self.lost = lost;
            return Some(Event::EventsLost { count });
        }
        let reason = ended?;
        (!std::mem::replace(&mut self.ended, true)).then_some(Event::Ended { reason })
    }

    /// Whether [`poll`](Self::poll) would find something that the media end has said.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.notices.is_empty() || (self.shared.ended().is_some() && !self.ended)
    }
}

fn translate(notice: Notice, output: &mut AgentOutput) -> Event {
    match notice {
        Notice::Started { codec } => Event::Started { codec },
        Notice::Dtmf { digit, position } => Event::Dtmf { digit, position },
        Notice::SpeechStarted { position, decided } => Event::SpeechStarted { position, decided },
        Notice::SpeechStopped { position, decided } => Event::SpeechStopped { position, decided },
        Notice::PlaybackStarted { tag } => Event::PlaybackStarted { tag: output.name_of(tag) },
        Notice::MarkPlayed { mark } => Event::MarkPlayed { name: output.name_of(mark) },
        Notice::Drained => {
            output.free_played();
            Event::Drained
        }
        Notice::Underrun { tag, gap } => Event::Underrun { tag: output.name_of(tag), gap },
        Notice::Interrupted { generation, played } => {
            let receipt = output.settle(generation, played);
            Event::Interrupted { receipt, cause: InterruptCause::BargeIn }
        }
    }
}
