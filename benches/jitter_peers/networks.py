"""The networks that the buffers are judged on: how long each 20 ms packet takes, in ms, and which are lost (nan).

The loss suite keeps time and loses packets, at random and in bursts. The jitter suite has nine kinds of line, from an
office network to mobile data, each with the delays and the little loss that such lines have. Delays are over 40 ms of
way; all chance comes from the generator that is passed in.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Delays = NDArray[np.float64]
Network = Callable[[int, np.random.Generator], Delays]

PTIME = 20.0
WAY = 40.0
# The first packets of a clip arrive: no buffer can tell that a stream has begun which it has not seen.
SPARED = 10


def bursts(packets: int, share: float, length: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which packets a two-state chain (Gilbert 1960) loses: a share of them, in rows of a mean length."""
    ends, begins = 1 / length, share / (1 - share) / length
    lost = np.empty(packets, bool)
    bad = rng.random() < share
    for index, chance in enumerate(rng.random(packets)):
        lost[index] = bad
        bad = chance >= ends if bad else chance < begins
    return lost


def losing(share: float, length: float | None = None) -> Network:
    """A line of steady delay that loses packets, each on its own unless a mean length of bursts is given."""

    def network(packets: int, rng: np.random.Generator) -> Delays:
        lost = rng.random(packets) < share if length is None else bursts(packets, share, length, rng)
        lost[:SPARED] = False
        return np.where(lost, np.nan, WAY)

    return network


def correlated(packets: int, mean: float, memory: float, shape: float, rng: np.random.Generator) -> Delays:
    """Queueing delays: gamma-distributed, and alike from packet to packet."""
    state, states = rng.normal(), np.empty(packets)
    for index, step in enumerate(rng.normal(size=packets)):
        states[index] = state
        state = memory * state + np.sqrt(1 - memory**2) * step
    return stats.gamma.ppf(np.clip(stats.norm.cdf(states), 1e-6, 1 - 1e-6), shape, scale=mean / shape)


def stalled(
    delays: Delays, stall: Callable[[], float], pause: Callable[[], float], slack: Callable[[], float]
) -> Delays:
    """The same with stalls: a packet waits for `stall()` ms, and those behind it come with it in a bunch."""
    at = pause()
    while at < len(delays):
        wait, index = stall(), int(at)
        while wait > 0 and index < len(delays):
            delays[index] = max(delays[index], WAY + wait + slack())
            wait -= PTIME
            index += 1
        at = index + pause()
    return delays


def without(delays: Delays, lost: NDArray[np.bool_]) -> Delays:
    """The same with packets lost."""
    return np.where(lost, np.nan, delays)


def office(packets: int, rng: np.random.Generator) -> Delays:
    """A wired network of one's own."""
    return WAY + rng.gamma(1.2, 0.6, packets)


def internet(packets: int, rng: np.random.Generator) -> Delays:
    """A fixed line across the internet."""
    return without(WAY + correlated(packets, 6, 0.6, 1.3, rng), rng.random(packets) < 0.005)


def wifi(packets: int, rng: np.random.Generator) -> Delays:
    """A wireless network that others use, too: spikes of 40 to 140 ms."""
    delays = WAY + rng.gamma(0.7, 7, packets)
    delays = stalled(delays, lambda: rng.uniform(40, 140), lambda: rng.exponential(75), lambda: rng.uniform(0, 2))
    return without(delays, bursts(packets, 0.01, 2, rng))


def mobile(packets: int, rng: np.random.Generator) -> Delays:
    """Mobile data: slow waves of delay, and handovers that stop everything for 150 to 350 ms."""
    delays = WAY + correlated(packets, 14, 0.9, 1.6, rng)
    delays = stalled(
        delays, lambda: rng.uniform(150, 350), lambda: 20 + rng.exponential(250), lambda: rng.uniform(0, 3)
    )
    return without(delays, bursts(packets, 0.01, 3, rng))


def stream(packets: int, rng: np.random.Generator) -> Delays:
    """Audio over TCP: nothing is lost or swapped, but what is repeated holds up all behind it."""
    delays = WAY + rng.gamma(1.5, 2, packets)
    delays = stalled(
        delays, lambda: rng.choice([60.0, 80.0, 120.0, 220.0]), lambda: 10 + rng.exponential(150), lambda: 0.0
    )
    sent = PTIME * np.arange(packets)
    return np.maximum.accumulate(sent + delays) - sent


def reroute(packets: int, rng: np.random.Generator) -> Delays:
    """A way that becomes 60 ms longer for a third of the time."""
    delays = WAY + rng.gamma(1.3, 2, packets)
    delays[int(0.35 * packets) : int(0.7 * packets)] += 60
    return delays


def drift(packets: int, rng: np.random.Generator) -> Delays:
    """A sender whose clock is 300 ppm slow."""
    return WAY + 8 + rng.gamma(1.2, 1.5, packets) + PTIME * np.arange(packets) * 300e-6


def bunches(packets: int, rng: np.random.Generator) -> Delays:
    """A link that sends three packets at a time."""
    return WAY + rng.gamma(1.2, 2, packets) + np.resize([40.0, 20.0, 0.0], packets)


def harsh(packets: int, rng: np.random.Generator) -> Delays:
    """A crowded cell: much delay, and 8 % lost in bursts."""
    return without(WAY + correlated(packets, 30, 0.85, 1.2, rng), bursts(packets, 0.08, 2.5, rng))


LOSS: dict[str, Network] = {
    # The share lost, and the mean number of packets in a row.
    "none": losing(0),
    **{f"{percent} %": losing(percent / 100) for percent in (1, 3, 5, 10, 20)},
    **{
        f"{percent} % x {length:g}": losing(percent / 100, length)
        for percent, length in ((3, 2), (5, 2.5), (10, 2.5), (10, 4))
    },
}
JITTER: dict[str, Network] = {
    network.__name__: network for network in (office, internet, wifi, mobile, stream, reroute, drift, bunches, harsh)
}
