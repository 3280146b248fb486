//! The caller's thread: starts calls when it is time, keeps their pace, and stamps what comes back.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::line::{Line, Script, Stage};
use super::{CallerConfig, CallerProgress, CallerReport, FRAME, Recording, Shared};
use crate::io::clock::Clock;
use crate::io::priority::raise_this_thread;
use crate::io::socket;
use crate::protocol::call_id::CallId;
use crate::{Error, Result, Timestamp};

/// All calls, and what is measured.
pub(super) struct Engine {
    config: CallerConfig,
    shared: Arc<Shared>,
    script: Script,
    epoll: Epoll,
    lines: Vec<Line>,
    /// When each line has something to do, beside them so that a pass finds the due ones in one sweep.
    due: Vec<Timestamp>,
    live: usize,
    seed: [u8; 16],
    scratch: Vec<u8>,
    report: CallerReport,
    began: Timestamp,
    published: Timestamp,
}

impl Engine {
    pub(super) fn new(config: CallerConfig, shared: Arc<Shared>) -> Result<Self> {
        socket::raise_descriptor_limit(config.calls + SPARE_DESCRIPTORS);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|errno| Error::io("set up the caller", errno.into()))?;
        let mut seed = [0; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut seed))
            .map_err(|error| Error::io("read /dev/urandom", error))?;
        let mut script = Script::new(&config.audio, config.rate, config.loop_audio);
        script.duration = config.duration;
        script.keys.clone_from(&config.keys);
        let report = CallerReport { calls: config.calls, ..CallerReport::default() };
        Ok(Self {
            shared,
            script,
            epoll,
            lines: Vec::with_capacity(config.calls),
            due: Vec::with_capacity(config.calls),
            live: 0,
            seed,
            scratch: vec![0; 16_384],
            report,
            began: Timestamp::ZERO,
            published: Timestamp::ZERO,
            config,
        })
    }

    /// Places all calls and returns when all are over.
    pub(super) fn run(mut self) -> CallerReport {
        if self.config.realtime_priority {
            self.report.priority = raise_this_thread();
        }
        let _ = nix::sys::prctl::set_timerslack(1_000);
        self.began = Clock::now();
        let mut events = vec![EpollEvent::empty(); BATCH];
        while !(self.live == 0 && self.lines.len() == self.config.calls) {
            self.start_due();
            self.send_due();
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            for event in &events[..ready] {
                self.attend(event);
            }
            if self.shared.is_stopping.load(Ordering::Relaxed) {
                self.hang_up_all();
            }
            self.publish();
            if ready < BATCH {
                self.wait();
            }
        }
        self.report.elapsed = Clock::now().since(self.began);
        self.report.cpu = Clock::thread_cpu_time();
        self.report.recording = self.lines.first_mut().and_then(|line| line.recording.take());
        self.published = Timestamp::ZERO;
        self.publish();
        self.report
    }

    fn start_due(&mut self) {
        while self.lines.len() < self.config.calls && self.next_start() <= Clock::now() {
            let index = self.lines.len();
            let id = self.config.id.filter(|_| index == 0).unwrap_or_else(|| self.random_id(index));
            let now = Clock::now();
            let opened = socket::start_connect(self.config.to).and_then(|stream| {
                let event = EpollEvent::new(EpollFlags::EPOLLOUT, index as u64);
                self.epoll.add(&stream, event)?;
                Ok(stream)
            });
            match opened {
                Ok(stream) => {
                    let watched = (index == 0 && self.config.record).then(Recording::default);
                    let line = Line::new(stream, id, now, watched);
                    self.due.push(line.due);
                    self.lines.push(line);
                    self.live += 1;
                }
                Err(error) => {
                    // It stays out of the list of lines, so it is not to be waited for either.
                    self.config.calls -= 1;
                    self.report.failed += 1;
                    self.report.failure.get_or_insert(format!("connect to {}: {error}", self.config.to));
                }
            }
        }
    }

    fn send_due(&mut self) {
        let mut now = Clock::now();
        for index in 0..self.due.len() {
            if self.due[index] <= now {
                now = Clock::now();
                self.lines[index].send(&self.script, now, &mut self.report);
                self.settle(index);
            }
        }
    }

    /// Notes when a line is to be looked after next, or that it is over.
    fn settle(&mut self, index: usize) {
        let line = &self.lines[index];
        if line.stage != Stage::Over {
            self.due[index] = line.due;
        } else if self.due[index] != NEVER {
            self.due[index] = NEVER;
            self.live -= 1;
            let _ = self.epoll.delete(line.stream());
        }
    }

    fn attend(&mut self, event: &EpollEvent) {
        let index = event.data() as usize;
        let line = &mut self.lines[index];
        let now = Clock::now();
        if line.stage != Stage::Connecting {
            line.read(&mut self.scratch, now, &mut self.report);
            self.settle(index);
            return;
        }
        // Calls that begin together are spread over a packet time all the same, as calls in the world are.
        let frame_us = FRAME.as_micros() as u64;
        let grid_us = BATCH_INTERVAL.as_micros() as u64;
        let phase_us = frame_us * index as u64 / self.config.calls as u64 / grid_us * grid_us;
        let wait_us = (phase_us + frame_us - now.as_micros() % frame_us) % frame_us;
        line.connected(now + Duration::from_micros(wait_us), now, &mut self.report);
        if line.stage == Stage::Talking {
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
            let _ = self.epoll.modify(line.stream(), &mut event);
        }
        self.settle(index);
    }

    fn hang_up_all(&mut self) {
        self.config.calls = self.lines.len();
        for index in 0..self.lines.len() {
            if self.due[index] != NEVER {
                self.lines[index].finish(&mut self.report);
                self.settle(index);
            }
        }
    }

    /// Waits until something is due or, with few calls, something comes; with many, arrivals are read in batches.
    fn wait(&self) {
        let next = self.due.iter().copied().min();
        let start = (self.lines.len() < self.config.calls).then(|| self.next_start());
        let now = Clock::now();
        let longest = if self.live > FEW { BATCH_INTERVAL } else { STOP_INTERVAL };
        let until = next.into_iter().chain(start).min().unwrap_or(now).min(now + longest);
        if self.live > FEW {
            Clock::sleep_until(until);
        } else {
            let timeout = TimeSpec::microseconds(until.since(now).as_micros() as i64);
            let _ = ppoll(&mut [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)], Some(timeout), None);
        }
    }

    fn publish(&mut self) {
        let now = Clock::now();
        if now.since(self.published) < PUBLISH_INTERVAL {
            return;
        }
        let Ok(mut progress) = self.shared.progress.try_lock() else {
            return;
        };
        self.published = now;
        let first = self.lines.first();
        *progress = CallerProgress {
            elapsed: now.since(self.began),
            active: self.live,
            connected: self.report.connected,
            failed: self.report.failed,
            frames_sent: self.report.frames_sent,
            frames_received: self.report.frames_received,
            sent_level_dbfs: first.map_or(0.0, |line| line.sent_level),
            received_level_dbfs: first.map_or(0.0, |line| line.received_level),
            is_finished: false,
        };
    }

    fn next_start(&self) -> Timestamp {
        self.began + self.config.stagger * self.lines.len() as u32 / self.config.calls.max(1) as u32
    }

    /// A version-4 UUID (RFC 9562) for each call: one random number, and the call's in its last bytes.
    fn random_id(&self, index: usize) -> CallId {
        let mut bytes = self.seed;
        for (byte, number) in bytes[12..].iter_mut().zip((index as u32).to_be_bytes()) {
            *byte ^= number;
        }
        CallId::from_random(bytes)
    }
}

/// When a line that is over has something to do.
const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);
const BATCH: usize = 256;
/// Up to how many calls each arrival is read as it comes.
const FEW: usize = 8;
/// The longest that an arrival waits to be stamped when there are many; what they send is due on the same grid, as each
/// further wake-up would cost more than a frame does.
const BATCH_INTERVAL: Duration = Duration::from_micros(500);
/// How soon a stop is noticed.
const STOP_INTERVAL: Duration = Duration::from_millis(10);
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);
const SPARE_DESCRIPTORS: usize = 128;
