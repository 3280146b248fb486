"""A server with an event bus: every event of every call is there, whatever the loop and the handlers do."""

import asyncio
import threading
import time

import talkpath
from talkpath.bus import Event, EventBus
from talkpath.testing import Phone

LISTEN = "audiosocket://127.0.0.1:0"


async def test_a_calls_events_are_on_the_bus_though_nobody_reads_them() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless")
    ids: list[str] = []

    async def handler(session: talkpath.Session) -> None:
        ids.append(session.id)
        await session.output.write(bytes(16_000), rate=8_000, tag="greeting")
        session.output.mark("said")
        session.output.interrupt()

    async with talkpath.Server(handler, LISTEN, bus=bus) as server, Phone(server.address):
        events: list[Event] = []
        async for event in subscription:
            assert isinstance(event, Event)
            events.append(event)
            if event.kind == "session:ended":
                break
    assert {event.session for event in events} == set(ids)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [event.kind for event in events]
    assert kinds[0] == "session:started"
    assert events[0].data == {"encoding": "slin", "rate": 8000}
    assert "session:interrupted" in kinds
    told = events[kinds.index("session:interrupted")].data
    assert told["cause"] == "agent"
    assert told["receipt"]["segments"][0]["tag"] == "greeting"
    assert events[-1].data == {"reason": "agent_hangup"}


async def test_the_handler_gets_the_same_events() -> None:
    bus = EventBus()
    subscription = bus.subscribe(kind="session:*")
    heard: list[talkpath.Event] = []

    async def handler(session: talkpath.Session) -> None:
        events = session.events()
        await session.output.write(bytes(3_200), rate=8_000, tag="greeting")
        session.output.finish()
        async for event in events:
            heard.append(event)
            if isinstance(event, talkpath.Drained):
                asyncio.get_running_loop().create_task(session.hangup())

    async with talkpath.Server(handler, LISTEN, bus=bus) as server, Phone(server.address):
        published = []
        async for event in subscription:
            published.append(event.kind)
            if event.kind == "session:ended":
                break
        while not heard or not isinstance(heard[-1], talkpath.Ended):
            await asyncio.sleep(0)
    names = {
        talkpath.Started: "session:started",
        talkpath.PlaybackStarted: "session:playback_started",
        talkpath.Drained: "session:drained",
        talkpath.Ended: "session:ended",
    }
    assert [names[type(event)] for event in heard] == published


async def test_a_loop_that_stands_still_keeps_nobody_from_a_calls_events() -> None:
    bus = EventBus()
    subscription = bus.subscribe(kind="session:*")
    kinds: list[str] = []
    heard = threading.Event()

    def read() -> None:
        for event in subscription:
            kinds.append(event.kind)
            if event.kind == "session:playback_started":
                heard.set()

    async def handler(session: talkpath.Session) -> None:
        await session.output.write(bytes(1_600), rate=8_000)
        session.output.finish()
        # The loop stands still until the bus has said so; it would never say it itself.
        assert heard.wait(10)

    thread = threading.Thread(target=read)
    thread.start()
    began = time.monotonic()
    async with talkpath.Server(handler, LISTEN, bus=bus) as server, Phone(server.address):
        while "session:ended" not in kinds:
            assert time.monotonic() < began + 20
            await asyncio.sleep(0)
    subscription.close()
    thread.join(10)
    assert kinds.index("session:playback_started") > 0
