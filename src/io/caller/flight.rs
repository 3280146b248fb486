//! What is under way between a caller and the far end, on a network that a test has made worse than it is.

use std::collections::VecDeque;

use crate::impair::{Impairment, Network};
use crate::{Result, Timestamp};

/// The messages of one call that have been sent and not yet arrived.
pub(super) struct Flight {
    network: Network,
    /// In the order of arrival.
    under_way: VecDeque<(Timestamp, Vec<u8>)>,
    /// Buffers for messages to come.
    spare: Vec<Vec<u8>>,
}

impl Flight {
    /// Makes the way of call number `call`: each meets a fate of its own.
    ///
    /// Drift is left to the caller, whose clock it is.
    pub(super) fn new(impairment: &Impairment, call: usize) -> Result<Self> {
        let seed = impairment.seed.wrapping_add(call as u64);
        let network = Network::new(Impairment { seed, drift_ppm: 0.0, ..impairment.clone() })?;
        Ok(Self { network, under_way: VecDeque::new(), spare: Vec::new() })
    }

    /// Sends a message; gives how often it will arrive.
    pub(super) fn launch(&mut self, message: &[u8], sent: Timestamp) -> usize {
        let mut count = 0;
        for arrival in self.network.send(sent) {
            let mut buffer = self.spare.pop().unwrap_or_default();
            buffer.clear();
            buffer.extend_from_slice(message);
            let behind = self.under_way.partition_point(|&(other, _)| other <= arrival);
            self.under_way.insert(behind, (arrival, buffer));
            count += 1;
        }
        count
    }

    /// When the next message arrives.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.under_way.front().map(|&(at, _)| at)
    }

    /// Takes the next message if it has arrived; give it back to [`recycle`](Self::recycle).
    pub(super) fn land(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, message)| message)
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        self.spare.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_land_in_the_order_of_arrival_and_not_before() {
        let mut flight = Flight::new(&"reorder=20%,dup=10%,delay=30ms,seed=3".parse().unwrap(), 0).unwrap();
        let (mut sent, mut landed) = (0, Vec::new());
        for n in 0..200_u64 {
            let now = Timestamp::from_millis(20 * n);
            sent += flight.launch(&n.to_be_bytes(), now);
            while let Some(message) = flight.land(now) {
                assert_eq!(message.len(), 8);
                landed.push(u64::from_be_bytes(message.clone().try_into().unwrap()));
                flight.recycle(message);
            }
            assert!(landed.last().is_none_or(|&last| last + 1 < n + 1), "30 ms take more than a packet time");
        }
        assert!(sent > 205, "{sent}");
        assert!(landed.windows(2).any(|pair| pair[0] > pair[1]), "some are overtaken");
        assert!(flight.next().is_some());
    }

    #[test]
    fn each_call_meets_a_fate_of_its_own_and_the_same_one_again() {
        let fate = |call| {
            let mut flight = Flight::new(&"loss=30%,seed=1".parse().unwrap(), call).unwrap();
            (0..100).map(|n| flight.launch(&[], Timestamp::from_millis(20 * n))).collect::<Vec<_>>()
        };
        assert_eq!(fate(0), fate(0));
        assert_ne!(fate(0), fate(1));
    }
}
