//! `talkpath.SecretRef`, `SecretStore` and what they lend: plaintext that is never a Python object of its own.
//!
//! A `str` or `bytes` cannot be wiped and is copied at will. So values come in by prompt, by descriptor or in a `bytearray`
//! that is wiped, and go out as a view on protected memory that is wiped when its `with` block ends.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyString};
use pyo3::{PyErr, ffi};

use super::buffer::{borrow_descriptor, lend_bytes, with_memory, with_writable};
use super::lock;
use crate::system::secret::{self as core, KeySource, Protection};
use crate::{Error, Result};

/// Adds what is about secrets to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SecretRef>()?;
    module.add_class::<Exposed>()?;
    module.add_class::<SecretStore>()?;
    module.add_class::<SecretInfo>()?;
    module.add_function(wrap_pyfunction!(read_env_file, module)?)?;
    module.add_function(wrap_pyfunction!(harden, module)?)?;
    module.add_function(wrap_pyfunction!(is_hardened, module)?)?;
    module.add_function(wrap_pyfunction!(secret_protection, module)?)
}

/// A secret that is sealed until it is used: it shows its name, and lends its bytes to who opens it.
#[pyclass(frozen, module = "talkpath")]
pub(super) struct SecretRef {
    pub(super) inner: core::SecretRef,
}

#[pymethods]
impl SecretRef {
    /// Seals `value`, a bytearray or another writable buffer, and overwrites it with zeros.
    #[new]
    #[pyo3(signature = (value, *, name = "secret"), text_signature = "(value, *, name='secret')")]
    fn new(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        Ok(Self { inner: sealed(value, name)? })
    }

    /// Asks the person at the terminal for it, without echo.
    #[staticmethod]
    #[pyo3(signature = (question = "Secret: ", *, name = "secret"),
        text_signature = "(question='Secret: ', *, name='secret')")]
    fn from_prompt(py: Python<'_>, question: &str, name: &str) -> PyResult<Self> {
        Ok(Self { inner: py.detach(|| core::SecretRef::from_prompt(name, question))? })
    }

    /// Reads it from a descriptor to its end, without the line feed that ends it.
    #[staticmethod]
    #[pyo3(signature = (fd, *, name = "secret"), text_signature = "(fd, *, name='secret')")]
    fn from_descriptor(py: Python<'_>, fd: i32, name: &str) -> PyResult<Self> {
        let fd = borrow_descriptor(fd)?;
        Ok(Self { inner: py.detach(|| core::SecretRef::from_descriptor(name, fd))? })
    }

    /// Its name, which is no secret.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// Lends the bytes: `with secret.open() as view:` gives a memoryview that is wiped and released at the block's end.
    fn open(&self) -> Exposed {
        Exposed { secret: self.inner.clone(), lent: Mutex::default() }
    }

    /// Whether its bytes are `candidate`, told in constant time.
    fn matches(&self, candidate: &Bound<'_, PyAny>) -> PyResult<bool> {
        if candidate.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("a candidate of type str, wanted bytes or another buffer"));
        }
        with_memory(candidate, |candidate| Ok(self.inner.matches(candidate)?))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.inner)
    }

    fn __str__(&self) -> PyResult<String> {
        Err(refused("has no text: open() it, or hand it to what takes a SecretRef"))
    }

    fn __reduce_ex__(&self, _protocol: i32) -> PyResult<Py<PyAny>> {
        Err(refused("cannot be pickled: another process opens the store itself"))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }
}

/// Lends a secret's bytes for the length of a `with` block.
#[pyclass(frozen, module = "talkpath")]
struct Exposed {
    secret: core::SecretRef,
    lent: Mutex<Option<Lent>>,
}

/// What must end with the block.
struct Lent {
    plain: Py<Plain>,
    view: Py<PyMemoryView>,
}

