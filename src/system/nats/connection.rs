//! One connection to a server, from its beginning to its break: a task that sends, receives, and knows what has arrived.
//!
//! Over core NATS every batch is followed by a mark, which comes back to its sender behind all that the server has taken,
//! and tells the others how much there is. Over JetStream the server acknowledges each event.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event as Status, HeaderMap, ServerAddr};
use futures_util::stream::{self as streams, BoxStream, FuturesOrdered, StreamExt as _};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use super::bridge::Link;
use super::envelope::{Envelope, Form, HEADER};
use super::options::{Credentials, JetStream, Mode, NatsOptions};
use super::outbox::Item;
use super::subject;
use crate::system::bus::{Origin, Payload, Wake};
use crate::system::clock::Clock;
use crate::{Error, ErrorKind, Result};

/// Why a connection is over.
pub(super) enum Ending {
    /// It was asked to, and everything is sent or the time is up.
    Closed,
    /// It broke, or never was.
    Failed { error: String, was_connected: bool },
}

/// A message that came.
struct Incoming {
    subject: String,
    header: Option<String>,
    payload: Vec<u8>,
    acker: Option<jetstream::message::Acker>,
    /// Its number in the stream: what comes with one that was there before is sent again.
    stream_sequence: u64,
}

/// An event of another process, as it is to be published here.
struct Arrival {
    session: String,
    kind: String,
    payload: Payload,
    origin: Origin,
    acker: Option<jetstream::message::Acker>,
}

/// What is only there while it lasts.
pub(super) struct Connection<'a> {
    link: &'a mut Link,
    client: Client,
    statuses: UnboundedReceiver<Status>,
    incoming: BoxStream<'static, Result<Incoming, String>>,
    jetstream: Option<jetstream::Context>,
    acks: FuturesOrdered<Acknowledged>,
    /// What came and has no room on the bus yet: until it has, nothing more is read.
    arrival: Option<Arrival>,
    /// How far the marks are that were sent.
    marked: Option<u64>,
    last_stream_sequence: u64,
}

type Acknowledged = std::pin::Pin<Box<dyn Future<Output = (u64, Result<(), String>)> + Send>>;

impl<'a> Connection<'a> {
    /// Waits, connects, and goes on until the connection breaks or the bridge is closed.
    pub(super) async fn run(link: &'a mut Link, backoff: Duration) -> Ending {
        let connected = Self::connect(link, backoff).await;
        let mut connection = match connected {
            Ok(Some(connection)) => connection,
            Ok(None) => return Ending::Closed,
            Err(error) => return Ending::Failed { error, was_connected: false },
        };
        connection.link.update(|stats| {
            stats.connected = true;
            stats.connections += 1;
        });
        connection.link.say("nats:connected", &json!({"server": connection.client.server_info().server_name}));
        match connection.serve().await {
            Ok(()) => Ending::Closed,
            Err(error) => Ending::Failed { error, was_connected: true },
        }
    }

