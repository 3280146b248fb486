//! A server to test, and a far end that talks as Asterisk's channel driver does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};

use talkpath::io::server::{Call, Listen, ServerConfig};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::{Bytes, Message, WebSocket};

pub(crate) use crate::watched::LIMIT;
use crate::watched::Watched;

pub(crate) struct Server {
    watched: Watched,
}

impl Server {
    /// A server on a free port, at the path `/media`.
    pub(crate) fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::listen("ws://127.0.0.1:0/media", change)
    }

    /// A server that listens nowhere.
    pub(crate) fn without_listener() -> Self {
        Self { watched: Watched::bind(Listen::Nowhere, |_| {}) }
    }

    pub(crate) fn listen(url: &str, change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self { watched: Watched::bind(Listen::resolve(url).unwrap(), change) }
    }

    pub(crate) fn tcp(&self) -> TcpStream {
        limited(TcpStream::connect(self.server.local_addr()).unwrap())
    }

    /// A channel that has said what it is, and the call that it has become.
    pub(crate) fn call(&mut self, kind: Kind) -> (Channel, Call) {
        let mut channel = self.dial("/media", kind);
        channel.start();
        channel.send_audio(&vec![0; channel.frame_len()]);
        let call = channel.while_answering(|| self.wait_for_call());
        (channel, call)
    }

    /// A channel that is connected, and has said nothing.
    pub(crate) fn dial(&self, target: &str, kind: Kind) -> Channel {
        let request = format!("ws://{}{target}", self.server.local_addr());
        let mut request = request.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("media"));
        let (socket, response) = tungstenite::client(request, self.tcp()).unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "media");
        Channel::new(socket, kind)
    }

    /// Says `head` over HTTP, and returns the answer to its end.
    pub(crate) fn ask(&self, head: &str) -> String {
        let mut stream = self.tcp();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Deref for Server {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.watched
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Watched {
        &mut self.watched
    }
}

/// A socket that gives up with the test.
pub(crate) fn limited(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What a channel is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) format: &'static str,
    pub(crate) frame_len: usize,
    pub(crate) is_json: bool,
    /// Whether it answers marks, at once, as if it played everything as it comes.
    pub(crate) answers_marks: bool,
}

pub(crate) const SLIN: Kind = Kind { format: "slin", frame_len: 320, is_json: false, answers_marks: true };
pub(crate) const JSON: Kind = Kind { is_json: true, ..SLIN };
pub(crate) const MUTE: Kind = Kind { answers_marks: false, ..SLIN };

/// A channel of Asterisk's, over a blocking socket.
pub(crate) struct Channel {
    pub(crate) socket: WebSocket<TcpStream>,
    pub(crate) kind: Kind,
    /// Every command, in words.
    pub(crate) commands: Vec<String>,
    /// Every binary message.
    pub(crate) frames: Vec<Vec<u8>>,
    /// Marks that were asked for and not answered.
    pub(crate) marks: Vec<String>,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// With what code the other side closed.
    pub(crate) closed: Option<u16>,
}

impl Channel {
    pub(crate) fn new(socket: WebSocket<TcpStream>, kind: Kind) -> Self {
        let (commands, frames, marks, pongs) = Default::default();
        Self { socket, kind, commands, frames, marks, pongs, closed: None }
    }

    pub(crate) fn frame_len(&self) -> usize {
        self.kind.frame_len
    }

    /// Says what the channel is, as Asterisk 22.10 does.
    pub(crate) fn start(&mut self) {
        self.start_as("talkpath");
    }

