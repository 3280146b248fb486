//! The bridge of a build without the feature `nats`: it cannot be made, and says why.
//!
//! So that what is written against it compiles in every build, in every language.

use std::convert::Infallible;
use std::time::Duration;

use super::options::NatsOptions;
use super::stats::NatsStats;
use crate::system::bus::Bus;
use crate::{Error, Result};

/// A bridge between a bus and NATS; in this build there is none.
#[derive(Debug)]
pub struct NatsBridge(Infallible);

impl NatsBridge {
    /// Refuses: this build has no bridge.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), always.
    pub fn start(_bus: &Bus, _options: NatsOptions) -> Result<Self> {
        Err(Error::invalid("this build has no NATS bridge, wanted one with the feature nats: see docs/nats.md"))
    }

    /// What others know it by.
    #[must_use]
    pub fn origin(&self) -> &str {
        match self.0 {}
    }

    /// How it does.
    #[must_use]
    pub fn stats(&self) -> NatsStats {
        match self.0 {}
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    /// None, as there is none.
    pub fn wait_connected(&self, _timeout: Duration) -> Result<()> {
        match self.0 {}
    }

    /// Waits until everything has arrived.
    ///
    /// # Errors
    /// None, as there is none.
    pub fn flush(&self, _timeout: Duration) -> Result<()> {
        match self.0 {}
    }

    /// Ends it.
    ///
    /// # Errors
    /// None, as there is none.
    pub fn close(&self, _timeout: Duration) -> Result<()> {
        match self.0 {}
    }
}