    /// Connects, while what is new on the bus is taken; none if the bridge is closed meanwhile.
    async fn connect(link: &'a mut Link, backoff: Duration) -> Result<Option<Self>, String> {
        let bell = Arc::clone(&link.shared.bell);
        let (status_sender, statuses) = unbounded_channel();
        let opening = {
            let (options, servers, with_send) =
                (link.options.clone(), link.servers.clone(), link.subscription.is_some());
            async move {
                sleep_until(Instant::now() + backoff).await;
                open(&options, servers, with_send, status_sender).await
            }
        };
        let mut opening = pin!(timeout(backoff + CONNECT_TIMEOUT, opening));
        let opened = loop {
            let closing = link.close_by().map(Clock::until);
            tokio::select! {
                opened = &mut opening => break opened,
                () = bell.notified() => link.take_news(),
                () = sleep_until(Instant::now() + closing.unwrap_or(IDLE)), if closing.is_some() => return Ok(None),
            }
        };
        let opened = opened.map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))??;
        link.take_news();
        let Opened { client, incoming, jetstream } = opened;
        Ok(Some(Self {
            link,
            client,
            statuses,
            incoming,
            jetstream,
            acks: FuturesOrdered::new(),
            arrival: None,
            marked: None,
            last_stream_sequence: 0,
        }))
    }

    async fn serve(&mut self) -> Result<(), String> {
        let bell = Arc::clone(&self.link.shared.bell);
        // What comes in a burst is taken in one go: the others get their turn in between.
        loop {
            self.link.take_news();
            self.send().await?;
            self.publish_arrival().await?;
            let close_by = self.link.close_by();
            if close_by.is_some_and(|by| self.link.outbox.is_empty() || Clock::until(by).is_zero()) {
                return self.client.flush().await.map_err(|error| error.to_string());
            }
            let wake = Instant::now() + close_by.map_or(IDLE, Clock::until);
            tokio::select! {
                status = self.statuses.recv() => match status {
                    Some(Status::Disconnected | Status::Closed) | None => return Err("the connection broke".into()),
                    Some(Status::ServerError(error)) => self.link.update(|stats| {
                        stats.last_error = Some(error.to_string());
                    }),
                    Some(Status::LameDuckMode) => return Err("the server is about to end".into()),
                    Some(_) => {}
                },
                message = self.incoming.next(), if self.arrival.is_none() => match message {
                    Some(message) => self.take(message?).await?,
                    None => return Err("the subscription ended".into()),
                },
                Some((count, acknowledged)) = self.acks.next(), if !self.acks.is_empty() => {
                    acknowledged?;
                    self.link.confirm(count);
                }
                () = bell.notified() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Sends what may be under way at once, and over core NATS a mark behind it.
    async fn send(&mut self) -> Result<(), String> {
        while let Some(item) = self.link.outbox.send_next(WINDOW) {
            let prefix = &self.link.options.prefix;
            let subject = subject::of_event(prefix, &item.event.session, &item.event.kind);
            let (form, payload) = match &item.event.payload {
                Payload::Bytes(bytes) => (Form::Bytes, bytes.to_vec()),
                other => {
                    let text = other.to_json().map_or_else(
                        |error| json!({"not_json": error.to_string()}).to_string(),
                        std::borrow::Cow::into_owned,
                    );
                    (Form::Json, text.into_bytes())
                }
            };
            if payload.len() + HEADERS_LEN > self.client.max_payload() {
                self.refuse(&item, payload.len());
                continue;
            }
            let headers = self.headers(item.count, &item, form);
            match &self.jetstream {
                None => {
                    let sent = self.client.publish_with_headers(subject, headers, payload.into()).await;
                    sent.map_err(|error| error.to_string())?;
                }
                Some(jetstream) => {
                    let message = jetstream::message::PublishMessage::build().headers(headers).payload(payload.into());
                    let message = message.message_id(format!("{}:{}", self.link.origin, item.count));
                    let ack = jetstream.send_publish(subject, message).await.map_err(|error| error.to_string())?;
                    self.acks.push_back(Box::pin(acknowledged(item.count, ack)));
                }
            }
        }
        self.mark().await
    }

    async fn mark(&mut self) -> Result<(), String> {
        let count = self.link.outbox.count_sent();
        if self.jetstream.is_some() || self.link.subscription.is_none() || self.marked == Some(count) {
            return Ok(());
        }
        let envelope = Envelope {
            origin: self.link.origin.to_string(),
            count,
            sequence: 0,
            time_us: Clock::unix_us(),
            form: Form::Mark,
        };
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, envelope.to_string());
        let subject = subject::of_marks(&self.link.options.prefix);
        let sent = self.client.publish_with_headers(subject, headers, Vec::new().into()).await;
        self.marked = Some(count);
        sent.map_err(|error| error.to_string())
    }

    fn headers(&self, count: u64, item: &Item, form: Form) -> HeaderMap {
        let (sequence, time_us) = (item.event.sequence, item.event.time_us);
        let envelope = Envelope { origin: self.link.origin.to_string(), count, sequence, time_us, form };
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, envelope.to_string());
        headers
    }

    /// An event that the server would not take.
    fn refuse(&mut self, item: &Item, len: usize) {
        self.link.outbox.refuse(item.count);
        self.link.update(|stats| stats.too_long += 1);
        let (session, sequence) = (&item.event.session, item.event.sequence);
        let max = self.client.max_payload() - HEADERS_LEN;
        let what = json!({"session": &**session, "sequence": sequence, "bytes": len, "max_bytes": max});
        self.link.say("nats:too_long", &what);
    }

    /// Looks at what came: a mark, an event of our own that has made its way, or one of another process.
    async fn take(&mut self, message: Incoming) -> Result<(), String> {
        let envelope = message.header.as_deref().and_then(|header| header.parse::<Envelope>().ok());
        let names = subject::parse(&self.link.options.prefix, &message.subject);
        // Whatever else is published there is no event; it is none of this bridge's business.
        let Some(envelope) = envelope else { return acknowledge(message.acker).await };
        if *envelope.origin == *self.link.origin {
            if self.jetstream.is_none() {
                self.link.confirm(envelope.count);
            }
            return acknowledge(message.acker).await;
        }
        let (Form::Json | Form::Bytes, Some((session, kind))) = (envelope.form, names) else {
            if let Some(missing) = self.link.inbox.mark(&envelope.origin, envelope.count) {
                self.link.missed(&envelope.origin, missing);
            }
            return acknowledge(message.acker).await;
        };
        let is_new = if self.jetstream.is_some() {
            // What is sent again has its old number in the stream.
            let is_new = message.stream_sequence > self.last_stream_sequence;
            self.last_stream_sequence = self.last_stream_sequence.max(message.stream_sequence);
            is_new
        } else {
            let seen = self.link.inbox.event(&envelope.origin, envelope.count);
            if let Some(missing) = seen.missing {
                self.link.missed(&envelope.origin, missing);
            }
            seen.is_new
        };
        if !is_new {
            self.link.update(|stats| stats.repeated += 1);
            return acknowledge(message.acker).await;
        }
        let wanted = self.link.options.receive.as_ref();
        if !wanted.is_some_and(|filter| filter.session.matches(&session) && filter.kind.matches(&kind)) {
            return acknowledge(message.acker).await;
        }
        let payload = match envelope.form {
            Form::Bytes => Payload::bytes(message.payload),
            _ => match String::from_utf8(message.payload) {
                Ok(text) => Payload::json(text),
                Err(error) => Payload::bytes(error.into_bytes()),
            },
        };
        let Envelope { origin, sequence, time_us, .. } = envelope;
        let origin = Origin { name: origin.into(), sequence, time_us };
        self.arrival = Some(Arrival { session, kind, payload, origin, acker: message.acker });
        self.publish_arrival().await
    }

    /// Publishes what came, if there is room; else the bell rings when there is.
    async fn publish_arrival(&mut self) -> Result<(), String> {
        let Some(arrival) = self.arrival.take() else { return Ok(()) };
        let room: Arc<dyn Wake> = Arc::new(super::bridge::Bell::new(&self.link.shared));
        let publisher = self.link.bus.publisher(&arrival.session).map(|it| it.with_origin(arrival.origin.clone()));
        let published = publisher.and_then(|it| it.try_publish_or_tell(&arrival.kind, arrival.payload.clone(), &room));
        match published {
            Err(error) if error.kind() == ErrorKind::LimitExceeded => {
                self.arrival = Some(arrival);
                Ok(())
            }
            // A name or payload beyond the limits of this bus: it can never be published here.
            Err(error) => {
                self.link.update(|stats| {
                    stats.missing += 1;
                    stats.last_error = Some(error.to_string());
                });
                acknowledge(arrival.acker).await
            }
            Ok(_) => {
                self.link.update(|stats| stats.received += 1);
                acknowledge(arrival.acker).await
            }
        }
    }
}

