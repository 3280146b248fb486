//! The provider's side of a conversation: what each of its messages changes.

use super::super::client::{ClientEvent, Role};
use super::super::fault::Fault;
use super::super::server::{ResponseStatus, ServerEvent};
use super::{Conversation, Item, Link, Notice, Output, Response};
use crate::Timestamp;

impl Conversation {
    /// Takes a message of the provider's.
    pub fn handle_event(&mut self, event: ServerEvent, now: Timestamp) {
        match event {
            ServerEvent::SessionCreated => {
                self.link = Link::Connected(now);
                self.outputs.push_back(Output::Connected);
                self.send(ClientEvent::SessionUpdate(self.config.to_json()));
            }
            ServerEvent::SessionUpdated => self.handle_updated(),
            ServerEvent::Committed { .. } => {
                self.awaits_committed = self.awaits_committed.saturating_sub(1);
                self.create_response();
            }
            ServerEvent::SpeechStarted { .. } => self.outputs.push_back(Output::SpeechStarted),
            ServerEvent::SpeechStopped { .. } => self.outputs.push_back(Output::SpeechStopped),
            ServerEvent::HeardDelta { delta, .. } => {
                self.outputs.push_back(Output::UserText { text: delta, is_final: false });
            }
            ServerEvent::Heard { transcript, .. } => {
                self.history.push(Role::User, &transcript);
                self.outputs.push_back(Output::UserText { text: transcript, is_final: true });
            }
            ServerEvent::HearingFailed(fault) => self.outputs.push_back(Output::Failed(fault)),
            ServerEvent::ResponseCreated { id } => self.handle_created(id),
            ServerEvent::ResponseDone { id, status, fault } => self.handle_done(&id, status, fault),
            ServerEvent::AudioDelta { response_id, item_id, content_index, audio } => {
                if self.is_current(&response_id) {
                    self.play(response_id, item_id, content_index, audio);
                } else {
                    self.late_deltas += 1;
                }
            }
            ServerEvent::AudioDone { response_id, .. } => {
                if self.is_current(&response_id) {
                    self.outputs.push_back(Output::PlayEnded);
                }
            }
            ServerEvent::SaidDelta { response_id, item_id, delta } => {
                if self.is_current(&response_id) {
                    if let Some(item) = self.playing.as_mut().filter(|item| item.id == item_id) {
                        item.said.push_str(&delta);
                    }
                    self.outputs.push_back(Output::AgentText { text: delta, is_final: false });
                }
            }
            ServerEvent::Said { response_id, item_id, transcript } => {
                if self.is_current(&response_id) {
                    if let Some(item) = self.playing.as_mut().filter(|item| item.id == item_id) {
                        item.said.clone_from(&transcript);
                    }
                    self.outputs.push_back(Output::AgentText { text: transcript, is_final: true });
                }
            }
            ServerEvent::FunctionCall { response_id, call_id, name, arguments } => {
                if self.is_current(&response_id) {
                    self.outputs.push_back(Output::Call { call_id, name, arguments });
                }
            }
            ServerEvent::RateLimits(limits) => self.outputs.push_back(Output::RateLimits(limits)),
            ServerEvent::Error(fault) => self.handle_fault(fault),
            ServerEvent::Cleared => {}
            ServerEvent::Unknown { .. } => self.unknown_events += 1,
        }
    }

    fn handle_updated(&mut self) {
        let Link::Connected(since) = self.link else { return };
        self.link = Link::Ready(since);
        self.outputs.push_back(Output::Ready);
        if self.is_renewed {
            let lines: Vec<ClientEvent> = self.history.replay().collect();
            lines.into_iter().for_each(|line| self.send(line));
        }
        for audio in self.held.take() {
            self.send(ClientEvent::Append(audio));
        }
        if self.turn.as_ref().is_some_and(|turn| turn.is_committed) {
            self.send_commit();
        }
    }

    fn handle_created(&mut self, id: String) {
        let held_cancel = self.response.as_ref().is_some_and(|response| response.id.is_none() && response.is_cancelled);
        self.response = Some(Response { id: Some(id.clone()), is_cancelled: held_cancel });
        if held_cancel {
            self.remember_cancelled(id.clone());
            self.send(ClientEvent::CancelResponse(Some(id)));
        } else {
            self.outputs.push_back(Output::ResponseStarted);
        }
    }

    fn handle_done(&mut self, id: &str, status: ResponseStatus, fault: Option<Fault>) {
        if self.response.take_if(|response| response.is(id)).is_none() {
            return;
        }
        if status == ResponseStatus::Failed {
            self.outputs.push_back(Output::Failed(fault.unwrap_or_default()));
        }
        self.outputs.push_back(Output::ResponseEnded(status));
        self.create_response();
    }

    fn handle_fault(&mut self, fault: Fault) {
        match fault.code() {
            "input_audio_buffer_commit_empty" => {
                self.awaits_committed = self.awaits_committed.saturating_sub(1);
                self.wants_response = false;
                self.outputs.push_back(Output::Notice(Notice::EmptyCommit));
            }
            // It was over before the cancel arrived.
            "response_cancel_not_active" => {
                self.response.take_if(|response| response.is_cancelled);
                self.create_response();
            }
            // Ours is asked for again when the other is done, whichever that is.
            "conversation_already_has_active_response" => self.wants_response = true,
            _ => self.outputs.push_back(Output::Failed(fault)),
        }
    }

    fn play(&mut self, response_id: String, item_id: String, content_index: u64, audio: Vec<u8>) {
        let lasts = self.config.format.duration_of(audio.len());
        match &mut self.playing {
            Some(item) if item.id == item_id && item.content_index == content_index => item.received += lasts,
            playing => {
                let id = item_id.clone();
                let item = Item { response_id, id, content_index, received: lasts, said: String::new() };
                if let Some(said) = playing.replace(item) {
                    self.history.push(Role::Assistant, &said.said);
                }
            }
        }
        self.outputs.push_back(Output::Play { item_id, audio });
    }

    /// Whether what comes of a response is still wanted.
    fn is_current(&self, response_id: &str) -> bool {
        let is_ours = self.response.as_ref().is_some_and(|response| !response.is_cancelled && response.is(response_id));
        is_ours && !self.cancelled.iter().any(|cancelled| cancelled == response_id)
    }
}
