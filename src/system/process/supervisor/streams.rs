//! The supervisor's work between a start and an end: outputs are read, inputs written, the bus told.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::EpollFlags;

use super::super::exit::LimitKind;
use super::super::handle::{Phase, Stream};
use super::super::mailbox::Command;
use super::super::running::{Reading, STREAMS};
use super::{Source, Supervisor, Timer, watch, word};
use crate::system::clock::Clock;

impl Supervisor {
    pub(super) fn read(&mut self, number: u64, stream: Stream) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let (reading, is_beyond) = running.read(stream, &mut self.scratch, Clock::now());
        if is_beyond && running.limit.is_none() {
            running.limit = Some(LimitKind::Output);
            self.obey(Command::Stop { numbers: vec![number], grace: Duration::ZERO });
        }
        match reading {
            Reading::More => {
                self.time_prompt(number, stream);
                self.publish(number);
            }
            Reading::Dry => {}
            Reading::Full => self.unwatch_output(number, stream),
            Reading::Closed => self.close_output(number, stream),
        }
    }

    pub(super) fn publish(&mut self, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(console) = &mut running.console else { return };
        if !console.publish() {
            self.timers.push(Reverse((Clock::now() + CONSOLE_RETRY, Timer::Console(number))));
        }
        for stream in STREAMS {
            self.watch_output(number, stream);
        }
    }

    pub(super) fn time_prompt(&mut self, number: u64, stream: Stream) {
        let Some(running) = self.running.get_mut(&number) else { return };
        if let Some(due) = running.prompt_due(stream)
            && let Some(tap) = &mut running.taps[stream as usize]
            && !std::mem::replace(&mut tap.is_prompt_timed, true)
        {
            self.timers.push(Reverse((due, Timer::Prompt(number, output_source(stream)))));
        }
    }

    pub(super) fn close_output(&mut self, number: u64, stream: Stream) {
        let Some(running) = self.running.get_mut(&number) else { return };
        if let Some(tap) = running.close(stream)
            && tap.is_watched
        {
            let _ = self.epoll.delete(tap.fd());
        }
        self.publish(number);
        self.tell_if_ready(number);
    }

    pub(super) fn write(&mut self, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let shared = Arc::clone(&running.shared);
        shared.change(|state| {
            // Not before it runs: a terminal's modes are those of who reads there.
            if matches!(state.phase, Phase::Starting) {
                return false;
            }
            let before = running.is_input_watched;
            if let Some(closed) = state.input.flush() {
                if before {
                    let _ = self.epoll.delete(&closed);
                }
                running.is_input_watched = false;
                return true;
            }
            let wanted = state.input.is_waiting();
            if let (Some(fd), true) = (state.input.fd(), wanted != before) {
                let result = if wanted {
                    watch(&self.epoll, fd, EpollFlags::EPOLLOUT, word(Source::Stdin, number))
                } else {
                    self.epoll.delete(fd)
                };
                running.is_input_watched = wanted && result.is_ok();
            }
            true
        });
    }

    pub(super) fn watch_output(&mut self, number: u64, stream: Stream) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(tap) = &mut running.taps[stream as usize] else { return };
        if !tap.is_watched {
            let event = word(output_source(stream), number);
            tap.is_watched = watch(&self.epoll, tap.fd(), EpollFlags::EPOLLIN, event).is_ok();
        }
    }

    pub(super) fn unwatch_output(&mut self, number: u64, stream: Stream) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(tap) = &mut running.taps[stream as usize] else { return };
        if std::mem::take(&mut tap.is_watched) {
            let _ = self.epoll.delete(tap.fd());
        }
    }
}

fn output_source(stream: Stream) -> Source {
    match stream {
        Stream::Stdout => Source::Stdout,
        Stream::Stderr => Source::Stderr,
    }
}

/// When the bus is asked again after it had no room.
const CONSOLE_RETRY: Duration = Duration::from_millis(5);
