//! `_talkpath.BusEvent` and `_talkpath.BusGap`: what Python subscribers get.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::object::data_of;
use crate::system::bus::{Delivery, Event, Gap, Payload};

/// Something that happened.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct BusEvent {
    event: Event,
    /// What JSON or bytes became, so that each reader finds the same object.
    data: PyOnceLock<Py<PyAny>>,
}

/// Events that were dropped because they were read too late.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct BusGap {
    gap: Gap,
}

/// A delivery as Python's.
pub(super) fn delivered(py: Python<'_>, delivery: Delivery) -> PyResult<Py<PyAny>> {
    match delivery {
        Delivery::Event(event) => Ok(Py::new(py, BusEvent { event, data: PyOnceLock::new() })?.into_any()),
        Delivery::Gap(gap) => Ok(Py::new(py, BusGap { gap })?.into_any()),
    }
}

#[pymethods]
impl BusEvent {
    /// Its number among the events of its session.
    #[getter]
    fn sequence(&self) -> u64 {
        self.event.sequence
    }

    /// Whose event it is.
    #[getter]
    fn session(&self) -> &str {
        &self.event.session
    }

    /// What happened.
    #[getter]
    fn kind(&self) -> &str {
        &self.event.kind
    }

    /// When, in microseconds since 1970.
    #[getter]
    fn time_us(&self) -> u64 {
        self.event.time_us
    }

    /// Which other process it came from, as its bridge is named; None if it was published in this one.
    #[getter]
    fn origin(&self) -> Option<&str> {
        self.event.origin.as_ref().map(|origin| &*origin.name)
    }

    /// What was published: the object itself if Python published it.
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Payload::Object(_) = self.event.payload {
            return data_of(py, &self.event.payload);
        }
        Ok(self.data.get_or_try_init(py, || data_of(py, &self.event.payload))?.clone_ref(py))
    }

    /// What was published, as JSON; bytes are {"base64": …}, and what JSON does not know is its repr.
    fn json(&self) -> PyResult<String> {
        Ok(self.event.payload.to_json()?.into_owned())
    }

    fn __repr__(&self) -> String {
        let Event { sequence, session, kind, .. } = &self.event;
        format!("<talkpath.bus.Event {sequence} of {session}: {kind}>")
    }
}

#[pymethods]
impl BusGap {
    /// "bus:gap".
    #[getter]
    fn kind(&self) -> &'static str {
        "bus:gap"
    }

    /// Of which session; None where so many lost events that the rest is counted together.
    #[getter]
    fn session(&self) -> Option<&str> {
        self.gap.session.as_deref()
    }

    /// How many events were dropped.
    #[getter]
    fn count(&self) -> u64 {
        self.gap.count
    }

    /// The number of the first of them.
    #[getter]
    fn first_sequence(&self) -> u64 {
        self.gap.first_sequence
    }

    /// The number of the last of them.
    #[getter]
    fn last_sequence(&self) -> u64 {
        self.gap.last_sequence
    }

    fn __repr__(&self) -> String {
        let Gap { session, count, first_sequence, last_sequence } = &self.gap;
        match session {
            Some(session) => {
                format!("<talkpath.bus.Gap {count} of {session}, between {first_sequence} and {last_sequence}>")
            }
            None => format!("<talkpath.bus.Gap {count} of other sessions>"),
        }
    }
}
