//! One RTP call's sockets.
//!
//! Nothing here waits, and nothing is kept: a datagram that the system does not take is lost, as it might be on the way.
//! A far end that is gone is told by its goodbye; where it says none, as Asterisk does not, by its host, which refuses
//! what is sent to a closed port.

use std::any::Any;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::ports::Ports;
use crate::Timestamp;
use crate::audio::codec::{Codec, Encoding};
use crate::io::log::{LogEvent, LogLevel};
use crate::io::server::link::{Desk, Frame, Link};
use crate::jitter;
use crate::protocol::rtp::{Early, Endpoint, EndpointStats, Header, Media, Received};
use crate::session::{EndReason, Input, RemoteReport, Session};

/// The link of a call whose far end has proved itself.
pub(super) struct RtpLink {
    ports: Ports,
    /// Which of the entrance's places it has.
    place: usize,
    endpoint: Endpoint,
    /// What came before the call was carried.
    early: Vec<Early>,
    /// Since when the far end's host refuses what is sent, with nothing heard in between.
    refused_since: Option<Timestamp>,
    is_gone: bool,
    /// How many of the far end's reports the session knows of.
    reports: u64,
}

impl RtpLink {
    pub(super) fn new(ports: Ports, place: usize, endpoint: Endpoint, early: Vec<Early>) -> Self {
        Self { ports, place, endpoint, early, refused_since: None, is_gone: false, reports: 0 }
    }

    /// Lets go of the sockets, and says whose they were: the place, the far end's address, and its id.
    pub(super) fn into_parts(self) -> (Ports, usize, SocketAddr, Option<u32>) {
        (self.ports, self.place, self.endpoint.remote(), self.endpoint.remote_ssrc())
    }

    /// Hands over what a datagram brought; says whether it was the far end's.
    fn take(&mut self, datagram: &[u8], from: SocketAddr, session: &mut Session, now: Timestamp) -> bool {
        match self.endpoint.handle_rtp(datagram, from, now) {
            Received::Media { before, media } => {
                if let Some((came, media)) = before {
                    hand_over(&media, session, came);
                }
                hand_over(&media, session, now);
            }
            Received::Taken | Received::Bye => {}
            Received::Dropped => return false,
        }
        self.refused_since = None;
        true
    }

    /// Takes note of what the network has reported; a host that cannot be reached may be again, a closed port is closed.
    fn note_errors(&mut self, now: Timestamp) {
        while let Some(error) = self.ports.take_error() {
            if error.is_refusal && error.to == Some(self.endpoint.remote()) {
                let since = *self.refused_since.get_or_insert(now);
                self.is_gone |= now.since(since) >= GONE_AFTER;
            }
        }
    }

    /// Sends a datagram of RTP; false if the system does not take it.
    fn send(&mut self, datagram: &[u8], now: Timestamp) -> bool {
        let remote = self.endpoint.remote();
        match self.ports.rtp.send_to(datagram, remote) {
            Ok(_) => true,
            // Mostly the error is that of an earlier datagram, and this one was not sent.
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                self.note_errors(now);
                self.ports.rtp.send_to(datagram, remote).is_ok()
            }
            Err(_) => false,
        }
    }

    fn send_report(&self, datagram: &[u8]) {
        // A report that is lost is followed by the next.
        let _ = if self.endpoint.is_muxed() {
            self.ports.rtp.send_to(datagram, self.endpoint.remote())
        } else {
            self.ports.rtcp.send_to(datagram, self.endpoint.report_address())
        };
    }

    /// Tells the session what the far end has reported since it was last told.
    fn pass_on_report(&mut self, session: &mut Session, now: Timestamp) {
        let EndpointStats { reports_received, remote, .. } = self.endpoint.stats();
        if let Some(remote) = remote.filter(|_| reports_received != self.reports) {
            let report = RemoteReport {
                loss: f32::from(remote.fraction_lost) / 256.0,
                // What came twice makes up for what got lost, and may be more.
                packets_lost: u64::try_from(remote.packets_lost).unwrap_or(0),
                jitter: remote.jitter,
                round_trip: remote.round_trip,
            };
            session.handle_input(Input::Report(report), now);
        }
        self.reports = reports_received;
    }

    fn read_reports(&mut self, input: &mut [u8], now: Timestamp) -> bool {
        let mut has_heard = false;
        for _ in 0..REPORTS_AT_ONCE {
            let Ok((len, from)) = self.ports.rtcp.recv_from(input) else { break };
            has_heard |= self.endpoint.handle_rtcp(&input[..len], from, now) != Received::Dropped;
        }
        has_heard
    }
}

