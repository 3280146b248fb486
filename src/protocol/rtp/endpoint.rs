//! One end of a call over RTP: whom it listens to, what it sends, and what the two ends report to each other.
//!
//! RTP has no call set-up, so everything rests on where packets come from. An endpoint is locked to one remote address.
//! What comes from anywhere else is a stranger's, dropped and counted, with one exception: a far end behind a router may
//! find itself with another address. It is followed if its old address has been silent for [`Endpoint::MOVE_AFTER`] and
//! two packets in a row from the new one go on with its id and its numbers, which a stranger would have to have seen.
//!
//! A source must prove itself with two packets in sequence (RFC 3550, appendix A.1) at the start, and whenever it takes
//! another id or its numbers jump, as Asterisk's do when it bridges anew. The first of the two is kept until the second
//! has come, and handed on before it: nothing is lost by it. A far end that sends our own id has chosen the same by
//! accident: we say goodbye and take another (section 8.2); if it sends that, too, our packets come back to us, and are
//! dropped.
//!
//! Time is passed in and sockets are the transport's; order and loss are left to the jitter buffer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::outgoing::{Numbers, OutgoingStream};
use super::random::Random;
use super::received::{Opener, Received};
use super::reporter::Reporter;
use super::source::Source;
use super::{EndpointStats, Format, Header, Packet, PayloadTypes, Probation, RemoteStats};
use crate::audio::codec::Codec;
use crate::audio::frame::SampleRate;
use crate::protocol::rtcp::{self, Compound, ReportBlock};
use crate::protocol::telephone_event;
use crate::{Error, Result, Timestamp};

/// One end of a call; allocates nothing after [`Endpoint::new`].
///
/// ```
/// use std::sync::Arc;
/// use talkpath::Timestamp;
/// use talkpath::audio::{codec::Codec, frame::PTIME};
/// use talkpath::protocol::rtp::{Endpoint, Media, PayloadTypes, Received};
///
/// let types = Arc::new(PayloadTypes::default());
/// let (here, there) = ("192.0.2.1:4000".parse()?, "192.0.2.2:5000".parse()?);
/// let mut sender = Endpoint::new(Arc::clone(&types), PTIME, there, 1, Timestamp::ZERO);
/// let mut receiver = Endpoint::new(types, PTIME, here, 2, Timestamp::ZERO);
/// let mut heard = 0;
/// for n in 0..50 {
///     let now = Timestamp::from_millis(20 * n);
///     let mut datagram = [0; 200];
///     let len = sender.write_frame(Codec::PCMU, &[0xff; 160], false, now, &mut datagram)?;
///     if let Received::Media { before, media } = receiver.handle_rtp(&datagram[..len], here, now) {
///         heard += usize::from(before.is_some());
///         heard += usize::from(matches!(media, Media::Audio { codec: Codec::PCMU, .. }));
///     }
/// }
/// assert_eq!(heard, 50);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    types: Arc<PayloadTypes>,
    remote: SocketAddr,
    /// Where the far end's reports come from, once one has.
    remote_rtcp: Option<SocketAddr>,
    is_muxed: bool,
    random: Random,
    stream: OutgoingStream,
    reporter: Reporter,
    source: Option<Source>,
    candidate: Option<Candidate>,
    /// The candidate's packet.
    held: Box<[u8; HELD_LEN]>,
    keys: telephone_event::Receiver,
    /// What the far end sends, and under which number: it is answered under the same.
    heard: Option<(Codec, u8)>,
    /// The source that said goodbye, and when.
    left: Option<(u32, Timestamp)>,
    /// Whether the far end has once sent our id.
    has_collided: bool,
    stats: EndpointStats,
}

/// A source that must prove itself.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    first: u16,
    came: Timestamp,
    /// How much of [`Endpoint::held`] is its packet; nothing if that was too long to be kept.
    held: usize,
}

impl Endpoint {
    /// For how long a far end must have been silent before it may be heard from another address.
    pub const MOVE_AFTER: Duration = Duration::from_millis(500);

