//! RTP as Asterisk's externalMedia sends it, with the reports beside it and a goodbye at the end.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::wire::{Read, Sent};
use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::io::caller::FRAME;
use crate::io::rtp::Ports;
use crate::protocol::rtp::{Endpoint, HEADER_LEN, Media, PayloadTypes, Received, RemoteStats};
use crate::protocol::telephone_event::EVENT_LEN;

/// One pair of sockets, and what is known of the far end.
pub(super) struct RtpWire {
    ports: Ports,
    to: SocketAddr,
    endpoint: Endpoint,
    report: [u8; Endpoint::REPORT_LEN],
    begins: bool,
}

impl RtpWire {
    /// Opens the sockets; nobody is asked whether there is a far end.
    pub(super) fn open(to: SocketAddr, types: Arc<PayloadTypes>, seed: u64, now: Timestamp) -> std::io::Result<Self> {
        // What goes out by any other address than the loopback's cannot come back to it.
        let host = match to.ip() {
            it if it.is_loopback() => it,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let ports = Ports::bind(host, 0)?;
        // The system then drops what strangers send, and reports a port that nobody listens on.
        ports.rtp.connect(to)?;
        let endpoint = Endpoint::new(types, FRAME, to, seed, now);
        Ok(Self { ports, to, endpoint, report: [0; Endpoint::REPORT_LEN], begins: true })
    }

    pub(super) fn sockets(&self) -> [&UdpSocket; 2] {
        [&self.ports.rtp, &self.ports.rtcp]
    }

    /// What the far end has reported, if it has.
    pub(super) fn remote(&self) -> Option<RemoteStats> {
        self.endpoint.stats().remote
    }

    pub(super) fn wrap(&mut self, codec: Codec, frame: &[u8], due: Timestamp, message: &mut Vec<u8>) {
        message.resize(HEADER_LEN + frame.len().max(EVENT_LEN), 0);
        // The codec has been checked to have a payload type.
        let written = self.endpoint.write_frame(codec, frame, self.begins, due, message);
        self.begins = false;
        message.truncate(written.unwrap_or(0));
    }

    pub(super) fn press(&mut self, key: char) {
        // Keys have been checked; more than can wait are as many as nobody presses.
        let _ = self.endpoint.send_key(key);
    }

    pub(super) fn send(&mut self, message: &[u8]) -> Sent {
        match self.ports.rtp.send(message) {
            Ok(_) => Sent::Whole,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Sent::Gone(error),
            // A network may be unreachable for a while.
            Err(_) => Sent::Blocked,
        }
    }

    /// Sends the report that is due, if one is.
    pub(super) fn report(&mut self, now: Timestamp) {
        if now >= self.endpoint.report_due()
            && let Some(len) = self.endpoint.poll_report(now, &mut self.report)
        {
            self.send_report(len);
        }
    }

    pub(super) fn read(&mut self, scratch: &mut [u8], now: Timestamp, mut hear: impl FnMut(Codec, &[u8])) -> Read {
        let mut hear_media = |media: &Media<'_>| {
            if let Media::Audio { codec, payload, .. } = media {
                hear(*codec, payload);
            }
        };
        for _ in 0..BATCH {
            let read = match self.ports.rtp.recv(scratch) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Read::Gone(error),
                Err(_) => break,
            };
            match self.endpoint.handle_rtp(&scratch[..read], self.to, now) {
                Received::Media { before, media } => {
                    if let Some((_, media)) = before {
                        hear_media(&media);
                    }
                    hear_media(&media);
                }
                Received::Bye => return Read::Ended,
                Received::Taken | Received::Dropped => {}
            }
        }
        while let Ok((read, from)) = self.ports.rtcp.recv_from(scratch) {
            if self.endpoint.handle_rtcp(&scratch[..read], from, now) == Received::Bye {
                return Read::Ended;
            }
        }
        Read::All
    }

    /// Says goodbye.
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        if let Some(len) = self.endpoint.write_goodbye(now, &mut self.report) {
            self.send_report(len);
        }
    }

    fn send_report(&self, len: usize) {
        let (report, to) = (&self.report[..len], self.endpoint.report_address());
        // One that is lost on the way would be missed no less.
        let _ =
            if self.endpoint.is_muxed() { self.ports.rtp.send(report) } else { self.ports.rtcp.send_to(report, to) };
    }
}

/// How many datagrams are read at a time.
const BATCH: usize = 16;
