//! What Asterisk says.

use std::borrow::Cow;

use super::Format;
use super::fields::Fields;

/// One control message of Asterisk's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection belongs to this channel; always the first.
    MediaStart(MediaStart<'a>),
    /// The queue is nearly full (900 of 1,000 frames): what is sent now may be dropped.
    MediaXoff,
    /// The queue has room again (800 frames).
    MediaXon,
    /// What was sent before a mark is played; its number, if it is one of ours.
    MarkProcessed {
        /// The number of [`Command::MarkMedia`](super::Command::MarkMedia).
        id: Option<u64>,
    },
    /// What was sent before [`Command::StopMediaBuffering`](super::Command::StopMediaBuffering) is played.
    BufferingCompleted {
        /// The command's number, if it is one of ours.
        id: Option<u64>,
    },
    /// The queue was empty.
    QueueDrained,
    /// The caller has pressed a key and let go of it.
    DtmfEnd {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
    },
    /// How the channel does; the answer to [`Command::GetStatus`](super::Command::GetStatus).
    Status(Status),
    /// A command could not be obeyed.
    Error {
        /// Why, in words.
        text: Cow<'a, str>,
    },
    /// An event of a version of Asterisk that is newer than this.
    Unknown {
        /// Its name.
        name: Cow<'a, str>,
    },
}

/// What the channel is, and what its media are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaStart<'a> {
    /// The id that Asterisk gave the connection, where we connect to it, or the name of its `websocket_client.conf`
    /// section, where it connects to us.
    pub connection_id: Cow<'a, str>,
    /// The channel's name.
    pub channel: Cow<'a, str>,
    /// The channel's unique id, as the dialplan and the REST interface know it; empty before 22.8.
    pub channel_id: Cow<'a, str>,
    /// The name of the media's format, such as `ulaw` or `slin16`.
    pub format: Cow<'a, str>,
    /// How many bytes one packet time of media has, both ways; 0 where that is not fixed and frames pass as they are.
    pub optimal_frame_size: u32,
    /// The packet time, in ms.
    pub ptime_ms: u32,
}

/// How a channel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many frames wait to be played.
    pub queue_length: u32,
    /// Below how many frames [`Event::MediaXon`] comes.
    pub xon_level: u32,
    /// From how many frames on [`Event::MediaXoff`] comes.
    pub xoff_level: u32,
    /// Whether the last of the two was an [`Event::MediaXoff`].
    pub queue_full: bool,
    /// Whether media is being buffered.
    pub bulk_media: bool,
    /// Whether the queue is paused.
    pub media_paused: bool,
}

/// Why a text is no control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No name of an event, no JSON object, or a field that is not of its kind.
    #[error("no control message: no name of an event, or a field of the wrong kind")]
    Malformed,
    /// An event without something that it must have.
    #[error("{event} without a valid {field}")]
    Field {
        /// The event.
        event: &'static str,
        /// What is missing or wrong.
        field: &'static str,
    },
}

impl<'a> Event<'a> {
    /// Reads one message's text, in either format.
    ///
    /// Nothing is allocated for lines of words, nor for JSON whose strings have no escapes and whose fields are no
    /// objects: of Asterisk's events only MEDIA_START has any.
    ///
    /// ```
    /// use talkpath::protocol::chan_websocket::Event;
    ///
    /// let event = Event::parse("DTMF_END digit:5 channel_id:pbx-1.9")?;
    /// assert_eq!(event, Event::DtmfEnd { digit: '5' });
    /// assert_eq!(Event::parse(r#"{"event":"DTMF_END","channel_id":"pbx-1.9","digit":"5"}"#)?, event);
    /// # Ok::<(), talkpath::protocol::chan_websocket::EventError>(())
    /// ```
    ///
    /// # Errors
    /// [`EventError`] for a text that is no control message. A message with an unknown name is
    /// [`Unknown`](Self::Unknown), which is none.
    pub fn parse(text: &'a str) -> Result<Self, EventError> {
        let fields = match Format::of(text) {
            Format::PlainText => Fields::of_words(text),
            Format::Json => Fields::of_json(text),
        };
        let Some(fields) = fields else {
            return Err(EventError::Malformed);
        };
        Ok(match &*fields.event {
            "" => return Err(EventError::Malformed),
            "MEDIA_START" => Self::MediaStart(MediaStart::of(fields)?),
            "MEDIA_XOFF" => Self::MediaXoff,
            "MEDIA_XON" => Self::MediaXon,
            "MEDIA_MARK_PROCESSED" => Self::MarkProcessed { id: fields.correlation_id.parse().ok() },
            "MEDIA_BUFFERING_COMPLETED" => Self::BufferingCompleted { id: fields.correlation_id.parse().ok() },
            "QUEUE_DRAINED" => Self::QueueDrained,
            "DTMF_END" => Self::DtmfEnd {
                digit: read_digit(&fields.digit).ok_or(EventError::Field { event: "DTMF_END", field: "digit" })?,
            },
            "STATUS" => Self::Status(fields.status),
            "ERROR" => Self::Error { text: fields.error_text },
            _ => Self::Unknown { name: fields.event },
        })
    }
}

impl<'a> MediaStart<'a> {
    /// Lets go of the text that it was read from.
    #[must_use]
    pub fn into_owned(self) -> MediaStart<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        MediaStart {
            connection_id: own(self.connection_id),
            channel: own(self.channel),
            channel_id: own(self.channel_id),
            format: own(self.format),
            optimal_frame_size: self.optimal_frame_size,
            ptime_ms: self.ptime_ms,
        }
    }

    fn of(fields: Fields<'a>) -> Result<Self, EventError> {
        let wanted = |field| EventError::Field { event: "MEDIA_START", field };
        if fields.connection_id.is_empty() {
            return Err(wanted("connection_id"));
        }
        if fields.format.is_empty() {
            return Err(wanted("format"));
        }
        let ptime_ms = fields.ptime.unwrap_or(DEFAULT_PTIME_MS);
        if !(1..=MAX_PTIME_MS).contains(&ptime_ms) {
            return Err(wanted("ptime"));
        }
        Ok(Self {
            connection_id: fields.connection_id,
            channel: fields.channel,
            channel_id: fields.channel_id,
            format: fields.format,
            optimal_frame_size: fields.optimal_frame_size.ok_or(wanted("optimal_frame_size"))?,
            ptime_ms,
        })
    }
}

fn read_digit(text: &str) -> Option<char> {
    let digit = text.chars().next().filter(|digit| digit.len_utf8() == text.len())?.to_ascii_uppercase();
    matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D').then_some(digit)
}

/// What 22.6 and 22.7 mean, which do not say it.
const DEFAULT_PTIME_MS: u32 = 20;
/// Longer than any codec's packet time.
const MAX_PTIME_MS: u32 = 1_000;