    /// How long after its goodbye a far end may still come back with another id.
    pub const GOODBYE_WAIT: Duration = Duration::from_millis(500);

    /// How much room [`poll_report`](Self::poll_report) and [`write_goodbye`](Self::write_goodbye) need, in bytes.
    pub const REPORT_LEN: usize = 128;

    /// Makes the end of a call with `remote`, which sends a packet each `ptime`.
    ///
    /// `seed` should be random: the id, the first numbers and the name in reports come from it.
    #[must_use]
    pub fn new(types: Arc<PayloadTypes>, ptime: Duration, remote: SocketAddr, seed: u64, now: Timestamp) -> Self {
        let mut random = Random::new(seed);
        Self {
            types,
            remote,
            remote_rtcp: None,
            is_muxed: false,
            stream: OutgoingStream::new(&mut random, ptime),
            reporter: Reporter::new(&mut random, now),
            random,
            source: None,
            candidate: None,
            held: Box::new([0; HELD_LEN]),
            keys: telephone_event::Receiver::new(SampleRate::HZ_8000),
            heard: None,
            left: None,
            has_collided: false,
            stats: EndpointStats::default(),
        }
    }

    /// Takes a datagram that came from `from` to the RTP port; RTCP on the same port is understood (RFC 5761).
    pub fn handle_rtp<'a>(&'a mut self, datagram: &'a [u8], from: SocketAddr, now: Timestamp) -> Received<'a> {
        if rtcp::is_rtcp(datagram) {
            let received = self.handle_rtcp(datagram, from, now);
            self.is_muxed |= received != Received::Dropped;
            return received;
        }
        let packet = Packet::parse(datagram);
        if from != self.remote && !packet.is_ok_and(|packet| self.may_have_moved(&packet.header, now)) {
            self.stats.strangers += 1;
            return Received::Dropped;
        }
        let Ok(packet) = packet else {
            self.stats.malformed += 1;
            return Received::Dropped;
        };
        let Header { ssrc, sequence, payload_type, .. } = packet.header;
        if ssrc == self.stream.ssrc && self.is_loop(ssrc) {
            self.stats.looped += 1;
            return Received::Dropped;
        }
        if self.types.format(payload_type).is_none() || packet.payload.is_empty() {
            self.stats.unknown += 1;
            return Received::Dropped;
        }
        if self.left.is_some_and(|(left, _)| left == ssrc) {
            return Received::Taken;
        }
        let is_known = |source: &&mut Source| source.ssrc == ssrc && source.continues(sequence);
        if from == self.remote
            && let Some(source) = self.source.as_mut().filter(is_known)
        {
            source.take(sequence, now);
            self.candidate = None;
            return Received::Media { before: None, media: self.opener().open(packet, now) };
        }
        let is_next = |candidate: &Candidate| {
            (candidate.from, candidate.ssrc, candidate.first.wrapping_add(1)) == (from, ssrc, sequence)
                && now.since(candidate.came) <= Probation::PATIENCE
        };
        let Some(proved) = self.candidate.filter(is_next) else {
            let held = if datagram.len() <= HELD_LEN { datagram.len() } else { 0 };
            self.held[..held].copy_from_slice(&datagram[..held]);
            self.candidate = Some(Candidate { from, ssrc, first: sequence, came: now, held });
            return Received::Taken;
        };
        self.begin(proved, now);
        let mut opener = self.opener();
        let held = Packet::parse(&opener.held[..proved.held]).ok();
        let before = held.map(|packet| (proved.came, opener.open(packet, proved.came)));
        Received::Media { before, media: opener.open(packet, now) }
    }