#[pymethods]
impl Exposed {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let mut lent = lock(py, &self.lent);
        if lent.is_some() {
            return Err(PyValueError::new_err("this block has been entered already: open the secret once more"));
        }
        let plain = Bound::new(py, Plain { opened: Mutex::new(self.secret.open()?) })?;
        let view = PyMemoryView::from(plain.as_any())?;
        *lent = Some(Lent { plain: plain.unbind(), view: view.clone().unbind() });
        Ok(view)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        if let Some(lent) = lock(py, &self.lent).take() {
            lent.plain.get().opened.lock().unwrap_or_else(PoisonError::into_inner).wipe();
            // It fails if the block has made views of the view: they see zeros.
            let _ = lent.view.call_method0(py, "release");
        }
    }
}

/// The opened bytes; every view on them keeps it, and so them, in place.
#[pyclass(frozen, module = "talkpath")]
struct Plain {
    opened: Mutex<core::Exposed>,
}

#[pymethods]
impl Plain {
    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::ffi::c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyErr::new::<PyBufferError, _>("no view to fill"));
        }
        let owner = slf.clone().into_any();
        let opened = slf.get().opened.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: CPython hands over a valid view; opened bytes stay in their place until this object, their owner, goes.
        unsafe { lend_bytes(owner, &opened, view, flags) }
    }
}

/// Named secrets, kept in an age file.
#[pyclass(frozen, module = "talkpath")]
struct SecretStore {
    inner: Mutex<core::SecretStore>,
}

#[pymethods]
impl SecretStore {
    /// Makes an empty store with a new key, which is put where `source` says.
    #[staticmethod]
    #[pyo3(signature = (path, *, source), text_signature = "(path, *, source)")]
    fn create(py: Python<'_>, path: PathBuf, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let source = key_source(source)?;
        let store = py.detach(|| core::SecretStore::create(&path, &source))?;
        Ok(Self { inner: Mutex::new(store) })
    }

    /// Opens a store with the key from the first of the sources that has it.
    #[staticmethod]
    #[pyo3(signature = (path, *, source), text_signature = "(path, *, source)")]
    fn open(py: Python<'_>, path: PathBuf, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let sources = match key_source(source) {
            Ok(source) => vec![source],
            Err(error) if source.is_instance_of::<PyString>() || source.cast::<SecretRef>().is_ok() => {
                return Err(error);
            }
            Err(_) => source.try_iter()?.map(|each| key_source(&each?)).collect::<PyResult<_>>()?,
        };
        let store = py.detach(|| core::SecretStore::open(&path, &sources))?;
        Ok(Self { inner: Mutex::new(store) })
    }

    /// The path of the file.
    #[getter]
    fn path(&self, py: Python<'_>) -> PathBuf {
        lock(py, &self.inner).path().to_owned()
    }

    /// The public key that the store is encrypted to, as `age` writes it.
    #[getter]
    fn recipient(&self, py: Python<'_>) -> String {
        lock(py, &self.inner).recipient()
    }

    /// Adds a secret: a SecretRef, or a bytearray, which is overwritten with zeros.
    fn set(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let secret = named(name, value)?;
        self.change(py, |store| store.set(&secret))
    }

    /// Adds several secrets under their own names, all or none.
    fn set_all(&self, py: Python<'_>, secrets: Vec<PyRef<'_, SecretRef>>) -> PyResult<()> {
        let secrets: Vec<_> = secrets.iter().map(|secret| secret.inner.clone()).collect();
        self.change(py, |store| store.set_all(&secrets))
    }

    /// Replaces the value of a secret that is there, and notes when.
    fn rotate(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let secret = named(name, value)?;
        self.change(py, |store| store.rotate(&secret))
    }

    /// Takes a secret out of the store.
    fn delete(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.change(py, |store| store.delete(name))
    }

    /// Reads the file anew, for what other processes have changed.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, core::SecretStore::reload)
    }

    /// All secrets' names and times, by name.
    fn list(&self, py: Python<'_>) -> Vec<SecretInfo> {
        let store = lock(py, &self.inner);
        store
            .list()
            .map(|info| SecretInfo { name: info.name.into(), created: info.created, rotated: info.rotated })
            .collect()
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<SecretRef> {
        Ok(SecretRef { inner: lock(py, &self.inner).get(name)?.clone() })
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> bool {
        lock(py, &self.inner).get(name).is_ok()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        lock(py, &self.inner).list().len()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let store = lock(py, &self.inner);
        format!("<talkpath.SecretStore {} secrets in {}>", store.list().len(), store.path().display())
    }

    fn __reduce_ex__(&self, _protocol: i32) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a SecretStore cannot be pickled or copied: open it once more"))
    }
}

