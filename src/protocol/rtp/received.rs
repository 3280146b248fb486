//! What an endpoint makes of a datagram: audio, the level of a pause, keys, or nothing.

use std::ops::Deref;

use super::source::Source;
use super::{EndpointStats, Format, Header, Packet, PayloadTypes};
use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::protocol::telephone_event;

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Received<'a> {
    /// What the far end says.
    Media {
        /// The packet before, and when it came, if this one has proved its source.
        before: Option<(Timestamp, Media<'a>)>,
        /// This packet.
        media: Media<'a>,
    },
    /// From the far end, but nothing to hand on: a report, or a packet that another must prove.
    Taken,
    /// The far end says goodbye. It may come back with another id; [`Endpoint::is_over`](super::Endpoint::is_over) tells when it did not.
    Bye,
    /// Of no use; it was counted.
    Dropped,
}

/// What one packet carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Media<'a> {
    /// Audio, for the jitter buffer.
    Audio {
        /// How it is encoded.
        codec: Codec,
        /// Its place in the stream.
        header: Header,
        /// The audio: not empty, and not looked into.
        payload: &'a [u8],
    },
    /// The sender pauses (RFC 3389).
    ComfortNoise {
        /// Its place in the stream.
        header: Header,
        /// How far the background lies below full scale, in dB: 0 to 127.
        level: u8,
    },
    /// Keys that were pressed.
    Keys {
        /// The packet's place in the stream: it takes a sequence number as audio does.
        header: Header,
        /// Which; none if the packet only repeats what was known.
        keys: Keys,
    },
}

/// The keys that one packet tells of, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    keys: [char; Self::CAPACITY],
    len: usize,
}

impl Keys {
    /// How many keys of a packet are taken; more would be nonsense.
    pub const CAPACITY: usize = 16;
}

impl Deref for Keys {
    type Target = [char];

    fn deref(&self) -> &[char] {
        &self.keys[..self.len]
    }
}

impl FromIterator<char> for Keys {
    /// Takes what there is room for, but reads all.
    fn from_iter<T: IntoIterator<Item = char>>(keys: T) -> Self {
        keys.into_iter().fold(Self::default(), |mut taken, key| {
            if let Some(slot) = taken.keys.get_mut(taken.len) {
                *slot = key;
                taken.len += 1;
            }
            taken
        })
    }
}

/// What reading a packet touches, apart from the one that is held, which may be it.
pub(super) struct Opener<'e> {
    pub(super) types: &'e PayloadTypes,
    pub(super) held: &'e [u8],
    pub(super) source: Option<&'e mut Source>,
    pub(super) keys: &'e mut telephone_event::Receiver,
    pub(super) heard: &'e mut Option<(Codec, u8)>,
    pub(super) stats: &'e mut EndpointStats,
}

impl Opener<'_> {
    /// Says what a packet of the present source carries.
    pub(super) fn open<'p>(&mut self, packet: Packet<'p>, came: Timestamp) -> Media<'p> {
        let Packet { header, payload, .. } = packet;
        self.stats.packets_received += 1;
        self.stats.octets_received += payload.len() as u64;
        match self.types.format(header.payload_type) {
            Some(Format::Audio(codec)) => {
                if let Some(source) = &mut self.source {
                    source.measure(header.timestamp, codec.rtp_clock(), came);
                }
                *self.heard = Some((codec, header.payload_type));
                Media::Audio { codec, header, payload }
            }
            Some(Format::ComfortNoise) => {
                let level = payload.first().map_or(127, |level| level & 0x7f);
                Media::ComfortNoise { header, level }
            }
            // What has no meaning does not come so far.
            Some(Format::TelephoneEvent) | None => match self.keys.handle_packet(header.timestamp, payload) {
                Ok(events) => Media::Keys { header, keys: events.filter_map(|event| event.digit()).collect() },
                Err(_) => {
                    self.stats.malformed += 1;
                    Media::Keys { header, keys: Keys::default() }
                }
            },
        }
    }
}
