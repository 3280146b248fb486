//! `_talkpath.Caller`: places paced calls from a thread of the core, so that Python's own pauses are not measured.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::buffer::{new_pcm, with_samples};
use super::error::guard;
use super::{lock, milliseconds};
use crate::audio::codec::{Codec, Encoding};
use crate::audio::frame::SampleRate;
use crate::io::caller::{self, CallerConfig, CallerReport, Recording};
use crate::io::server::Listen;
use crate::protocol::rtp::Format;
use crate::session::LatenessHistogram;
use crate::{Error, ErrorKind, Result};

/// Calls that are being placed.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct Caller {
    running: Mutex<Option<caller::Caller>>,
}

#[pymethods]
impl Caller {
    /// Starts to place `calls` calls that say `audio` and hang up after `duration_ms`.
    ///
    /// `to` is what a server listens on: `[audiosocket://]HOST:PORT` or `rtp://HOST:FIRST[-LAST]`. Over RTP `codec` says
    /// what is sent: ulaw, alaw, g722, slin16, opus16 and the like, with `rate` its rate. What is sent goes through a
    /// network of the impairments `impair`; over AudioSocket that can only take time.
    #[new]
    #[pyo3(signature = (
        to, audio, rate, *, duration_ms, codec = None, impair = "", calls = 1, stagger_ms = 0.0, loop_audio = false,
        record = false,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        to: &str,
        audio: &Bound<'_, PyAny>,
        rate: u32,
        duration_ms: f64,
        codec: Option<&str>,
        impair: &str,
        calls: usize,
        stagger_ms: f64,
        loop_audio: bool,
        record: bool,
    ) -> PyResult<Self> {
        let rate = SampleRate::new(rate)?;
        let audio: Arc<[i16]> = with_samples(audio, |samples, _| Ok(Arc::from(samples)))?;
        let to = py.detach(|| Listen::resolve(to))?;
        let codec = match (codec, &to) {
            (None, _) => Codec::Plain { encoding: Encoding::Slin, rate },
            (Some(name), Listen::Rtp(_)) => of_rtp(name, rate)?,
            (Some(name), _) => Codec::from_name(name, rate)?,
        };
        let config = CallerConfig {
            impairment: impair.parse()?,
            duration: super::duration_ms("duration_ms", duration_ms)?,
            stagger: super::duration_ms("stagger_ms", stagger_ms)?,
            calls,
            loop_audio,
            record,
            ..CallerConfig::with_codec(to, audio, codec)
        };
        let running = guard(|| Ok(caller::Caller::start(config)?))?;
        Ok(Self { running: Mutex::new(Some(running)) })
    }

    /// How far it is; empty once `finish` was called.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let running = lock(py, &self.running);
        let Some(progress) = running.as_ref().map(caller::Caller::poll) else { return Ok(dict) };
        dict.set_item("elapsed_ms", milliseconds(progress.elapsed))?;
        dict.set_item("active", progress.active)?;
        dict.set_item("connected", progress.connected)?;
        dict.set_item("failed", progress.failed)?;
        dict.set_item("frames_sent", progress.frames_sent)?;
        dict.set_item("frames_received", progress.frames_received)?;
        dict.set_item("sent_level_dbfs", progress.sent_level_dbfs)?;
        dict.set_item("received_level_dbfs", progress.received_level_dbfs)?;
        dict.set_item("is_finished", progress.is_finished)?;
        Ok(dict)
    }

    /// Hangs up all calls.
    fn stop(&self, py: Python<'_>) {
        if let Some(running) = lock(py, &self.running).as_ref() {
            running.stop();
        }
    }

    /// Waits until all calls are over, once, and says what was measured.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let running = lock(py, &self.running).take();
        let again = || Error::new(ErrorKind::InvalidArgument, "the calls were finished before, wanted once");
        let running = running.ok_or_else(again)?;
        let report = guard(|| Ok(py.detach(|| running.finish())?))?;
        report_dict(py, &report)
    }
}

/// A codec by its name in RTP.
fn of_rtp(name: &str, rate: SampleRate) -> Result<Codec> {
    match name.parse()? {
        Format::Audio(codec) if codec.rate() == rate => Ok(codec),
        Format::Audio(codec) => Err(Error::invalid(format!("audio at {rate} for {name}, wanted {}", codec.rate()))),
        Format::ComfortNoise | Format::TelephoneEvent => {
            Err(Error::invalid(format!("codec {name}, wanted one of audio")))
        }
    }
}

fn report_dict<'py>(py: Python<'py>, report: &CallerReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("calls", report.calls)?;
    dict.set_item("connected", report.connected)?;
    dict.set_item("failed", report.failed)?;
    dict.set_item("failure", report.failure.as_deref())?;
    dict.set_item("ended_early", report.ended_early)?;
    dict.set_item("silent", report.silent)?;
    dict.set_item("elapsed_ms", milliseconds(report.elapsed))?;
    dict.set_item("frames_sent", report.frames_sent)?;
    dict.set_item("frames_blocked", report.frames_blocked)?;
    dict.set_item("frames_withheld", report.frames_withheld)?;
    dict.set_item("frames_received", report.frames_received)?;
    dict.set_item("frames_lost", report.frames_lost)?;
    dict.set_item("gaps", report.gaps)?;
    dict.set_item("longest_gap_ms", milliseconds(report.longest_gap))?;
    dict.set_item("far_end_lost", report.far_end_lost)?;
    set_histogram(&dict, "round_trip", &report.round_trip)?;
    set_histogram(&dict, "lateness", &report.lateness)?;
    set_histogram(&dict, "send_lateness", &report.send_lateness)?;
    set_histogram(&dict, "connecting", &report.connecting)?;
    set_histogram(&dict, "first_audio", &report.first_audio)?;
    dict.set_item("cpu_s", report.cpu.as_secs_f64())?;
    dict.set_item("priority", report.priority.to_string())?;
    dict.set_item("recording", report.recording.as_ref().map(|it| recording_dict(py, it)).transpose()?)?;
    Ok(dict)
}

fn set_histogram(dict: &Bound<'_, PyDict>, name: &str, histogram: &LatenessHistogram) -> PyResult<()> {
    for (quantile, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        dict.set_item(format!("{name}_{quantile}_ms"), milliseconds(histogram.quantile(q)))?;
    }
    dict.set_item(format!("{name}_max_ms"), milliseconds(histogram.max()))
}

/// The samples as PCM, and each frame as its arrival in ms, rate and number of samples.
fn recording_dict<'py>(py: Python<'py>, recording: &Recording) -> PyResult<Bound<'py, PyDict>> {
    let pcm = new_pcm(py, recording.samples.len(), |out| {
        out.copy_from_slice(&recording.samples);
        Ok(())
    })?;
    let frames: Vec<_> =
        recording.frames.iter().map(|frame| (milliseconds(frame.at), frame.rate.hz(), frame.samples)).collect();
    let dict = PyDict::new(py);
    dict.set_item("pcm", pcm)?;
    dict.set_item("frames", frames)?;
    Ok(dict)
}
