//! `_talkpath.Call`: the agent's end of one session, as plain calls that never wait.
//!
//! `talkpath.Session` is made of it: what waits, and which writes are stale, is decided there. Receipts and events leave
//! as tuples, which `talkpath/events.py` gives their types.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::buffer::with_samples;
use super::error::guard;
use super::frame::Frame;
use super::speech::Speech;
use super::tap::TapBell;
use super::{duration_ms, lock, milliseconds};
use crate::audio::frame::SampleRate;
use crate::io::server;
use crate::session::{Agent, AgentControl, AgentInput, Event, NetworkStats, Receipt, Segment, Stats, Written};

/// The agent's end of one session.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct Call {
    key: u64,
    id: String,
    peer: SocketAddr,
    local: SocketAddr,
    transport: &'static str,
    control: AgentControl,
    input: Mutex<AgentInput>,
    speech: Arc<Mutex<Speech>>,
    /// What follows the call for the event bus, if there is one.
    tap: Option<Arc<TapBell>>,
}

impl Call {
    pub(super) fn new(call: server::Call, tap: Option<Arc<TapBell>>) -> Self {
        let server::Call { key, id, peer, local, transport, agent } = call;
        let Agent { input, output, events, control } = agent;
        Self {
            key,
            id: id.to_string(),
            peer,
            local,
            transport,
            control,
            input: Mutex::new(input),
            speech: Arc::new(Mutex::new(Speech::new(output, events, tap.is_some()))),
            tap,
        }
    }

    /// The number by which the server knows it.
    pub(super) fn number(&self) -> u64 {
        self.key
    }

    /// Its id.
    pub(super) fn name(&self) -> &str {
        &self.id
    }

    /// What the agent says and is told, for who follows the call.
    pub(super) fn speech(&self) -> Arc<Mutex<Speech>> {
        Arc::clone(&self.speech)
    }

    /// Writes the last `remaining` samples of `pcm`, or all; answers how many were given and taken, None if stale.
    fn write_part(
        &self,
        pcm: &Bound<'_, PyAny>,
        rate: u32,
        tag: &str,
        generation: u16,
        remaining: Option<usize>,
    ) -> PyResult<Option<(usize, usize)>> {
        let py = pcm.py();
        let rate = SampleRate::new(rate)?;
        with_samples(pcm, |samples, constant| {
            let part = &samples[samples.len() - remaining.unwrap_or(samples.len()).min(samples.len())..];
            let output = &mut lock(py, &self.speech).output;
            let bytes = size_of_val(part);
            let written = guard(|| Ok(constant.run(py, bytes, || output.try_write(part, rate, tag, generation))?))?;
            Ok(match written {
                Written::Taken(taken) => Some((part.len(), taken)),
                Written::Stale => None,
            })
        })
    }
}

#[pymethods]
impl Call {
    /// The number by which the server says that this call has something new.
    #[getter]
    fn key(&self) -> u64 {
        self.key
    }

    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    #[getter]
    fn peer(&self) -> String {
        self.peer.to_string()
    }

    #[getter]
    fn local(&self) -> String {
        self.local.to_string()
    }