impl SecretStore {
    fn change(&self, py: Python<'_>, change: impl Send + FnOnce(&mut core::SecretStore) -> Result<()>) -> PyResult<()> {
        py.detach(|| change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner)))?;
        Ok(())
    }
}

/// What is known of a secret without opening it.
#[pyclass(frozen, module = "talkpath", get_all)]
struct SecretInfo {
    name: String,
    /// When it was first set, in seconds since 1970.
    created: u64,
    /// When its value was last replaced, in seconds since 1970, or None.
    rotated: Option<u64>,
}

#[pymethods]
impl SecretInfo {
    fn __repr__(&self) -> String {
        let rotated = self.rotated.map_or("None".into(), |rotated| rotated.to_string());
        format!("SecretInfo(name='{}', created={}, rotated={rotated})", self.name, self.created)
    }
}

/// Seals each value of a file of `NAME=value` lines under its name.
#[pyfunction]
fn read_env_file(py: Python<'_>, path: PathBuf) -> PyResult<Vec<SecretRef>> {
    let secrets = py.detach(|| core::read_env_file(&path))?;
    Ok(secrets.into_iter().map(|inner| SecretRef { inner }).collect())
}

/// Forbids core dumps, debuggers of the same user and reading /proc/PID/mem, for this process.
#[pyfunction]
fn harden() -> PyResult<()> {
    Ok(core::harden()?)
}

/// Whether harden() is in force.
#[pyfunction]
fn is_hardened() -> PyResult<bool> {
    Ok(core::is_hardened()?)
}

/// How well opened secrets and the key of sealed ones are kept: 'secret-memory', or degraded, 'locked' or 'unlocked'.
#[pyfunction]
fn secret_protection() -> PyResult<&'static str> {
    Ok(match core::protection()? {
        Protection::SecretMemory => "secret-memory",
        Protection::Locked => "locked",
        Protection::Unlocked => "unlocked",
    })
}

fn named(name: &str, value: &Bound<'_, PyAny>) -> PyResult<core::SecretRef> {
    match value.cast::<SecretRef>() {
        Ok(secret) => Ok(secret.get().inner.renamed(name)),
        Err(_) => sealed(value, name),
    }
}

fn sealed(value: &Bound<'_, PyAny>, name: &str) -> PyResult<core::SecretRef> {
    match with_writable(value, |bytes| core::SecretRef::from_bytes(name, bytes)) {
        Some(sealed) => Ok(sealed?),
        None => Err(PyTypeError::new_err(format!(
            "a secret of type {}, which cannot be wiped; wanted a bytearray, or SecretRef.from_prompt()",
            value.get_type().name()?
        ))),
    }
}

fn key_source(source: &Bound<'_, PyAny>) -> PyResult<KeySource> {
    if let Ok(passphrase) = source.cast::<SecretRef>() {
        return Ok(KeySource::Passphrase(passphrase.get().inner.clone()));
    }
    match source.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.parse()?),
        Err(_) => Err(Error::invalid("a key source that is neither a str nor a SecretRef with a passphrase").into()),
    }
}

fn refused(what: &str) -> PyErr {
    PyTypeError::new_err(format!("a SecretRef {what}"))
}