    /// Takes a datagram that came from `from` to the RTCP port.
    ///
    /// Any port of the far end's host may have sent it, but only the source that is heard is believed.
    pub fn handle_rtcp(&mut self, datagram: &[u8], from: SocketAddr, now: Timestamp) -> Received<'static> {
        if from.ip() != self.remote.ip() {
            self.stats.strangers += 1;
            return Received::Dropped;
        }
        let Ok(compound) = Compound::parse(datagram) else {
            self.stats.malformed += 1;
            return Received::Dropped;
        };
        let Some(heard) = self.source.as_ref().map(|source| source.ssrc) else {
            self.stats.unknown += 1;
            return Received::Dropped;
        };
        let mut is_ours = false;
        let mut says_bye = false;
        for packet in compound.packets() {
            match packet {
                rtcp::Packet::SenderReport { ssrc, sender, reports } if ssrc == heard => {
                    is_ours = true;
                    if let Some(source) = &mut self.source {
                        source.handle_sender_report(sender.ntp, now);
                    }
                    reports.for_each(|block| self.take_note(&block, now));
                }
                rtcp::Packet::ReceiverReport { ssrc, reports } if ssrc == heard => {
                    is_ours = true;
                    reports.for_each(|block| self.take_note(&block, now));
                }
                rtcp::Packet::Bye { ssrcs, .. } => says_bye |= ssrcs.contains(&heard.to_be_bytes()),
                _ => {}
            }
        }
        if !is_ours {
            self.stats.unknown += 1;
            return Received::Dropped;
        }
        self.remote_rtcp = Some(from);
        self.stats.reports_received += 1;
        if !says_bye {
            return Received::Taken;
        }
        self.source = None;
        self.candidate = None;
        self.left = Some((heard, now));
        Received::Bye
    }

    /// Writes the packet of a frame that is due then to the start of `out`, and returns its length.
    ///
    /// While a key is being sent, its packet goes out in the frame's place. `begins` marks the first frame after a pause.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the codec has no payload type, or `out` not the room.
    pub fn write_frame(
        &mut self,
        codec: Codec,
        payload: &[u8],
        begins: bool,
        due: Timestamp,
        out: &mut [u8],
    ) -> Result<usize> {
        let as_heard = self
            .heard
            .filter(|(heard, _)| Format::Audio(*heard).is_sent_as(Format::Audio(codec)))
            .map(|(_, number)| number);
        let Some(audio) = as_heard.or_else(|| self.types.number_of(Format::Audio(codec))) else {
            return Err(Error::invalid(format!("{codec} over rtp, wanted a codec with a payload type")));
        };
        let numbers = Numbers { audio, keys: self.types.number_of(Format::TelephoneEvent) };
        let len = self.stream.write(numbers, codec.rtp_clock(), payload, begins, due, out)?;
        self.stats.packets_sent += 1;
        self.stats.octets_sent += (len - super::HEADER_LEN) as u64;
        Ok(len)
    }

    /// Sends a key, after those that wait: `0` to `9`, `*`, `#`, `A` to `D`. Its packets take the place of frames.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for another character, or if telephone events have no
    /// payload type; [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if too many keys wait.
    pub fn send_key(&mut self, key: char) -> Result<()> {
        if self.types.number_of(Format::TelephoneEvent).is_none() {
            return Err(Error::invalid("telephone events have no payload type, wanted one to send keys"));
        }
        self.stream.push_key(key)
    }

    /// Writes the report that is due to the start of `out`, if one is, and returns its length.
    ///
    /// It goes to [`report_address`](Self::report_address). Ask whenever [`report_due`](Self::report_due) has passed,
    /// with room for [`REPORT_LEN`](Self::REPORT_LEN) bytes.
    pub fn poll_report(&mut self, now: Timestamp, out: &mut [u8]) -> Option<usize> {
        let len = self.reporter.poll(&self.stream, self.source.as_mut(), &mut self.random, now, out)?;
        self.stats.reports_sent += 1;
        Some(len)
    }

    /// Writes the last report, with a goodbye, and returns its length; nothing without the room.
    pub fn write_goodbye(&mut self, now: Timestamp, out: &mut [u8]) -> Option<usize> {
        let len = self.reporter.write(&self.stream, self.source.as_mut(), true, now, out)?;
        self.stats.reports_sent += 1;
        Some(len)
    }

    /// When the next report is due.
    #[must_use]
    pub fn report_due(&self) -> Timestamp {
        self.reporter.due()
    }

    /// Where audio goes to: where it comes from.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Where reports go to: where the far end's come from, or else the port above the one of its audio.
    #[must_use]
    pub fn report_address(&self) -> SocketAddr {
        self.remote_rtcp.unwrap_or_else(|| {
            let port = self.remote.port();
            SocketAddr::new(self.remote.ip(), port.checked_add(1).unwrap_or(port))
        })
    }

    /// Whether reports are sent from the RTP port, as the far end sends its own there.
    #[must_use]
    pub fn is_muxed(&self) -> bool {
        self.is_muxed
    }

    /// Our id.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.stream.ssrc
    }

    /// The far end's id, once it has proved itself; after its goodbye, the one that it had.
    #[must_use]
    pub fn remote_ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc).or(self.left.map(|(left, _)| left))
    }

    /// Whether the far end has said goodbye and not come back.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.left.is_some_and(|(_, at)| now.since(at) >= Self::GOODBYE_WAIT)
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        let source = self.source.as_ref();
        EndpointStats {
            packets_lost: source.map_or(0, Source::lost),
            jitter: source.map_or(Duration::ZERO, Source::jitter),
            ..self.stats
        }
    }

    /// Whether a packet from elsewhere may be the far end's.
    fn may_have_moved(&self, header: &Header, now: Timestamp) -> bool {
        self.source.as_ref().is_some_and(|source| {
            source.ssrc == header.ssrc
                && source.continues(header.sequence)
                && now.since(source.last_heard) >= Self::MOVE_AFTER
        })
    }

    /// Whether a packet with our id is our own; if not, the far end may have it.
    fn is_loop(&mut self, ssrc: u32) -> bool {
        if std::mem::replace(&mut self.has_collided, true) {
            return true;
        }
        self.stats.collisions += 1;
        self.reporter.leave(ssrc);
        self.stream.rename(&mut self.random);
        false
    }

    /// Takes a source that has proved itself, unless it is the one that is known.
    fn begin(&mut self, proved: Candidate, now: Timestamp) {
        let Candidate { from, ssrc, first, came, .. } = proved;
        let is_same = |source: &Source| source.ssrc == ssrc && source.continues(first);
        if !self.source.as_ref().is_some_and(is_same) {
            self.stats.restarts += u64::from(self.source.is_some() || self.left.is_some());
            self.source = Some(Source::new(ssrc, first, came));
            self.keys.reset();
        }
        if let Some(source) = &mut self.source {
            source.take(first, came);
            source.take(first.wrapping_add(1), now);
        }
        if from != self.remote {
            self.stats.moves += 1;
            self.remote = from;
            self.remote_rtcp = None;
        }
        self.candidate = None;
        self.left = None;
    }

    fn opener(&mut self) -> Opener<'_> {
        Opener {
            types: &self.types,
            held: &*self.held,
            source: self.source.as_mut(),
            keys: &mut self.keys,
            heard: &mut self.heard,
            stats: &mut self.stats,
        }
    }

    fn take_note(&mut self, block: &ReportBlock, now: Timestamp) {
        if block.ssrc == self.stream.ssrc {
            let round_trip = block.round_trip(self.reporter.ntp(now));
            self.stats.remote = Some(RemoteStats {
                fraction_lost: block.fraction_lost,
                packets_lost: block.lost,
                jitter: self.stream.clock().duration_of(u64::from(block.jitter)),
                round_trip: round_trip.or(self.stats.remote.and_then(|before| before.round_trip)),
            });
        }
    }
}

/// How long a packet may be to be kept until its source has proved itself: 20 ms of linear audio at 48 kHz.
const HELD_LEN: usize = 2_048;
