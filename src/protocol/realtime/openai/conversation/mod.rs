//! [`Conversation`]: who speaks, what is under way at the provider, and what was received of it.
//!
//! The provider and the user act at once, so that half of what is asked for is out of date when it arrives. The rules that
//! keep both sides agreed are here: a response is cancelled by its own id and as soon as that is known, what still comes
//! of it is dropped, no more is truncated than was received, a response is asked for once the turn it answers is there and
//! no other is under way, and a lost connection leaves no flag behind. It knows no socket, no clock, and not what plays
//! the audio: it is told how much of it was played.

mod events;
mod held;
mod history;
mod output;

use std::collections::VecDeque;
use std::time::Duration;

pub use held::MAX_HELD;
pub use output::{Notice, Output, Refused};

use self::held::Held;
use self::history::{History, heard_part};
use super::client::{ClientEvent, Role};
use super::config::SessionConfig;
use super::fault::{Fault, close_is_recoverable};
use crate::Timestamp;

/// How much audio is appended at once, at most.
pub const MAX_APPEND_BYTES: usize = 256 * 1024;

/// One conversation, across reconnects.
///
/// After each call of any method that takes `now` or an event, [`poll_output`](Self::poll_output) until it has nothing.
#[derive(Debug)]
pub struct Conversation {
    config: SessionConfig,
    link: Link,
    is_renewed: bool,
    turn: Option<Turn>,
    /// The user's turn is committed, and is to be answered.
    wants_response: bool,
    /// How many commits nobody has confirmed yet.
    awaits_committed: u32,
    response: Option<Response>,
    playing: Option<Item>,
    cancelled: VecDeque<String>,
    cancels: VecDeque<Timestamp>,
    last_commit: Option<Timestamp>,
    held: Held,
    history: History,
    outputs: VecDeque<Output>,
    unknown_events: u64,
    late_deltas: u64,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// There is none, or none that has said anything.
    Closed,
    /// It is there; the configuration is on its way.
    Connected(Timestamp),
    /// It has the configuration.
    Ready(Timestamp),
}

/// What the user is saying.
#[derive(Debug, Default)]
struct Turn {
    bytes: usize,
    /// It was committed before anybody could take it.
    is_committed: bool,
}

/// What the model is saying.
#[derive(Debug, Default)]
struct Response {
    /// Not known until the provider has created it.
    id: Option<String>,
    is_cancelled: bool,
}

impl Response {
    /// Whether it is this one, as far as anybody knows.
    fn is(&self, id: &str) -> bool {
        self.id.as_deref().is_none_or(|our| our == id)
    }
}

/// What is being played.
#[derive(Debug)]
struct Item {
    response_id: String,
    id: String,
    content_index: u64,
    received: Duration,
    said: String,
}

