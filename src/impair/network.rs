//! Tells each packet's fate: when it arrives, once, twice or never.

use std::time::Duration;

use super::Impairment;
use super::chance::Chance;
use crate::{Result, Timestamp};

/// One direction of a network between two peers.
///
/// ```
/// use talkpath::Timestamp;
/// use talkpath::impair::Network;
///
/// let mut network = Network::new("loss=10%,delay=30ms,seed=1".parse()?)?;
/// let arrived = (0..1_000).filter(|n| network.send(Timestamp::from_millis(n * 20)).next().is_some()).count();
/// assert!((870..930).contains(&arrived));
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    impairment: Impairment,
    loss: Gilbert,
    queue: Queue,
    reorder: Chance,
    duplicate: Chance,
    /// When the first and the last packet were sent.
    first: Option<Timestamp>,
    last: Timestamp,
    /// The time between packets, as far as it is known.
    spacing: Duration,
}

/// Loses packets in bursts: a chain of two states (Gilbert 1960), of which the bad one loses everything.
#[derive(Clone, Debug)]
struct Gilbert {
    chance: Chance,
    is_bad: bool,
    /// The share of packets that begin a burst, and that end one.
    begins: f64,
    ends: f64,
}

/// Holds packets up in a row: what is behind a late one is late, too.
#[derive(Clone, Debug)]
struct Queue {
    chance: Chance,
    jitter_us: f64,
    /// How busy the network is, normal over time.
    load: f64,
    /// When the last one left it.
    left: Timestamp,
}

impl Network {
    /// Makes a network that has not carried anything yet.
    ///
    /// # Errors
    /// Those of [`Impairment::validate`].
    pub fn new(impairment: Impairment) -> Result<Self> {
        impairment.validate()?;
        let chance = |stream| Chance::new(impairment.seed, stream);
        Ok(Self {
            loss: Gilbert::new(impairment.loss, impairment.burst, chance(1)),
            queue: Queue::new(impairment.jitter, chance(2)),
            reorder: chance(3),
            duplicate: chance(4),
            first: None,
            last: Timestamp::ZERO,
            spacing: USUAL_SPACING,
            impairment,
        })
    }

    /// Sends a packet at `sent` and gives its arrivals: none, one or two, the original first.
    ///
    /// Packets are sent in the order of time; `sent` is on the sender's clock, arrivals on the receiver's. Each
    /// impairment draws from chance of its own, one packet after the other: which packets get lost does not depend on how
    /// long others take. Nothing is allocated.
    pub fn send(&mut self, sent: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let first = *self.first.get_or_insert(sent);
        let since_last = sent.since(self.last);
        if sent > first {
            self.spacing = since_last.clamp(SHORTEST_SPACING, LONGEST_SPACING);
        }
        self.last = sent;
        let drift_us = sent.since(first).as_micros() as f64 * self.impairment.drift_ppm * 1e-6;
        let start = Timestamp::from_micros(sent.as_micros().saturating_add_signed(drift_us.round() as i64));
        let entered = start + self.impairment.delay;
        let is_lost = self.loss.takes();
        let overtaken = self.reorder.happens(self.impairment.reorder);
        let overtakers = 1.0 + 2.0 * self.reorder.uniform();
        let is_doubled = self.duplicate.happens(self.impairment.duplicate);
        let behind = self.duplicate.uniform();
        let mut arrival = self.queue.pass(entered, since_last);
        if overtaken {
            arrival = arrival + self.spacing.mul_f64(overtakers);
        }
        let again = arrival + self.spacing.mul_f64(behind);
        let arrives = [(!is_lost).then_some(arrival), (!is_lost && is_doubled).then_some(again)];
        arrives.into_iter().flatten()
    }

    /// What it does to packets.
    #[must_use]
    pub const fn impairment(&self) -> &Impairment {
        &self.impairment
    }
}

impl Gilbert {
    fn new(loss: f64, burst: f64, mut chance: Chance) -> Self {
        let good = 1.0 - loss;
        let burst = burst.max(1.0 / good);
        // The first packet finds the chain where it mostly is.
        let is_bad = chance.happens(loss);
        let begins = if good > 0.0 { loss / good / burst } else { 1.0 };
        Self { chance, is_bad, begins, ends: 1.0 / burst }
    }

    /// Whether the next packet is lost.
    fn takes(&mut self) -> bool {
        let takes = self.is_bad;
        self.is_bad = if takes { !self.chance.happens(self.ends) } else { self.chance.happens(self.begins) };
        takes
    }
}

impl Queue {
    fn new(jitter: Duration, mut chance: Chance) -> Self {
        let load = chance.normal();
        Self { chance, jitter_us: jitter.as_micros() as f64, load, left: Timestamp::ZERO }
    }

    /// When a packet that came to it at `entered`, so long after the one before, leaves it.
    fn pass(&mut self, entered: Timestamp, since_last: Duration) -> Timestamp {
        let kept = (-since_last.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.load = kept * self.load + (1.0 - kept * kept).sqrt() * self.chance.normal();
        let held_us = self.jitter_us * (self.load - NORMAL_P95).exp().min(WORST);
        self.left = self.left.max(entered + Duration::from_micros(held_us as u64));
        self.left
    }
}

/// What 95 % of normal numbers are below.
const NORMAL_P95: f64 = 1.645;
/// The longest that a packet is held up, in units of the jitter.
const WORST: f64 = 10.0;
/// How long the network stays as busy as it is.
const MEMORY: Duration = Duration::from_millis(100);
const USUAL_SPACING: Duration = Duration::from_millis(20);
/// What passes for the time between two packets: less is a burst, more a pause.
const SHORTEST_SPACING: Duration = Duration::from_millis(5);
const LONGEST_SPACING: Duration = Duration::from_millis(60);
