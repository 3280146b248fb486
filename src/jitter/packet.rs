//! What goes into a jitter buffer and what is said of it: packets, their fate, and what a frame is made of.

/// A received packet, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The source; another one is a new stream.
    pub ssrc: u32,
    /// RTP's sequence number.
    pub sequence: u16,
    /// RTP's timestamp, counting at the codec's [`rtp_clock`](crate::audio::codec::Codec::rtp_clock).
    pub timestamp: u32,
    /// RTP's marker bit: the first packet after a pause.
    pub marker: bool,
    /// The audio, encoded: up to 200 ms (RFC 3551, section 4.2), 10 to 60 ms being usual.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits to be played.
    Held,
    /// Its place had been played; it was discarded.
    Late,
    /// It had been there; it was discarded.
    Duplicate,
    /// It is no payload of the codec, empty, or more than 200 ms; it was discarded, and will count as lost.
    Malformed,
}

/// What a frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Received samples, at least in part.
    Audio,
    /// Made up for lost or late samples, or found in the packet that follows them.
    Concealed,
    /// Made up to gain delay, in a quiet place.
    Inserted,
    /// The sender pauses, or nothing has come yet: background or silence.
    Rest,
}
