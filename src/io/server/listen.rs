//! Where a server listens, and on which transport: what `serve(listen=…)` is given.

use std::fmt;
use std::io::ErrorKind::InvalidInput;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use crate::protocol::websocket::Url;
use crate::{Error, Result};

/// A transport, and where it listens.
///
/// None of them has encryption of its own, and only one passwords, so the default is the loopback address: open one to a network
/// only if that network is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// `audiosocket://HOST:PORT`: Asterisk's AudioSocket over TCP. Port 0 is any free one.
    AudioSocket(SocketAddr),
    /// `rtp://HOST:FIRST-LAST`: RTP over UDP, a call on each even port and its reports on the odd one above it. Of a single
    /// port, `rtp://HOST:PORT`, the one above is taken, too; port 0 is any free pair.
    Rtp(PortRange),
    /// `ws://HOST:PORT/PATH`: Asterisk's chan_websocket, which connects by a section of its `websocket_client.conf`. With
    /// `ws://USER:PASSWORD@HOST:PORT/PATH` only whoever says these.
    WebSocket(WebSocketListen),
    /// Nowhere: the server only [makes calls](crate::io::server::Server::connect).
    Nowhere,
}

/// Where WebSocket connections are taken, and whose.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSocketListen {
    /// The address; port 0 is any free one.
    pub address: SocketAddr,
    /// The path that is served, which begins with `/`; any other is answered with 404.
    pub path: String,
    /// `user:password` of HTTP's basic authentication, if they are wanted.
    pub credentials: Option<String>,
}

impl fmt::Debug for WebSocketListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocketListen(ws://{}{})", self.address, self.path)
    }
}

/// Ports of one host, each for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The host.
    pub host: IpAddr,
    /// The first port.
    pub first: u16,
    /// The last port, which is not below the first.
    pub last: u16,
}

impl PortRange {
    /// Checks that there can be a call.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the last port is below the first, no even port has the
    /// one above it in the range, or a range begins with port 0; of a single port, if there is none above it.
    pub fn validate(self) -> Result<()> {
        let Self { first, last, .. } = self;
        let is_sound = if first == last { first < u16::MAX } else { first > 0 && self.calls().next().is_some() };
        if is_sound {
            return Ok(());
        }
        Err(Error::invalid(format!("ports {first} to {last}, wanted an even one and the one above it")))
    }

    /// The port of a caller's call number `index`: of a range the next place, of a single port two more a call.
    #[must_use]
    pub fn place(self, index: usize) -> Option<u16> {
        if self.first < self.last {
            return self.calls().nth(index);
        }
        u16::try_from(usize::from(self.first) + 2 * index).ok()
    }

    /// How many calls there can be at once, as far as a caller can tell.
    #[must_use]
    pub fn places(self) -> usize {
        if self.first < self.last { self.calls().count() } else { usize::from((u16::MAX - self.first) / 2) + 1 }
    }

