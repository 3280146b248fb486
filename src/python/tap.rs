//! Takes a server's news to the event loop, and the events of its calls to the event bus on the way.
//!
//! A thread of its own, so that the bus has them whatever the loop does, and that a subscriber who loses nothing may hold it
//! up without holding up a call. The media threads do for it what they do without it: they ring one bell.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::call::Call;
use super::speech::Speech;
use crate::io::notify::Notifier;
use crate::io::server::Server;
use crate::session::Event;
use crate::system::bus::{Bus, Payload, Publisher};
use crate::{Error, Result};

/// What the thread has taken for the loop; the thread ends with it.
pub(super) struct Tap {
    shared: Arc<TapShared>,
}

/// What an agent rings when it has polled something that the bus wants.
pub(super) struct TapBell {
    /// Rung by the server, too.
    notifier: Arc<Notifier>,
    polled: Mutex<Vec<u64>>,
}

struct TapShared {
    server: Arc<Server>,
    bus: Bus,
    bell: Arc<TapBell>,
    /// The loop's.
    notifier: Arc<Notifier>,
    inbox: Mutex<Inbox>,
    is_over: AtomicBool,
}

/// What waits for the loop.
#[derive(Default)]
struct Inbox {
    calls: Vec<Call>,
    ready: Vec<u64>,
}

/// A call that the tap follows to its end.
struct Followed {
    speech: Arc<Mutex<Speech>>,
    publisher: Publisher,
}

impl Tap {
    /// Starts the thread. `bell` is the notifier that the server was made with, `notifier` the loop's.
    pub(super) fn start(server: Arc<Server>, bus: Bus, bell: Arc<Notifier>, notifier: Arc<Notifier>) -> Result<Self> {
        let (inbox, is_over) = (Mutex::default(), AtomicBool::new(false));
        let bell = Arc::new(TapBell { notifier: bell, polled: Mutex::default() });
        let shared = Arc::new(TapShared { server, bus, bell, notifier, inbox, is_over });
        let running = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("talkpath-tap".into())
            .spawn(move || running.run())
            .map_err(|error| Error::io("start the thread of the event bus", error))?;
        Ok(Self { shared })
    }

    /// The calls that began, and the keys of those with news.
    pub(super) fn take(&self) -> (Vec<Call>, Vec<u64>) {
        let mut inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut inbox.calls), std::mem::take(&mut inbox.ready))
    }
}

impl Drop for Tap {
    /// Has the thread end by itself: a subscriber that it waits for may wait for who drops this.
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.bell.notifier.notify();
    }
}

impl TapShared {
    fn run(&self) {
        let mut followed = HashMap::new();
        let mut ready = Vec::new();
        loop {
            // A signal cuts the wait short, which costs a look.
            let _ = poll(&mut [PollFd::new(self.bell.notifier.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            self.bell.notifier.take();
            // Before the last pass: what was said until then is taken along.
            let is_over = self.is_over.load(Ordering::Acquire);
            self.pass(&mut followed, &mut ready);
            if is_over {
                return;
            }
        }
    }

    /// Takes all that is new over, for the loop and for the bus.
    fn pass(&self, followed: &mut HashMap<u64, Followed>, ready: &mut Vec<u64>) {
        let mut calls = Vec::new();
        ready.clear();
        while let Some(call) = self.server.accept() {
            let call = Call::new(call, Some(Arc::clone(&self.bell)));
            // Only a name that no call has is refused, or another process: then the bus does without.
            if let Ok(publisher) = self.bus.publisher(call.name()) {
                followed.insert(call.number(), Followed { speech: call.speech(), publisher });
                // What was new before it was followed.
                ready.push(call.number());
            }
            calls.push(call);
        }
        self.server.poll_ready(ready);
        {
            let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.calls.append(&mut calls);
            for key in &*ready {
                // A loop that stands still finds each once.
                if !inbox.ready.contains(key) {
                    inbox.ready.push(*key);
                }
            }
        }
        // The loop can begin while the bus is served.
        self.notifier.notify();
        ready.append(&mut self.bell.polled.lock().unwrap_or_else(PoisonError::into_inner));
        for key in &*ready {
            if followed.get(key).is_some_and(Followed::tell) {
                followed.remove(key);
            }
        }
    }
}

impl TapBell {
    /// Says that the call with this key has something for the bus.
    pub(super) fn ring(&self, key: u64) {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        self.notifier.notify();
    }
}

impl Followed {
    /// Publishes all that is new; whether that was the call's end.
    fn tell(&self) -> bool {
        loop {
            // Not held while the publisher waits.
            let event = self.speech.lock().unwrap_or_else(PoisonError::into_inner).poll_for_bus();
            let Some(event) = event else { return false };
            let payload = Payload::json(event.to_json().to_string());
            // What finds no room in time is lost to the bus alone; its subscriber has stopped reading.
            let _ = self.publisher.publish(&format!("session:{}", event.name()), payload);
            if let Event::Ended { .. } = event {
                return true;
            }
        }
    }
}
