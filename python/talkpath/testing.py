"""For tests of agents: a phone that calls a server over a real socket, as Asterisk would, however bad the network is.

async with talkpath.Server(agent, "audiosocket://127.0.0.1:0") as server:
    async with talkpath.testing.Phone(server.address, impair="jitter=40ms,seed=7") as phone:
        await phone.say(pcm)
        reply = await phone.hear(ms=500)

A `Network` is such a network on its own, without a clock: it says when packets arrive, the same for the same seed.
"""

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from talkpath._talkpath import Network
from talkpath.errors import InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Buffer

HANGUP: Final = 0x00
IDENTITY: Final = 0x01
DTMF: Final = 0x03
ERROR: Final = 0xFF
AUDIO_KINDS: Final = {
    8000: 0x10,
    12000: 0x11,
    16000: 0x12,
    24000: 0x13,
    32000: 0x14,
    44100: 0x15,
    48000: 0x16,
    96000: 0x17,
    192000: 0x18,
}
_RATES: Final = {kind: rate for rate, kind in AUDIO_KINDS.items()}

__all__ = ["AUDIO_KINDS", "DTMF", "ERROR", "HANGUP", "IDENTITY", "Network", "Phone"]


class Phone:
    """One call to an AudioSocket server: says PCM at the pace of speech, and hears what comes back.

    What it says goes through a network of the impairments `impair`. AudioSocket is a stream, which keeps order and
    loses nothing: only `delay`, `jitter` and `drift` are possible.
    """

    def __init__(
        self, address: str, *, rate: int = 8000, call_id: uuid.UUID | None = None, impair: str | Network = ""
    ) -> None:
        self.rate = rate
        self.network = Network(impair) if isinstance(impair, str) else impair
        """What the audio goes through on its way to the server."""
        if not self.network.only_delays:
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
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._called = 0.0

    async def __aenter__(self) -> Self:
        host, _, port = self._address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host.strip("[]"), int(port))
        self.send(IDENTITY, uuid.UUID(self.id).bytes)
        self._called = asyncio.get_running_loop().time()
        self._listening = asyncio.create_task(self._listen(self._reader))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.hangup()

    def send(self, kind: int, payload: "Buffer" = b"") -> None:
        """Sends one message as it is, also one that no phone would send."""
        data = bytes(payload)
        assert self._writer is not None
        self._writer.write(struct.pack(">BH", kind, len(data)) + data)

    def press(self, digit: str) -> None:
        """Presses a key."""
        self.send(DTMF, digit.encode("ascii"))

    async def say(self, pcm: "Buffer", *, ptime_ms: int = 20, paced: bool = True) -> None:
        """Sends audio, one message each packet time; the last one may be short.

        If it is not `paced`, all goes out at once, past the network.
        """
        data = memoryview(pcm).cast("B")
        step = self.rate * ptime_ms // 1000 * 2
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for index, at in enumerate(range(0, len(data), step)):
            if paced:
                sent = begin - self._called + index * ptime_ms / 1000
                (arrival_ms,) = self.network.send(1000 * sent)
                await asyncio.sleep(self._called + arrival_ms / 1000 - loop.time())
            self.send(AUDIO_KINDS[self.rate], data[at : at + step])

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
        if self._writer is not None:
            self._writer.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    @property
    def heard_ms(self) -> float:
        """Milliseconds of audio that came back."""
        return len(self.heard) / 2 / self.heard_rate * 1000

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                kind, length = struct.unpack(">BH", await reader.readexactly(3))
                payload = await reader.readexactly(length)
                if kind in _RATES:
                    self.heard_rate = _RATES[kind]
                    self.heard += payload
                    self.frames += 1
                    self.arrivals.append(loop.time())
                elif kind in (HANGUP, ERROR):
                    break
                async with self._news:
                    self._news.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.ended = True
        async with self._news:
            self._news.notify_all()
