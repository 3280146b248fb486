"""What does an event cost on the bus, beside the designs it replaces?

    python benches/bus_peers.py [--events 200000] [--rounds 3] [--json]

Threads publish as fast as they can, an event loop reads. The peers are written here: ADR-013 (a reentrant lock, and one
`call_soon_threadsafe` an event into the queue that a coroutine reads) and the best that pure Python does with the same
promises (numbers and order a session, bounded deques, one wake a batch). Every design gets the same events, one dict
each, from 1 and from 4 threads, in turn within each round; a figure is the best round's, and of the lag the median
round's. `lag` is how late a timer of 1 ms on the loop is meanwhile. CPU is the whole process's: publishing and reading.
"""

import argparse
import asyncio
import json
import platform
import statistics
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from talkpath.bus import EventBus

TYPE = "voice:mic_level"


class Adr013:
    """ADR-013 as it is written: a reentrant lock around everything, and the loop called for each event."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._subscribers: dict[str, list[Callable[[str, Any], None]]] = {}

    def subscribe(self, session_id: str, cb: Callable[[str, Any], None]) -> None:
        with self._lock:
            self._subscribers.setdefault(session_id, []).append(cb)

    def publish(self, session_id: str, event_type: str, data: Any) -> None:
        with self._lock:
            for cb in list(self._subscribers.get(session_id, ())):
                cb(event_type, data)


class Batched:
    """The best that pure Python does with the same promises: numbers and order a session, bounded deques with counted
    drops, and one wake of the loop a batch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, BatchedSession] = {}

    def subscribe(self, session_id: str) -> "BatchedReader":
        reader = BatchedReader(asyncio.get_running_loop())
        self._session(session_id).readers.append(reader)
        return reader

    def publish(self, session_id: str, event_type: str, data: Any) -> int:
        session = self._sessions.get(session_id) or self._session(session_id)
        with session.lock:
            session.sequence += 1
            event = (session.sequence, session_id, event_type, time.time(), data)
            woken = [reader for reader in session.readers if reader.put(event)]
        for reader in woken:
            reader.wake()
        return event[0]

    def _session(self, session_id: str) -> "BatchedSession":
        with self._lock:
            return self._sessions.setdefault(session_id, BatchedSession())


class BatchedSession:
    __slots__ = ("lock", "readers", "sequence")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sequence = 0
        self.readers: list[BatchedReader] = []


class BatchedReader:
    """A deque that its publishers fill under their session's lock, and whose reader is woken once a batch."""

    __slots__ = ("_armed", "_held", "_loop", "_woken", "capacity", "dropped")

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int = 1 << 20) -> None:
        self._loop = loop
        self._held: deque[tuple[int, str, str, float, Any]] = deque()
        self._armed = True
        self._woken = asyncio.Event()
        self.capacity = capacity
        self.dropped = 0

    def put(self, event: tuple[int, str, str, float, Any]) -> bool:
        """Whether the reader is to be woken."""
        if len(self._held) >= self.capacity:
            self._held.popleft()
            self.dropped += 1
        self._held.append(event)
        armed, self._armed = self._armed, False
        return armed

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    async def batch(self, most: int = 1024) -> list[tuple[int, str, str, float, Any]]:
        while True:
            held = self._held
            if held:
                taken = [held.popleft() for _ in range(min(most, len(held)))]
                await asyncio.sleep(0)
                return taken
            self._woken.clear()
            self._armed = True
            if not self._held:
                await self._woken.wait()


async def read_adr_013(events: int, start: Callable[[Callable[..., Any]], None]) -> None:
    bus, loop = Adr013(), asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def cb(event_type: str, data: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (event_type, data))

    bus.subscribe("call-1", cb)
    start(bus.publish)
    for _ in range(events):
        await queue.get()


