//! The caller's thread: starts calls when it is time, keeps their pace, and stamps what comes back.

use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::flight::Flight;
use super::hearing::Hearing;
use super::line::{Line, Stage};
use super::rtp_wire::RtpWire;
use super::script::Script;
use super::stream_wire::StreamWire;
use super::wire::Wire;
use super::{CallerConfig, CallerProgress, CallerReport, FRAME, Recording, Shared, uncallable};
use crate::impair::Impairment;
use crate::io::clock::Clock;
use crate::io::priority::raise_this_thread;
use crate::io::server::Listen;
use crate::io::socket;
use crate::protocol::call_id::CallId;
use crate::protocol::rtp::PayloadTypes;
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
    types: Arc<PayloadTypes>,
    scratch: Vec<u8>,
    report: CallerReport,
    began: Timestamp,
    published: Timestamp,
}

impl Engine {
    pub(super) fn new(config: CallerConfig, shared: Arc<Shared>) -> Result<Self> {
        // RTP takes two a call.
        socket::raise_descriptor_limit(2 * config.calls + SPARE_DESCRIPTORS);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|errno| Error::io("set up the caller", errno.into()))?;
        let mut seed = [0; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut seed))
            .map_err(|error| Error::io("read /dev/urandom", error))?;
        let mut script = Script::new(&config.audio, config.codec, config.loop_audio)?;
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
            types: Arc::default(),
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
        self.report.recording = self.lines.first_mut().and_then(|line| line.hearing.recording.take());
        self.published = Timestamp::ZERO;
        self.publish();
        self.report
    }

    fn start_due(&mut self) {
        while self.lines.len() < self.config.calls && self.next_start() <= Clock::now() {
            let index = self.lines.len();
            let now = Clock::now();
            let opened = self.open(index, now);
            match opened {
                Ok(line) => {
                    self.due.push(line.due);
                    self.lines.push(line);
                    self.live += 1;
                    if !self.lines[index].wire().must_connect() {
                        self.begin(index);
                    }
                }
                Err(error) => {
                    // It stays out of the list of lines, so it is not to be waited for either.
                    self.config.calls -= 1;
                    self.report.failed += 1;
                    self.report.failure.get_or_insert_with(|| format!("call {}: {error}", self.config.to));
                }
            }
        }
    }

    /// Makes call number `index`, and has its sockets watched.
    fn open(&self, index: usize, now: Timestamp) -> Result<Line> {
        let config = &self.config;
        let wire = match &config.to {
            Listen::AudioSocket(to) => {
                let id = config.id.filter(|_| index == 0).unwrap_or_else(|| self.random_id(index));
                StreamWire::open(*to, id).map(Wire::Stream)
            }
            Listen::Rtp(range) => {
                let to = SocketAddr::new(range.host, range.place(index).unwrap_or(range.last));
                let seed = u64::from_ne_bytes(*self.seed.first_chunk().unwrap_or(&[0; 8])) ^ index as u64;
                RtpWire::open(to, Arc::clone(&self.types), seed, now).map(|wire| Wire::Rtp(Box::new(wire)))
            }
            Listen::WebSocket(_) | Listen::Nowhere => return Err(uncallable(&config.to)),
        };
        let failed = |error| Error::io("open a socket", error);
        let wire = wire.map_err(failed)?;
        wire.watch(&self.epoll, index as u64).map_err(|errno| failed(errno.into()))?;
        let is_worse = config.impairment != Impairment::default();
        let flight = is_worse.then(|| Flight::new(&config.impairment, index)).transpose()?;
        let hearing = Hearing::new((index == 0 && config.record).then(Recording::default));
        Ok(Line::new(wire, config.codec, flight, config.impairment.drift_ppm, hearing, now))
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
            line.wire().unwatch(&self.epoll);
        }
    }

    fn attend(&mut self, event: &EpollEvent) {
        let index = event.data() as usize;
        let line = &mut self.lines[index];
        if line.stage == Stage::Connecting {
            self.begin(index);
        } else {
            line.read(&mut self.scratch, Clock::now(), &mut self.report);
            self.settle(index);
        }
    }

    /// Has a call talk that is connected.
    fn begin(&mut self, index: usize) {
        let now = Clock::now();
        // Calls that begin together are spread over a packet time all the same, as calls in the world are.
        let frame_us = FRAME.as_micros() as u64;
        let grid_us = BATCH_INTERVAL.as_micros() as u64;
        let phase_us = frame_us * index as u64 / self.config.calls as u64 / grid_us * grid_us;
        let wait_us = (phase_us + frame_us - now.as_micros() % frame_us) % frame_us;
        let line = &mut self.lines[index];
        line.connected(now + Duration::from_micros(wait_us), now, &mut self.report);
        if line.stage == Stage::Talking {
            line.wire().watch_input(&self.epoll, index as u64);
        }
        self.settle(index);
    }

    fn hang_up_all(&mut self) {
        self.config.calls = self.lines.len();
        for index in 0..self.lines.len() {
            if self.due[index] != NEVER {
                self.lines[index].finish(Clock::now(), &mut self.report);
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
            received_level_dbfs: first.map_or(0.0, |line| line.hearing.level_dbfs),
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
