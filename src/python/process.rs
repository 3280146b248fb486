//! `_talkpath.ProcessManager` and `_talkpath.Process`: programs that are started, read, written to and ended.
//!
//! `talkpath.ProcessManager` and `talkpath.Process` are made of them: what an event loop waits for, and how, is decided
//! there. What waits here is for threads; it lets go of the interpreter, and a signal's handler can end it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::buffer::with_memory;
use super::bus::Bus;
use super::error::guard;
use super::secret::SecretRef;
use super::{duration_ms, lock};
use crate::Error;
use crate::system::clock::Clock;
use crate::system::process::{
    self as core, Batch, CleanText, Exit, ExitStatus, Found, ManagerConfig, Overflow, ProcessSpec, Stderr, Stream,
    TerminalSize, Ticket, Tier, Typed,
};

/// Adds the classes to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProcessManager>()?;
    module.add_class::<Process>()?;
    module.add_class::<CleanTextReader>()?;
    module.add_function(wrap_pyfunction!(running_agents, module)?)?;
    module.add_function(wrap_pyfunction!(user_shell, module)?)?;
    Ok(())
}

/// Starts processes.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct ProcessManager(core::ProcessManager);

#[pymethods]
impl ProcessManager {
    #[new]
    fn new(tier: &str, bus: &Bound<'_, Bus>) -> PyResult<Self> {
        let tier = TIERS.iter().find(|(name, _)| *name == tier).map(|(_, tier)| *tier);
        let tier = tier.ok_or_else(|| Error::invalid("tier, wanted \"subreaper\", \"cgroup\" or \"strict\""))?;
        let bus = bus.get().core().clone();
        guard(|| Ok(Self(core::ProcessManager::new(ManagerConfig { tier, bus: Some(bus) })?)))
    }

    /// Begins to start a program; `options` are those of `talkpath.process.ProcessOptions`.
    #[pyo3(signature = (argv, **options))]
    fn start(&self, argv: Vec<OsString>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Process> {
        let mut spec = ProcessSpec::argv(argv);
        for (name, value) in options.into_iter().flatten() {
            set_option(&mut spec, name.extract()?, &value)?;
        }
        guard(|| Ok(Process::new(self.0.begin_start(&spec)?)))
    }

    /// The process with this id, if it runs or has ended not long ago; True if it has ended before those; None if there was
    /// none.
    fn find<'py>(&self, py: Python<'py>, process_id: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.0.find(process_id) {
            Some(Found::Process(process)) => Ok(Some(Bound::new(py, Process::new(process))?.into_any())),
            Some(Found::Ended) => Ok(Some(true.into_pyobject(py)?.to_owned().into_any())),
            None => Ok(None),
        }
    }

    fn running(&self) -> Vec<Process> {
        self.0.running().into_iter().map(Process::new).collect()
    }

    /// How descendants are kept together, None before the first start.
    #[getter]
    fn tier(&self) -> Option<&'static str> {
        let tier = self.0.tier()?;
        TIERS.iter().find(|(_, it)| *it == tier).map(|(name, _)| *name)
    }

    /// Takes charge of a process that somebody else started; the number by which it is killed or released.
    fn adopt(&self, pid: u32) -> PyResult<u64> {
        Ok(self.0.adopt(pid)?)
    }

    fn kill_adopted(&self, number: u64) {
        self.0.kill_adopted(number);
    }

    fn release(&self, number: u64) {
        self.0.release(number);
    }

    fn stop_all(&self, grace_s: f64) -> PyResult<()> {
        self.0.stop_all(seconds("grace_s", grace_s)?);
        Ok(())
    }

    /// Ends everything, and waits for it.
    fn close(&self, py: Python<'_>, grace_s: f64) -> PyResult<()> {
        let grace = seconds("grace_s", grace_s)?;
        guard(|| {
            py.detach(|| self.0.close(grace));
            Ok(())
        })
    }
}

