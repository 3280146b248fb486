//! What can be set of a server, with the defaults that a phone system wants.

use std::time::Duration;

use crate::audio::codec::{Codec, Encoding};
use crate::io::server::listen::Listen;
use crate::protocol::audiosocket::Kind;
use crate::protocol::rtp::{Format, PayloadTypes};
use crate::session;
use crate::{Error, Result};

/// How a server listens, and what it puts up with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen, and on which transport.
    pub listen: Listen,
    /// What the numbers of payload types stand for, over RTP.
    pub payload_types: PayloadTypes,
    /// How each call's session works.
    pub session: session::Config,
    /// How many calls there may be at once; the next is refused with a hangup. 1 to 65,536.
    pub max_calls: usize,
    /// How many may be waiting that are no call yet. When there are more, the oldest is turned away: Asterisk says at once
    /// which call it brings, so a crowd of connections that send nothing keeps no real call out.
    pub max_pending: usize,
    /// How long a new connection may take to say which call it brings.
    pub handshake_timeout: Duration,
    /// How long a call's peer may send nothing. It should be longer than anything that keeps a healthy call quiet: a
    /// caller on hold, silence suppression, a prompt played on the channel (Asterisk holds back the caller's audio then).
    /// A peer that is gone is found sooner, as it no longer acknowledges what it is sent.
    pub idle_timeout: Duration,
    /// How many threads carry calls; 1 to 64. One carries a thousand calls on an ordinary processor.
    pub media_threads: usize,
    /// Whether media threads ask to run before others (`SCHED_FIFO`, or else nice −10). A system that refuses is no
    /// error: [`ServerStats::priority`](crate::io::stats::ServerStats::priority) and the log say what was granted.
    pub realtime_priority: bool,
}

impl Default for ServerConfig {
    /// Loopback, port 8090; 2,000 calls; a media thread for each processor, up to two.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: Listen::default(),
            payload_types: PayloadTypes::default(),
            session: session::Config::default(),
            max_calls: 2_000,
            max_pending: 512,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            media_threads: processors.min(2),
            realtime_priority: true,
        }
    }
}

impl ServerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the first value out of its range.
    pub fn validate(&self) -> Result<()> {
        self.session.validate()?;
        if let (Listen::AudioSocket(_), Some(rate)) = (&self.listen, self.session.output_rate)
            && Kind::Audio(rate).to_byte().is_none()
        {
            return Err(Error::invalid(format!("output rate of {rate}, wanted one that AudioSocket has a kind for")));
        }
        if let (Listen::AudioSocket(_), Some(codec)) = (&self.listen, self.session.codec)
            && !matches!(codec, Codec::Plain { encoding: Encoding::Slin, rate } if Kind::Audio(rate).to_byte().is_some())
        {
            return Err(Error::invalid(format!(
                "codec {codec}, wanted slin at a rate that AudioSocket has a kind for"
            )));
        }
        if let Listen::Rtp(range) = self.listen {
            range.validate()?;
        }
        if let (Listen::WebSocket(_) | Listen::Nowhere, Some(rate)) = (&self.listen, self.session.output_rate) {
            return Err(Error::invalid(format!(
                "output rate of {rate}, wanted none: over WebSocket the channel says it"
            )));
        }
        if let Listen::Rtp(_) = self.listen {
            let linear = |rate| Codec::Plain { encoding: Encoding::SlinBe, rate };
            let codec = self.session.codec.map(|codec| match codec {
                // Its bytes are put into the order of the network.
                Codec::Plain { encoding: Encoding::Slin, rate } => linear(rate),
                codec => codec,
            });
            for codec in codec.into_iter().chain(self.session.output_rate.map(linear)) {
                if self.payload_types.number_of(Format::Audio(codec)).is_none() {
                    return Err(Error::invalid(format!("{codec} over rtp, wanted what has a payload type")));
                }
            }
        }
        within("max_calls", self.max_calls, 1, 65_536)?;
        within("max_pending", self.max_pending, 1, 65_536)?;
        within("media_threads", self.media_threads, 1, 64)?;
        for (name, timeout) in [("handshake_timeout", self.handshake_timeout), ("idle_timeout", self.idle_timeout)] {
            if !(Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&timeout) {
                return Err(Error::invalid(format!("{name} of {timeout:?}, wanted 10 ms to a day")));
            }
        }
        Ok(())
    }
}

fn within(name: &str, got: usize, min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&got) {
        Ok(())
    } else {
        Err(Error::invalid(format!("{name} of {got}, wanted {min} to {max}")))
    }
}
