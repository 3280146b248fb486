//! Pseudo-terminals: opened, resized, and kept from showing what is typed.
//!
//! What a terminal does with input is set for both of its ends at once, so all of it is done from the agent's end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::spec::TerminalSize;
use crate::{Error, Result};

/// Opens a terminal; the agent's end first, which does not block, then the process's.
pub(crate) fn open_terminal(size: TerminalSize) -> Result<(OwnedFd, OwnedFd)> {
    let opened = || -> rustix::io::Result<_> {
        let agent = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&agent)?;
        unlockpt(&agent)?;
        set_size(agent.as_fd(), size)?;
        let process = process_end(agent.as_fd())?;
        let flags = rustix::fs::fcntl_getfl(&agent)?;
        rustix::fs::fcntl_setfl(&agent, flags | OFlags::NONBLOCK)?;
        Ok((agent, process))
    };
    opened().map_err(|errno| Error::io("open a terminal", errno.into()))
}

/// Sets the size; the processes in the terminal are told.
pub(crate) fn resize(agent: BorrowedFd<'_>, size: TerminalSize) -> Result<()> {
    set_size(agent, size).map_err(|errno| Error::io("resize a terminal", errno.into()))
}

fn set_size(agent: BorrowedFd<'_>, size: TerminalSize) -> rustix::io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(agent, size)
}

/// The character that hands over what has been typed of a line, where the terminal gathers lines.
///
/// A terminal in that mode drops what a line has beyond 4,095 bytes.
pub(crate) fn line_pusher(agent: BorrowedFd<'_>) -> Option<u8> {
    let modes = tcgetattr(agent).ok()?;
    let pusher = modes.special_codes[SpecialCodeIndex::VEOF];
    (modes.local_modes.contains(LocalModes::ICANON) && pusher != 0).then_some(pusher)
}

/// Keeps a terminal from showing what is typed, for as long as a secret is; knows when it may show again.
///
/// Input is shown when the system looks at it, which is later than when it was written. Shown again too early, a terminal
/// would show the secret; so it stays as it is wherever it is not certain that the secret is through.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// We have turned it off.
    is_off: bool,
    /// Nothing was waiting to be read before the secret: whatever waits later is the secret itself.
    was_empty: bool,
}

impl Echo {
    /// Turns it off, if it is on.
    pub(crate) fn turn_off(&mut self, agent: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let mut modes = tcgetattr(agent)?;
        if modes.local_modes.contains(LocalModes::ECHO) {
            self.was_empty = is_input_read(agent);
            modes.local_modes.remove(LocalModes::ECHO);
            tcsetattr(agent, OptionalActions::Now, &modes)?;
            self.is_off = true;
        } else if self.is_off {
            self.was_empty = is_input_read(agent);
        }
        Ok(())
    }

    /// Turns it on again after the secret was written, if we turned it off and the secret is certainly through.
    pub(crate) fn turn_on(&mut self, agent: BorrowedFd<'_>) {
        if !self.is_off {
            return;
        }
        // The order counts: looking is what makes the system take in all that was written.
        if is_input_read(agent) || self.was_empty {
            if let Ok(mut modes) = tcgetattr(agent) {
                modes.local_modes.insert(LocalModes::ECHO);
                // A terminal without a process left has nothing more to show.
                let _ = tcsetattr(agent, OptionalActions::Now, &modes);
            }
            self.is_off = false;
        }
    }
}

/// Whether the process has read all lines that were typed. To answer, Linux first takes in what was written (`n_tty_poll`).
fn is_input_read(agent: BorrowedFd<'_>) -> bool {
    let Ok(process) = process_end(agent) else { return false };
    let mut waiting = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut waiting, PollTimeout::ZERO), Ok(0))
}

/// Opens the process's end; by its name where the system is older than Linux 4.13, or hides it.
fn process_end(agent: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    match ioctl_tiocgptpeer(agent, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC) {
        Err(Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
            let name = ptsname(agent, Vec::new())?;
            open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn shown(agent: &mut std::fs::File) -> String {
        // Looking makes the system take in what was written, and show it.
        is_input_read(agent.as_fd());
        let mut bytes = [0; 4_096];
        let got = agent.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..got]).into_owned()
    }

    #[test]
    fn a_secret_is_not_shown_and_what_follows_is() {
        let (agent, process) = open_terminal(TerminalSize::default()).unwrap();
        let (mut agent, mut process) = (std::fs::File::from(agent), std::fs::File::from(process));
        agent.write_all(b"hello\n").unwrap();
        assert_eq!(shown(&mut agent), "hello\r\n");
        let mut line = [0; 64];
        assert_eq!(process.read(&mut line).unwrap(), 6);
        let mut echo = Echo::default();
        echo.turn_off(agent.as_fd()).unwrap();
        agent.write_all(b"s3cret\n").unwrap();
        echo.turn_on(agent.as_fd());
        assert_eq!(shown(&mut agent), "");
        assert_eq!(process.read(&mut line).unwrap(), 7);
        agent.write_all(b"seen\n").unwrap();
        assert_eq!(shown(&mut agent), "seen\r\n");
    }

    #[test]
    fn as_long_as_an_older_line_waits_nothing_is_certain() {
        let (agent, process) = open_terminal(TerminalSize::default()).unwrap();
        let (mut agent, mut process) = (std::fs::File::from(agent), std::fs::File::from(process));
        agent.write_all(b"early\n").unwrap();
        assert_eq!(shown(&mut agent), "early\r\n");
        let mut echo = Echo::default();
        echo.turn_off(agent.as_fd()).unwrap();
        agent.write_all(b"s3cret\n").unwrap();
        echo.turn_on(agent.as_fd());
        agent.write_all(b"unseen\n").unwrap();
        assert_eq!(shown(&mut agent), "");
        let mut line = [0; 64];
        for length in [6, 7, 7] {
            assert_eq!(process.read(&mut line).unwrap(), length);
        }
        echo.turn_on(agent.as_fd());
        agent.write_all(b"seen\n").unwrap();
        assert_eq!(shown(&mut agent), "seen\r\n");
    }

    #[test]
    fn the_size_reaches_the_other_end_and_lines_are_pushed_by_eof() {
        let (agent, process) = open_terminal(TerminalSize { rows: 10, columns: 20 }).unwrap();
        resize(agent.as_fd(), TerminalSize { rows: 50, columns: 132 }).unwrap();
        let size = rustix::termios::tcgetwinsize(&process).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (50, 132));
        assert_eq!(line_pusher(agent.as_fd()), Some(4));
    }
}
