//! A caller's way to the far end: AudioSocket over TCP, or RTP over UDP.
//!
//! A wire makes messages of frames and keys, sends them, and tells what comes back. When is the line's business, and what
//! becomes of messages on a network that a test has made worse lies between the two.

use std::io::Error;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::rtp_wire::RtpWire;
use super::stream_wire::{self, StreamWire};
use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::protocol::rtp::RemoteStats;

/// One call's way.
pub(super) enum Wire {
    /// Keeps order and loses nothing; blocks when the far end does not read.
    Stream(StreamWire),
    /// Does neither.
    Rtp(Box<RtpWire>),
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Sent {
    /// It went, or will as soon as there is room.
    Whole,
    /// The far end does not read: it is dropped.
    Blocked,
    /// There is no far end any more.
    Gone(Error),
}

/// What reading has brought.
#[derive(Debug)]
pub(super) enum Read {
    /// All that was there.
    All,
    /// The far end has hung up, or broke the protocol.
    Ended,
    /// There is no far end.
    Gone(Error),
}

impl Wire {
    /// Whether it must be connected before it can be sent on.
    pub(super) fn must_connect(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Has the poll tell once it has connected, or, once it is, when there is something to read.
    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> nix::Result<()> {
        match self {
            Self::Stream(wire) => epoll.add(wire.socket(), EpollEvent::new(EpollFlags::EPOLLOUT, token)),
            Self::Rtp(wire) => {
                wire.sockets().into_iter().try_for_each(|it| epoll.add(it, EpollEvent::new(EpollFlags::EPOLLIN, token)))
            }
        }
    }

    /// Has the poll tell of what comes, now that it has connected.
    pub(super) fn watch_input(&self, epoll: &Epoll, token: u64) {
        if let Self::Stream(wire) = self {
            let _ = epoll.modify(wire.socket(), &mut EpollEvent::new(EpollFlags::EPOLLIN, token));
        }
    }

    /// Has the poll forget it.
    pub(super) fn unwatch(&self, epoll: &Epoll) {
        match self {
            Self::Stream(wire) => {
                let _ = epoll.delete(wire.socket());
            }
            Self::Rtp(wire) => wire.sockets().into_iter().for_each(|it| {
                let _ = epoll.delete(it);
            }),
        }
    }

    /// Says who calls, where that is said; fails if it could not connect.
    pub(super) fn greet(&mut self) -> Result<(), String> {
        match self {
            Self::Stream(wire) => wire.greet(),
            Self::Rtp(_) => Ok(()),
        }
    }

    /// Makes a message of a frame that is due then.
    pub(super) fn wrap(&mut self, codec: Codec, frame: &[u8], due: Timestamp, message: &mut Vec<u8>) {
        match self {
            Self::Stream(_) => stream_wire::wrap(codec, frame, message),
            Self::Rtp(wire) => wire.wrap(codec, frame, due, message),
        }
    }

    /// Presses a key: gives the message that says so, unless the next frames do.
    pub(super) fn press(&mut self, key: char) -> Option<[u8; 4]> {
        match self {
            Self::Stream(_) => Some([0x03, 0, 1, key as u8]),
            Self::Rtp(wire) => {
                wire.press(key);
                None
            }
        }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &[u8]) -> Sent {
        match self {
            Self::Stream(wire) => wire.send(message),
            Self::Rtp(wire) => wire.send(message),
        }
    }

    /// Sends what is due beside frames.
    pub(super) fn tend(&mut self, now: Timestamp) {
        if let Self::Rtp(wire) = self {
            wire.report(now);
        }
    }

    /// Reads what has come and hands each frame on.
    pub(super) fn read(&mut self, scratch: &mut [u8], now: Timestamp, hear: impl FnMut(Codec, &[u8])) -> Read {
        match self {
            Self::Stream(wire) => wire.read(scratch, hear),
            Self::Rtp(wire) => wire.read(scratch, now, hear),
        }
    }

    /// What the far end says of what it hears, if it does.
    pub(super) fn remote(&self) -> Option<RemoteStats> {
        match self {
            Self::Stream(_) => None,
            Self::Rtp(wire) => wire.remote(),
        }
    }

    /// Hangs up.
    pub(super) fn hang_up(&mut self, now: Timestamp) {
        match self {
            Self::Stream(wire) => wire.hang_up(),
            Self::Rtp(wire) => wire.hang_up(now),
        }
    }
}