async def read_batched(events: int, start: Callable[[Callable[..., Any]], None]) -> None:
    bus = Batched()
    reader = bus.subscribe("call-1")
    start(bus.publish)
    count = 0
    while count < events:
        for _event in await reader.batch():
            count += 1


async def read_events(events: int, start: Callable[[Callable[..., Any]], None]) -> None:
    bus = EventBus()
    subscription = bus.subscribe("call-1", policy="lossless")
    start(bus.publish)
    count = 0
    async for _event in subscription:
        count += 1
        if count == events:
            return


async def read_batches(events: int, start: Callable[[Callable[..., Any]], None]) -> None:
    bus = EventBus()
    subscription = bus.subscribe("call-1", policy="lossless")
    start(bus.publish)
    count = 0
    async for batch in subscription.batches():
        for _event in batch:
            count += 1
        if count == events:
            return


DESIGNS: dict[str, Callable[[int, Callable[[Callable[..., Any]], None]], Awaitable[None]]] = {
    "ADR-013": read_adr_013,
    "pure Python, batched": read_batched,
    "talkpath, async for event": read_events,
    "talkpath, async for batch": read_batches,
}


@dataclass
class Row:
    """One line of the table."""

    design: str
    producers: int
    events_per_s: float
    cpu_us: float
    lag_p99_ms: float


async def lag_of_loop(lags: list[float]) -> None:
    """Notes how late each millisecond is."""
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - due) * 1e3)


async def measure(design: str, producers: int, events: int) -> Row:
    """Runs one design once."""
    each = events // producers
    threads: list[threading.Thread] = []

    def start(publish: Callable[[str, str, Any], object]) -> None:
        def produce() -> None:
            for number in range(each):
                publish("call-1", TYPE, {"level": number})

        threads.extend(threading.Thread(target=produce) for _ in range(producers))
        for thread in threads:
            thread.start()

    lags: list[float] = []
    ticker = asyncio.create_task(lag_of_loop(lags))
    await asyncio.sleep(0.005)
    lags.clear()
    began, cpu = time.perf_counter(), time.process_time()
    await DESIGNS[design](each * producers, start)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    # The loop's last delay is over only now.
    await asyncio.sleep(0.002)
    ticker.cancel()
    for thread in threads:
        thread.join()
    lags.sort()
    lag = lags[min(len(lags) - 1, int(len(lags) * 0.99))]
    return Row(design, producers, each * producers / took, used / (each * producers) * 1e6, lag)


def best(rows: list[Row]) -> Row:
    """The best of each figure over the rounds; of the lag, which has no floor to come near to, the median."""
    return Row(
        rows[0].design,
        rows[0].producers,
        max(row.events_per_s for row in rows),
        min(row.cpu_us for row in rows),
        statistics.median(row.lag_p99_ms for row in rows),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000, help="events a run (200000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts (3)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    arguments = parser.parse_args()
    found: dict[tuple[str, int], list[Row]] = {}
    for _ in range(arguments.rounds):
        for producers in (1, 4):
            for design in DESIGNS:
                row = asyncio.run(measure(design, producers, arguments.events))
                found.setdefault((design, producers), []).append(row)
    rows = [best(rounds) for rounds in found.values()]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"Python {platform.python_version()}, {arguments.events} events a run, best of {arguments.rounds}")
    print(f"{'design':28}{'producers':>10}{'events/s':>12}{'ratio':>7}{'CPU us':>8}{'ratio':>7}{'lag p99 ms':>12}")
    peers = {row.producers: row for row in rows if row.design == "ADR-013"}
    for row in sorted(rows, key=lambda row: row.producers):
        peer = peers[row.producers]
        print(
            f"{row.design:28}{row.producers:>10}{row.events_per_s:>12,.0f}{row.events_per_s / peer.events_per_s:>7.1f}"
            f"{row.cpu_us:>8.2f}{peer.cpu_us / row.cpu_us:>7.1f}{row.lag_p99_ms:>12.1f}"
        )


if __name__ == "__main__":
    main()
