//! Where a server listens, and on which transport: what `serve(listen=…)` is given.

use std::fmt;
use std::io::ErrorKind::InvalidInput;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use crate::{Error, Result};

/// A transport, and where it listens.
///
/// None of them has encryption or passwords of its own, so the default is the loopback address: open one to a network
/// only if that network is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// `audiosocket://HOST:PORT`: Asterisk's AudioSocket over TCP. Port 0 is any free one.
    AudioSocket(SocketAddr),
}

impl Default for Listen {
    /// AudioSocket on the loopback address, port 8090.
    fn default() -> Self {
        Self::AudioSocket(SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)))
    }
}

impl Listen {
    /// Reads an address such as `audiosocket://127.0.0.1:8090`; the transport may be left out. Names are looked up, which
    /// may take a while.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if it is none, [`Io`](crate::ErrorKind::Io) if the name
    /// cannot be looked up.
    pub fn resolve(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("audiosocket", url));
        match scheme {
            "audiosocket" => {
                let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
                if !path.is_empty() {
                    return Err(unwanted(url));
                }
                Ok(Self::AudioSocket(look_up(url, address)?))
            }
            _ => Err(unwanted(url)),
        }
    }

    /// The logger's name: what Python hands to `logging.getLogger`.
    pub(crate) const fn log_target(&self) -> &'static str {
        match self {
            Self::AudioSocket(_) => "talkpath.audiosocket",
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AudioSocket(address) => write!(f, "audiosocket://{address}"),
        }
    }
}

fn look_up(url: &str, address: &str) -> Result<SocketAddr> {
    let found = address.to_socket_addrs().map_err(|error| match error.kind() {
        InvalidInput => unwanted(url),
        _ => Error::io(format!("look up {address}"), error),
    })?;
    found.into_iter().next().ok_or_else(|| Error::invalid(format!("address {address:?}, wanted one that exists")))
}

fn unwanted(url: &str) -> Error {
    Error::invalid(format!("listen address {url:?}, wanted audiosocket://HOST:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_its_transport() {
        let wanted = Listen::AudioSocket(SocketAddr::from(([127, 0, 0, 1], 9000)));
        for url in ["audiosocket://127.0.0.1:9000", "127.0.0.1:9000", "audiosocket://127.0.0.1:9000/"] {
            assert_eq!(Listen::resolve(url).unwrap(), wanted, "{url}");
        }
        let v6 = Listen::resolve("audiosocket://[::1]:9000").unwrap();
        assert_eq!(v6.to_string(), "audiosocket://[::1]:9000");
    }

    #[test]
    fn what_is_no_address_is_named() {
        for url in ["", "127.0.0.1", "http://127.0.0.1:80", "127.0.0.1:99999", "audiosocket://127.0.0.1:9/x"] {
            let error = Listen::resolve(url).unwrap_err().to_string();
            assert!(error.contains(&format!("{url:?}")) && error.contains("wanted"), "{error}");
        }
    }
}
