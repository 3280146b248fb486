"""For tests of agents: a phone that calls a server over a real socket, as Asterisk would, however bad the network is.

async with talkpath.Server(agent, "audiosocket://127.0.0.1:0") as server:
    async with talkpath.testing.Phone(server.address, impair="jitter=40ms,seed=7") as phone:
        await phone.say(pcm)
        reply = await phone.hear(ms=500)

A `Network` is such a network on its own, without a clock: it says when packets arrive, the same for the same seed.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from talkpath._talkpath import Network
from talkpath._ways import AUDIO_KINDS, DTMF, ERROR, HANGUP, IDENTITY, AudioSocket, Rtp, Way, message
from talkpath.errors import InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AUDIO_KINDS", "DTMF", "ERROR", "HANGUP", "IDENTITY", "Network", "Phone"]


class Phone:
    """One call to a server: says PCM at the pace of speech, and hears what comes back.

    `address` is a server's: host:port for AudioSocket, rtp://host:port for RTP, where the call begins with what is said
    first. What it says goes through a network of the impairments `impair`. AudioSocket is a stream, which keeps order
    and loses nothing: only `delay`, `jitter` and `drift` are possible.
    """

    def __init__(
        self, address: str, *, rate: int = 8000, call_id: uuid.UUID | None = None, impair: str | Network = ""
    ) -> None:
        self.rate = rate
        self.network = Network(impair) if isinstance(impair, str) else impair
        """What the audio goes through on its way to the server."""
        if not self.network.only_delays and not address.startswith("rtp://"):
            raise InvalidArgument(
                f"impairments {self.network.impair} on AudioSocket, wanted only delay, jitter and drift:"
                " a stream keeps order and loses nothing"
            )
        self.id = str(call_id or uuid.uuid4())
        self.heard = bytearray()
        """All audio that came back, 16-bit little-endian, at `heard_rate`."""
        self.heard_rate = rate
        self.frames = 0
        """Audio messages that came back."""
        self.arrivals: list[float] = []
        """When each of them came, in seconds of the event loop's clock."""
        self.ended = False
        """Whether the server hung up."""
        self._address = address
        self._way: Way | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._called = 0.0

    async def __aenter__(self) -> Self:
        if self._address.startswith("rtp://"):
            self._way = await Rtp.open(self._address, self.rate)
        else:
            self._way = await AudioSocket.open(self._address.removeprefix("audiosocket://"), self.rate, self.id)
        self._called = asyncio.get_running_loop().time()
        self._listening = asyncio.create_task(self._listen(self._way))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.hangup()

    def send(self, kind: int, payload: "Buffer" = b"") -> None:
        """Sends one message of AudioSocket as it is, also one that no phone would send."""
        assert isinstance(self._way, AudioSocket)
        self._way.send(message(kind, bytes(payload)))

    def press(self, digit: str) -> None:
        """Presses a key."""
        assert self._way is not None
        self._way.press(digit, self._since_called_ms())

    async def say(self, pcm: "Buffer", *, ptime_ms: int = 20, paced: bool = True) -> None:
        """Sends audio, one message each packet time; the last one may be short.

        Returns when the network has delivered what it does not lose. If it is not `paced`, all goes out at once, past
        the network.
        """
        assert self._way is not None
        data = bytes(pcm)
        step = self.rate * ptime_ms // 1000 * 2
        begin_ms = self._since_called_ms()
        under_way: list[tuple[float, int, bytes]] = []
        for index, at in enumerate(range(0, len(data), step)):
            sent_ms = begin_ms + index * ptime_ms
            frame = self._way.wrap(data[at : at + step], sent_ms)
            arrivals = self.network.send(sent_ms) if paced else [0.0]
            under_way += [(arrival_ms, len(under_way) + copy, frame) for copy, arrival_ms in enumerate(arrivals)]
        for arrival_ms, _, frame in sorted(under_way):
            if paced:
                await asyncio.sleep((arrival_ms - self._since_called_ms()) / 1000)
            self._way.send(frame)

    async def hear(self, *, ms: float, timeout: float = 10) -> bytes:
        """Waits until so much audio has come back since the call's start, and returns all of it."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: self.heard_ms >= ms or self.ended), timeout)
        return bytes(self.heard)

    async def messages(self) -> AsyncIterator[int]:
        """Counts audio messages as they come, until the server hangs up."""
        seen = 0
        while not self.ended:
            async with self._news:
                await self._news.wait_for(lambda: self.frames > seen or self.ended)  # noqa: B023
            seen = self.frames
            yield seen

    async def wait_ended(self, timeout: float = 10) -> None:
        """Waits until the server hangs up."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: self.ended), timeout)

    async def hangup(self) -> None:
        """Hangs up."""
        if self._way is not None:
            self._way.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    @property
    def heard_ms(self) -> float:
        """Milliseconds of audio that came back."""
        return len(self.heard) / 2 / self.heard_rate * 1000

    def _since_called_ms(self) -> float:
        return 1000 * (asyncio.get_running_loop().time() - self._called)

    async def _listen(self, way: Way) -> None:
        loop = asyncio.get_running_loop()
        async for rate, pcm in way.listen():
            self.heard_rate = rate
            self.heard += pcm
            self.frames += 1
            self.arrivals.append(loop.time())
            async with self._news:
                self._news.notify_all()
        self.ended = True
        async with self._news:
            self._news.notify_all()
