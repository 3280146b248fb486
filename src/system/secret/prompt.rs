//! Secrets from a person or a pipe, straight into a protected place.
//!
//! A terminal is asked without echo, on `/dev/tty`, so that neither a redirected input nor output is in the way. Its
//! settings are put back whatever happens.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use super::reference::MAX_VALUE_BYTES;
use super::vault::{Place, Vault};
use crate::{Error, ErrorKind, Result};

/// Asks the person at the terminal for one line, which is not shown.
///
/// Backspace and Ctrl-U correct it, Ctrl-C and Ctrl-D give up.
pub(super) fn ask(question: &str) -> Result<Place> {
    let failed = |error: std::io::Error| Error::io("asking on the terminal (/dev/tty)", error);
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let mut place = Vault::current()?.place(MAX_VALUE_BYTES)?;
    let unechoed = Unechoed::new(&terminal).map_err(|errno| failed(errno.into()))?;
    write_all(&terminal, question.as_bytes()).map_err(|errno| failed(errno.into()))?;
    let line = read_line(&terminal, &mut place);
    let _ = write_all(&terminal, b"\r\n");
    drop(unechoed);
    place.truncate(line?);
    Ok(place)
}

/// Reads all that a pipe or file has, without the line feed that ends it.
pub(super) fn read(input: impl AsFd) -> Result<Place> {
    let mut place = Vault::current()?.place(MAX_VALUE_BYTES + 2)?;
    let mut len = 0;
    while len < place.len() {
        match nix::unistd::read(&input, &mut place[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("reading a secret from standard input", errno.into())),
        }
    }
    let value = place[..len].strip_suffix(b"\n").unwrap_or(&place[..len]);
    let len = value.strip_suffix(b"\r").unwrap_or(value).len();
    if len > MAX_VALUE_BYTES {
        return Err(Error::invalid(format!("a secret of more than {MAX_VALUE_BYTES} bytes")));
    }
    place.truncate(len);
    Ok(place)
}

fn read_line(terminal: &File, place: &mut Place) -> Result<usize> {
    let mut len = 0;
    loop {
        // The byte just behind the line is the next one's place: plaintext stands nowhere else.
        let Some(next) = place.get_mut(len..=len) else {
            return Err(Error::invalid(format!("a line of {MAX_VALUE_BYTES} bytes or more, wanted less")));
        };
        match nix::unistd::read(terminal, next) {
            Ok(0) => return Err(given_up()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::io("reading from the terminal", errno.into())),
        }
        match next[0] {
            b'\r' | b'\n' => return Ok(len),
            CTRL_C | CTRL_D => return Err(given_up()),
            CTRL_U => len = 0,
            BACKSPACE | DELETE => {
                // A character of UTF-8 goes whole.
                while len > 0 {
                    len -= 1;
                    if place[len] & 0b1100_0000 != 0b1000_0000 {
                        break;
                    }
                }
            }
            _ => len += 1,
        }
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::AccessDenied, "the question on the terminal was given up, and no secret typed")
}

fn write_all(terminal: &File, mut text: &[u8]) -> nix::Result<()> {
    while !text.is_empty() {
        match nix::unistd::write(terminal, text) {
            Ok(written) => text = &text[written..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A terminal that shows nothing, and makes no signal of Ctrl-C, until this is dropped.
struct Unechoed<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Unechoed<'a> {
    fn new(terminal: &'a File) -> nix::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        // Not by lines: the terminal's own buffer would hold the secret, and cut it at 4,095 bytes.
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Unechoed<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;
