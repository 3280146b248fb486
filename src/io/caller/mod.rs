//! Plays Asterisk's part: places paced calls over AudioSocket or RTP, and measures what comes back.
//!
//! One thread carries all calls, as cheaply as it can, so that a thousand of them beside the server under test tell about
//! the server. Arrivals are stamped when they are read, at most half a millisecond after they came. What the samples mean
//! (a round trip by correlation, a picture) is for the program to find out from the [`Recording`].
//!
//! What is sent can be put through a worse network than there is, see [`CallerConfig::impairment`].

mod engine;
mod flight;
mod hearing;
mod line;
mod rtp_wire;
mod script;
mod stream_wire;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::audio::codec::{Codec, Encoding};
use crate::audio::frame::{PTIME, SampleRate};
use crate::impair::Impairment;
use crate::io::priority::Priority;
use crate::io::server::Listen;
use crate::protocol::audiosocket::Kind;
use crate::protocol::call_id::CallId;
use crate::protocol::rtp::{Format, PayloadTypes};
use crate::session::LatenessHistogram;
use crate::{Error, Result};
use engine::Engine;

/// Which calls to place, and what to say in them.
#[derive(Clone, Debug)]
pub struct CallerConfig {
    /// Where the server listens. Of a range of RTP ports, call after call takes the next place; of a single one, the ports
    /// above it, two a call.
    pub to: Listen,
    /// What is sent: over AudioSocket slin at a rate that it has a kind for, over RTP a codec with a payload type.
    pub codec: Codec,
    /// What what is sent goes through; over AudioSocket, which is a stream, it can only take time.
    ///
    /// Each call meets a fate of its own, from the seed and its number. Drift is that of the caller's clock.
    pub impairment: Impairment,
    /// What each call says at the codec's rate, from its first frame on; silence follows.
    pub audio: Arc<[i16]>,
    /// Whether it is said over and over.
    pub loop_audio: bool,
    /// How many calls.
    pub calls: usize,
    /// The time over which their starts are spread evenly.
    pub stagger: Duration,
    /// When each call hangs up, from its first frame on.
    pub duration: Duration,
    /// Keys that each call presses, and when, from its first frame on; in the order of time.
    pub keys: Vec<(Duration, char)>,
    /// The first call's id over AudioSocket; a random one if there is none. The others' are random.
    pub id: Option<CallId>,
    /// Whether what comes back in the first call is kept.
    pub record: bool,
    /// Whether the thread asks to run before others; without it, a busy machine makes arrivals look late.
    pub realtime_priority: bool,
}

impl CallerConfig {
    /// One call over AudioSocket that says `audio` once and hangs up when it is over.
    #[must_use]
    pub fn new(to: SocketAddr, audio: Arc<[i16]>, rate: SampleRate) -> Self {
        Self::with_codec(Listen::AudioSocket(to), audio, Codec::Plain { encoding: Encoding::Slin, rate })
    }

    /// One call that says `audio` once in a codec and hangs up when it is over.
    #[must_use]
    pub fn with_codec(to: Listen, audio: Arc<[i16]>, codec: Codec) -> Self {
        let duration = codec.rate().duration_of(audio.len() as u64);
        Self {
            to,
            codec,
            impairment: Impairment::default(),
            audio,
            loop_audio: false,
            calls: 1,
            stagger: Duration::ZERO,
            duration,
            keys: Vec::new(),
            id: None,
            record: true,
            realtime_priority: true,
        }
    }
}

impl CallerConfig {
    /// Checks that the transport can do what is asked of it.
    fn validate_transport(&self) -> Result<()> {
        let Self { codec, impairment, calls, .. } = self;
        impairment.validate()?;
        match &self.to {
            Listen::AudioSocket(_) => {
                let Codec::Plain { encoding: Encoding::Slin, rate } = *codec else {
                    return Err(Error::invalid(format!("{codec} over audiosocket, wanted slin")));
                };
                if Kind::Audio(rate).to_byte().is_none() {
                    return Err(Error::invalid(format!("rate of {rate}, wanted one that AudioSocket has a kind for")));
                }
                if !impairment.only_delays() {
                    let wanted = "wanted only delay, jitter and drift: a stream keeps order and loses nothing";
                    return Err(Error::invalid(format!("impairments {impairment} over audiosocket, {wanted}")));
                }
                Ok(())
            }
            Listen::Rtp(range) => {
                range.validate()?;
                if range.first == 0 {
                    return Err(Error::invalid("port 0, wanted one to call"));
                }
                if PayloadTypes::default().number_of(Format::Audio(*codec)).is_none() {
                    return Err(Error::invalid(format!("{codec} over rtp, wanted a codec with a payload type")));
                }
                let places = range.places();
                if *calls > places {
                    return Err(Error::invalid(format!("{calls} calls to {}, wanted at most {places}", self.to)));
                }
                Ok(())
            }
            Listen::WebSocket(_) | Listen::Nowhere => Err(uncallable(&self.to)),
        }
    }
}

fn uncallable(to: &Listen) -> Error {
    Error::invalid(format!("call to {to}, wanted audiosocket://HOST:PORT or rtp://HOST:PORT"))
}

