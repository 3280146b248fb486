//! What a bridge is told: where to, as whom, and what may be lost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::system::bus::{Filter, Pattern};
use crate::system::secret::SecretRef;

/// How a bridge joins a bus to NATS.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// The servers, such as `nats://127.0.0.1:4222` or `tls://host`; with several, the first that answers is taken.
    pub servers: Vec<String>,
    /// Whom it is to the server.
    pub credentials: Credentials,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// What its subjects begin with (`talkpath`).
    pub prefix: String,
    /// What it is called by the server, and what its origin begins with (`talkpath`).
    pub name: String,
    /// Which events it sends; none: it only receives.
    pub send: Option<Filter>,
    /// Which events it publishes of what it receives; none: it only sends.
    pub receive: Option<Filter>,
    /// What may be lost.
    pub mode: Mode,
    /// How many events may wait for the server (65,536).
    pub capacity: usize,
    /// How many bytes they may count for (64 MiB).
    pub capacity_bytes: usize,
    /// The longest wait between two attempts to connect (5 s); the first is 50 ms, and each is twice the one before.
    pub max_backoff: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        let all = || Some(Filter { session: Pattern::any(), kind: Pattern::any() });
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            credentials: Credentials::None,
            tls: Tls::default(),
            prefix: "talkpath".into(),
            name: "talkpath".into(),
            send: all(),
            receive: all(),
            mode: Mode::Core,
            capacity: 65_536,
            capacity_bytes: 64 << 20,
            max_backoff: Duration::from_secs(5),
        }
    }
}

/// What may be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// While the server is away, the oldest of too many; and what the server has not handed on when it dies. Both are
    /// counted exactly.
    #[default]
    Core,
    /// Nothing that the stream keeps. Publishers wait when too much does, as for any lossless subscriber.
    JetStream(JetStream),
}

/// A stream, and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JetStream {
    /// The stream's name. Where there is none, it is made: in files, without limits, over all events of the prefix.
    pub stream: String,
    /// The durable consumer that this bridge reads with, if it receives: where it ended, the next one of the name goes on.
    pub durable: String,
    /// Whether a consumer that is new begins with what the stream holds already, instead of what comes.
    pub from_start: bool,
}

/// Whom a bridge is. What is secret is read when it connects, and held by the client in plain as long as it is connected.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody in particular, or whom the server's URL names.
    #[default]
    None,
    /// A token.
    Token(SecretRef),
    /// A user.
    User {
        /// Its name.
        name: String,
        /// Its password.
        password: SecretRef,
    },
    /// An NKey, by its seed.
    Nkey(SecretRef),
    /// A file of a user's JWT and seed, as NATS's own tools write it.
    File(PathBuf),
    /// The contents of such a file.
    Contents(SecretRef),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(secret) => write!(f, "Token({secret:?})"),
            Self::User { name, password } => write!(f, "User({name:?}, {password:?})"),
            Self::Nkey(secret) => write!(f, "Nkey({secret:?})"),
            Self::File(path) => write!(f, "File({path:?})"),
            Self::Contents(secret) => write!(f, "Contents({secret:?})"),
        }
    }
}

/// How the connection is encrypted. A `tls://` server always is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Refuses a server without.
    pub required: bool,
    /// A file of certificates (PEM) that are trusted beside the system's.
    pub root_certificates: Option<PathBuf>,
    /// Files (PEM) of the certificate and key with which this side proves who it is.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}