/// One process.
#[pyclass(frozen, module = "talkpath._talkpath")]
pub(super) struct Process {
    process: core::Process,
    clean: [Mutex<CleanText>; 2],
}

impl Process {
    fn new(process: core::Process) -> Self {
        Self { process, clean: Default::default() }
    }

    /// Waits in slices, between which a signal's handler may run and raise; true once it is so.
    fn wait_so(
        py: Python<'_>,
        timeout_s: Option<f64>,
        so: impl Fn(Duration) -> crate::Result<bool> + Sync,
    ) -> PyResult<bool> {
        let deadline = timeout_s.map(|it| seconds("timeout", it)).transpose()?.map(|timeout| Clock::now() + timeout);
        loop {
            let left = deadline.map_or(SLICE, |deadline| Clock::until(deadline).min(SLICE));
            if guard(|| Ok(py.detach(|| so(left))?))? {
                return Ok(true);
            }
            py.check_signals()?;
            if deadline.is_some_and(|deadline| Clock::until(deadline).is_zero()) {
                return Ok(false);
            }
        }
    }
}

#[pymethods]
impl Process {
    #[getter]
    fn id(&self) -> &str {
        self.process.id()
    }

    #[getter]
    fn pid(&self) -> Option<i32> {
        self.process.pid()
    }

    /// The program's name and how many arguments it has.
    #[getter]
    fn title(&self) -> &str {
        self.process.title()
    }

    /// When it was started, in seconds since 1970.
    #[getter]
    fn started_at(&self) -> f64 {
        self.process.started_unix_us() as f64 / 1e6
    }

    /// Whether it is started; raises, once, if it could not be.
    fn poll_started(&self) -> PyResult<bool> {
        Ok(self.process.poll_started()?)
    }