impl Conversation {
    /// Makes a conversation that nobody has connected yet.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            link: Link::Closed,
            is_renewed: false,
            turn: None,
            wants_response: false,
            awaits_committed: 0,
            response: None,
            playing: None,
            cancelled: VecDeque::new(),
            cancels: VecDeque::new(),
            last_commit: None,
            held: Held::default(),
            history: History::default(),
            outputs: VecDeque::new(),
            unknown_events: 0,
            late_deltas: 0,
        }
    }

    /// Begins the user's turn (push-to-talk). A response under way is ended first; `played` is how much of the item that is
    /// being played was heard.
    ///
    /// Without a connection it asks for one, and what is said meanwhile is held, up to [`MAX_HELD`].
    ///
    /// # Errors
    /// [`Refused::WrongMode`], [`Refused::TurnInProgress`].
    pub fn start_turn(&mut self, played: Duration) -> Result<(), Refused> {
        if !self.is_push_to_talk() {
            return Err(Refused::WrongMode);
        }
        if self.turn.is_some() {
            return Err(Refused::TurnInProgress);
        }
        self.interrupt(played);
        self.wants_response = false;
        self.turn = Some(Turn::default());
        match self.link {
            Link::Closed => self.outputs.push_back(Output::Connect),
            Link::Connected(_) => {}
            Link::Ready(_) => self.send(ClientEvent::Clear),
        }
        Ok(())
    }

    /// Takes audio of the user's, in the session's format.
    ///
    /// # Errors
    /// [`Refused::NoTurn`] in push-to-talk outside of a turn, [`Refused::FrameTooLarge`].
    pub fn append(&mut self, audio: &[u8]) -> Result<(), Refused> {
        if audio.len() > MAX_APPEND_BYTES {
            return Err(Refused::FrameTooLarge { got: audio.len(), max: MAX_APPEND_BYTES });
        }
        let is_push_to_talk = self.is_push_to_talk();
        match &mut self.turn {
            Some(turn) if !turn.is_committed => turn.bytes += audio.len(),
            _ if is_push_to_talk => return Err(Refused::NoTurn),
            _ => {}
        }
        if audio.is_empty() {
            return Ok(());
        }
        match self.link {
            Link::Ready(_) => self.send(ClientEvent::Append(audio.to_vec())),
            _ => self.held.push(audio, self.config.format),
        }
        Ok(())
    }

    /// Ends the user's turn (push-to-talk): the model answers it. A turn of less than a tenth of a second is a
    /// [`Notice::EmptyCommit`], and nothing else.
    ///
    /// # Errors
    /// [`Refused::NoTurn`], [`Refused::RateLimited`] within a quarter of a second of the last.
    pub fn commit(&mut self, now: Timestamp) -> Result<(), Refused> {
        let Some(turn) = self.turn.as_mut().filter(|turn| !turn.is_committed) else {
            return Err(Refused::NoTurn);
        };
        if let Some(wait) = self.last_commit.and_then(|last| COMMIT_GAP.checked_sub(now.since(last)))
            && !wait.is_zero()
        {
            return Err(Refused::RateLimited { retry_after: wait });
        }
        self.last_commit = Some(now);
        if self.config.format.duration_of(turn.bytes) < MIN_TURN {
            self.turn = None;
            self.held.take();
            self.outputs.push_back(Output::Notice(Notice::EmptyCommit));
            return Ok(());
        }
        turn.is_committed = true;
        if let Link::Ready(_) = self.link {
            self.send_commit();
        }
        Ok(())
    }

    /// Ends the response under way at the user's wish; `played` as for [`start_turn`](Self::start_turn).
    ///
    /// # Errors
    /// [`Refused::RateLimited`] at the sixth within ten seconds.
    pub fn cancel(&mut self, now: Timestamp, played: Duration) -> Result<(), Refused> {
        match &self.response {
            Some(response) if response.is_cancelled => {
                self.outputs.push_back(Output::Notice(Notice::RepeatedCancel));
                return Ok(());
            }
            None if !self.wants_response && !self.is_playing(played) => {
                self.outputs.push_back(Output::Notice(Notice::NothingToCancel));
                return Ok(());
            }
            _ => {}
        }
        while self.cancels.front().is_some_and(|first| now.since(*first) >= CANCEL_WINDOW) {
            self.cancels.pop_front();
        }
        if let Some(first) = self.cancels.front()
            && self.cancels.len() == MAX_CANCELS
        {
            return Err(Refused::RateLimited { retry_after: CANCEL_WINDOW.saturating_sub(now.since(*first)) });
        }
        self.cancels.push_back(now);
        self.wants_response = false;
        self.interrupt(played);
        Ok(())
    }

    /// Ends what the model is saying because the user speaks over it: what plays is dropped, the provider learns how much
    /// was heard. Nothing happens where the model says nothing.
    pub fn interrupt(&mut self, played: Duration) {
        // What is complete and was heard to its end is left as it is.
        let cut = self.playing.take_if(|item| {
            let is_growing = self.response.as_ref().is_some_and(|response| response.is(&item.response_id));
            is_growing || played < item.received
        });
        if cut.is_some() {
            self.outputs.push_back(Output::FlushPlayback);
        }
        if self.response.as_ref().is_some_and(|response| !response.is_cancelled) {
            self.cancel_response();
        }
        let Some(item) = cut else { return };
        let heard = played.min(item.received);
        self.history.push(Role::Assistant, &heard_part(&item.said, heard, item.received));
        if self.link != Link::Closed {
            let Item { id: item_id, content_index, .. } = item;
            self.send(ClientEvent::Truncate { item_id, content_index, audio_end: heard });
        }
    }

    /// Says what a function returned; once all calls of a response are answered, [`respond`](Self::respond).
    ///
    /// # Errors
    /// [`Refused::NotConnected`]: the connection that asked is gone, and so is the question.
    pub fn answer_call(&mut self, call_id: &str, output: &str) -> Result<(), Refused> {
        let Link::Ready(_) = self.link else { return Err(Refused::NotConnected) };
        self.send(ClientEvent::CreateCallOutput { call_id: call_id.into(), output: output.into() });
        Ok(())
    }

    /// Has the model speak, as soon as no other response is under way.
    ///
    /// # Errors
    /// [`Refused::NotConnected`].
    pub fn respond(&mut self) -> Result<(), Refused> {
        let Link::Ready(_) = self.link else { return Err(Refused::NotConnected) };
        self.wants_response = true;
        self.create_response();
        Ok(())
    }

    /// Says that the connection is gone, with WebSocket's code (1006 where there was none). Nothing under way survives it;
    /// the user's audio is held from now on where turns are the provider's.
    pub fn handle_close(&mut self, code: u16, reason: &str) {
        let is_recoverable = close_is_recoverable(code);
        self.link = Link::Closed;
        self.turn = None;
        self.wants_response = false;
        self.awaits_committed = 0;
        self.response = None;
        if let Some(item) = self.playing.take() {
            self.history.push(Role::Assistant, &item.said);
        }
        self.cancelled.clear();
        self.held.take();
        self.is_renewed = true;
        if !is_recoverable {
            let code = if reason.is_empty() { format!("close_{code}") } else { reason.into() };
            let fault = Fault { code: Some(code), message: reason.into(), ..Fault::default() };
            self.outputs.push_back(Output::Failed(fault));
        }
        self.outputs.push_back(Output::Disconnected { is_recoverable, code, reason: reason.into() });
    }

    /// Says what time it is: a connection that is about to expire is renewed while nobody speaks.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let is_idle = self.turn.is_none() && self.response.is_none() && !self.wants_response;
        if let Link::Ready(since) = self.link
            && is_idle
            && now.since(since) >= RENEW_AFTER
        {
            self.outputs.push_back(Output::Renew);
        }
    }

    /// What is to be done next, if anything.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the provider has taken the configuration, so that it hears what is said now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.link, Link::Ready(_))
    }

    /// Whether the user's turn is under way.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether the model is answering, or about to.
    #[must_use]
    pub fn is_responding(&self) -> bool {
        self.response.is_some()
    }

    /// How much audio was received of the item that is being played.
    #[must_use]
    pub fn received(&self) -> Duration {
        self.playing.as_ref().map_or(Duration::ZERO, |item| item.received)
    }

    /// How many messages were of a type that nobody here knows.
    #[must_use]
    pub fn unknown_events(&self) -> u64 {
        self.unknown_events
    }

    /// How many pieces of audio came after their response had been cancelled.
    #[must_use]
    pub fn late_deltas(&self) -> u64 {
        self.late_deltas
    }

    /// How many bytes of the user's audio were dropped because the provider was away for too long.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.held.dropped_bytes()
    }

    fn send_commit(&mut self) {
        self.turn = None;
        self.wants_response = true;
        self.awaits_committed += 1;
        self.send(ClientEvent::Commit);
    }

    /// Asks for a response if one is wanted, the turn it answers is there, and no other is under way.
    fn create_response(&mut self) {
        if self.wants_response && self.awaits_committed == 0 && self.response.is_none() {
            self.wants_response = false;
            self.response = Some(Response::default());
            self.send(ClientEvent::CreateResponse);
        }
    }

    /// Cancels the response under way: now if its id is known, or as soon as it is.
    fn cancel_response(&mut self) {
        let Some(response) = &mut self.response else { return };
        response.is_cancelled = true;
        if let Some(id) = response.id.clone() {
            self.remember_cancelled(id.clone());
            self.send(ClientEvent::CancelResponse(Some(id)));
        }
    }

    fn remember_cancelled(&mut self, id: String) {
        self.cancelled.push_back(id);
        if self.cancelled.len() > MAX_CANCELLED {
            self.cancelled.pop_front();
        }
    }

    /// Whether something that was received has not been heard yet.
    fn is_playing(&self, played: Duration) -> bool {
        self.playing.as_ref().is_some_and(|item| played < item.received)
    }

    fn is_push_to_talk(&self) -> bool {
        self.config.turn_detection.is_none()
    }

    fn send(&mut self, event: ClientEvent) {
        self.outputs.push_back(Output::Send(event));
    }
}

const MIN_TURN: Duration = Duration::from_millis(100);
const COMMIT_GAP: Duration = Duration::from_millis(250);
const MAX_CANCELS: usize = 5;
const CANCEL_WINDOW: Duration = Duration::from_secs(10);
/// Two minutes before the provider's hour is over.
const RENEW_AFTER: Duration = Duration::from_secs(58 * 60);
const MAX_CANCELLED: usize = 16;
