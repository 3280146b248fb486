//! Text that fits into a log record: kept in place, so that noting it allocates nothing.

use std::fmt;

/// The first 63 bytes of a text, cut at a character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    bytes: [u8; 63],
    len: u8,
}

impl ShortText {
    /// Keeps as much of `text` as fits; what is no printable character becomes a question mark.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut short = Self { bytes: [0; 63], len: 0 };
        for c in text.chars().map(|c| if c.is_control() { '?' } else { c }) {
            let at = usize::from(short.len);
            let Some(room) = short.bytes.get_mut(at..at + c.len_utf8()) else {
                break;
            };
            c.encode_utf8(room);
            short.len += c.len_utf8() as u8;
        }
        short
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(ShortText::new("WebSocket/pbx\r\n").as_str(), "WebSocket/pbx??");
        let long = "ä".repeat(40);
        assert_eq!(ShortText::new(&long).as_str(), "ä".repeat(31));
    }
}