    pub(crate) fn start_as(&mut self, connection_id: &str) {
        let Kind { format, frame_len, is_json, .. } = self.kind;
        self.say(&if is_json {
            format!(
                r#"{{"event":"MEDIA_START","connection_id":"{connection_id}","channel":"WebSocket/talkpath/0x7f","channel_id":"pbx-1.2","format":"{format}","optimal_frame_size":{frame_len},"ptime":20,"channel_variables":{{"__CALL":"call-1"}}}}"#
            )
        } else {
            format!(
                "MEDIA_START connection_id:{connection_id} channel:WebSocket/talkpath/0x7f channel_id:pbx-1.2 \
                 format:{format} optimal_frame_size:{frame_len} ptime:20"
            )
        });
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Says one of the events that are no more than a name, with a value.
    pub(crate) fn tell(&mut self, event: &str, field: &str, value: &str) {
        let text = match (self.kind.is_json, event) {
            (true, _) if field.is_empty() => format!(r#"{{"event":"{event}","channel_id":"pbx-1.2"}}"#),
            (true, _) => format!(r#"{{"event":"{event}","channel_id":"pbx-1.2","{field}":"{value}"}}"#),
            (false, "DTMF_END") => format!("{event} {field}:{value} channel_id:pbx-1.2"),
            (false, _) => format!("{event} {value}").trim_end().to_owned(),
        };
        self.say(&text);
    }

    pub(crate) fn send_audio(&mut self, payload: &[u8]) {
        self.socket.send(Message::Binary(Bytes::copy_from_slice(payload))).unwrap();
    }

    /// Reads one message, and answers it as a channel does; false at the end of the stream.
    pub(crate) fn read(&mut self) -> bool {
        let message = match self.socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => return false,
            Err(tungstenite::Error::Protocol(_)) => return false,
            Err(error) => panic!("read a message: {error}"),
        };
        match message {
            Message::Binary(bytes) => self.frames.push(bytes.to_vec()),
            Message::Text(text) => {
                let command = self.in_words(&text);
                if let Some(id) = command.strip_prefix("MARK_MEDIA ") {
                    self.marks.push(id.to_owned());
                    if self.kind.answers_marks {
                        self.answer_marks();
                    }
                }
                self.commands.push(command);
            }
            Message::Pong(bytes) => self.pongs.push(bytes.to_vec()),
            Message::Close(close) => self.closed = Some(close.map_or(1_005, |close| close.code.into())),
            Message::Ping(_) | Message::Frame(_) => {}
        }
        true
    }

    /// Answers every mark that waits.
    pub(crate) fn answer_marks(&mut self) {
        for id in std::mem::take(&mut self.marks) {
            self.tell("MEDIA_MARK_PROCESSED", "correlation_id", &id);
        }
    }

    /// Reads until there is what is waited for.
    pub(crate) fn read_until(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) {
        while !is_there(self) {
            assert!(self.read(), "{what} never came; the commands: {:?}", self.commands);
        }
    }

    /// Reads to the end of the stream.
    pub(crate) fn read_to_end(&mut self) {
        while self.read() {}
    }

    /// Answers what is asked until `wait` has come back.
    pub(crate) fn while_answering<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.read_until("the answer", |channel| channel.commands.iter().any(|command| command == "ANSWER"));
        if self.kind.frame_len > 0 {
            self.read_until("the first mark", |channel| {
                channel.commands.iter().any(|command| command.starts_with("MARK"))
            });
        }
        wait()
    }

    pub(crate) fn count(&self, command: &str) -> usize {
        self.commands.iter().filter(|said| said.split(' ').next() == Some(command)).count()
    }

    /// All samples of what came, if it is linear.
    pub(crate) fn samples(&self) -> Vec<i16> {
        self.frames.concat().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// Whether there is anything but silence in it.
    pub(crate) fn has_sound(&self) -> bool {
        self.samples().iter().any(|sample| *sample != 0)
    }

    fn in_words(&self, text: &str) -> String {
        if !self.kind.is_json {
            return text.to_owned();
        }
        let command: serde_json::Value = serde_json::from_str(text).unwrap();
        let id = command["correlation_id"].as_str().map_or(String::new(), |id| format!(" {id}"));
        format!("{}{id}", command["command"].as_str().unwrap())
    }
}
