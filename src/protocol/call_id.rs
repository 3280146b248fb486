//! The id of a call: 16 bytes that the peer chose, written as a UUID.
//!
//! AudioSocket carries a UUID as its first message. talkpath only compares and prints it, so it takes any 16 bytes and
//! neither checks nor cares which version of UUID they are.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The 16 bytes that name a call, in network order; printed as `8-4-4-4-12` hexadecimal digits (RFC 9562).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId([u8; 16]);

impl CallId {
    /// Makes an id from its 16 bytes, in network order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Makes a UUID of version 4 (RFC 9562, section 5.4) from 16 random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The 16 bytes, in network order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

impl FromStr for CallId {
    type Err = Error;

    /// Reads 32 hexadecimal digits of either case, with the four hyphens of a UUID or with none.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if `text` is anything else.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("call id {text:?}, wanted a UUID such as {}", Self::default()));
        let hyphenated = match text.len() {
            36 => true,
            32 => false,
            _ => return Err(wrong()),
        };
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (i, c) in text.bytes().enumerate() {
            if hyphenated && matches!(i, 8 | 13 | 18 | 23) {
                if c != b'-' {
                    return Err(wrong());
                }
                continue;
            }
            let digit = char::from(c).to_digit(16).ok_or_else(wrong)? as u8;
            bytes[digits / 2] = bytes[digits / 2] << 4 | digit;
            digits += 1;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [0x40, 0x32, 0x5e, 0xc2, 0x5e, 0xfd, 0x4b, 0xd3, 0x80, 0x5f, 0x53, 0x57, 0x6e, 0x58, 1, 2];

    #[test]
    fn reads_what_it_writes() {
        let id = CallId::from_bytes(BYTES);
        assert_eq!(id.to_string(), "40325ec2-5efd-4bd3-805f-53576e580102");
        assert_eq!(id.to_string().parse::<CallId>().unwrap(), id);
        assert_eq!("40325EC25EFD4BD3805F53576E580102".parse::<CallId>().unwrap(), id);
    }

    #[test]
    fn refuses_what_is_no_uuid() {
        for text in
            ["", "1700000000.12", "40325ec2-5efd-4bd3-805f-53576e58010", "40325ec2_5efd-4bd3-805f-53576e580102", "é"]
        {
            let error = text.parse::<CallId>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        assert!("40325ec25-efd-4bd3-805f-53576e580102".parse::<CallId>().is_err(), "hyphens in the wrong place");
    }
}
