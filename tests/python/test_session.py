"""A call over a real socket: what is said is heard, both ways, and both ends learn how it ended."""

import array
import asyncio
import cmath
import contextlib
import logging
import uuid
from itertools import pairwise

import pytest

import talkpath
from audio import find, noise, tone
from talkpath.testing import Phone

LISTEN = "audiosocket://127.0.0.1:0"


async def test_the_agent_hears_what_the_phone_says() -> None:
    said = noise(0.5)
    heard = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        frames = [frame async for frame in session.input()]
        heard.set_result(frames)

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(said)
        frames = await heard
    assert b"".join(frame.bytes() for frame in frames) == said
    assert [frame.position_ms for frame in frames] == [20.0 * index for index in range(25)]
    assert {(frame.rate, len(frame), frame.lost_ms) for frame in frames} == {(8000, 160, 0.0)}


async def test_the_phone_hears_what_the_agent_says() -> None:
    said = noise(0.5)

    async def agent(session: talkpath.Session) -> None:
        assert await session.output.write(said, rate=8000, tag="greeting")
        assert await session.output.drain()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.wait_ended()
        # All but the 5 ms of fading at either end is there, sample by sample.
        assert find(said[100:-100], bytes(phone.heard)) >= 0


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
async def test_the_wire_format_is_the_phones(rate: int) -> None:
    seen: asyncio.Future[tuple[str, int, int]] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        frame = await anext(session.input(rate=16000))
        seen.set_result((session.wire_encoding, session.wire_rate, frame.rate))
        await session.output.write(tone(0.2, 24000), rate=24000)

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address, rate=rate) as phone:
        await phone.say(tone(0.3, rate), paced=False)
        assert await seen == ("slin", rate, 16000)
        await phone.hear(ms=100)
        assert phone.heard_rate == rate


async def test_a_session_says_who_calls() -> None:
    call_id = uuid.uuid4()
    seen: asyncio.Future[talkpath.Session] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        seen.set_result(session)
        await session.hangup()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address, call_id=call_id) as phone:
        session = await seen
        assert session.id == str(call_id)
        assert session.transport == "audiosocket"
        assert session.peer.startswith("127.0.0.1:")
        assert str(call_id) in repr(session)
        await phone.wait_ended()


async def test_events_come_in_order_and_end_with_ended() -> None:
    events: list[talkpath.Event] = []
    done = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        await session.output.write(tone(0.2), rate=8000, tag="beep")
        session.output.mark("after the beep")
        async for event in session.events():
            events.append(event)
        done.set()

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            phone.press("5")
            await phone.hear(ms=1200)
        await done.wait()
    assert events[0] == talkpath.Started("slin", 8000)
    assert events[-1] == talkpath.Ended("caller_hangup")
    names = [type(event).__name__ for event in events]
    assert names.index("PlaybackStarted") < names.index("MarkPlayed")
    assert talkpath.MarkPlayed("after the beep") in events
    assert talkpath.PlaybackStarted("beep") in events
    assert "Drained" in names
    match next(event for event in events if isinstance(event, talkpath.Dtmf)):
        case talkpath.Dtmf("5"):
            pass
        case other:
            pytest.fail(f"{other}")


async def test_a_late_listener_gets_what_happened_before() -> None:
    got = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async for _ in session.input():
            pass
        got.set_result([event async for event in session.events()])
        assert [event async for event in session.events()] == [talkpath.Ended("caller_hangup")]

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(bytes(320 * 3))
        events = await got
    assert events[0] == talkpath.Started("slin", 8000)
    assert events[-1] == talkpath.Ended("caller_hangup")


async def test_a_returning_handler_hangs_up_after_its_last_word() -> None:
    said = noise(0.3)

    async def agent(session: talkpath.Session) -> None:
        await session.output.write(said, rate=8000)

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.wait_ended()
        assert find(said[100:-100], bytes(phone.heard)) >= 0


async def test_hangup_at_once_drops_what_waits() -> None:
    async def agent(session: talkpath.Session) -> None:
        await session.output.write(bytes(16000 * 60), rate=8000)
        await session.hangup(after_drain=False)
        assert session.end_reason == "agent_hangup"
        with pytest.raises(talkpath.SessionEnded):
            await session.output.write(b"", rate=8000)

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.wait_ended()
        assert phone.heard_ms < 5000


