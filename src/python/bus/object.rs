//! Python objects as payloads: by reference, and as JSON for whoever does not speak Python.

use std::any::Any;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use super::exit::Stay;
use crate::system::bus::{Opaque, Payload};
use crate::{Error, ErrorKind, Result};

/// A Python object on its way.
struct PythonObject {
    object: Py<PyAny>,
    size_bytes: usize,
}

/// Makes a payload of an object: itself, not a copy.
pub(super) fn payload(data: &Bound<'_, PyAny>) -> Payload {
    // Only where asking costs next to nothing: of anything else a size would say little.
    let size_bytes = if let Ok(text) = data.cast_exact::<PyString>() {
        text.len().unwrap_or(0)
    } else if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        bytes.as_bytes().len()
    } else {
        SOME_OBJECT
    };
    Payload::Object(Arc::new(PythonObject { object: data.clone().unbind(), size_bytes }))
}

/// What a payload is in Python: the object that was published, what the JSON says, or bytes.
pub(super) fn data_of(py: Python<'_>, payload: &Payload) -> PyResult<Py<PyAny>> {
    match payload {
        Payload::Json(text) => loads(py, text),
        Payload::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any().unbind()),
        Payload::Object(object) => {
            let any: &dyn Any = &**object;
            match any.downcast_ref::<PythonObject>() {
                Some(python) => Ok(python.object.clone_ref(py)),
                None => loads(py, &object.to_json()?),
            }
        }
    }
}

impl Opaque for PythonObject {
    fn to_json(&self) -> Result<String> {
        let ending = || Error::new(ErrorKind::Internal, "no json of a python object: the interpreter is ending");
        let _stay = Stay::enter().ok_or_else(ending)?;
        Python::try_attach(|py| dumps(py, &self.object))
            .ok_or_else(ending)?
            .map_err(|error| Error::invalid(format!("a payload of Python without a form in json: {error}")))
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

fn loads(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("json")?.getattr("loads")?.unbind()))?;
    loads.call1(py, (text,))
}

fn dumps(py: Python<'_>, object: &Py<PyAny>) -> PyResult<String> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let dumps =
        DUMPS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("talkpath.bus")?.getattr("_to_json")?.unbind()))?;
    dumps.call1(py, (object,))?.extract(py)
}

/// What an object counts for whose size nobody knows.
const SOME_OBJECT: usize = 256;
