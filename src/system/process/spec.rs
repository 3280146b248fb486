//! What is to be started, and how: the program, its surroundings, where its output goes, what it may use.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::environment::inherited;
use super::guardian;
use super::output::Overflow;
use crate::{Error, Result};

/// What is to be started, and how; made by [`argv`](Self::argv) or [`shell`](Self::shell), and changed field by field.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    argv: Vec<OsString>,
    /// Where it starts; None is where the agent is.
    pub cwd: Option<PathBuf>,
    /// Variables that it gets beside those of [`INHERITED`](super::INHERITED), or in their place.
    pub env: BTreeMap<OsString, OsString>,
    /// Variables of the agent's that it gets as well.
    pub inherit: Vec<OsString>,
    /// The size of its terminal; None starts it with pipes.
    pub pty: Option<TerminalSize>,
    /// Where its standard error goes; with a terminal always there.
    pub stderr: Stderr,
    /// Whether its output is held for readers. Without, it goes to the console alone, or nowhere.
    pub captures: bool,
    /// What happens to output that nobody reads in time.
    pub overflow: Overflow,
    /// How much output of a stream is held, in bytes; at least 4,096.
    pub buffer_bytes: usize,
    /// The longest piece of a line, in bytes; at least 16 and at most half of [`buffer_bytes`](Self::buffer_bytes).
    pub longest_line_bytes: usize,
    /// How long a line may stand without its newline until it is handed out as it is: a prompt. None waits for the newline.
    pub prompt_after: Option<Duration>,
    /// What it may use.
    pub limits: Limits,
    /// The session under which its output goes to the bus, on channel `console`; None keeps it off the bus.
    pub console: Option<Arc<str>>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl Default for TerminalSize {
    /// 24 lines of 80 characters.
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

/// Where a process's standard error goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stderr {
    /// Where its output goes, in the order in which it was written.
    #[default]
    Stdout,
    /// A stream of its own.
    Separate,
    /// Nowhere.
    Discard,
}

/// What a process and all that it starts may use; None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processes in its tree, itself among them.
    pub processes: Option<u32>,
    /// Resident memory of the tree, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time of the tree, and of each process alone, in whole seconds.
    pub cpu_seconds: Option<u64>,
    /// Files that each process may have open.
    pub open_files: Option<u64>,
    /// The largest file that it may write, in bytes.
    pub file_bytes: Option<u64>,
    /// Time since its start.
    pub wall_time: Option<Duration>,
    /// What it may write to its output and error, in bytes.
    pub output_bytes: Option<u64>,
}

impl ProcessSpec {
    /// A program and its arguments; no shell looks at them.
    pub fn argv<T: Into<OsString>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: None,
            env: BTreeMap::new(),
            inherit: Vec::new(),
            pty: None,
            stderr: Stderr::default(),
            captures: true,
            overflow: Overflow::default(),
            buffer_bytes: 1024 * 1024,
            longest_line_bytes: 64 * 1024,
            prompt_after: Some(Duration::from_millis(40)),
            limits: Limits::default(),
            console: None,
        }
    }

    /// A command for `/bin/sh`.
    pub fn shell(command: impl Into<OsString>) -> Self {
        Self::argv(["/bin/sh".into(), "-c".into(), command.into()])
    }

    /// A command for the user's own shell: `$SHELL` where that is a shell that takes commands, else `/bin/sh`.
    pub fn user_shell(command: impl Into<OsString>) -> Self {
        Self::argv([user_shell(), "-c".into(), command.into()])
    }

    /// What is shown of it to others: the program's name and how many arguments it has, as any of them may be a secret.
    #[must_use]
    pub fn title(&self) -> String {
        let program = self.argv.first().map_or_else(Default::default, |it| it.to_string_lossy());
        let name = program.rsplit('/').next().unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        match self.argv.len().saturating_sub(1) {
            0 => name,
            1 => format!("{name} (1 argument)"),
            count => format!("{name} ({count} arguments)"),
        }
    }

    /// What the system is told, checked.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        if self.argv.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::invalid("no program to start, wanted its name and its arguments"));
        }
        if self.buffer_bytes < LEAST_BUFFER {
            let got = self.buffer_bytes;
            return Err(Error::invalid(format!("buffer_bytes of {got}, wanted at least {LEAST_BUFFER}")));
        }
        if !(16..=self.buffer_bytes / 2).contains(&self.longest_line_bytes) {
            let (got, most) = (self.longest_line_bytes, self.buffer_bytes / 2);
            return Err(Error::invalid(format!("longest_line_bytes of {got}, wanted 16 to {most}")));
        }
        let mut variables = inherited(&self.inherit);
        if self.pty.is_some() {
            variables.entry("TERM".into()).or_insert_with(|| "xterm".into());
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(Error::invalid(format!("variable {name:?}, wanted a name without =")));
            }
            variables.insert(name.clone(), value.clone());
        }
        let env = variables.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            // The value may be a secret: it is not told.
            CString::new(entry.as_bytes()).map_err(|_| Error::invalid(format!("a zero byte in variable {name:?}")))
        });
        Ok(Prepared {
            argv: self.argv.iter().map(|it| c_string("argument", it)).collect::<Result<_>>()?,
            env: env.collect::<Result<_>>()?,
            cwd: self.cwd.as_ref().map(|it| c_string("cwd", it.as_os_str())).transpose()?,
        })
    }
}