async def test_a_handler_that_raises_ends_its_call_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def agent(session: talkpath.Session) -> None:
        async for frame in session.input():
            if frame.level_dbfs > -30:
                raise LookupError("no such answer")

    with caplog.at_level(logging.ERROR, "talkpath.session"):
        async with (
            talkpath.Server(agent, LISTEN) as server,
            Phone(server.address) as good,
            Phone(server.address) as bad,
        ):
            await good.say(bytes(320))
            await bad.say(tone(0.1))
            await bad.wait_ended()
            before = good.heard_ms
            await good.hear(ms=before + 100)
            assert not good.ended
    (record,) = [record for record in caplog.records if record.name == "talkpath.session"]
    assert bad.id in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_one_calls_defect_reaches_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wake = talkpath.Session.wake

    def faulty(session: talkpath.Session) -> None:
        if session.wire_rate == 16000:
            raise ZeroDivisionError
        wake(session)

    monkeypatch.setattr(talkpath.Session, "wake", faulty)
    with caplog.at_level(logging.ERROR, "talkpath.session"):
        async with talkpath.Server(_silent, LISTEN) as server:
            async with Phone(server.address) as good, Phone(server.address, rate=16000) as bad:
                await good.say(bytes(320))
                await bad.say(bytes(640))
                await bad.wait_ended()
                await good.hear(ms=good.heard_ms + 100)
                assert not good.ended
            for session in server.sessions:
                if session.wire_rate == 16000:
                    wake(session)
    assert {record.getMessage() for record in caplog.records} == {f"call {bad.id}: cannot take its news"}


async def test_a_phone_that_hangs_up_while_the_agent_speaks_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        try:
            while True:
                await session.output.write(bytes(32000), rate=8000)
                await session.output.drain()
        finally:
            ended.set()

    with caplog.at_level(logging.WARNING, "talkpath"):
        async with talkpath.Server(agent, LISTEN) as server:
            async with Phone(server.address) as phone:
                await phone.say(bytes(320))
                await phone.hear(ms=200)
            await ended.wait()
    assert not caplog.records


async def test_a_session_stays_on_its_loop() -> None:
    checked = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="from a thread without an event loop"):
                session.output.try_write(b"")
            with pytest.raises(RuntimeError, match="from another event loop"):
                asyncio.run(session.hangup())

        await asyncio.to_thread(elsewhere)
        checked.set()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address):
        await checked.wait()


async def test_what_a_handler_did_not_read_in_time_is_told_and_counted() -> None:
    result: asyncio.Future[tuple[list[talkpath.Frame], talkpath.Stats]] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async for event in session.events():
            if isinstance(event, talkpath.Dtmf):
                break
        frames = [frame async for frame in session.input()]
        result.set_result((frames, session.stats()))

    async with talkpath.Server(agent, LISTEN, input_buffer_ms=200) as server:
        async with Phone(server.address) as phone:
            await phone.say(noise(1.0))
            phone.press("1")
            await phone.say(noise(0.2))
        frames, stats = await result
    lost = sum(frame.lost_ms for frame in frames)
    assert lost == stats.input_lost_ms == pytest.approx(800, abs=60)
    assert sum(frame.duration_ms for frame in frames) == pytest.approx(400, abs=60)
    # Positions tell the truth across the gap.
    assert frames[-1].position_ms == 1180


async def test_a_burst_plays_at_the_pace_of_speech() -> None:
    said = noise(1.0)

    async def agent(session: talkpath.Session) -> None:
        await session.output.write(said, rate=8000)

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.wait_ended()
    gaps = [b - a for a, b in pairwise(phone.arrivals)]
    assert len(gaps) >= 50
    assert sum(gaps) / len(gaps) == pytest.approx(0.02, rel=0.2)


async def test_floats_and_odd_bytes_are_refused_by_write() -> None:
    done = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        with pytest.raises(ValueError, match="3 bytes of PCM"):
            await session.output.write(b"abc", rate=8000)
        with pytest.raises(TypeError, match="audio as floats"):
            await session.output.write(array.array("f", [0.5]), rate=8000)
        with pytest.raises(ValueError, match="7999 Hz"):
            session.output.try_write(b"", rate=7999)
        done.set()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address):
        await done.wait()


