//! How a process ended: by an exit code or by a signal, which are never mixed, and whether a limit had a part in it.

use std::fmt;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exit {
    /// What the system said of it.
    pub status: ExitStatus,
    /// The limit that was reached and for which it was ended, if any.
    pub limit: Option<LimitKind>,
}

/// What the system said of the end of a process.
///
/// `exit 137` is [`Code`](Self::Code), however much a shell's `$?` after a kill looks like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It ended by itself, with this code: 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Its number.
        number: i32,
        /// Whether a core was dumped; talkpath's own processes never do, as their limit is 0.
        core_dumped: bool,
    },
    /// It is gone, and nobody knows how: its guardian was killed, and the process after it.
    Unknown,
}

/// What a process may use only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Processes in its tree.
    Processes,
    /// Memory.
    Memory,
    /// Processor time.
    CpuTime,
    /// Time since its start.
    WallTime,
    /// Bytes of output.
    Output,
}

impl Exit {
    /// The exit code, None where a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.status {
            ExitStatus::Code(code) => Some(code),
            ExitStatus::Signal { .. } | ExitStatus::Unknown => None,
        }
    }

    /// The signal that ended it, None where it ended by itself.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.status {
            ExitStatus::Signal { number, .. } => Some(number),
            ExitStatus::Code(_) | ExitStatus::Unknown => None,
        }
    }

    /// Whether it ended by itself with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }
}

impl fmt::Display for Exit {
    /// Such as `exited with code 3`, or `killed by SIGKILL (limit: wall_time)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            ExitStatus::Code(code) => write!(f, "exited with code {code}")?,
            ExitStatus::Signal { number, .. } => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by {signal}")?,
                // The real-time signals have no names.
                Err(_) => write!(f, "killed by signal {number}")?,
            },
            ExitStatus::Unknown => f.write_str("ended in an unknown way")?,
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " (limit: {})", limit.name()))
    }
}

impl LimitKind {
    /// The name by which other languages know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::CpuTime => "cpu_time",
            Self::WallTime => "wall_time",
            Self::Output => "output",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_not_a_signal() {
        let code = Exit { status: ExitStatus::Code(137), limit: None };
        let signal = Exit { status: ExitStatus::Signal { number: 9, core_dumped: false }, limit: None };
        assert_eq!((code.code(), code.signal()), (Some(137), None));
        assert_eq!((signal.code(), signal.signal()), (None, Some(9)));
        assert_eq!(code.to_string(), "exited with code 137");
        assert_eq!(signal.to_string(), "killed by SIGKILL");
        let limited = Exit { limit: Some(LimitKind::WallTime), ..signal };
        assert_eq!(limited.to_string(), "killed by SIGKILL (limit: wall_time)");
        let real_time = Exit { status: ExitStatus::Signal { number: 40, core_dumped: false }, limit: None };
        assert_eq!(real_time.to_string(), "killed by signal 40");
        assert!(!code.is_success() && Exit { status: ExitStatus::Code(0), limit: None }.is_success());
    }
}