    #[getter]
    fn transport(&self) -> &'static str {
        self.transport
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        self.control.format().input.name()
    }

    #[getter]
    fn rate(&self) -> u32 {
        self.control.format().input.rate().hz()
    }

    #[getter]
    fn output_rate(&self) -> u32 {
        self.control.format().output.rate().hz()
    }

    #[getter]
    fn end_reason(&self) -> Option<&'static str> {
        self.control.ended().map(|reason| reason.name())
    }

    #[getter]
    fn barge_in(&self) -> bool {
        self.control.automatic_barge_in()
    }

    #[setter]
    fn set_barge_in(&self, automatic: bool) {
        self.control.set_automatic_barge_in(automatic);
    }

    #[getter]
    fn limit_bytes(&self, py: Python<'_>) -> usize {
        lock(py, &self.speech).output.limit_bytes()
    }

    fn configure(&self, py: Python<'_>, rate: u32, frame_ms: f64, speech_only: bool) -> PyResult<()> {
        let rate = SampleRate::new(rate)?;
        let frame = duration_ms("frame_ms", frame_ms)?;
        guard(|| Ok(lock(py, &self.input).configure(rate, frame, speech_only)?))
    }

    /// The next frame, None if there is none now.
    fn read(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        guard(|| {
            let mut input = lock(py, &self.input);
            let heard = input.read();
            Ok(heard.map(|it| Frame::from_heard(it.samples, it.rate, it.position, it.lost, it.level_dbfs, it.speech)))
        })
    }

    /// Whether the call has ended and all frames were read.
    fn is_finished(&self, py: Python<'_>) -> bool {
        lock(py, &self.input).is_finished()
    }

    /// Writes the last `remaining` samples of `pcm` (all of them if None); answers how many of them are left, -1 if stale.
    #[pyo3(signature = (pcm, rate, tag, generation, remaining = None))]
    fn write(
        &self,
        pcm: &Bound<'_, PyAny>,
        rate: u32,
        tag: &str,
        generation: u16,
        remaining: Option<usize>,
    ) -> PyResult<isize> {
        let written = self.write_part(pcm, rate, tag, generation, remaining)?;
        Ok(written.map_or(-1, |(given, taken)| (given - taken) as isize))
    }

    /// Writes what there is room for; answers how many samples were taken, 0 also if stale.
    fn try_write(&self, pcm: &Bound<'_, PyAny>, rate: u32, tag: &str, generation: u16) -> PyResult<usize> {
        let written = self.write_part(pcm, rate, tag, generation, None)?;
        Ok(written.map_or(0, |(_, taken)| taken))
    }

    fn generation(&self, py: Python<'_>) -> u16 {
        lock(py, &self.speech).output.generation()
    }

    /// Sets a mark; false if there is no room for one.
    fn mark(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        guard(|| Ok(lock(py, &self.speech).output.mark(name)?))
    }

    /// Presses keys; none of them if one is no key, or there is no room for all.
    fn send_dtmf(&self, py: Python<'_>, keys: &str) -> PyResult<()> {
        guard(|| Ok(lock(py, &self.speech).output.send_dtmf(keys)?))
    }

    fn finish(&self, py: Python<'_>) {
        lock(py, &self.speech).output.complete();
    }

    fn interrupt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let receipt = guard(|| Ok(lock(py, &self.speech).output.interrupt()))?;
        receipt_parts(py, &receipt)
    }

    fn position<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let receipt = guard(|| Ok(lock(py, &self.speech).output.position()))?;
        receipt_parts(py, &receipt)
    }

    fn pause(&self, py: Python<'_>) {
        lock(py, &self.speech).output.pause();
    }

    fn resume(&self, py: Python<'_>) {
        lock(py, &self.speech).output.resume();
    }

    fn is_paused(&self, py: Python<'_>) -> bool {
        lock(py, &self.speech).output.is_paused()
    }

    fn is_drained(&self, py: Python<'_>) -> bool {
        lock(py, &self.speech).output.is_drained()
    }

    fn buffered_ms(&self, py: Python<'_>) -> f64 {
        milliseconds(lock(py, &self.speech).output.buffered())
    }

    fn buffered_bytes(&self, py: Python<'_>) -> usize {
        lock(py, &self.speech).output.buffered_bytes()
    }

    /// The next event as a tuple of its name and its fields, None if there is none now.
    fn poll_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let event = guard(|| {
            let mut speech = lock(py, &self.speech);
            let event = speech.poll();
            if let Some(tap) = &self.tap
                && speech.has_news_for_bus()
            {
                tap.ring(self.key);
            }
            Ok(event)
        })?;
        event.map(|event| event_parts(py, event)).transpose()
    }

    fn hangup(&self, after_drain: bool) {
        self.control.hangup(after_drain);
    }

    /// Ends the call because the handler failed.
    fn fail(&self) {
        self.control.fail();
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats_dict(py, &self.control.stats())
    }
}

