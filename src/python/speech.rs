//! What an agent says and is told, of one call: an event can hold a receipt, which the output makes.
//!
//! Where a server has an event bus, every event goes there, too, whoever has polled it. What is polled for the bus waits
//! here for the agent's loop, and the other way round; either queue is bounded, and says what it lost.

use std::collections::VecDeque;

use crate::session::{AgentEvents, AgentOutput, Event};

/// What the agent says, and what it is told.
pub(super) struct Speech {
    pub(super) output: AgentOutput,
    events: AgentEvents,
    for_agent: Held,
    /// None where there is no bus.
    for_bus: Option<Held>,
}

/// Events that wait for one of the two who want them.
#[derive(Default)]
struct Held {
    events: VecDeque<Event>,
    lost: u32,
}

impl Speech {
    pub(super) fn new(output: AgentOutput, events: AgentEvents, has_bus: bool) -> Self {
        Self { output, events, for_agent: Held::default(), for_bus: has_bus.then(Held::default) }
    }

    /// The next event for the agent.
    pub(super) fn poll(&mut self) -> Option<Event> {
        if let Some(event) = self.for_agent.pop() {
            return Some(event);
        }
        let event = self.events.poll(&mut self.output)?;
        if let Some(held) = &mut self.for_bus {
            held.push(event.clone());
        }
        Some(event)
    }

    /// The next event for the bus.
    pub(super) fn poll_for_bus(&mut self) -> Option<Event> {
        let held = self.for_bus.as_mut()?;
        if let Some(event) = held.pop() {
            return Some(event);
        }
        let event = self.events.poll(&mut self.output)?;
        self.for_agent.push(event.clone());
        Some(event)
    }

    /// Whether something waits for the bus that the agent has polled.
    pub(super) fn has_news_for_bus(&self) -> bool {
        self.for_bus.as_ref().is_some_and(|held| !held.events.is_empty())
    }
}

impl Held {
    /// The oldest make room; the last one, which says that the call is over, is never lost.
    fn push(&mut self, event: Event) {
        if self.events.len() >= MAX_HELD {
            self.events.pop_front();
            self.lost += 1;
        }
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.lost) {
            0 => self.events.pop_front(),
            count => Some(Event::EventsLost { count }),
        }
    }
}

/// How many events of a call wait: minutes of a lively one.
const MAX_HELD: usize = 1_024;