impl Link for RtpLink {
    fn watch(&self, epoll: &Epoll, token: u64) -> nix::Result<()> {
        epoll.add(&self.ports.rtp, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        epoll.add(&self.ports.rtcp, EpollEvent::new(EpollFlags::EPOLLIN, token))
    }

    fn unwatch(&self, epoll: &Epoll) {
        let _ = epoll.delete(&self.ports.rtp);
        let _ = epoll.delete(&self.ports.rtcp);
    }

    fn read(&mut self, session: &mut Session, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool> {
        let mut has_heard = false;
        for Early { came, datagram } in std::mem::take(&mut self.early) {
            has_heard |= self.take(&datagram, self.endpoint.remote(), session, came);
        }
        let before = self.endpoint.remote();
        let input = &mut desk.scratch.input;
        let mut is_empty = false;
        for _ in 0..DATAGRAMS_AT_ONCE {
            match self.ports.rtp.recv_from(input) {
                Ok((len, from)) => has_heard |= self.take(&input[..len], from, session, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    is_empty = true;
                    break;
                }
                Err(_) => self.note_errors(now),
            }
        }
        if is_empty {
            has_heard |= self.read_reports(input, now);
        }
        self.pass_on_report(session, now);
        if self.endpoint.remote() != before {
            desk.log(LogLevel::Warning, LogEvent::PeerMoved { to: self.endpoint.remote() });
        }
        if self.is_gone || self.endpoint.is_over(now) {
            session.handle_input(Input::Ended(EndReason::CallerHangup), now);
            return Ok(true);
        }
        Ok(has_heard)
    }

    fn transmit(&mut self, frame: &Frame<'_>, desk: &mut Desk<'_>, now: Timestamp) -> std::io::Result<bool> {
        if self.is_gone || self.endpoint.is_over(now) {
            return Err(Error::from(ErrorKind::ConnectionReset));
        }
        let out = &mut *desk.scratch.message;
        let (codec, payload) = in_network_order(frame, &mut desk.scratch.input);
        let Ok(len) = self.endpoint.write_frame(codec, payload, frame.begins, frame.due, out) else {
            return Ok(false);
        };
        let is_sent = self.send(&out[..len], now);
        if self.endpoint.report_due() <= now
            && let Some(len) = self.endpoint.poll_report(now, out)
        {
            self.send_report(&out[..len]);
        }
        Ok(is_sent)
    }

    fn send_dtmf(&mut self, key: char, _desk: &mut Desk<'_>) -> std::io::Result<()> {
        // The session waits until a key is over before it sends the next, so that there is always room for one.
        let _ = self.endpoint.send_key(key);
        Ok(())
    }

    fn hang_up(&mut self, now: Timestamp) {
        let mut out = [0; Endpoint::REPORT_LEN];
        if let Some(len) = self.endpoint.write_goodbye(now, &mut out) {
            self.send_report(&out[..len]);
        }
    }

    fn skipped(&self) -> u64 {
        let stats = self.endpoint.stats();
        stats.strangers + stats.malformed + stats.unknown + stats.looped
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Gives the session what a packet carries.
fn hand_over(media: &Media<'_>, session: &mut Session, came: Timestamp) {
    match *media {
        Media::Audio { codec, header, payload } => {
            session.handle_input(Input::Packet { codec, packet: packet(&header, payload) }, came);
        }
        Media::ComfortNoise { header, level } => {
            session.handle_input(Input::ComfortNoise { packet: packet(&header, &[]), level }, came);
        }
        Media::Keys { header, keys } => {
            keys.iter().for_each(|&key| session.handle_input(Input::Dtmf(key), came));
            // Nothing is lost where a key has the place of audio.
            session.handle_input(Input::ComfortNoise { packet: packet(&header, &[]), level: SILENCE }, came);
        }
    }
}

fn packet<'a>(header: &Header, payload: &'a [u8]) -> jitter::Packet<'a> {
    let Header { marker, sequence, timestamp, ssrc, .. } = *header;
    jitter::Packet { ssrc, sequence, timestamp, marker, payload }
}

/// Linear audio as RTP carries it: the high byte first.
fn in_network_order<'a>(frame: &Frame<'a>, room: &'a mut [u8]) -> (Codec, &'a [u8]) {
    let Codec::Plain { encoding: Encoding::Slin, rate } = frame.codec else {
        return (frame.codec, frame.payload);
    };
    let room = &mut room[..frame.payload.len()];
    for (out, sample) in room.as_chunks_mut().0.iter_mut().zip(frame.payload.as_chunks::<2>().0) {
        *out = [sample[1], sample[0]];
    }
    (Codec::Plain { encoding: Encoding::SlinBe, rate }, room)
}

/// A level of comfort noise that is none.
const SILENCE: u8 = 127;
/// How many datagrams are read before others have their turn: more than a whole second of audio.
const DATAGRAMS_AT_ONCE: usize = 64;
const REPORTS_AT_ONCE: usize = 4;
/// How long a far end must refuse everything until it counts as gone: a restart of its media is quicker.
const GONE_AFTER: Duration = Duration::from_secs(1);
