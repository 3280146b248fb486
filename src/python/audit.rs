//! `talkpath.audit`: the core's audit logs, written, read and verified; and what takes secrets out of them.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;

use super::bus::Bus;
use super::secret::SecretRef;
use super::{duration_ms, lock};
use crate::Error;
use crate::system::audit::{self, AuditOptions, ChainKey, Expected, Lines, LogOptions, SyncPolicy, WhenFull};
use crate::system::audit::{log_files, verify};
use crate::system::bus::Filter;
use crate::system::redact::{KnownSecrets, Redactor, RedactorOptions};

/// Adds the classes and functions to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Audit>()?;
    module.add_class::<AuditLines>()?;
    module.add_function(wrap_pyfunction!(audit_verify, module)?)?;
    module.add_function(wrap_pyfunction!(redact_text, module)?)?;
    module.add_function(wrap_pyfunction!(know_secret, module)?)?;
    Ok(())
}

/// A recording of a bus.
#[pyclass(frozen, subclass, module = "talkpath._talkpath")]
pub(super) struct Audit {
    inner: audit::Audit,
}

#[pymethods]
impl Audit {
    #[new]
    #[pyo3(signature = (bus, path, *, session = "*", kind = "*", max_file_bytes = None, sync = None, key = None,
        when_full = "wait", capacity = None, capacity_bytes = None, names = None, not_names = None, patterns = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        bus: &Bus,
        path: PathBuf,
        session: &str,
        kind: &str,
        max_file_bytes: Option<u64>,
        sync: Option<&Bound<'_, PyAny>>,
        key: Option<&Bound<'_, PyAny>>,
        when_full: &str,
        capacity: Option<usize>,
        capacity_bytes: Option<usize>,
        names: Option<Vec<String>>,
        not_names: Option<Vec<String>>,
        patterns: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let defaults = AuditOptions::default();
        let log = LogOptions {
            max_file_bytes: max_file_bytes.unwrap_or(defaults.log.max_file_bytes),
            sync: sync.map_or(Ok(defaults.log.sync), sync_policy)?,
            key: chain_key(key)?,
        };
        let redactor = RedactorOptions {
            names: names.unwrap_or_default(),
            except: not_names.unwrap_or_default(),
            patterns: patterns.unwrap_or_default(),
            ..RedactorOptions::default()
        };
        let options = AuditOptions {
            log,
            filter: Filter::new(session, kind)?,
            redactor: Redactor::new(redactor)?,
            capacity: capacity.unwrap_or(defaults.capacity),
            capacity_bytes: capacity_bytes.unwrap_or(defaults.capacity_bytes),
            when_full: match when_full {
                "wait" => WhenFull::Wait,
                "drop" => WhenFull::Drop,
                other => return Err(Error::invalid(format!("when_full {other:?}, wanted wait or drop")).into()),
            },
        };
        let bus = bus.core().clone();
        let inner = py.detach(|| audit::Audit::start(&bus, &path, options))?;
        Ok(Self { inner })
    }

    /// Waits until everything that was published before is on the disk, and answers the log's head.
    #[pyo3(signature = (timeout_s = 10.0))]
    fn flush(&self, py: Python<'_>, timeout_s: f64) -> PyResult<String> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.inner.flush(timeout))?.to_string())
    }

    /// Records what was published before, ends the log, and answers its head. Twice does no more.
    #[pyo3(signature = (timeout_s = 10.0))]
    fn close(&self, py: Python<'_>, timeout_s: f64) -> PyResult<String> {
        let timeout = seconds(timeout_s)?;
        Ok(py.detach(|| self.inner.close(timeout))?.to_string())
    }

    /// The last record that is in the file and its chain value: noted elsewhere, it shows later whether the end was cut off.
    #[getter]
    fn head(&self) -> PyResult<String> {
        Ok(self.inner.head()?.to_string())
    }

    /// Where the live file is.
    #[getter]
    fn path(&self) -> PathBuf {
        self.inner.path().to_path_buf()
    }

    /// How many events are in the file, were lost, and wait; how often the disk refused, and why it does now.
    fn _stats(&self, py: Python<'_>) -> (u64, u64, usize, u64, Option<String>) {
        let stats = py.detach(|| self.inner.stats());
        (stats.events, stats.lost, stats.waiting, stats.refusals, stats.stalled)
    }
}

fn seconds(value: f64) -> crate::Result<Duration> {
    duration_ms("timeout_s", value * 1e3)
}

/// "every", "when_full", or the most seconds between two times.
fn sync_policy(value: &Bound<'_, PyAny>) -> PyResult<SyncPolicy> {
    if let Ok(seconds) = value.extract::<f64>() {
        return Ok(SyncPolicy::Interval(duration_ms("sync", seconds * 1e3)?));
    }
    match value.extract::<&str>() {
        Ok("every") => Ok(SyncPolicy::EveryCommit),
        Ok("when_full") => Ok(SyncPolicy::WhenFull),
        _ => Err(Error::invalid(format!("sync of {value:?}, wanted every, when_full or seconds")).into()),
    }
}

/// A chain's key: a SecretRef or bytes.
fn chain_key(key: Option<&Bound<'_, PyAny>>) -> PyResult<ChainKey> {
    let Some(key) = key else { return Ok(ChainKey::none()) };
    if let Ok(secret) = key.cast::<SecretRef>() {
        return Ok(secret.get().inner.expose(ChainKey::new)??);
    }
    Ok(ChainKey::new(key.extract::<&[u8]>()?)?)
}

/// A text without its secrets, and how many were taken out.
#[pyfunction]
pub(super) fn redact_text(text: &str) -> (String, usize) {
    let (text, count) = Redactor::default().redact_text(text);
    (text.into_owned(), count)
}

/// Makes a secret known to every redaction of the process; only fingerprints of it are kept.
#[pyfunction]
pub(super) fn know_secret(secret: &Bound<'_, PyAny>) -> PyResult<()> {
    let known = KnownSecrets::of_process();
    if let Ok(secret) = secret.cast::<SecretRef>() {
        return Ok(secret.get().inner.expose(|bytes| known.add(bytes))??);
    }
    if let Ok(text) = secret.extract::<&str>() {
        return Ok(known.add(text.as_bytes())?);
    }
    Ok(known.add(secret.extract::<&[u8]>()?)?)
}

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
    key: Option<&Bound<'_, PyAny>>,
    partial: bool,
    head: Option<&str>,
) -> PyResult<String> {
    let key = chain_key(key)?;
    let expected = Expected { partial, head: head.map(str::parse).transpose()? };
    let report = py.detach(|| match &paths[..] {
        [live] if live.exists() => verify(&log_files(live)?, &key, &expected),
        files => verify(files, &key, &expected),
    });
    Ok(report?.to_json())
}
