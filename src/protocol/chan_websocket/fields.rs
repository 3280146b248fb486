//! The fields of control messages, out of words or out of JSON.
//!
//! All events share one set of names, so one flat record holds any of them; what an event needs of it is
//! [`Event`](super::Event)'s business.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::event::Status;

/// Every field that an event of any kind may have; empty, or nothing, where a message has it not.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) event: Cow<'a, str>,
    pub(super) connection_id: Cow<'a, str>,
    pub(super) channel: Cow<'a, str>,
    pub(super) channel_id: Cow<'a, str>,
    pub(super) format: Cow<'a, str>,
    pub(super) correlation_id: Cow<'a, str>,
    pub(super) digit: Cow<'a, str>,
    pub(super) error_text: Cow<'a, str>,
    pub(super) optimal_frame_size: Option<u32>,
    pub(super) ptime: Option<u32>,
    pub(super) status: Status,
}

impl<'a> Fields<'a> {
    /// Reads `EVENT name:value name:value`, or `EVENT value`; nothing if a number or a flag is none.
    pub(super) fn of_words(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (event, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut fields = Self { event: event.into(), ..Self::default() };
        if matches!(event, "MEDIA_MARK_PROCESSED" | "MEDIA_BUFFERING_COMPLETED") {
            fields.correlation_id = rest.trim().into();
            return Some(fields);
        }
        while !rest.is_empty() {
            // What went wrong is told in a sentence, up to the end.
            if let Some(error_text) = rest.strip_prefix("error_text:") {
                fields.error_text = error_text.into();
                break;
            }
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            let Some((name, value)) = word.split_once(':') else {
                continue;
            };
            match fields.field(name) {
                Some(Field::Text(text)) => *text = value.into(),
                Some(Field::Number(number)) => *number = value.parse().ok()?,
                Some(Field::Optional(number)) => *number = Some(value.parse().ok()?),
                Some(Field::Flag(flag)) => *flag = value.parse().ok()?,
                None => {}
            }
        }
        Some(fields)
    }

    /// Reads a JSON object; nothing if `text` is none, or a field is not of its kind.
    pub(super) fn of_json(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn field(&mut self, name: &str) -> Option<Field<'_, 'a>> {
        Some(match name {
            "connection_id" => Field::Text(&mut self.connection_id),
            "channel" => Field::Text(&mut self.channel),
            "channel_id" => Field::Text(&mut self.channel_id),
            "format" => Field::Text(&mut self.format),
            "correlation_id" => Field::Text(&mut self.correlation_id),
            "digit" => Field::Text(&mut self.digit),
            "error_text" => Field::Text(&mut self.error_text),
            "optimal_frame_size" => Field::Optional(&mut self.optimal_frame_size),
            "ptime" => Field::Optional(&mut self.ptime),
            "queue_length" => Field::Number(&mut self.status.queue_length),
            "xon_level" => Field::Number(&mut self.status.xon_level),
            "xoff_level" => Field::Number(&mut self.status.xoff_level),
            "queue_full" => Field::Flag(&mut self.status.queue_full),
            "bulk_media" => Field::Flag(&mut self.status.bulk_media),
            "media_paused" => Field::Flag(&mut self.status.media_paused),
            _ => return None,
        })
    }
}

/// Where a field's value goes.
enum Field<'f, 'a> {
    Text(&'f mut Cow<'a, str>),
    Number(&'f mut u32),
    Optional(&'f mut Option<u32>),
    Flag(&'f mut bool),
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a control message")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Fields::default();
                while let Some(Text(name)) = map.next_key()? {
                    if name == "event" {
                        fields.event = map.next_value::<Text<'de>>()?.0;
                        continue;
                    }
                    match fields.field(&name) {
                        Some(Field::Text(text)) => *text = map.next_value::<Text<'de>>()?.0,
                        Some(Field::Number(number)) => *number = map.next_value()?,
                        Some(Field::Optional(number)) => *number = Some(map.next_value()?),
                        Some(Field::Flag(flag)) => *flag = map.next_value()?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A string that is borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;

        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Str)
    }
}
