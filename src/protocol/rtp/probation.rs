//! Who begins a call on a port that is free: the first source that proves itself.
//!
//! A stray packet, a port scan or the tail of an old call must not begin a call. Two packets in sequence from one address
//! and one source do (RFC 3550, appendix A.1). They are kept until the call has somebody to hear them, so that its first
//! syllable is whole. What becomes of the source then is an [`Endpoint`](super::Endpoint)'s business.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Packet, PayloadTypes};
use crate::Timestamp;

/// The sources that have sent something to a free port.
///
/// It holds the last [`CAPACITY`](Self::CAPACITY) of them, each with one packet of at most
/// [`MAX_PACKET_LEN`](Self::MAX_PACKET_LEN) bytes; beyond that the oldest is forgotten. Whoever wants to keep a call out
/// must send so many packets under false addresses between two of its own, 20 ms apart.
#[derive(Clone, Debug, Default)]
pub struct Probation {
    candidates: Vec<Candidate>,
    shunned: Option<Shunned>,
    dropped: u64,
}

#[derive(Clone, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    packet: Early,
}

/// The source of a call that is over.
#[derive(Clone, Copy, Debug)]
struct Shunned {
    from: SocketAddr,
    ssrc: u32,
    last_heard: Timestamp,
}

/// A source that has proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Where it sends from.
    pub from: SocketAddr,
    /// Its two packets, in their order.
    pub early: [Early; 2],
}

/// A packet that came before there was anybody to hear it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Early {
    /// When it came.
    pub came: Timestamp,
    /// The datagram.
    pub datagram: Vec<u8>,
}

impl Probation {
    /// How many sources are held.
    pub const CAPACITY: usize = 32;

    /// How long a packet may be, in bytes: 20 ms of linear audio at 96 kHz, or 60 ms at 32 kHz.
    pub const MAX_PACKET_LEN: usize = 4_096;

    /// How long after the first packet of a source the second may come.
    pub const PATIENCE: Duration = Duration::from_secs(1);

    /// How long the source of a call that is over must be silent before it may begin another.
    pub const SHUN: Duration = Duration::from_secs(1);

    /// Takes a datagram that came to the port, and returns its source if that has proved itself now.
    pub fn handle_datagram(
        &mut self,
        types: &PayloadTypes,
        datagram: &[u8],
        from: SocketAddr,
        now: Timestamp,
    ) -> Option<Proved> {
        let is_known =
            |packet: &Packet<'_>| types.format(packet.header.payload_type).is_some() && !packet.payload.is_empty();
        let packet = Packet::parse(datagram).ok().filter(is_known).filter(|_| datagram.len() <= Self::MAX_PACKET_LEN);
        let Some(header) = packet.map(|packet| packet.header).filter(|header| !self.is_shunned(from, header.ssrc, now))
        else {
            self.dropped += 1;
            return None;
        };
        let next = header.sequence.wrapping_add(1);
        let is_its = |candidate: &Candidate| (candidate.from, candidate.ssrc) == (from, header.ssrc);
        let found = self.candidates.iter().position(is_its);
        let is_proof = |place: &usize| {
            let Candidate { next, packet, .. } = &self.candidates[*place];
            *next == header.sequence && now.since(packet.came) <= Self::PATIENCE
        };
        if let Some(place) = found.filter(is_proof) {
            let first = self.candidates.swap_remove(place).packet;
            let second = Early { came: now, datagram: datagram.to_vec() };
            self.dropped += self.candidates.len() as u64;
            self.candidates.clear();
            return Some(Proved { from, early: [first, second] });
        }
        let place = match found {
            Some(place) => place,
            None if self.candidates.len() < Self::CAPACITY => {
                let packet = Early { came: now, datagram: Vec::new() };
                self.candidates.push(Candidate { from, ssrc: header.ssrc, next, packet });
                self.candidates.len() - 1
            }
            None => (0..self.candidates.len()).min_by_key(|&place| self.candidates[place].packet.came)?,
        };
        let candidate = &mut self.candidates[place];
        self.dropped += u64::from(!candidate.packet.datagram.is_empty());
        (candidate.from, candidate.ssrc, candidate.next) = (from, header.ssrc, next);
        candidate.packet.came = now;
        candidate.packet.datagram.clear();
        candidate.packet.datagram.extend_from_slice(datagram);
        None
    }

    /// Begins anew after a call, and takes no packet of its source until that has been silent for [`SHUN`](Self::SHUN):
    /// a far end that was told to stop needs a moment to do so.
    pub fn shun(&mut self, from: SocketAddr, ssrc: u32, now: Timestamp) {
        self.candidates.clear();
        self.shunned = Some(Shunned { from, ssrc, last_heard: now });
    }

    /// How many datagrams were dropped: no RTP, of no use, of nobody who proved himself, or of a call that is over.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn is_shunned(&mut self, from: SocketAddr, ssrc: u32, now: Timestamp) -> bool {
        let Some(shunned) = self.shunned.as_mut().filter(|shunned| (shunned.from, shunned.ssrc) == (from, ssrc)) else {
            return false;
        };
        if now.since(shunned.last_heard) < Self::SHUN {
            shunned.last_heard = now;
            return true;
        }
        self.shunned = None;
        false
    }
}
