//! Bytes in, messages out, and back: the wire formats that talkpath speaks.
//!
//! Nothing here knows a session, a socket or a clock; a decoder is fed whatever the network gave, in whatever pieces.

pub mod audiosocket;
pub mod call_id;
pub mod chan_websocket;
pub mod realtime;
pub mod rtcp;
pub mod rtp;
pub mod telephone_event;
pub mod websocket;
