"""Calls over RTP from Python: which port a call has, which is kept for it, and what its numbers stand for."""

import asyncio
import contextlib
import socket
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import talkpath

LISTEN = "rtp://127.0.0.1:0"


class Peer:
    """An RTP peer that sends silence and hears what comes back."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("rtp://").rpartition(":")
        self._to = (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, payload_type: int, payload: bytes, count: int = 1) -> None:
        for _ in range(count):
            header = struct.pack(">BBHII", 0x80, payload_type, self._number, self._number * 160, 7)
            self._socket.sendto(header + payload, self._to)
            self._number += 1

    async def hear(self, payload_type: int) -> bytes:
        """The payload of the next packet under that number."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while True:
                packet = await loop.sock_recv(self._socket, 2048)
                if packet[1] & 0x7F == payload_type:
                    return packet[12:]


async def wait_ended(session: talkpath.Session) -> None:
    """Waits until the call is over."""
    async for _ in session.events():
        pass


@contextmanager
def peer_of(address: str) -> Iterator[Peer]:
    """A peer until the block ends."""
    with contextlib.closing(Peer(address)) as peer:
        yield peer


async def test_a_call_is_known_by_the_port_that_was_kept_for_it() -> None:
    call_id = str(uuid.uuid4())
    sessions: asyncio.Queue[talkpath.Session] = asyncio.Queue()

    async def agent(session: talkpath.Session) -> None:
        sessions.put_nowait(session)
        await wait_ended(session)

    async with talkpath.Server(agent, LISTEN) as server:
        address = server.expect(call_id)
        assert server.address == f"rtp://{address}"
        with pytest.raises(ValueError, match="no other call"):
            server.expect(call_id)
        with pytest.raises(talkpath.LimitExceeded, match="all 1 ports"):
            server.expect(str(uuid.uuid4()))
        with peer_of(address) as peer:
            peer.send(0, b"\xff" * 160, 3)
            session = await sessions.get()
            assert (session.id, session.local) == (call_id, address)
            await peer.hear(0)


async def test_a_port_cannot_be_kept_where_calls_share_one() -> None:
    async def agent(_: talkpath.Session) -> None: ...

    async with talkpath.Server(agent, "audiosocket://127.0.0.1:0") as server:
        with pytest.raises(ValueError, match="a port for each call"):
            server.expect(str(uuid.uuid4()))


@pytest.mark.parametrize(("agreed", "answer"), [({}, 9), ({118: "slin16"}, 118), ({9: None, 118: "L16/16000"}, 118)])
async def test_numbers_that_were_agreed_upon_are_answered_alike(agreed: dict[int, str | None], answer: int) -> None:
    async def agent(session: talkpath.Session) -> None:
        await wait_ended(session)

    async with talkpath.Server(agent, LISTEN, payload_types=agreed) as server:
        with peer_of(server.address) as peer:
            peer.send(118, bytes(640), 3)
            await peer.hear(answer)


async def test_without_a_number_keys_are_tones() -> None:
    async def agent(session: talkpath.Session) -> None:
        session.output.send_dtmf("5")
        await wait_ended(session)

    async with talkpath.Server(agent, LISTEN, payload_types={101: None}) as server:
        with peer_of(server.address) as peer:
            peer.send(0, b"\xff" * 160, 3)
            while set(await peer.hear(0)) == {0xFF}:
                pass


@pytest.mark.parametrize("agreed", [{118: "slin7"}, {70: "ulaw"}, {200: "ulaw"}])
async def test_numbers_that_cannot_be_are_refused(agreed: dict[int, str | None]) -> None:
    async def agent(_: talkpath.Session) -> None: ...

    with pytest.raises(ValueError, match="wanted"):
        async with talkpath.Server(agent, LISTEN, payload_types=agreed):
            pass
