//! Whom a server is to call.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::protocol::websocket::Url;
use crate::{Error, Result};

/// Where a channel of Asterisk's waits to be connected to, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: Url,
    pub(crate) address: SocketAddr,
}

impl Target {
    /// Reads an address such as `ws://pbx:8088/media/32966726-4388-456b-a333-fdf5dbecc60d` and looks its name up, which
    /// may take a while. Credentials may stand before the name: `ws://user:password@pbx:8088/…`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is none, [`Io`](crate::ErrorKind::Io) if the name
    /// cannot be looked up.
    pub fn resolve(url: &str) -> Result<Self> {
        let url: Url = url.parse()?;
        if url.port() == 0 {
            return Err(Error::invalid(format!("address \"{url}\", wanted a port of 1 to 65535")));
        }
        let failed = |error| Error::io(format!("look up {}", url.host()), error);
        let found = (url.host(), url.port()).to_socket_addrs().map_err(failed)?.next();
        let address = found.ok_or_else(|| Error::invalid(format!("host {:?}, wanted one that exists", url.host())))?;
        Ok(Self { url, address })
    }
}
