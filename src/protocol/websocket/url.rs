//! Addresses such as `ws://pbx.example:8088/media/1234`: where to connect, and what to ask for.
//!
//! Only what RFC 6455 (section 3) gives a WebSocket address: no fragment, no scheme but `ws`. `wss` needs TLS, which
//! talkpath does not speak: on a public network a proxy does.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A `ws://` address, taken apart and checked.
///
/// ```
/// use talkpath::protocol::websocket::Url;
///
/// let url: Url = "ws://agent:secret@pbx:8088/media/1234?x=1".parse()?;
/// assert_eq!((url.host(), url.port(), url.target()), ("pbx", 8088, "/media/1234?x=1"));
/// assert_eq!(url.to_string(), "ws://pbx:8088/media/1234?x=1");
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    target: String,
    credentials: Option<String>,
}

impl Url {
    /// The port where the address names none.
    pub const DEFAULT_PORT: u16 = 80;

    /// The host: a name or an address; of IPv6, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 is any free one, where that means something.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is asked for: the path, and the query if there is one; begins with `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `user:password`, if the address has them; percent signs are taken as they are.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// Host and port as the `Host` header wants them.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Url {
    type Err = Error;

    /// Reads `ws://[user:password@]host[:port][/path][?query]`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for anything else. The message does not repeat a password.
    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(text, "ws://host:port/path"))?;
        if scheme.eq_ignore_ascii_case("wss") {
            return Err(wrong(text, "ws://, as talkpath speaks no TLS: let a proxy do that"));
        }
        if !scheme.eq_ignore_ascii_case("ws") {
            return Err(wrong(text, "ws://host:port/path"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
            return Err(wrong(text, "printable ASCII without a fragment"));
        }
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials.to_owned()), address),
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(|| wrong(text, "[address]:port"))?)),
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let port = match port.map(str::parse) {
            None => Self::DEFAULT_PORT,
            Some(Ok(port)) => port,
            Some(Err(_)) => return Err(wrong(text, "a port of 0 to 65535")),
        };
        if host.is_empty() {
            return Err(wrong(text, "a host"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { host: host.to_owned(), port, target, credentials })
    }
}

impl fmt::Display for Url {
    /// Writes the address without its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.authority(), self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

fn wrong(text: &str, wanted: &str) -> Error {
    let shown = match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://***@{after}")
        }
        None => text.to_owned(),
    };
    Error::invalid(format!("address {shown:?}, wanted {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, Option<String>) {
        let url: Url = text.parse().unwrap();
        (url.host.clone(), url.port, url.target.clone(), url.credentials)
    }

    #[test]
    fn reads_every_part() {
        assert_eq!(parts("ws://pbx"), ("pbx".into(), 80, "/".into(), None));
        assert_eq!(parts("WS://pbx:8088?a=b"), ("pbx".into(), 8088, "/?a=b".into(), None));
        assert_eq!(parts("ws://u:p@h:1/x"), ("h".into(), 1, "/x".into(), Some("u:p".into())));
        assert_eq!(parts("ws://[::1]:8088/media/1"), ("::1".into(), 8088, "/media/1".into(), None));
        assert_eq!("ws://[::1]/m".parse::<Url>().unwrap().authority(), "[::1]:80");
    }

    #[test]
    fn refuses_what_it_cannot_reach_and_keeps_passwords_to_itself() {
        for text in [
            "",
            "pbx:8088",
            "http://pbx/",
            "wss://pbx/",
            "ws:///media",
            "ws://pbx:65536/",
            "ws://pbx:x/",
            "ws://[::1]8088/",
            "ws://pbx/a#b",
            "ws://pbx/a b",
            "ws://pbx/\r\nHost: x",
            "ws://user:sesame@pbx:x/",
            "ws://user:ses@me@pbx:x/",
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains("wanted") && !error.contains("ses"), "{error}");
        }
        let shown = format!("{:?}", "ws://user:sesame@pbx/".parse::<Url>().unwrap());
        assert_eq!(shown, "Url(ws://pbx:80/)");
    }
}