async def test_stats_count_frames() -> None:
    stats: asyncio.Future[talkpath.Stats] = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async for _ in session.input():
            pass
        stats.set_result(session.stats())

    async with talkpath.Server(agent, LISTEN) as server:
        async with Phone(server.address) as phone:
            await phone.say(bytes(320 * 10))
        counted = await stats
        assert server.stats()["calls_began"] == 1
    assert counted.frames_received == 10
    assert counted.frames_sent >= 9
    assert counted.input_lost_ms == 0
    assert counted.network is None


async def test_keys_are_played_as_tones() -> None:
    heard = asyncio.Event()

    async def agent(session: talkpath.Session) -> None:
        with pytest.raises(ValueError, match="key 'x'"):
            session.output.send_dtmf("1x")
        with pytest.raises(talkpath.LimitExceeded, match="65 keys where 64 may wait"):
            session.output.send_dtmf("1" * 65)
        session.output.send_dtmf("5#")
        await heard.wait()

    async with talkpath.Server(agent, LISTEN) as server, Phone(server.address) as phone:
        await phone.say(bytes(320))
        pcm = array.array("h", await phone.hear(ms=800))
        heard.set()
    begins = next(i for i, sample in enumerate(pcm) if abs(sample) > 500)
    assert [_key(pcm[begins + i + 100 : begins + i + 700]) for i in (0, 1600)] == ["5", "#"]
    assert max(map(abs, pcm[begins + 820 : begins + 1500])) == 0


def _key(pcm: "array.array[int]") -> str:
    """The key whose tones are the loudest."""

    def level(hz: int) -> float:
        turns = [2j * cmath.pi * hz * i / 8000 for i in range(len(pcm))]
        return abs(sum(sample * cmath.exp(turn) for sample, turn in zip(pcm, turns, strict=True)))

    low = max((697, 770, 852, 941), key=level)
    high = max((1209, 1336, 1477, 1633), key=level)
    rows = {697: "123A", 770: "456B", 852: "789C", 941: "*0#D"}
    return rows[low][(1209, 1336, 1477, 1633).index(high)]


async def test_closing_ends_calls_in_peace() -> None:
    reasons = []

    async def agent(session: talkpath.Session) -> None:
        async for event in session.events():
            if isinstance(event, talkpath.Ended):
                reasons.append(event.reason)

    async with talkpath.Server(agent, LISTEN) as server, contextlib.AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(Phone(server.address)) for _ in range(5)]
        for phone in phones:
            await phone.hear(ms=20)
        while len(server.sessions) < 5:
            await asyncio.sleep(0)
        await server.close(grace_s=1)
        for phone in phones:
            await phone.wait_ended()
    assert reasons == ["server_stopping"] * 5


def test_a_wrong_address_is_named() -> None:
    for listen in ("http://127.0.0.1:1", "127.0.0.1", "audiosocket://127.0.0.1:x", "audiosocket://127.0.0.1:1/path"):
        with pytest.raises(ValueError, match="wanted audiosocket://HOST:PORT"):
            talkpath.Server(_silent, listen)


async def test_an_address_in_use_is_an_os_error() -> None:
    async with talkpath.Server(_silent, LISTEN) as server:
        with pytest.raises(OSError, match="in use"):
            async with talkpath.Server(_silent, f"audiosocket://{server.address}"):
                pass


async def test_options_are_checked() -> None:
    with pytest.raises(TypeError, match='option "volume"'):
        async with talkpath.Server(_silent, LISTEN, volume=11):  # type: ignore[call-arg]
            pass
    with pytest.raises(ValueError, match="codec ulaw at 8000 Hz, wanted slin"):
        async with talkpath.Server(_silent, LISTEN, codec="ulaw"):
            pass
    with pytest.raises(ValueError, match="playout"):
        async with talkpath.Server(_silent, LISTEN, playout="now"):
            pass
    with pytest.raises(ValueError, match="ptime"):
        async with talkpath.Server(_silent, LISTEN, ptime_ms=15):
            pass
    with pytest.raises(ValueError, match='echo canceller "loud"'):
        async with talkpath.Server(_silent, LISTEN, echo_canceller="loud"):  # type: ignore[arg-type]
            pass
    async with talkpath.Server(_silent, LISTEN, echo_canceller="off"):
        pass


async def _silent(session: talkpath.Session) -> None:
    async for _ in session.input():
        pass