    fn wait_started(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<bool> {
        Self::wait_so(py, timeout_s, |slice| self.process.wait_started(Some(slice)))
    }

    /// How it ended, as (code, signal, whether a core was dumped, the limit that was reached), None while it runs.
    fn exit(&self) -> Option<Ended> {
        self.process.exit().map(|exit: Exit| {
            let core_dumped = matches!(exit.status, ExitStatus::Signal { core_dumped: true, .. });
            (exit.code(), exit.signal(), core_dumped, exit.limit.map(|limit| limit.name()))
        })
    }

    /// Waits for its end; whether it came within `timeout_s`.
    fn wait(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<bool> {
        Self::wait_so(py, timeout_s, |slice| match self.process.wait(Some(slice)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == crate::ErrorKind::Timeout => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// What there is of a stream (0 output, 1 error), in the form wanted (0 bytes, 1 text, 2 clean text): items, dropped
    /// lines and dropped bytes.
    fn take<'py>(&self, py: Python<'py>, stream: u8, form: u8) -> PyResult<(Bound<'py, PyList>, u64, u64)> {
        let (stream, index) = numbered(stream);
        let mut batch = self.process.read(stream, AT_ONCE);
        let mut items: Vec<Bound<'py, PyAny>> = Vec::with_capacity(batch.len());
        match form {
            0 => collect(&mut batch, |item| items.push(PyBytes::new(py, item).into_any())),
            1 => collect(&mut batch, |item| items.push(text(py, item).into_any())),
            _ => {
                let mut clean = lock(py, &self.clean[index]);
                collect(&mut batch, |item| {
                    let text = clean.feed(item);
                    // An item may have been escape sequences alone.
                    if !text.is_empty() {
                        items.push(PyString::new(py, &text).into_any());
                    }
                });
            }
        }
        Ok((PyList::new(py, items)?, batch.gap.lines, batch.gap.bytes))
    }

    fn is_exhausted(&self, stream: u8) -> bool {
        self.process.is_exhausted(numbered(stream).0)
    }

    fn wait_output(&self, py: Python<'_>, stream: u8, timeout_s: Option<f64>) -> PyResult<bool> {
        Self::wait_so(py, timeout_s, |slice| self.process.wait_output(numbered(stream).0, Some(slice)))
    }

    /// Begins to write bytes, text as UTF-8, or a secret as a line; answers the write's number.
    fn begin_write(&self, data: &Bound<'_, PyAny>, line: bool) -> PyResult<u64> {
        if let Ok(secret) = data.cast::<SecretRef>() {
            let secret = secret.get().inner.clone();
            return guard(|| Ok(self.process.begin_write(Typed::Secret(secret))?.0));
        }
        let mut bytes = match data.cast::<PyString>() {
            Ok(text) => text.to_cow()?.into_owned().into_bytes(),
            Err(_) => with_memory(data, |bytes| Ok(bytes.to_vec()))?,
        };
        if line {
            bytes.push(b'\n');
        }
        guard(|| Ok(self.process.begin_write(Typed::Bytes(bytes))?.0))
    }

    /// Whether all of a write was taken.
    fn poll_write(&self, ticket: u64) -> PyResult<bool> {
        Ok(self.process.poll_write(Ticket(ticket))?)
    }

    fn wait_write(&self, py: Python<'_>, ticket: u64, timeout_s: Option<f64>) -> PyResult<bool> {
        Self::wait_so(py, timeout_s, |slice| self.process.wait_write(Ticket(ticket), Some(slice)))
    }

    /// Takes back what was not written after `waited_s`; the error to raise.
    fn abandon_write(&self, py: Python<'_>, ticket: u64, waited_s: f64) -> PyResult<Py<PyAny>> {
        let error = self.process.abandon_write(Ticket(ticket), seconds("timeout", waited_s)?);
        Ok(PyErr::from(error).into_value(py).into_any())
    }

    fn close_input(&self) {
        self.process.close_input();
    }

    fn resize(&self, rows: u16, columns: u16) -> PyResult<()> {
        Ok(self.process.resize(TerminalSize { rows, columns })?)
    }

    fn signal(&self, number: i32) {
        self.process.signal(number);
    }

    fn stop(&self, grace_s: f64) -> PyResult<()> {
        self.process.stop(seconds("grace_s", grace_s)?);
        Ok(())
    }

    /// The descriptor that becomes readable with news; `hush` makes it unreadable.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.process.fd()?.as_raw_fd())
    }

    fn hush(&self) {
        self.process.hush();
    }

    /// Lines and bytes of a stream that were dropped since the start.
    fn dropped(&self, stream: u8) -> (u64, u64) {
        let gap = self.process.dropped(numbered(stream).0);
        (gap.lines, gap.bytes)
    }
}

/// The code, the signal, whether a core was dumped, and the limit that was reached.
type Ended = (Option<i32>, Option<i32>, bool, Option<&'static str>);

/// Turns terminal output into the text that a person would see, piece by piece.
#[pyclass(frozen, name = "CleanText", module = "talkpath")]
pub(super) struct CleanTextReader(Mutex<CleanText>);

#[pymethods]
impl CleanTextReader {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Takes the next piece, text or bytes, and returns what is new as text.
    fn feed(&self, data: &Bound<'_, PyAny>) -> PyResult<String> {
        let mut clean = lock(data.py(), &self.0);
        match data.cast::<PyString>() {
            Ok(text) => Ok(clean.feed(text.to_cow()?.as_bytes())),
            Err(_) => with_memory(data, |bytes| Ok(clean.feed(bytes))),
        }
    }
}

/// This user's agents with processes, as (pid, [(id, pid, started_at, title)]).
#[pyfunction]
#[expect(clippy::type_complexity, reason = "a list of tuples, as Python gets it")]
fn running_agents(py: Python<'_>) -> Vec<(u32, Vec<(String, i64, f64, String)>)> {
    let agents = py.detach(core::running_agents);
    let process = |it: core::ProcessRecord| (it.id, it.pid, it.started_unix_us as f64 / 1e6, it.title);
    agents.into_iter().map(|agent| (agent.pid, agent.processes.into_iter().map(process).collect())).collect()
}

/// The shell that this user has chosen, or /bin/sh.
#[pyfunction]
fn user_shell() -> OsString {
    core::user_shell()
}

fn set_option(spec: &mut ProcessSpec, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "cwd" => spec.cwd = value.extract::<Option<PathBuf>>()?,
        "env" => spec.env = value.extract::<BTreeMap<OsString, OsString>>()?,
        "inherit_env" => spec.inherit = value.extract()?,
        "pty" => {
            let size: Option<(u16, u16)> = value.extract()?;
            spec.pty = size.map(|(rows, columns)| TerminalSize { rows, columns });
        }
        "stderr" => spec.stderr = named(name, value, &STDERRS)?,
        "output" => match value.extract()? {
            "discard" => spec.captures = false,
            _ => spec.overflow = named(name, value, &OVERFLOWS)?,
        },
        "buffer_bytes" => {
            spec.buffer_bytes = value.extract()?;
            spec.longest_line_bytes = spec.longest_line_bytes.min(spec.buffer_bytes / 2);
        }
        "prompt_ms" => {
            let ms: Option<f64> = value.extract()?;
            spec.prompt_after = ms.map(|ms| duration_ms(name, ms)).transpose()?;
        }
        "console" => spec.console = value.extract::<Option<String>>()?.map(Into::into),
        "processes" => spec.limits.processes = value.extract()?,
        "memory_bytes" => spec.limits.memory_bytes = value.extract()?,
        "cpu_s" => spec.limits.cpu_seconds = value.extract()?,
        "open_files" => spec.limits.open_files = value.extract()?,
        "file_bytes" => spec.limits.file_bytes = value.extract()?,
        "output_bytes" => spec.limits.output_bytes = value.extract()?,
        "wall_s" => {
            let limit: Option<f64> = value.extract()?;
            spec.limits.wall_time = limit.map(|limit| seconds(name, limit)).transpose()?;
        }
        other => {
            return Err(PyTypeError::new_err(format!(
                "option {other:?}, wanted one of talkpath.process.ProcessOptions"
            )));
        }
    }
    Ok(())
}

fn named<T: Copy>(name: &str, value: &Bound<'_, PyAny>, table: &[(&str, T)]) -> PyResult<T> {
    let got: &str = value.extract()?;
    let found = table.iter().find(|(it, _)| *it == got).map(|(_, value)| *value);
    let wanted = || table.iter().map(|(it, _)| format!("{it:?}")).collect::<Vec<_>>().join(" or ");
    Ok(found.ok_or_else(|| Error::invalid(format!("{name} of {got:?}, wanted {}", wanted())))?)
}

fn collect(batch: &mut Batch, mut take: impl FnMut(&[u8])) {
    while let Some(item) = batch.pop() {
        take(item);
    }
}

fn text<'py>(py: Python<'py>, item: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(item) {
        Ok(text) => PyString::new(py, text),
        Err(_) => PyString::new(py, &String::from_utf8_lossy(item)),
    }
}

fn numbered(stream: u8) -> (Stream, usize) {
    if stream == 0 { (Stream::Stdout, 0) } else { (Stream::Stderr, 1) }
}

fn seconds(name: &str, value: f64) -> crate::Result<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| Error::invalid(format!("{name} of {value}, wanted a number of seconds of at least 0")))
}

const TIERS: [(&str, Tier); 3] = [("subreaper", Tier::Subreaper), ("cgroup", Tier::Cgroup), ("strict", Tier::Strict)];
const STDERRS: [(&str, Stderr); 3] =
    [("stdout", Stderr::Stdout), ("separate", Stderr::Separate), ("discard", Stderr::Discard)];
const OVERFLOWS: [(&str, Overflow); 2] = [("block", Overflow::Block), ("drop_oldest", Overflow::DropOldest)];
/// How much output is handed over at once: a loop gets to its other tasks in between.
const AT_ONCE: usize = 64 * 1024;
/// How long a thread waits until it looks for signals.
const SLICE: Duration = Duration::from_millis(50);
