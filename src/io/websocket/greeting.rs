//! What is said before a connection is a call: the upgrade, the channel's start, and whether it answers marks.
//!
//! One state machine for both sides: as the server it is asked for an upgrade, as the client it asks. From then on both
//! are told what the channel is. What is said and heard passes through as bytes; sockets and deadlines are the
//! [`Entrance`](super::Entrance)'s.

use std::net::{SocketAddr, TcpStream};

use super::link::{Channel, WebSocketLink};
use super::masks::Masks;
use super::outlet::Outlet;
use crate::io::log::LogEvent;
use crate::io::short_text::ShortText;
use crate::protocol::call_id::CallId;
use crate::protocol::chan_websocket::{
    Command, Event, Format, MAX_COMMAND_LEN, MAX_MESSAGE_LEN, MediaStart, SUBPROTOCOL, codec_of,
};
use crate::protocol::websocket::handshake::{self, MAX_HEAD_LEN, Offer, Refusal, read_answer, read_request};
use crate::protocol::websocket::{Decoder, MAX_HEADER_LEN, Message, Opcode, Role, Url, close_code, encode_into};

/// How far a connection has come.
pub(super) struct Greeting {
    peer: SocketAddr,
    role: Role,
    stage: Stage,
    /// What came and was not decoded.
    received: Vec<u8>,
    masks: Masks,
    /// What there is to send.
    reply: Vec<u8>,
    /// The id that the client asked for, in the query of its request.
    wanted_id: Option<CallId>,
}

enum Stage {
    /// A client's request has not come whole.
    Request,
    /// A server's answer to this key has not come whole.
    Answer { key: String },
    /// The channel has not started.
    Start(Decoder),
    /// It has, and is asked for a mark; what comes meanwhile is only looked at.
    Probe(Box<Probe>),
}

struct Probe {
    /// As it was before anything that is only looked at.
    decoder: Decoder,
    looking: Decoder,
    /// How much of what was received has been looked at.
    looked: usize,
    start: MediaStart<'static>,
    channel: Channel,
}

/// A request that is agreed to.
struct Accepted {
    /// How long it was.
    len: usize,
    answer: Vec<u8>,
    /// The id that it asks for.
    id: Option<CallId>,
}

/// Who may come in, as the entrance knows it.
pub(super) struct Rules<'a> {
    /// The path that is served.
    pub(super) path: &'a str,
    /// The `Authorization` header that is wanted.
    pub(super) authorization: Option<&'a str>,
    pub(super) has_room: bool,
    pub(super) carries: &'a dyn Fn(CallId) -> bool,
}

/// A connection that is to become a call.
pub(super) struct Introduction {
    pub(super) id: CallId,
    pub(super) channel_name: ShortText,
    pub(super) channel: Channel,
    decoder: Decoder,
    early: Vec<u8>,
    role: Role,
    peer: SocketAddr,
}

impl Greeting {
    /// Waits for a client's request.
    pub(super) fn of_server(peer: SocketAddr) -> Self {
        Self::new(peer, Role::Server, Stage::Request)
    }

    /// Asks a server for an upgrade; the request is there to be [sent](Self::take_reply).
    pub(super) fn of_client(peer: SocketAddr, url: &Url) -> Self {
        let mut greeting = Self::new(peer, Role::Client, Stage::Request);
        let key = handshake::encode_key(greeting.masks.next_16());
        let authorization = url.credentials().map(handshake::basic_authorization);
        greeting.reply =
            handshake::request(&url.authority(), url.target(), &key, SUBPROTOCOL, authorization.as_deref());
        greeting.stage = Stage::Answer { key };
        greeting
    }

    fn new(peer: SocketAddr, role: Role, stage: Stage) -> Self {
        let (received, reply) = (Vec::new(), Vec::new());
        Self { peer, role, stage, received, masks: Masks::new(), reply, wanted_id: None }
    }

