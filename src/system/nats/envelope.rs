//! What stands beside an event's payload on the wire: one header, `Talkpath: 1 ORIGIN COUNT SEQUENCE TIME_US FORM`.
//!
//! The count is the bridge's own, over all that it sends: 1, 2, 3 and so on. Who misses some knows how many.

use std::fmt;
use std::str::FromStr;

/// The header's name.
pub(super) const HEADER: &str = "Talkpath";

/// How a payload is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Bytes,
    /// There is none: it says how far the sender's count is.
    Mark,
}

/// The header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The bridge that sent it.
    pub(super) origin: String,
    /// Its number among all that the bridge sent.
    pub(super) count: u64,
    /// The event's number in its session, at its origin.
    pub(super) sequence: u64,
    /// When it was published, in microseconds since 1970.
    pub(super) time_us: u64,
    pub(super) form: Form,
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Json => "json",
            Form::Bytes => "bytes",
            Form::Mark => "mark",
        };
        write!(f, "1 {} {} {} {} {form}", self.origin, self.count, self.sequence, self.time_us)
    }
}

/// What is not such a header, or one of a later version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnEnvelope;

impl FromStr for Envelope {
    type Err = NotAnEnvelope;

    fn from_str(text: &str) -> Result<Self, NotAnEnvelope> {
        let mut fields = text.split(' ');
        let mut next = || fields.next().ok_or(NotAnEnvelope);
        let number = |text: &str| text.parse().map_err(|_| NotAnEnvelope);
        if next()? != "1" {
            return Err(NotAnEnvelope);
        }
        let origin = next()?;
        if !(1..=64).contains(&origin.len()) {
            return Err(NotAnEnvelope);
        }
        let envelope = Self {
            origin: origin.into(),
            count: number(next()?)?,
            sequence: number(next()?)?,
            time_us: number(next()?)?,
            form: match next()? {
                "json" => Form::Json,
                "bytes" => Form::Bytes,
                "mark" => Form::Mark,
                _ => return Err(NotAnEnvelope),
            },
        };
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_comes_back(origin in "[!-~]{1,64}", count: u64, sequence: u64, time_us: u64) {
            for form in [Form::Json, Form::Bytes, Form::Mark] {
                let envelope = Envelope { origin: origin.clone(), count, sequence, time_us, form };
                prop_assert_eq!(envelope.to_string().parse(), Ok(envelope));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC*") {
            let _ = text.parse::<Envelope>();
        }
    }

    #[test]
    fn later_fields_are_passed_over_and_later_versions_are_not_read() {
        assert!("1 a 1 2 3 json more".parse::<Envelope>().is_ok());
        for text in ["2 a 1 2 3 json", "1 a 1 2 3", "1 a 1 2 3 text", "1  1 2 3 json", "1 a x 2 3 json", ""] {
            assert_eq!(text.parse::<Envelope>(), Err(NotAnEnvelope), "{text:?}");
        }
    }
}