    /// The ports on which there can be a call, in their order.
    pub fn calls(self) -> impl Iterator<Item = u16> {
        let Self { first, last, .. } = self;
        let is_even = move |port: &u16| first == last || port.is_multiple_of(2) && *port < last;
        (first..=last).filter(is_even)
    }
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
            "rtp" => {
                let (address, range) = rest.rsplit_once(':').ok_or_else(|| unwanted(url))?;
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let port = |text: &str| text.parse::<u16>().map_err(|_| unwanted(url));
                let (first, last) = (port(first)?, port(last)?);
                let range = PortRange { host: look_up(url, &format!("{address}:0"))?.ip(), first, last };
                range.validate()?;
                Ok(Self::Rtp(range))
            }
            "ws" | "wss" => {
                let parsed: Url = url.parse()?;
                let credentials = parsed.credentials().map(ToOwned::to_owned);
                if parsed.target().contains('?') {
                    return Err(Error::invalid(format!("listen address {parsed}, wanted a path without a query")));
                }
                let address = look_up(&parsed.to_string(), &parsed.authority())?;
                Ok(Self::WebSocket(WebSocketListen { address, path: parsed.target().to_owned(), credentials }))
            }
            _ => Err(unwanted(url)),
        }
    }

    /// The address as [`resolve`](Self::resolve) takes it, credentials included; [`Display`](fmt::Display) leaves them out.
    #[must_use]
    pub fn to_url(&self) -> String {
        match self {
            Self::WebSocket(WebSocketListen { address, path, credentials: Some(credentials) }) => {
                format!("ws://{credentials}@{address}{path}")
            }
            _ => self.to_string(),
        }
    }

    /// The transport's name: `audiosocket`, `rtp` or `websocket`.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::AudioSocket(_) => "audiosocket",
            Self::Rtp(_) => "rtp",
            Self::WebSocket(_) | Self::Nowhere => "websocket",
        }
    }

    /// The logger's name: what Python hands to `logging.getLogger`.
    pub(crate) const fn log_target(&self) -> &'static str {
        match self {
            Self::AudioSocket(_) => "talkpath.audiosocket",
            Self::Rtp(_) => "talkpath.rtp",
            Self::WebSocket(_) | Self::Nowhere => "talkpath.websocket",
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AudioSocket(address) => write!(f, "audiosocket://{address}"),
            Self::Rtp(PortRange { host, first, last }) => {
                write!(f, "rtp://{}", SocketAddr::new(*host, *first))?;
                if first < last { write!(f, "-{last}") } else { Ok(()) }
            }
            Self::WebSocket(WebSocketListen { address, path, .. }) => write!(f, "ws://{address}{path}"),
            Self::Nowhere => f.write_str("nowhere"),
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
    Error::invalid(format!(
        "listen address {url:?}, wanted audiosocket://HOST:PORT, rtp://HOST:FIRST-LAST or ws://HOST:PORT/PATH"
    ))
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
    fn a_range_of_ports_has_a_call_on_each_even_one() {
        for (url, ports) in [
            ("rtp://127.0.0.1:18080-18085", vec![18_080, 18_082, 18_084]),
            ("rtp://127.0.0.1:18081-18084", vec![18_082]),
            ("rtp://[::1]:18081", vec![18_081]),
            ("rtp://127.0.0.1:0", vec![0]),
        ] {
            let Listen::Rtp(range) = Listen::resolve(url).unwrap() else { panic!("{url}") };
            assert_eq!(range.calls().collect::<Vec<_>>(), ports, "{url}");
            assert_eq!(Listen::Rtp(range).to_string(), url);
        }
        for url in ["rtp://127.0.0.1", "rtp://127.0.0.1:1-x"] {
            let error = Listen::resolve(url).unwrap_err().to_string();
            assert!(error.contains(&format!("{url:?}")) && error.contains("wanted"), "{error}");
        }
        for ports in ["9-8", "65535", "8081-8082", "0-9"] {
            let error = Listen::resolve(&format!("rtp://127.0.0.1:{ports}")).unwrap_err().to_string();
            assert!(error.contains("wanted an even one"), "{error}");
        }
    }

    #[test]
    fn a_websocket_address_has_a_path_and_keeps_its_password_to_itself() {
        let listen = Listen::resolve("ws://agent:sesame@127.0.0.1:8787/media").unwrap();
        assert_eq!(
            (listen.to_string(), listen.to_url()),
            ("ws://127.0.0.1:8787/media".into(), "ws://agent:sesame@127.0.0.1:8787/media".into(),)
        );
        assert!(!format!("{listen:?}").contains("sesame"));
        assert_eq!(Listen::resolve("ws://127.0.0.1:8787").unwrap().to_string(), "ws://127.0.0.1:8787/");
        for url in ["ws://u:sesame@127.0.0.1:8787/m?x=1", "wss://u:sesame@127.0.0.1/", "ws://u:sesame@"] {
            let error = Listen::resolve(url).unwrap_err().to_string();
            assert!(error.contains("wanted") && !error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for url in ["", "127.0.0.1", "http://127.0.0.1:80", "127.0.0.1:99999", "audiosocket://127.0.0.1:9/x"] {
            let error = Listen::resolve(url).unwrap_err().to_string();
            assert!(error.contains(&format!("{url:?}")) && error.contains("wanted"), "{error}");
        }
    }
}