    /// What there is to send now.
    pub(super) fn take_reply(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.reply)
    }

    /// Whether the channel has started, and is only waited for out of curiosity.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.stage, Stage::Probe(_))
    }

    /// Takes what came, and goes on as far as it can.
    ///
    /// # Errors
    /// Why it will never be a call; the last word to the peer is there to be sent.
    pub(super) fn hear(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Option<Introduction>, LogEvent> {
        self.received.extend_from_slice(bytes);
        loop {
            match &mut self.stage {
                Stage::Request => {
                    if !self.read_request(rules)? {
                        return Ok(None);
                    }
                }
                Stage::Answer { key } => {
                    let len = read_answer(&self.received, key, SUBPROTOCOL)
                        .map_err(|error| LogEvent::NoUpgrade { peer: self.peer, error })?;
                    let Some(len) = len else { return Ok(None) };
                    self.begin(len);
                }
                Stage::Start(_) => {
                    if !self.read_start()? {
                        return Ok(None);
                    }
                }
                Stage::Probe(probe) => {
                    // Asterisk answers within 20 ms; much more than that comes only from something else.
                    if probe.look(&self.received) || self.received.len() > MAX_EARLY_LEN {
                        return Ok(self.introduce());
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Makes do without an answer to the mark.
    pub(super) fn introduce(&mut self) -> Option<Introduction> {
        let Stage::Probe(probe) = std::mem::replace(&mut self.stage, Stage::Request) else {
            return None;
        };
        let Probe { decoder, start, channel, .. } = *probe;
        let named = start.connection_id.parse().ok();
        let id = self.wanted_id.or(named).unwrap_or_else(|| CallId::from_random(self.masks.next_16()));
        let channel_name = ShortText::new(&start.channel);
        let early = std::mem::take(&mut self.received);
        Some(Introduction { id, channel_name, channel, decoder, early, role: self.role, peer: self.peer })
    }

    /// Answers a client's request; says whether it was there whole.
    fn read_request(&mut self, rules: &Rules<'_>) -> Result<bool, LogEvent> {
        match self.judge_request(rules) {
            Ok(None) => Ok(false),
            Ok(Some(Accepted { len, answer, id })) => {
                self.reply = answer;
                self.wanted_id = id;
                self.begin(len);
                Ok(true)
            }
            Err(refusal) => {
                self.reply = refusal.to_response();
                Err(LogEvent::UpgradeRefused { peer: self.peer, refusal })
            }
        }
    }

    fn judge_request(&self, rules: &Rules<'_>) -> Result<Option<Accepted>, Refusal> {
        let Some((request, len)) = read_request(&self.received, SUBPROTOCOL)? else {
            return Ok(None);
        };
        if request.path != rules.path {
            return Err(Refusal::Path);
        }
        if rules.authorization.is_some_and(|wanted| !request.has_authorization(wanted)) {
            return Err(Refusal::Unauthorized);
        }
        if request.offer == Offer::Others {
            return Err(Refusal::Subprotocol);
        }
        let id = match request.query.and_then(|query| query.split('&').find_map(|item| item.strip_prefix("id="))) {
            Some(id) => Some(id.parse().map_err(|_| Refusal::Malformed("id is no UUID"))?),
            None => None,
        };
        if id.is_some_and(|id| (rules.carries)(id)) {
            return Err(Refusal::Taken);
        }
        if !rules.has_room {
            return Err(Refusal::Busy);
        }
        let named = (request.offer == Offer::Wanted).then_some(SUBPROTOCOL);
        Ok(Some(Accepted { len, answer: handshake::accept(&request, named), id }))
    }

    /// Goes over to frames, after a head of that length.
    fn begin(&mut self, len: usize) {
        self.received.drain(..len);
        self.stage = Stage::Start(Decoder::new(self.role, MAX_MESSAGE_LEN));
    }

    /// Reads the channel's start, which must be the first message; says whether it was there whole.
    fn read_start(&mut self) -> Result<bool, LogEvent> {
        let Stage::Start(decoder) = &mut self.stage else {
            return Ok(true);
        };
        let peer = self.peer;
        let mut received = std::mem::take(&mut self.received);
        let mut input = &mut received[..];
        let found = loop {
            match decoder.poll(&mut input) {
                Ok(None) => break Ok(None),
                Ok(Some(Message::Text(text))) => break read_media_start(text, peer).map(Some),
                // Where nothing but pings comes, the deadline does.
                Ok(Some(Message::Ping(_) | Message::Pong(_))) => {}
                Ok(Some(Message::Binary(_) | Message::Close(_))) => {
                    break Err((LogEvent::NoMediaStart { peer }, close_code::POLICY));
                }
                Err(error) => break Err((LogEvent::BadWebSocket { peer, error }, error.close_code())),
            }
        };
        let rest = input.len();
        let (start, channel) = match found {
            Ok(None) => return Ok(false),
            Ok(Some(found)) => found,
            Err((event, code)) => {
                self.say(Opcode::Close, &code.to_be_bytes());
                return Err(event);
            }
        };
        let decoder = decoder.clone();
        received.drain(..received.len() - rest);
        self.received = received;
        self.command(Command::Answer, channel.format);
        if channel.frame_len > 0 {
            self.command(Command::MarkMedia(PROBE), channel.format);
        }
        let looking = decoder.clone();
        self.stage = Stage::Probe(Box::new(Probe { decoder, looking, looked: 0, start, channel }));
        Ok(true)
    }

    fn command(&mut self, command: Command, format: Format) {
        let mut text = [0; MAX_COMMAND_LEN];
        let len = command.write_into(format, &mut text);
        self.say(Opcode::Text, &text[..len]);
    }

    fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = [0; MAX_HEADER_LEN + MAX_COMMAND_LEN];
        let mask = (self.role == Role::Client).then(|| self.masks.next());
        let len = encode_into(opcode, payload, mask, &mut frame).unwrap_or(0);
        self.reply.extend_from_slice(&frame[..len]);
    }
}

impl Probe {
    /// Looks for the answer to the mark; says whether there is nothing left to wait for.
    fn look(&mut self, received: &[u8]) -> bool {
        if self.channel.frame_len == 0 {
            return true;
        }
        let mut fresh = received[self.looked..].to_vec();
        self.looked = received.len();
        let mut input = &mut fresh[..];
        loop {
            match self.looking.poll(&mut input) {
                Ok(None) => return false,
                Ok(Some(Message::Text(text))) => match Event::parse(text) {
                    Ok(Event::MarkProcessed { id: Some(PROBE) }) => {
                        self.channel.acks = true;
                        return true;
                    }
                    // In pass-through mode there are no marks.
                    Ok(Event::Error { .. }) => return true,
                    _ => {}
                },
                Ok(Some(Message::Close(_))) | Err(_) => return true,
                Ok(Some(_)) => {}
            }
        }
    }
}

impl Introduction {
    /// Makes the call's link.
    pub(super) fn into_link(self, stream: TcpStream) -> WebSocketLink {
        let outlet = Outlet::new(stream, self.role);
        WebSocketLink::new(outlet, self.peer, self.decoder, self.channel, self.early)
    }
}

/// Reads what the channel is; a start that cannot be a call's is an error, with the code to close with.
fn read_media_start(text: &str, peer: SocketAddr) -> Result<(MediaStart<'static>, Channel), (LogEvent, u16)> {
    let Ok(Event::MediaStart(start)) = Event::parse(text) else {
        return Err((LogEvent::NoMediaStart { peer }, close_code::POLICY));
    };
    let Some(codec) = codec_of(&start.format) else {
        let format = ShortText::new(&start.format);
        return Err((LogEvent::UnknownFormat { peer, format }, close_code::UNSUPPORTED));
    };
    let frame_len = start.optimal_frame_size as usize;
    let channel = Channel { codec, format: Format::of(text), frame_len, acks: false };
    Ok((start.into_owned(), channel))
}

/// The mark that is asked for only to see whether it is answered; no frame has this number.
const PROBE: u64 = u64::MAX;
/// How much may come before the probe is answered.
const MAX_EARLY_LEN: usize = 65_536;
const _: () = assert!(MAX_EARLY_LEN > MAX_HEAD_LEN);
