//! The text that a person would see of terminal output: without escape sequences, with overwritten characters overwritten.
//!
//! For logs, for a model that reads what a program said, for matching a prompt. It is one line of a terminal, not a
//! screen: colours and window titles vanish, carriage returns and backspaces overwrite (a progress bar ends as its last
//! state), tabs stay, and moves to other lines mean nothing. The parser is crate vte's.

use vte::{Params, Parser, Perform};

/// Turns raw output into clean text, item by item; holds what a line needs from one item to the next.
///
/// ```
/// use talkpath::system::process::CleanText;
///
/// let mut clean = CleanText::new();
/// assert_eq!(clean.feed(b"\x1b[1;32mok\x1b[0m  10 %\rok 100 %\r\n"), "ok 100 %\n");
/// assert_eq!(clean.feed(b"Pass\x08\x08\x08\x08PASS: "), "PASS: ");
/// ```
#[derive(Default)]
pub struct CleanText {
    parser: Parser,
    line: Line,
}

impl CleanText {
    /// Begins on an empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the output and hands out what is new as text.
    ///
    /// Bytes that end within a line hand out what there is of it, and what has been handed out is not taken back: a
    /// carriage return that follows begins anew. What is no UTF-8 becomes U+FFFD; a character may be parted between two
    /// calls.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.parser.advance(&mut self.line, bytes);
        self.line.flush();
        std::mem::take(&mut self.line.out)
    }
}

impl std::fmt::Debug for CleanText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanText").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Line {
    cells: Vec<char>,
    column: usize,
    out: String,
}

impl Line {
    fn flush(&mut self) {
        self.out.extend(self.cells.drain(..));
        self.column = 0;
    }

    /// Moves the cursor; the width is bounded, so that a sequence of a few bytes cannot ask for much memory.
    fn move_to(&mut self, column: usize) {
        self.column = column.min(WIDEST);
    }
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        if c.is_control() && c != '\t' {
            return;
        }
        if self.column < self.cells.len() {
            self.cells[self.column] = c;
        } else {
            self.cells.resize(self.column, ' ');
            self.cells.push(c);
        }
        self.column += 1;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.flush();
                self.out.push('\n');
            }
            b'\r' => self.column = 0,
            b'\t' => self.print('\t'),
            0x08 => self.column = self.column.saturating_sub(1),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore || !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|it| it.first()).map_or(0, |it| usize::from(*it));
        match action {
            // ECMA-48: CUF, CUB, CHA, EL and DCH, the ones that stay on the line.
            'C' => self.move_to(self.column + first.max(1)),
            'D' => self.column = self.column.saturating_sub(first.max(1)),
            'G' => self.move_to(first.max(1) - 1),
            'K' if first == 0 => self.cells.truncate(self.column),
            'K' if first == 1 => {
                let end = (self.column + 1).min(self.cells.len());
                self.cells[..end].fill(' ');
            }
            'K' => self.cells.clear(),
            'P' => {
                let begin = self.column.min(self.cells.len());
                let end = (begin + first.max(1)).min(self.cells.len());
                self.cells.drain(begin..end);
            }
            _ => {}
        }
    }
}

/// The widest line that cursor moves can make, in characters.
const WIDEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(bytes: &[u8]) -> String {
        CleanText::new().feed(bytes)
    }

    #[test]
    fn escapes_vanish_and_text_stays() {
        assert_eq!(clean(b"\x1b]0;title\x07\x1b[31mr\xC3\xA9d\x1b[m\t!\r\n"), "réd\t!\n");
        assert_eq!(clean(b"\x1bP+q544e\x1b\\a\x1b(Bb\x07\x00c"), "abc");
        assert_eq!(clean(b"\x1b[?2004h$ ls\x1b[?2004l\r\n"), "$ ls\n");
    }

    #[test]
    fn a_progress_bar_ends_as_its_last_state() {
        assert_eq!(clean(b" 10%\r 50%\r100%\n"), "100%\n");
        assert_eq!(clean(b"downloading\r\x1b[Kdone\n"), "done\n");
        assert_eq!(clean(b"a long one\rshort\n"), "shortg one\n");
    }

    #[test]
    fn the_cursor_moves_within_the_line() {
        assert_eq!(clean(b"ab\x1b[3Cc\x1b[2Dx\x1b[1Gy\n"), "yb  xc\n");
        assert_eq!(clean(b"abcdef\x1b[4D\x1b[2P\n"), "abef\n");
        assert_eq!(clean(b"abc\x1b[1K\rX\n").trim_end(), "X");
        assert!(clean(b"\x1b[65535Cx\x1b[65535C\x1b[65535Cy\n").len() <= WIDEST + 3);
    }

    #[test]
    fn state_lives_on_between_items() {
        let mut text = CleanText::new();
        assert_eq!(text.feed(b"one\x1b[3"), "one");
        assert_eq!(text.feed(b"1m two\n\xE2\x82"), " two\n");
        assert_eq!(text.feed(b"\xAC\n"), "€\n");
    }

    proptest! {
        #[test]
        fn anything_is_taken_and_no_control_comes_out(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = clean(&bytes);
            prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_ascii_control()), "{:?}", text);
        }
    }
}
