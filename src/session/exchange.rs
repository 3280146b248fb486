//! What passes between a session and its driver: what comes from the wire, and what is to be done about it.
//!
//! Neither owns its payload: an input is read at once, an output is carried out before the session is asked again.

use super::event::EndReason;
use super::network::RemoteReport;
use crate::Timestamp;
use crate::audio::codec::Codec;
use crate::jitter::Packet;

/// What comes from the wire.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// One message of audio, of any length, from a transport that keeps order and loses nothing (AudioSocket,
    /// WebSocket).
    Audio {
        /// How the payload is encoded, and at which rate.
        codec: Codec,
        /// The payload.
        payload: &'a [u8],
    },
    /// A packet of a network that keeps neither order nor time; it goes through the jitter buffer.
    Packet {
        /// How the payload is encoded, and at which rate.
        codec: Codec,
        /// The packet, as it came.
        packet: Packet<'a>,
    },
    /// A comfort noise packet (RFC 3389) of the same stream: the caller pauses.
    ///
    /// It also stands for any other packet without audio that takes a sequence number, such as a telephone-event
    /// (RFC 4733), with the level of silence, 127: what it covers is then not taken for lost.
    ComfortNoise {
        /// The packet; its payload does not matter.
        packet: Packet<'a>,
        /// The level of the background, in dB below full scale; 127 is silence.
        level: u8,
    },
    /// A key that the caller pressed.
    Dtmf(char),
    /// The far end has played every frame up to and including this number ([`Output::Transmit`]).
    Acked(u64),
    /// The far end's queue is full, or has room again: meanwhile nothing is sent, and nothing is lost.
    Congested(bool),
    /// What the far end says of the packets that it was sent (RTCP), for [`Stats::network`](super::Stats::network).
    Report(RemoteReport),
    /// The server stops: the call is to end once the agent has been heard out.
    Drain,
    /// The transport is gone, or must go.
    Ended(EndReason),
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Output<'a> {
    /// The wire's format is known: [`Session::take_agent`](super::Session::take_agent) has the agent's end now.
    Started,
    /// Send this frame now.
    Transmit {
        /// How the payload is encoded, and at which rate.
        codec: Codec,
        /// The payload: exactly one packet time.
        payload: &'a [u8],
        /// When it was due.
        due: Timestamp,
        /// How many frames came before it in this call, silence included.
        number: u64,
        /// Whether it holds anything of the agent's: its audio, the fade that ends it, or a key's tone. Otherwise it is
        /// digital silence.
        is_agent: bool,
        /// Whether it is the first of the agent's after silence: RTP's marker bit.
        begins: bool,
    },
    /// Send this key by the transport's own means, in place of the frames that follow; the next comes once they are over.
    /// Only with [`FarEnd::takes_dtmf`](super::FarEnd::takes_dtmf): otherwise the session plays tones.
    Dtmf(char),
    /// Have the far end drop what it has queued, before anything else is sent: there was an interruption. Only with
    /// [`FarEnd::acks`](super::FarEnd::acks).
    Flush,
    /// The agent's end has something new; wake it, once a pass is enough.
    Wake,
    /// The agent wants the call to end: tell the far end, then close.
    Hangup,
    /// The session is over, and this was its last output.
    Ended(EndReason),
    /// Nothing until then, unless something comes from the wire.
    Timeout(Timestamp),
}