impl Limits {
    /// Those that the guardian keeps; output is counted where it is read.
    pub(crate) fn for_guardian(&self) -> guardian::Limits {
        guardian::Limits {
            nproc: self.processes.map(u64::from),
            memory_bytes: self.memory_bytes,
            cpu_seconds: self.cpu_seconds,
            open_files: self.open_files,
            file_bytes: self.file_bytes,
            // A part of a millisecond counts for one: none at all would be no time.
            wall_ms: self.wall_time.map(|it| u64::try_from(it.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)),
        }
    }
}

/// What the system is told.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub cwd: Option<CString>,
}

fn c_string(what: &str, text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::invalid(format!("a zero byte in an {what}, wanted none")))
}

/// The user's own shell: `$SHELL` where that is a shell that takes commands, else `/bin/sh`.
#[must_use]
pub fn user_shell() -> OsString {
    shell_of(std::env::var_os("SHELL"))
}

fn shell_of(named: Option<OsString>) -> OsString {
    named
        .filter(|shell| {
            let path = std::path::Path::new(shell);
            let takes_none =
                matches!(path.file_name().and_then(OsStr::to_str), None | Some("nologin" | "false" | "true"));
            path.is_absolute() && !takes_none && path.is_file()
        })
        .unwrap_or_else(|| "/bin/sh".into())
}

/// Two pieces of what a pipe takes at once.
const LEAST_BUFFER: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_named() {
        let refused = |change: &dyn Fn(&mut ProcessSpec)| {
            let mut spec = ProcessSpec::argv(["true"]);
            change(&mut spec);
            spec.prepare().unwrap_err().to_string()
        };
        let none: [&str; 0] = [];
        assert!(ProcessSpec::argv(none).prepare().is_err());
        assert!(ProcessSpec::argv([""]).prepare().is_err());
        assert_eq!(
            ProcessSpec::argv(["a\0b"]).prepare().unwrap_err().to_string(),
            "a zero byte in an argument, wanted none"
        );
        assert_eq!(refused(&|spec| spec.buffer_bytes = 1), "buffer_bytes of 1, wanted at least 4096");
        assert_eq!(refused(&|spec| spec.longest_line_bytes = 1), "longest_line_bytes of 1, wanted 16 to 524288");
        let bad = refused(&|spec| drop(spec.env.insert("A=B".into(), "x".into())));
        assert_eq!(bad, "variable \"A=B\", wanted a name without =");
        let bad = refused(&|spec| drop(spec.env.insert("A".into(), "s3cret\0".into())));
        assert_eq!(bad, "a zero byte in variable \"A\"");
    }

    #[test]
    fn a_terminal_has_a_name_and_variables_win() {
        let mut spec = ProcessSpec::argv(["true"]);
        spec.pty = Some(TerminalSize::default());
        let prepared = spec.prepare().unwrap();
        assert!(prepared.env.iter().any(|it| it.as_bytes().starts_with(b"TERM=")));
        spec.env.insert("TERM".into(), "dumb".into());
        let prepared = spec.prepare().unwrap();
        assert!(prepared.env.iter().any(|it| it.as_bytes() == b"TERM=dumb"));
    }

    #[test]
    fn a_title_holds_no_argument() {
        assert_eq!(ProcessSpec::argv(["/usr/bin/curl", "-H", "Authorization: x"]).title(), "curl (2 arguments)");
        assert_eq!(ProcessSpec::argv(["ls"]).title(), "ls");
        assert_eq!(ProcessSpec::shell("echo $KEY").title(), "sh (2 arguments)");
    }

    #[test]
    fn a_shell_that_takes_no_commands_is_not_used() {
        assert_eq!(shell_of(Some("/bin/sh".into())), "/bin/sh");
        for useless in ["/usr/sbin/nologin", "/bin/false", "bash", "/no/such/shell", ""] {
            assert_eq!(shell_of(Some(useless.into())), "/bin/sh");
        }
        assert_eq!(shell_of(None), "/bin/sh");
    }
}
