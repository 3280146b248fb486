"""Calls over Asterisk's chan_websocket, against another implementation of WebSocket, whichever side connects."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

import talkpath
from audio import find, noise
from channel import Channel

LISTEN = "ws://agent:sesame@127.0.0.1:0/media"
ID = "32966726-4388-456b-a333-fdf5dbecc60d"


async def echo(session: talkpath.Session) -> None:
    async for frame in session.input():
        await session.output.write(frame)


@asynccontextmanager
async def dialled(server: talkpath.Server, query: str = "") -> AsyncIterator[Channel]:
    """A channel that connects to the server, as Asterisk's do with a section of websocket_client.conf."""
    url = f"ws://agent:sesame@{server.address}/media{query}"
    async with connect(url, subprotocols=["media"]) as connection:  # type: ignore[list-item]
        assert connection.subprotocol == "media"
        async with Channel(connection) as channel:
            yield channel


@asynccontextmanager
async def waiting() -> AsyncIterator[tuple[str, "asyncio.Future[Channel]"]]:
    """Where a channel waits to be connected to, and the channel once that is done."""
    channel: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.path == f"/media/{ID}"
        async with Channel(connection, ID) as here:
            channel.set_result(here)
            await here.wait_closed()

    async with serve(answer, "127.0.0.1", 0, subprotocols=["media"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/media/{ID}", channel


async def test_a_channel_that_connects_hears_itself() -> None:
    said = noise(0.5)
    async with talkpath.Server(echo, LISTEN) as server, dialled(server, f"?id={ID}") as channel:
        await channel.say(said)
        await channel.wait_until(lambda: find(said[200:-400], bytes(channel.heard)) >= 0)
        (session,) = server.sessions
        assert (session.id, session.transport, session.wire_encoding, session.wire_rate) == (
            ID,
            "websocket",
            "slin",
            8000,
        )


async def test_a_server_calls_out_and_the_handler_gets_the_call() -> None:
    said = noise(0.5)
    async with waiting() as (url, connected), talkpath.Server(echo, None) as server:
        session = await server.connect(url)
        assert (session.id, session.transport, session.peer) == (ID, "websocket", url.split("/")[2])
        channel = await connected
        await channel.say(said)
        await channel.wait_until(lambda: find(said[200:-400], bytes(channel.heard)) >= 0)
        await session.hangup()
        await channel.wait_closed()
        assert (channel.commands[-1], channel.close_code) == ("HANGUP", 1000)


async def test_one_call_is_carried_to_its_end() -> None:
    ended = []

    async def greet(session: talkpath.Session) -> None:
        await session.output.write(noise(0.2), rate=8000, tag="greeting")
        await session.output.drain()
        receipt = session.output.position
        ended.append((receipt.certainty, receipt.segments[0].played_ms))

    async with waiting() as (url, connected):
        await talkpath.connect(greet, url)
        channel = await connected
        await channel.wait_closed()
    assert channel.commands[-1] == "HANGUP"
    assert ended == [("acked", 200.0)], "what was played is what the channel says"


async def test_every_key_arrives_once() -> None:
    keys = []

    async def listen(session: talkpath.Session) -> None:
        async for event in session.events():
            if isinstance(event, talkpath.Dtmf):
                keys.append(event.digit)
                if event.digit == "#":
                    return

    async with talkpath.Server(listen, LISTEN) as server, dialled(server) as channel:
        await channel.press("1590*A#")
        await channel.wait_closed()
    assert "".join(keys) == "1590*A#"


async def test_an_interruption_is_said_to_the_channel() -> None:
    receipts = []

    async def talk(session: talkpath.Session) -> None:
        await session.output.write(noise(5), rate=8000, tag="speech")
        async for event in session.events():
            if isinstance(event, talkpath.Dtmf):
                receipts.append(session.output.interrupt())
                return

    async with talkpath.Server(talk, LISTEN) as server, dialled(server) as channel:
        await channel.wait_until(lambda: any(channel.heard))
        await channel.press("1")
        await channel.wait_closed()
        assert "FLUSH_MEDIA" in channel.commands
    (receipt,) = receipts
    assert receipt.certainty == "acked"
    assert 0 < receipt.segments[0].played_ms < 5000


async def test_an_attempt_that_fails_raises_what_it_is() -> None:
    async with talkpath.Server(echo, None, handshake_timeout_s=0.2) as server:
        async with serve(lambda _: asyncio.sleep(10), "127.0.0.1", 0) as mute:
            port = mute.sockets[0].getsockname()[1]
            with pytest.raises(talkpath.Timeout, match="MEDIA_START"):
                await server.connect(f"ws://127.0.0.1:{port}/media/1")
        with pytest.raises(OSError, match=r"127\.0\.0\.1") as refused:
            await server.connect(f"ws://127.0.0.1:{port}/media/1")
        assert refused.value.errno == errno.ECONNREFUSED
        with pytest.raises(talkpath.InvalidArgument, match="TLS"):
            await server.connect("wss://127.0.0.1/media/1")
    async with talkpath.Server(echo, "audiosocket://127.0.0.1:0") as server:
        with pytest.raises(talkpath.InvalidArgument, match="makes no calls"):
            await server.connect("ws://127.0.0.1:9/media/1")


async def test_strangers_are_turned_away() -> None:
    async with talkpath.Server(echo, LISTEN) as server:
        for url, status in [
            (f"ws://{server.address}/media", 401),
            (f"ws://agent:wrong@{server.address}/media", 401),
            (f"ws://agent:sesame@{server.address}/", 404),
        ]:
            with pytest.raises(InvalidStatus) as refused:
                await connect(url)
            assert refused.value.response.status_code == status
        assert server.stats()["connections_rejected"] == 3
        assert "sesame" not in repr(server.address)
