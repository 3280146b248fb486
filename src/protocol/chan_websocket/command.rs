//! What Asterisk can be told.

use std::io::Write;

use super::Format;

/// The longest command that Asterisk takes, in bytes; it ignores a longer one.
pub const MAX_COMMAND_LEN: usize = 128;

/// A command to the channel; written as the text of one message.
///
/// In pass-through mode (Opus, or `p` in the dial string) Asterisk plays what it gets and takes no command but
/// [`Answer`](Self::Answer), [`Hangup`](Self::Hangup) and [`GetStatus`](Self::GetStatus): to the others it answers with
/// an [`Error`](super::Event::Error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Answers the channel; of no effect on one that is answered.
    Answer,
    /// Hangs the channel up.
    Hangup,
    /// What follows is cut into frames whatever the lengths of its messages.
    StartMediaBuffering,
    /// Fills what is left with silence; a [`BufferingCompleted`](super::Event::BufferingCompleted) with this number comes
    /// once it is played.
    StopMediaBuffering(u64),
    /// A [`MarkProcessed`](super::Event::MarkProcessed) with this number comes once what was sent before is played.
    /// The driver's first releases do not know it, and say nothing.
    MarkMedia(u64),
    /// Drops what is queued, marks included, and ends a pause.
    FlushMedia,
    /// Plays silence and keeps what is queued.
    PauseMedia,
    /// Ends a pause.
    ContinueMedia,
    /// Asks for a [`Status`](super::Event::Status).
    GetStatus,
    /// Asks for one [`QueueDrained`](super::Event::QueueDrained), when the queue is empty next.
    ReportQueueDrained,
}

impl Command {
    /// Writes the command to the front of `out` and returns its length, in bytes; never allocates.
    ///
    /// ```
    /// use talkpath::protocol::chan_websocket::{Command, Format, MAX_COMMAND_LEN};
    ///
    /// let mut out = [0; MAX_COMMAND_LEN];
    /// let len = Command::MarkMedia(7).write_into(Format::PlainText, &mut out);
    /// assert_eq!(&out[..len], b"MARK_MEDIA 7");
    /// let len = Command::MarkMedia(7).write_into(Format::Json, &mut out);
    /// assert_eq!(&out[..len], br#"{"command":"MARK_MEDIA","correlation_id":"7"}"#);
    /// ```
    #[must_use]
    pub fn write_into(self, format: Format, out: &mut [u8; MAX_COMMAND_LEN]) -> usize {
        let name = self.name();
        let mut rest = &mut out[..];
        let written = match (format, self.id()) {
            (Format::PlainText, None) => write!(rest, "{name}"),
            (Format::PlainText, Some(id)) => write!(rest, "{name} {id}"),
            (Format::Json, None) => write!(rest, r#"{{"command":"{name}"}}"#),
            (Format::Json, Some(id)) => write!(rest, r#"{{"command":"{name}","correlation_id":"{id}"}}"#),
        };
        debug_assert!(written.is_ok(), "the longest name and number take half of it");
        MAX_COMMAND_LEN - rest.len()
    }

    /// The command's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "ANSWER",
            Self::Hangup => "HANGUP",
            Self::StartMediaBuffering => "START_MEDIA_BUFFERING",
            Self::StopMediaBuffering(_) => "STOP_MEDIA_BUFFERING",
            Self::MarkMedia(_) => "MARK_MEDIA",
            Self::FlushMedia => "FLUSH_MEDIA",
            Self::PauseMedia => "PAUSE_MEDIA",
            Self::ContinueMedia => "CONTINUE_MEDIA",
            Self::GetStatus => "GET_STATUS",
            Self::ReportQueueDrained => "REPORT_QUEUE_DRAINED",
        }
    }

    const fn id(self) -> Option<u64> {
        match self {
            Self::StopMediaBuffering(id) | Self::MarkMedia(id) => Some(id),
            _ => None,
        }
    }
}
