//! Opens a server: the one place that knows every transport.

use std::sync::Arc;

use crate::Result;
use crate::io::notify::Notifier;
use crate::io::server::entrance::Entrance;
use crate::io::server::{Listen, Server, ServerConfig};
use crate::io::{audiosocket, rtp, websocket};

impl Server {
    /// Listens, and starts the threads; from here on calls are taken and hear silence until an agent speaks.
    ///
    /// `notifier` is notified when there is something for [`accept`](Self::accept) or [`poll_ready`](Self::poll_ready),
    /// and when the server has stopped; several servers may share one. The process's limit of open files is raised, up to
    /// its hard limit, if it is too low for the calls that the configuration allows.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a value out of range, [`Io`](crate::ErrorKind::Io) if
    /// the address cannot be listened on or a thread cannot be started.
    pub fn bind(config: ServerConfig, notifier: Arc<Notifier>) -> Result<Self> {
        config.validate()?;
        let entrance: Box<dyn Entrance> = match &config.listen {
            Listen::AudioSocket(address) => Box::new(audiosocket::Entrance::bind(*address, &config)?),
            Listen::WebSocket(listen) => Box::new(websocket::Entrance::bind(listen, &config)?),
            Listen::Nowhere => Box::new(websocket::Entrance::without_listener(&config)),
            Listen::Rtp(range) => Box::new(rtp::Entrance::bind(*range, &config)?),
        };
        Self::start(config, entrance, notifier)
    }
}
