"""Whoever stops waiting takes nothing along: no frame and no event is lost by a cancelled wait."""

import asyncio
import random

import talkpath
from audio import noise
from talkpath.testing import Phone

LISTEN = "audiosocket://127.0.0.1:0"


async def test_no_frame_is_lost_by_waits_that_time_out() -> None:
    said = noise(1.0)
    heard: asyncio.Future[tuple[bytes, int]] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        frames, given_up = session.input(), 0
        pcm = bytearray()
        chance = random.Random(5)
        while True:
            try:
                # Now and then just when a frame comes, as frames come each 20 ms.
                frame = await asyncio.wait_for(anext(frames), chance.uniform(0.001, 0.022))
            except TimeoutError:
                given_up += 1
            except StopAsyncIteration:
                break
            else:
                pcm += frame.bytes()
        heard.set_result((bytes(pcm), given_up))

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(said)
        pcm, given_up = await heard
    assert given_up > 5
    assert pcm == said


async def test_no_event_is_lost_by_waits_that_are_cancelled() -> None:
    digits: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        events, got = session.events(), ""
        while True:
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.wait([waiting], timeout=0.002)
            if not waiting.done():
                waiting.cancel()
            try:
                event = await waiting
            except asyncio.CancelledError:
                continue
            if isinstance(event, talkpath.Dtmf):
                got += event.digit
            elif isinstance(event, talkpath.Ended):
                break
        digits.set_result(got)

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(bytes(320))
            for digit in "0123456789*#ABCD" * 4:
                phone.press(digit)
                await asyncio.sleep(0.003)
            await phone.hear(ms=100)
        assert await digits == "0123456789*#ABCD" * 4


async def test_a_reader_that_slept_gets_all_frames_without_waiting_for_each() -> None:
    said = noise(0.5)
    steps: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async for event in session.events():
            if isinstance(event, talkpath.Ended):
                break
        turns, counting = 0, True

        def count() -> None:
            nonlocal turns
            turns += 1
            if counting:
                session_loop.call_soon(count)

        session_loop = asyncio.get_running_loop()
        session_loop.call_soon(count)
        frames = [frame async for frame in session.input()]
        counting = False
        assert b"".join(frame.bytes() for frame in frames) == said
        steps.set_result(turns)

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(said)
        # Not one turn of the loop passed between the first frame and the last.
        assert await steps == 0


async def test_two_readers_share_the_frames() -> None:
    said = noise(0.4)
    shares: asyncio.Future[list[list[talkpath.Frame]]] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async def read() -> list[talkpath.Frame]:
            return [frame async for frame in session.input()]

        shares.set_result(await asyncio.gather(read(), read()))

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(said)
        one, other = await shares
    together = sorted([*one, *other], key=lambda frame: frame.position_ms)
    assert b"".join(frame.bytes() for frame in together) == said


async def test_a_cancelled_handler_ends_its_call() -> None:
    handlers: list[asyncio.Task[None] | None] = []

    async def agent(session: talkpath.Session) -> None:
        handlers.append(asyncio.current_task())
        await asyncio.Event().wait()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.say(bytes(320))
        while not handlers:
            await asyncio.sleep(0)
        assert handlers[0] is not None
        handlers[0].cancel()
        await phone.wait_ended()
        while server.sessions:
            await asyncio.sleep(0)
