//! What an endpoint counts.

use std::time::Duration;

/// An endpoint's counters, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Packets that were sent: audio and keys.
    pub packets_sent: u64,
    /// Bytes of payload in them.
    pub octets_sent: u64,
    /// Packets that were taken from the far end's source.
    pub packets_received: u64,
    /// Bytes of payload in them.
    pub octets_received: u64,
    /// Packets of the present source that are missing; negative if more came twice than were lost.
    pub packets_lost: i32,
    /// How unevenly the present source's packets arrive (RFC 3550, section 6.4.1).
    pub jitter: Duration,
    /// Datagrams from other addresses than the far end's, all dropped.
    pub strangers: u64,
    /// Datagrams that are neither RTP nor RTCP, or not soundly; all dropped.
    pub malformed: u64,
    /// Packets whose payload type stands for nothing here or that are empty, and reports of sources that are not heard; all
    /// dropped.
    pub unknown: u64,
    /// Packets that came back to where they were sent from; all dropped.
    pub looped: u64,
    /// How often the far end took our id, so that we took another.
    pub collisions: u64,
    /// How often the far end took another id, or its numbers began anew, after the first time.
    pub restarts: u64,
    /// How often the far end moved to another address.
    pub moves: u64,
    /// Reports that were sent.
    pub reports_sent: u64,
    /// Reports that came from the far end.
    pub reports_received: u64,
    /// What the far end reported last of what we send; nothing if it never did.
    pub remote: Option<RemoteStats>,
}

/// What the far end says of what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteStats {
    /// The share of packets that got lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// How many got lost in all; negative if more came twice.
    pub packets_lost: i32,
    /// How unevenly they arrive.
    pub jitter: Duration,
    /// How long a packet takes there and back; nothing before the far end has answered a report of ours.
    pub round_trip: Option<Duration>,
}
