//! Reads a file of `NAME=value` lines, so that its secrets can move into a store and the file can go.
//!
//! It is what programs with environment variables keep beside them (`.env`); nothing here reads or sets a variable. The
//! file's text stands in a protected place only.

use std::fs::File;
use std::path::Path;

use super::document::check_name;
use super::prompt;
use super::reference::SecretRef;
use super::trace::without_trace;
use super::vault::Vault;
use crate::{Error, Result};

/// Seals each value of a `.env` file under its name.
///
/// A line is `NAME=value`, with `export` before it if need be; a value may stand in single quotes, as it is, or in double
/// quotes, with `\n`, `\t`, `\"` and `\\` in it; after an unquoted one, ` #` begins a comment. Empty values are left out.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) if it cannot be read; [`InvalidArgument`](crate::ErrorKind::InvalidArgument) with the
/// number of a line that is of another form. No message shows a line.
pub fn read_env_file(path: &Path) -> Result<Vec<SecretRef>> {
    let file = File::open(path).map_err(|error| Error::io(path.display(), error))?;
    let text = prompt::read(&file)?;
    let mut secrets = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let wrong = |what: &str| Error::invalid(format!("{}, line {}: {what}", path.display(), index + 1));
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let at = line.iter().position(|byte| *byte == b'=').ok_or_else(|| wrong("wanted NAME=value"))?;
        let name = std::str::from_utf8(line[..at].trim_ascii()).map_err(|_| wrong("wanted a name in ASCII"))?;
        check_name(name).map_err(|error| wrong(&error.to_string()))?;
        let value = line[at + 1..].trim_ascii();
        let mut place = Vault::current()?.place(value.len())?;
        let len = without_trace(|| unquote(value, &mut place))
            .ok_or_else(|| wrong("a quote is not closed, or not at its end"))?;
        place.truncate(len);
        if len > 0 {
            secrets.push(SecretRef::from_place(name, place)?);
        }
    }
    Ok(secrets)
}

/// Copies a value without its quotes to `out`, which is as long as it is; how long it became.
fn unquote(value: &[u8], out: &mut [u8]) -> Option<usize> {
    let quote = value.first().copied().filter(|first| matches!(first, b'"' | b'\''));
    let Some(quote) = quote else {
        let end = value.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#');
        let value = value[..end.unwrap_or(value.len())].trim_ascii();
        out[..value.len()].copy_from_slice(value);
        return Some(value.len());
    };
    let (mut len, mut rest) = (0, &value[1..]);
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        out[len] = match (*first, quote) {
            (end, quote) if end == quote => break,
            (b'\\', b'"') => {
                let (escaped, after) = rest.split_first()?;
                rest = after;
                match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    other => *other,
                }
            }
            (other, _) => other,
        };
        len += 1;
    }
    let after = rest.trim_ascii();
    (after.is_empty() || after.starts_with(b"#")).then_some(len)
}
