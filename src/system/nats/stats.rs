//! How a bridge does, in numbers.

/// How a bridge does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatsStats {
    /// Whether it is connected.
    pub connected: bool,
    /// How often it has connected.
    pub connections: u64,
    /// Why it is not connected, or was not last.
    pub last_error: Option<String>,
    /// How many events have arrived at the server, as far as is known.
    pub sent: u64,
    /// How many events wait, or are under way.
    pub waiting: usize,
    /// How many events were dropped here: there was no room while the server was away, or the bus had to.
    pub dropped: u64,
    /// How many of these were longer than the server takes.
    pub too_long: u64,
    /// How many events of others were published here.
    pub received: u64,
    /// How many came twice, and were passed over.
    pub repeated: u64,
    /// How many events of others are missing: they were lost on the way, or dropped at their origin.
    pub missing: u64,
}
