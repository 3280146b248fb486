//! Which of the agent's environment variables a process gets: those of a list, and no others.
//!
//! An agent's environment holds API keys, and whatever it starts would have them, and hand them on. So nothing is
//! inherited that is not needed to run a program at all; what a program needs beyond that is named, variable by variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The variables that a process gets from the agent where it has them, beside all whose names begin with `LC_`.
///
/// Where to find programs and files, who the user is, what language and terminal he has, and nothing that is ever secret.
pub const INHERITED: [&str; 14] = [
    "COLORTERM",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// The agent's own variables of [`INHERITED`], and of `also`.
pub(crate) fn inherited(also: &[OsString]) -> BTreeMap<OsString, OsString> {
    filtered(std::env::vars_os(), also)
}

fn filtered(all: impl Iterator<Item = (OsString, OsString)>, also: &[OsString]) -> BTreeMap<OsString, OsString> {
    all.filter(|(name, _)| is_inherited(name) || also.contains(name)).collect()
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_or_named_goes_on() {
        let all = [
            ("PATH", "/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("OPENAI_API_KEY", "sk-1"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("LD_PRELOAD", "/evil.so"),
            ("PYTHONPATH", "/src"),
            ("path", "/no"),
        ];
        let owned = || all.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let names = |also: &[&str]| {
            let also: Vec<OsString> = also.iter().map(OsString::from).collect();
            filtered(owned(), &also).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["LC_ALL", "PATH"]);
        assert_eq!(names(&["PYTHONPATH", "MISSING"]), ["LC_ALL", "PATH", "PYTHONPATH"]);
    }

    #[test]
    fn the_list_names_nothing_that_could_be_secret() {
        for name in INHERITED {
            assert!(!["KEY", "TOKEN", "SECRET", "PASS", "AUTH"].iter().any(|word| name.contains(word)), "{name}");
        }
    }
}