fn receipt_parts<'py>(py: Python<'py>, receipt: &Receipt) -> PyResult<Bound<'py, PyTuple>> {
    let segment =
        |it: &Segment| (it.tag.clone(), milliseconds(it.received), milliseconds(it.played), milliseconds(it.discarded));
    let segments: Vec<_> = receipt.segments.iter().map(segment).collect();
    (receipt.generation, receipt.certainty.name(), segments).into_pyobject(py)
}

fn event_parts<'py>(py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyTuple>> {
    match event {
        Event::Started { codec } => ("started", codec.name(), codec.rate().hz()).into_pyobject(py),
        Event::Dtmf { digit, position } => ("dtmf", digit, milliseconds(position)).into_pyobject(py),
        Event::SpeechStarted { position, decided } => {
            ("speech_started", milliseconds(position), milliseconds(decided)).into_pyobject(py)
        }
        Event::SpeechStopped { position, decided } => {
            ("speech_stopped", milliseconds(position), milliseconds(decided)).into_pyobject(py)
        }
        Event::PlaybackStarted { tag } => ("playback_started", tag).into_pyobject(py),
        Event::MarkPlayed { name } => ("mark_played", name).into_pyobject(py),
        Event::Drained => ("drained",).into_pyobject(py),
        Event::Underrun { tag, gap } => ("underrun", tag, milliseconds(gap)).into_pyobject(py),
        Event::Interrupted { receipt, cause } => {
            ("interrupted", receipt_parts(py, &receipt)?, cause.name()).into_pyobject(py)
        }
        Event::EventsLost { count } => ("events_lost", count).into_pyobject(py),
        Event::Ended { reason } => ("ended", reason.name()).into_pyobject(py),
    }
}

fn stats_dict<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("frames_received", stats.frames_received)?;
    dict.set_item("frames_sent", stats.frames_sent)?;
    dict.set_item("silence_frames_sent", stats.silence_frames_sent)?;
    dict.set_item("underruns", stats.underruns)?;
    dict.set_item("interruptions", stats.interruptions)?;
    dict.set_item("missed_ticks", stats.missed_ticks)?;
    dict.set_item("events_lost", stats.events_lost)?;
    dict.set_item("input_lost_ms", milliseconds(stats.input_lost))?;
    dict.set_item("output_discarded_ms", milliseconds(stats.output_discarded))?;
    dict.set_item("lateness_p50_ms", milliseconds(stats.lateness.quantile(0.5)))?;
    dict.set_item("lateness_p99_ms", milliseconds(stats.lateness.quantile(0.99)))?;
    dict.set_item("lateness_max_ms", milliseconds(stats.lateness.max()))?;
    dict.set_item("input_level_dbfs", stats.input_level_dbfs)?;
    dict.set_item("output_level_dbfs", stats.output_level_dbfs)?;
    dict.set_item("prebuffer_ms", milliseconds(stats.prebuffer))?;
    dict.set_item("speech", stats.speech)?;
    dict.set_item("network", stats.network.map(|network| network_dict(py, &network)).transpose()?)?;
    Ok(dict)
}

fn network_dict<'py>(py: Python<'py>, stats: &NetworkStats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("packets", stats.packets)?;
    dict.set_item("packets_lost", stats.packets_lost)?;
    dict.set_item("packets_late", stats.packets_late)?;
    dict.set_item("packets_duplicate", stats.packets_duplicate)?;
    dict.set_item("packets_malformed", stats.packets_malformed)?;
    dict.set_item("concealed_share", stats.concealed_share)?;
    dict.set_item("jitter_ms", milliseconds(stats.jitter))?;
    dict.set_item("delay_ms", milliseconds(stats.delay))?;
    dict.set_item("target_ms", milliseconds(stats.target))?;
    dict.set_item("r_factor", stats.r_factor)?;
    dict.set_item("mos", stats.mos)?;
    dict.set_item("remote_loss", stats.remote.map(|remote| remote.loss))?;
    dict.set_item("remote_packets_lost", stats.remote.map(|remote| remote.packets_lost))?;
    dict.set_item("remote_jitter_ms", stats.remote.map(|remote| milliseconds(remote.jitter)))?;
    let round_trip = stats.remote.and_then(|remote| remote.round_trip);
    dict.set_item("round_trip_ms", round_trip.map(milliseconds))?;
    Ok(dict)
}
