//! How the supervisor deals with ends: a process's, the guardian's, its own.

use std::cmp::Reverse;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use nix::sys::epoll::EpollFlags;

use super::super::exit::ExitStatus;
use super::super::handle::Phase;
use super::super::running::{LINGER, Reading, Running, STREAMS};
use super::{Source, Supervisor, Timer, fail, watch, word};
use crate::system::clock::Clock;
use crate::{Error, ErrorKind};

impl Supervisor {
    /// The guardian is dead, and its children may not be: they are killed, each by a descriptor that means no other.
    pub(super) fn lose_guardian(&mut self) {
        let Some(guardian) = self.guardian.take() else { return };
        for fd in [guardian.fd(), guardian.pidfd()] {
            let _ = self.epoll.delete(fd);
        }
        drop(guardian);
        let mut gone = Vec::new();
        for (number, running) in &mut self.running {
            if running.status.is_some() {
                continue;
            }
            let watched = running.pidfd.as_ref().is_some_and(|pidfd| {
                let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
                watch(&self.epoll, pidfd.as_fd(), EpollFlags::EPOLLIN, word(Source::End, *number)).is_ok()
            });
            if !watched {
                gone.push(*number);
            }
        }
        for number in gone {
            let shared = self.running.get(&number).map(|running| Arc::clone(&running.shared));
            if let Some(shared) = shared
                && matches!(shared.state().phase, Phase::Starting)
            {
                self.running.remove(&number);
                self.registry.forget(&shared);
                fail(&shared, Error::new(ErrorKind::Io, "the guardian died while it started the process"));
            } else {
                self.ended(number, ExitStatus::Unknown);
            }
        }
    }

    /// The process itself has ended.
    pub(super) fn ended(&mut self, number: u64, status: ExitStatus) {
        let Some(running) = self.running.get_mut(&number) else { return };
        if running.status.is_some() {
            return;
        }
        running.status = Some(status);
        if let Some(pidfd) = running.pidfd.take() {
            // It is watched only where the guardian is gone.
            let _ = self.epoll.delete(&pidfd);
        }
        for stream in STREAMS {
            // All that it wrote is there by now.
            let mut budget = LAST_READS;
            while let Some(running) = self.running.get_mut(&number)
                && running.taps[stream as usize].is_some()
                && budget > 0
            {
                budget -= 1;
                match running.read(stream, &mut self.scratch, Clock::now()).0 {
                    Reading::More => {}
                    Reading::Closed => self.close_output(number, stream),
                    Reading::Dry | Reading::Full => break,
                }
            }
            self.time_prompt(number, stream);
            self.watch_output(number, stream);
        }
        self.publish(number);
        self.tell_if_ready(number);
        if self.running.contains_key(&number) {
            self.timers.push(Reverse((Clock::now() + LINGER, Timer::Linger(number))));
        }
    }

    pub(super) fn tell_if_ready(&mut self, number: u64) {
        if self.running.get(&number).is_some_and(Running::is_ready) {
            self.tell(number);
        }
        // What is left of a process whose end was told is gone with its last pipe.
        let is_over = |running: &Running| running.is_told && running.taps.iter().all(Option::is_none);
        if self.running.get(&number).is_some_and(is_over) {
            self.remove(number);
        }
    }

    pub(super) fn tell(&mut self, number: u64) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let Some(status) = running.status else { return };
        running.shared.change(|state| {
            if let Some(fd) = state.input.fail()
                && running.is_input_watched
            {
                let _ = self.epoll.delete(&fd);
            }
            false
        });
        running.is_input_watched = false;
        self.registry.ended(&running.shared);
        running.tell(status);
        self.publish(number);
        self.time_records();
        for stream in STREAMS {
            self.watch_output(number, stream);
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        // The console may have words left for which the bus has no room yet.
        let is_unpublished = |running: &Running| running.console.as_ref().is_some_and(|console| !console.is_done());
        if !self.running.get(&number).is_some_and(is_unpublished) {
            self.running.remove(&number);
        }
    }

    /// Ends all that is left.
    pub(super) fn end(mut self) {
        // It ends with all that it keeps.
        self.guardian = None;
        let numbers: Vec<u64> = self.running.keys().copied().collect();
        for number in numbers {
            if let Some(running) = self.running.get_mut(&number)
                && !running.is_told
            {
                if matches!(running.shared.state().phase, Phase::Starting) {
                    fail(&running.shared, Error::new(ErrorKind::SessionEnded, "the manager is closed"));
                    continue;
                }
                running.status.get_or_insert(ExitStatus::Unknown);
                self.tell(number);
            }
        }
        self.registry.remove_records();
    }
}

/// How often what a process has left in its pipe is read at its end: as much as the largest pipe of ours, twice.
const LAST_READS: usize = 16;
