"""After an interruption, what was on its way is refused, and what answers the caller is not."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from importlib.resources import files

import pytest

import talkpath
from audio import tone
from talkpath.testing import Phone

LISTEN = "audiosocket://127.0.0.1:0"
SECOND = bytes(16000)


def in_a_call(script: Callable[[talkpath.Session], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Runs `script` as the agent of one call, in which the phone is silent."""

    async def test() -> None:
        result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def agent(session: talkpath.Session) -> None:
            try:
                await script(session)
            except BaseException as error:
                result.set_exception(error)
                raise
            result.set_result(None)

        async with talkpath.Server(agent, LISTEN, output_limit_bytes=1 << 20) as server, Phone(server.address):
            await result

    return test


@in_a_call
async def test_a_tag_is_retired_by_the_interruption(session: talkpath.Session) -> None:
    output = session.output
    assert await output.write(SECOND, rate=8000, tag="one")
    receipt = output.interrupt()
    assert [segment.tag for segment in receipt.segments] == ["one"]
    assert receipt.received_ms == 1000
    assert receipt.played_ms + receipt.discarded_ms == pytest.approx(1000)
    assert not await output.write(SECOND, rate=8000, tag="one")
    assert output.try_write(SECOND, rate=8000, tag="one") == 0
    assert await output.write(SECOND, rate=8000, tag="two")


@in_a_call
async def test_an_untagged_write_of_a_task_that_does_not_know_is_refused(session: talkpath.Session) -> None:
    output = session.output
    wrote, interrupted = asyncio.Event(), asyncio.Event()

    async def speak() -> list[bool]:
        first = await output.write(SECOND, rate=8000)
        wrote.set()
        await interrupted.wait()
        return [first, await output.write(SECOND, rate=8000), await asyncio.wait_for(output.write(SECOND), 5)]

    speaking = asyncio.create_task(speak())
    await wrote.wait()
    output.interrupt()
    interrupted.set()
    assert await speaking == [True, False, False]
    # The task that interrupted knows what it did.
    assert await output.write(SECOND, rate=8000)


@in_a_call
async def test_who_has_read_of_the_interruption_may_speak(session: talkpath.Session) -> None:
    output = session.output
    wrote = asyncio.Event()

    async def speak() -> list[bool]:
        results = [await output.write(SECOND, rate=8000)]
        wrote.set()
        async for event in session.events():
            if isinstance(event, talkpath.Interrupted):
                assert event.cause == "agent"
                break
        return [*results, await output.write(SECOND, rate=8000)]

    speaking = asyncio.create_task(speak())
    await wrote.wait()
    output.interrupt()
    assert await speaking == [True, True]


@in_a_call
async def test_a_write_that_waits_for_room_is_refused_when_interrupted(session: talkpath.Session) -> None:
    output = session.output

    async def speak() -> bool:
        return await output.write(bytes(4 << 20), rate=8000, tag="long")

    speaking = asyncio.create_task(speak())
    while output.buffered_bytes < 1 << 19:
        await asyncio.sleep(0)
    assert not speaking.done()
    output.interrupt()
    assert await speaking is False
    assert output.buffered_bytes == 0


@in_a_call
async def test_a_cancelled_write_lets_the_next_one_in(session: talkpath.Session) -> None:
    output = session.output
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(output.write(bytes(4 << 20), rate=8000, tag="long"), 0.05)
    output.interrupt()
    assert await output.write(SECOND, rate=8000, tag="short")


@in_a_call
async def test_try_write_says_how_much_it_took(session: talkpath.Session) -> None:
    output = session.output
    took = output.try_write(bytes(4 << 20), rate=8000)
    assert 0 < took <= 1 << 19
    assert output.limit_bytes == 1 << 20
    assert output.buffered_ms == pytest.approx(took / 8, abs=50)


@in_a_call
async def test_pause_keeps_what_waits(session: talkpath.Session) -> None:
    output = session.output
    output.pause()
    assert output.paused
    await output.write(tone(0.1), rate=8000, tag="beep")
    output.finish()
    assert output.position.played_ms == 0
    output.resume()
    assert await output.drain()
    assert output.position.played_ms == pytest.approx(100)


@in_a_call
async def test_drain_says_whether_it_was_interrupted(session: talkpath.Session) -> None:
    output = session.output
    await output.write(SECOND, rate=8000)
    draining = asyncio.create_task(output.drain())
    await asyncio.sleep(0)
    output.interrupt()
    assert await draining is False


@pytest.mark.parametrize("tag", ["", "reply"])
async def test_a_turn_of_the_caller_makes_writes_fresh(tag: str) -> None:
    results: list[bool] = []
    done = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        results.append(await session.output.write(bytes(160000), rate=8000, tag=tag))
        events = session.events()
        known = asyncio.create_task(_until(events, talkpath.Interrupted))
        await known
        # Another task has read of it, this one has not.
        results.append(await session.output.write(SECOND, rate=8000, tag=tag))
        await asyncio.create_task(_until(events, talkpath.SpeechStopped))
        results.append(await session.output.write(SECOND, rate=8000, tag=tag))
        done.set()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.hear(ms=500)
        await phone.say(_speech())
        await phone.say(bytes(16000))
        await done.wait()
    assert results == [True, False, True]


async def _until(events: "talkpath.Events", kind: type) -> None:
    async for event in events:
        if isinstance(event, kind):
            return


def _speech() -> bytes:
    with files("talkpath").joinpath("data/question.wav").open("rb") as file, wave.open(file) as recording:
        return recording.readframes(recording.getnframes())