/// How far it is; a snapshot up to 20 ms old.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallerProgress {
    /// Since the first call was placed.
    pub elapsed: Duration,
    /// Calls that are being placed or run.
    pub active: usize,
    /// Calls that connected, ever; over RTP, those that were answered.
    pub connected: usize,
    /// Calls that could not be placed.
    pub failed: usize,
    /// Audio frames sent by all calls.
    pub frames_sent: u64,
    /// Audio frames received by all calls.
    pub frames_received: u64,
    /// Level of the first call's last frame sent, in dB of full scale.
    pub sent_level_dbfs: f32,
    /// Level of the first call's last frame received, in dB of full scale.
    pub received_level_dbfs: f32,
    /// Whether all calls are over.
    pub is_finished: bool,
}

/// What was measured, over all calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallerReport {
    /// Calls that were to be placed.
    pub calls: usize,
    /// Calls that connected; over RTP, those that were answered.
    pub connected: usize,
    /// Calls that could not be placed; over RTP, those that nobody answered.
    pub failed: usize,
    /// Why the first of them could not.
    pub failure: Option<String>,
    /// Calls that the far end ended before their time.
    pub ended_early: usize,
    /// Calls in which no audio came back at all.
    pub silent: usize,
    /// From the first call's start to the last call's end.
    pub elapsed: Duration,
    /// Audio frames sent.
    pub frames_sent: u64,
    /// Audio frames that were not sent because the far end did not read.
    pub frames_blocked: u64,
    /// Audio frames that were not sent because the [impairment](CallerConfig::impairment) loses them.
    pub frames_withheld: u64,
    /// Audio frames received.
    pub frames_received: u64,
    /// Audio frames that should have come between a call's first and last, but did not.
    pub frames_lost: u64,
    /// Times between two frames of more than one and a half packet times.
    pub gaps: u64,
    /// The longest time between two frames of a call.
    pub longest_gap: Duration,
    /// How late frames came, against the even grid that fits the call's most punctual frame; without each call's first half
    /// second, in which the grid is found.
    pub lateness: LatenessHistogram,
    /// How late this side sent its own frames; what is seen here is no fault of the far end.
    pub send_lateness: LatenessHistogram,
    /// Packets that the far ends say they have missed: RTP alone, and calls that were long enough for a report, which comes
    /// after some 5 s.
    pub far_end_lost: u64,
    /// How long a packet takes there and back, by each call's last report: RTP alone.
    pub round_trip: LatenessHistogram,
    /// How long connecting took: AudioSocket alone.
    pub connecting: LatenessHistogram,
    /// How long after the call began the first audio came back.
    pub first_audio: LatenessHistogram,
    /// Processor time that placing the calls took.
    pub cpu: Duration,
    /// The priority that the thread was granted.
    pub priority: Priority,
    /// What came back in the first call, if it was to be recorded.
    pub recording: Option<Recording>,
}

/// What came back in one call, sample by sample, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// All samples, one frame after the other.
    pub samples: Vec<i16>,
    /// Each frame, in the order of arrival.
    pub frames: Vec<RecordedFrame>,
}

/// One frame that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedFrame {
    /// When it came, from the call's first frame sent on; zero if it came before that.
    pub at: Duration,
    /// Its sample rate: a server may answer at another one, and change it once it has heard the first audio.
    pub rate: SampleRate,
    /// How many samples it has.
    pub samples: usize,
}

/// Calls that are being placed by a thread of their own.
///
/// Dropping it hangs up at once.
pub struct Caller {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<CallerReport>>,
}

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<CallerProgress>,
    is_stopping: AtomicBool,
}

impl Caller {
    /// Starts to place the calls.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there are no calls or more than places, the transport does
    /// not carry the codec or cannot lose what the impairment loses, or a key is no DTMF digit; [`Io`](crate::ErrorKind::Io) if the thread cannot be started. A call that cannot be placed is
    /// no error here but counted in the report.
    pub fn start(config: CallerConfig) -> Result<Self> {
        if config.calls == 0 {
            return Err(Error::invalid("0 calls, wanted at least 1"));
        }
        config.validate_transport()?;
        if let Some((_, key)) = config.keys.iter().find(|(_, key)| !"0123456789*#ABCD".contains(*key)) {
            return Err(Error::invalid(format!("key {key:?}, wanted one of 0 to 9, *, #, A to D")));
        }
        let shared = Arc::new(Shared::default());
        let engine = Engine::new(config, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("talkpath-caller".into())
            .spawn(move || engine.run())
            .map_err(|error| Error::io("start the caller's thread", error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How far it is.
    #[must_use]
    pub fn poll(&self) -> CallerProgress {
        let mut progress = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress.is_finished = self.is_finished();
        progress
    }

    /// Whether all calls are over, so that [`finish`](Self::finish) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Hangs up all calls, within a few milliseconds.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until all calls are over and says what was measured.
    ///
    /// # Errors
    /// [`Internal`](crate::ErrorKind::Internal) if the thread has panicked.
    pub fn finish(mut self) -> Result<CallerReport> {
        let panicked = || Error::new(crate::ErrorKind::Internal, "the caller's thread panicked");
        self.thread.take().ok_or_else(panicked)?.join().map_err(|_| panicked())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asterisk's packet time.
const FRAME: Duration = PTIME;
