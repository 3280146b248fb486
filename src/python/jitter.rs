//! `talkpath.JitterBuffer`: the core's jitter buffer, on its own, in whatever time the caller passes in.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::buffer::{new_pcm, with_bytes};
use super::error::guard;
use super::{duration_ms, lock, milliseconds};
use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::audio::frame::SampleRate;
use crate::jitter::{self, Arrival, Config, Packet, Played};

/// Turns packets in any order into one frame every 20 ms, concealing what is lost.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct JitterBuffer {
    inner: Mutex<jitter::JitterBuffer>,
    playout: String,
}

#[pymethods]
impl JitterBuffer {
    /// Makes an empty buffer for payloads in "slin", "slin_be", "ulaw", "alaw", "g722" (16 kHz) or "opus".
    ///
    /// `playout` is "adaptive", "adaptive:20-200ms" (the least and the longest delay), "fixed:60ms", or "asap:40ms": at
    /// once, for a listener without a playout clock, with that wait for a late packet.
    #[new]
    #[pyo3(signature = (codec, rate, *, playout = "adaptive"))]
    fn new(codec: &str, rate: u32, playout: &str) -> PyResult<Self> {
        let codec = Codec::from_name(codec, SampleRate::new(rate)?)?;
        let config = Config { codec, playout: playout.parse()? };
        let playout = config.playout.to_string();
        let inner = guard(|| Ok(jitter::JitterBuffer::new(config)?))?;
        Ok(Self { inner: Mutex::new(inner), playout })
    }

    /// Takes a packet that came at `arrival_ms` and says what became of it: "held", "late", "duplicate" or "malformed".
    ///
    /// `timestamp` counts as RTP does: samples, but at 8 kHz for G.722 and 48 kHz for Opus.
    #[pyo3(signature = (payload, *, sequence, timestamp, arrival_ms, marker = false, ssrc = 0))]
    #[allow(clippy::too_many_arguments)]
    fn push(
        &self,
        payload: &Bound<'_, PyAny>,
        sequence: u16,
        timestamp: u32,
        arrival_ms: f64,
        marker: bool,
        ssrc: u32,
    ) -> PyResult<&'static str> {
        let py = payload.py();
        let arrival = moment("arrival_ms", arrival_ms)?;
        with_bytes(payload, |payload, _| {
            let packet = Packet { ssrc, sequence, timestamp, marker, payload };
            let fate = guard(|| Ok(lock(py, &self.inner).handle_packet(&packet, arrival)))?;
            Ok(match fate {
                Arrival::Held => "held",
                Arrival::Late => "late",
                Arrival::Duplicate => "duplicate",
                Arrival::Malformed => "malformed",
            })
        })
    }

    /// Takes a comfort noise packet (RFC 3389): the sender pauses, with a background of `level` dB below full scale.
    #[pyo3(signature = (level, *, sequence, timestamp, arrival_ms, ssrc = 0))]
    fn push_comfort_noise(
        &self,
        py: Python<'_>,
        level: u8,
        sequence: u16,
        timestamp: u32,
        arrival_ms: f64,
        ssrc: u32,
    ) -> PyResult<()> {
        let arrival = moment("arrival_ms", arrival_ms)?;
        let packet = Packet { ssrc, sequence, timestamp, marker: false, payload: &[] };
        guard(|| {
            lock(py, &self.inner).handle_comfort_noise(&packet, level, arrival);
            Ok(())
        })
    }

    /// The frame that is due at `now_ms`, as 20 ms of PCM, and what it is: "audio", "concealed", "inserted" or "rest".
    ///
    /// Ask every 20 ms. With playout "asap" ask after each packet, and every 20 ms, until there is None.
    fn poll<'py>(&self, py: Python<'py>, now_ms: f64) -> PyResult<Option<(Bound<'py, PyBytes>, &'static str)>> {
        let now = moment("now_ms", now_ms)?;
        let mut inner = lock(py, &self.inner);
        let mut played = None;
        let pcm = new_pcm(py, inner.codec().rate().frame_len(), |out| {
            // Asked too early it leaves the room as it is.
            out.fill(0);
            played = guard(|| Ok(inner.poll_frame(now, out)))?;
            Ok(())
        })?;
        let kind = played.map(|played| match played {
            Played::Audio => "audio",
            Played::Concealed => "concealed",
            Played::Inserted => "inserted",
            Played::Rest => "rest",
        });
        Ok(kind.map(|kind| (pcm, kind)))
    }

    /// Goes on with packets of another codec; what waits is lost if either keeps state or the rates differ.
    fn set_codec(&self, py: Python<'_>, codec: &str, rate: u32) -> PyResult<()> {
        let codec = Codec::from_name(codec, SampleRate::new(rate)?)?;
        guard(|| {
            lock(py, &self.inner).set_codec(codec);
            Ok(())
        })
    }

    /// What it has seen and done: counters since its start, delays in ms, and a rating by G.107.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = lock(py, &self.inner).stats();
        let dict = PyDict::new(py);
        for (name, count) in [
            ("packets", stats.packets),
            ("packets_lost", stats.packets_lost),
            ("packets_late", stats.packets_late),
            ("packets_duplicate", stats.packets_duplicate),
            ("packets_malformed", stats.packets_malformed),
            ("restarts", stats.restarts),
            ("samples_received", stats.samples_received),
            ("samples_played", stats.samples_played),
            ("samples_removed", stats.samples_removed),
            ("samples_discarded", stats.samples_discarded),
            ("samples_held", stats.samples_held),
            ("samples_concealed", stats.samples_concealed),
            ("samples_recovered", stats.samples_recovered),
            ("samples_inserted", stats.samples_inserted),
            ("samples_rested", stats.samples_rested),
        ] {
            dict.set_item(name, count)?;
        }
        for (name, value) in [
            ("jitter_ms", milliseconds(stats.jitter)),
            ("delay_ms", milliseconds(stats.delay)),
            ("target_ms", milliseconds(stats.target)),
            ("burst_density", stats.bursts.burst_density),
            ("burst_ms", milliseconds(stats.bursts.burst)),
            ("gap_density", stats.bursts.gap_density),
            ("gap_ms", milliseconds(stats.bursts.gap)),
            ("r_factor", stats.r_factor),
            ("mos", stats.mos),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// The name of the codec that payloads are in.
    #[getter]
    fn codec(&self, py: Python<'_>) -> &'static str {
        lock(py, &self.inner).codec().name()
    }

    /// Samples a second of the frames.
    #[getter]
    fn rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.inner).codec().rate().hz()
    }

    /// What a second counts in timestamps.
    #[getter]
    fn clock_rate(&self, py: Python<'_>) -> u32 {
        lock(py, &self.inner).codec().rtp_clock().hz()
    }

    /// When packets are played, as it is written.
    #[getter]
    fn playout(&self) -> &str {
        &self.playout
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("talkpath.JitterBuffer({:?}, {}, playout={:?})", self.codec(py), self.rate(py), self.playout)
    }
}

fn moment(name: &str, ms: f64) -> PyResult<Timestamp> {
    Ok(Timestamp::ZERO + duration_ms(name, ms)?)
}