/// What a connection begins with.
struct Opened {
    client: Client,
    incoming: BoxStream<'static, Result<Incoming, String>>,
    jetstream: Option<jetstream::Context>,
}

async fn open(
    options: &NatsOptions,
    servers: Vec<ServerAddr>,
    sends: bool,
    statuses: tokio::sync::mpsc::UnboundedSender<Status>,
) -> Result<Opened, String> {
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&is_open);
    let connect = client_options(options, &servers).map_err(|error| error.to_string())?;
    let connect = connect
        .name(&options.name)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        // A connection that broke is not mended: the next one has a new client. So this one waits until it is dropped.
        .reconnect_delay_callback(move |_| if opened.load(Relaxed) { NEVER } else { Duration::ZERO })
        .event_callback(move |status| {
            let _ = statuses.send(status);
            std::future::ready(())
        });
    let client = connect.connect(servers).await.map_err(|error| error.to_string())?;
    is_open.store(true, Relaxed);
    let (incoming, jetstream) = match &options.mode {
        Mode::Core => (core_subscription(&client, options, sends).await?, None),
        Mode::JetStream(names) => {
            let context = jetstream::new(client.clone());
            let incoming = jetstream_subscription(&context, options, names).await?;
            (incoming, Some(context))
        }
    };
    Ok(Opened { client, incoming, jetstream })
}

async fn core_subscription(
    client: &Client,
    options: &NatsOptions,
    sends: bool,
) -> Result<BoxStream<'static, Result<Incoming, String>>, String> {
    let subject = match (&options.receive, sends) {
        (Some(_), _) => format!("{}.>", options.prefix),
        (None, _) => subject::of_marks(&options.prefix),
    };
    let subscriber = client.subscribe(subject).await.map_err(|error| error.to_string())?;
    // The server has heard of it before anything is published or said to be connected.
    client.flush().await.map_err(|error| error.to_string())?;
    Ok(subscriber.map(|message| Ok(incoming(message, None, 0))).boxed())
}

