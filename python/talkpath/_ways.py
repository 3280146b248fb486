"""How `testing.Phone` reaches a server: AudioSocket over TCP, or RTP over UDP.

A way makes messages of audio and keys, sends them, and tells the phone what comes back. When they are sent is the
phone's business. It keeps to what a phone does, and checks nothing: the server under test does.
"""

import asyncio
import random
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from talkpath._talkpath import Decoder, Encoder
from talkpath.errors import InvalidArgument, TalkpathOSError

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


class Way(Protocol):
    """One call's way to the server."""

    def wrap(self, pcm: bytes, sent_ms: float) -> bytes:
        """The message of a frame that is sent so long after the call began."""

    def send(self, message: bytes) -> None:
        """Sends a message."""

    def press(self, digit: str, sent_ms: float) -> None:
        """Presses a key."""

    def listen(self) -> AsyncIterator[tuple[int, bytes]]:
        """What comes, as its rate and PCM, until the server hangs up."""

    def close(self) -> None:
        """Hangs up."""


class AudioSocket:
    """A stream: keeps order and loses nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: int) -> None:
        self._reader = reader
        self._writer = writer
        self._kind = AUDIO_KINDS[rate]

    @classmethod
    async def open(cls, address: str, rate: int, call_id: str) -> "AudioSocket":
        """Connects and says who calls."""
        host, _, port = address.rpartition(":")
        way = cls(*await asyncio.open_connection(host.strip("[]"), int(port)), rate)
        way.send(message(IDENTITY, uuid.UUID(call_id).bytes))
        return way

    def wrap(self, pcm: bytes, sent_ms: float) -> bytes:
        return message(self._kind, pcm)

    def send(self, message: bytes) -> None:
        self._writer.write(message)

    def press(self, digit: str, sent_ms: float) -> None:
        self.send(message(DTMF, digit.encode("ascii")))

    async def listen(self) -> AsyncIterator[tuple[int, bytes]]:
        try:
            while True:
                kind, length = struct.unpack(">BH", await self._reader.readexactly(3))
                payload = await self._reader.readexactly(length)
                if kind in _RATES:
                    yield _RATES[kind], payload
                elif kind in (HANGUP, ERROR):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    def close(self) -> None:
        self._writer.close()


class Rtp:
    """Datagrams: mu-law at 8 kHz, G.722 at 16, linear at others, keys as telephone events, and a goodbye at the end."""

    # In this order a rate finds what is sent at it.
    _CODECS: Final = {0: ("ulaw", 8000), 8: ("alaw", 8000), 9: ("g722", 16000), 10: ("slin_be", 8000)} | {
        number: ("slin_be", rate)
        for number, rate in ((118, 16000), (122, 12000), (123, 24000), (124, 32000), (125, 44100), (126, 48000))
    }
    _EVENT: Final = 101
    _KEYS: Final = "0123456789*#ABCD"

    def __init__(self, rate: int) -> None:
        self._type = next((number for number, (_, its_rate) in self._CODECS.items() if its_rate == rate), -1)
        if self._type < 0:
            rates = sorted({rate for _, rate in self._CODECS.values()})
            raise InvalidArgument(f"rate of {rate} over RTP, wanted one of {', '.join(map(str, rates))}")
        name, _ = self._CODECS[self._type]
        self._encoder = Encoder(name, rate)
        # RTP counts at 8 kHz for G.722, by an error that had to be kept.
        self._clock = 8000 if name == "g722" else rate
        self._ssrc, self._sequence, self._start = (random.getrandbits(bits) for bits in (32, 16, 32))
        self._media: asyncio.DatagramTransport | None = None
        self._reports: asyncio.DatagramTransport | None = None
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()

    @classmethod
    async def open(cls, address: str, rate: int) -> "Rtp":
        """Opens a pair of ports; the call begins with what is said first."""
        way = cls(rate)
        host, _, ports = address.removeprefix("rtp://").rpartition(":")
        host, port = host.strip("[]"), int(ports.partition("-")[0])
        loop = asyncio.get_running_loop()
        local = "::1" if ":" in host else "0.0.0.0"
        for _ in range(64):
            media, _ = await loop.create_datagram_endpoint(
                lambda: _Listener(way._media_came), local_addr=(local, 0), remote_addr=(host, port)
            )
            own = media.get_extra_info("sockname")[1]
            try:
                # The server sends its reports to the port above: without them no goodbye of its would be heard.
                way._reports, _ = await loop.create_datagram_endpoint(
                    lambda: _Listener(way._report_came), local_addr=(local, own + 1), remote_addr=(host, port + 1)
                )
            except OSError:
                media.close()
                continue
            way._media = media
            return way
        raise TalkpathOSError("no two UDP ports in a row are free")

    def wrap(self, pcm: bytes, sent_ms: float) -> bytes:
        return self._packet(self._type, sent_ms, self._encoder.encode(pcm))

    def send(self, message: bytes) -> None:
        assert self._media is not None
        self._media.sendto(message)

    def press(self, digit: str, sent_ms: float) -> None:
        # A tenth of a second, told of five times, and its end three times: any of them may get lost.
        code = self._KEYS.index(digit)
        for step in range(1, 9):
            ends, lasted = step > 5, min(step, 6) * self._clock // 50
            event = struct.pack(">BBH", code, 0x80 * ends | 10, lasted)
            self.send(self._packet(self._EVENT, sent_ms, event, marker=step == 1))

    async def listen(self) -> AsyncIterator[tuple[int, bytes]]:
        decoders: dict[int, Decoder] = {}
        while (packet := await self._came.get()) is not None:
            number = packet[1] & 0x7F
            if number in self._CODECS:
                decoder = decoders.setdefault(number, Decoder(*self._CODECS[number]))
                yield decoder.rate, decoder.decode(packet[12 + 4 * (packet[0] & 15) :])

    def close(self) -> None:
        if self._media is None or self._reports is None:
            return
        # An empty receiver report, and a goodbye (RFC 3550, section 6.6).
        self._reports.sendto(struct.pack(">BBHIBBHI", 0x80, 201, 1, self._ssrc, 0x81, 203, 1, self._ssrc))
        self._media.close()
        self._reports.close()
        self._media = self._reports = None

    def _packet(self, number: int, sent_ms: float, payload: bytes, *, marker: bool = False) -> bytes:
        timestamp = (self._start + round(sent_ms * self._clock / 1000)) % 2**32
        header = struct.pack(">BBHII", 0x80, 0x80 * marker | number, self._sequence, timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) % 2**16
        return header + payload

    def _media_came(self, datagram: bytes) -> None:
        if len(datagram) > 12 and datagram[0] >> 6 == 2:
            self._came.put_nowait(datagram)

    def _report_came(self, datagram: bytes) -> None:
        at = 0
        while at + 4 <= len(datagram):
            _, kind, words = struct.unpack_from(">BBH", datagram, at)
            if kind == 203:
                self._came.put_nowait(None)
            at += 4 * (words + 1)


class _Listener(asyncio.DatagramProtocol):
    """Hands datagrams on; a port that refuses is as good as one that is silent."""

    def __init__(self, came: Callable[[bytes], None]) -> None:
        self._came = came

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._came(data)


def message(kind: int, payload: bytes) -> bytes:
    """One message of AudioSocket."""
    return struct.pack(">BH", kind, len(payload)) + payload
