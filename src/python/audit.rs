//! `talkpath.audit`: the core's audit logs, read and verified.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;

use super::lock;
use crate::system::audit::{ChainKey, Expected, Lines, log_files, verify};

/// The records of one file of an audit log, as lines of JSON, many at a time.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct AuditLines {
    inner: Mutex<Lines>,
}

#[pymethods]
impl AuditLines {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let lines = py.detach(|| Lines::open(&path))?;
        Ok(Self { inner: Mutex::new(lines) })
    }

    /// The next lines, at most `count`; none at the end.
    fn next_lines(&self, py: Python<'_>, count: usize) -> Vec<String> {
        lock(py, &self.inner).next_lines(count)
    }
}

/// Verifies the log of which `paths` are the files, or of which the one path is the live file; answers in JSON.
#[pyfunction]
#[pyo3(signature = (paths, *, key = None, partial = false, head = None))]
pub(super) fn audit_verify(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    key: Option<&[u8]>,
    partial: bool,
    head: Option<&str>,
) -> PyResult<String> {
    let key = key.map_or(Ok(ChainKey::none()), ChainKey::new)?;
    let expected = Expected { partial, head: head.map(str::parse).transpose()? };
    let report = py.detach(|| match &paths[..] {
        [live] if live.exists() => verify(&log_files(live)?, &key, &expected),
        files => verify(files, &key, &expected),
    });
    Ok(report?.to_json())
}