async fn jetstream_subscription(
    context: &jetstream::Context,
    options: &NatsOptions,
    names: &JetStream,
) -> Result<BoxStream<'static, Result<Incoming, String>>, String> {
    let subjects = format!("{}.*.*", options.prefix);
    let config = stream::Config {
        name: names.stream.clone(),
        subjects: vec![subjects.clone()],
        duplicate_window: DUPLICATE_WINDOW,
        ..stream::Config::default()
    };
    let stream = context.get_or_create_stream(config).await.map_err(|error| error.to_string())?;
    if options.receive.is_none() {
        return Ok(streams::pending().boxed());
    }
    let config = pull::Config {
        durable_name: Some(names.durable.clone()),
        filter_subject: subjects,
        deliver_policy: if names.from_start { DeliverPolicy::All } else { DeliverPolicy::New },
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer(&names.durable, config).await.map_err(|error| error.to_string())?;
    let messages = consumer.messages().await.map_err(|error| error.to_string())?;
    let messages = messages.map(|message| {
        let message = message.map_err(|error| error.to_string())?;
        let sequence = message.info().map_err(|error| error.to_string())?.stream_sequence;
        let (message, acker) = message.split();
        Ok(incoming(message, Some(acker), sequence))
    });
    Ok(messages.boxed())
}

fn incoming(message: async_nats::Message, acker: Option<jetstream::message::Acker>, stream_sequence: u64) -> Incoming {
    let header =
        message.headers.as_ref().and_then(|headers| headers.get(HEADER)).map(|value| value.as_str().to_owned());
    let (subject, payload) = (message.subject.to_string(), message.payload.into());
    Incoming { subject, header, payload, acker, stream_sequence }
}

async fn acknowledge(acker: Option<jetstream::message::Acker>) -> Result<(), String> {
    match acker {
        Some(acker) => acker.ack().await.map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

async fn acknowledged(count: u64, ack: PublishAckFuture) -> (u64, Result<(), String>) {
    (count, ack.await.map(|_| ()).map_err(|error| format!("the stream did not take an event: {error}")))
}

fn client_options(options: &NatsOptions, servers: &[ServerAddr]) -> Result<ConnectOptions> {
    let text = |secret: &crate::system::secret::SecretRef| {
        let text = secret.expose(|bytes| String::from_utf8(bytes.to_vec()).ok())?;
        text.ok_or_else(|| Error::invalid(format!("{secret:?} that is not UTF-8, wanted text")))
    };
    let unusable = |error: std::io::Error| Error::io("read the credentials", error);
    let connect = ConnectOptions::new();
    let mut connect = match &options.credentials {
        // As a URL says it: a user and a password, or a token alone.
        Credentials::None => match servers.iter().find_map(|it| Some((it.username()?, it.password()))) {
            Some((user, Some(password))) => connect.user_and_password(unescaped(user), unescaped(password)),
            Some((token, None)) => connect.token(unescaped(token)),
            None => connect,
        },
        Credentials::Token(token) => connect.token(text(token)?),
        Credentials::User { name, password } => connect.user_and_password(name.clone(), text(password)?),
        Credentials::Nkey(seed) => connect.nkey(text(seed)?),
        Credentials::File(path) => {
            let contents = zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(unusable)?);
            connect.credentials(&contents).map_err(unusable)?
        }
        Credentials::Contents(contents) => {
            connect.credentials(&zeroize::Zeroizing::new(text(contents)?)).map_err(unusable)?
        }
    };
    connect = connect.require_tls(options.tls.required);
    if let Some(path) = &options.tls.root_certificates {
        connect = connect.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.tls.client_certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

/// A part of a URL, its percent-encoding undone.
fn unescaped(part: &str) -> String {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                out.push(escaped);
                rest = &after[2..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads servers' addresses; their errors never repeat a URL, which may hold a password.
pub(super) fn servers(urls: &[String]) -> Result<Vec<ServerAddr>> {
    if urls.is_empty() {
        return Err(Error::invalid("no server, wanted at least one"));
    }
    let parse = |(index, url): (usize, &String)| {
        let wrong =
            || Error::invalid(format!("server {} is no URL, wanted nats://host:port or tls://host:port", index + 1));
        let address: ServerAddr = url.parse().map_err(|_| wrong())?;
        if matches!(address.scheme(), "nats" | "tls") { Ok(address) } else { Err(wrong()) }
    };
    urls.iter().enumerate().map(parse).collect()
}

/// How many events may be under way.
const WINDOW: usize = 1024;
/// What an event's headers take at most.
const HEADERS_LEN: usize = 512;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a server that says nothing is taken for gone, in two of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the server remembers what it has: what is sent again within, it takes once.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);
const IDLE: Duration = Duration::from_secs(3600);
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
