"""The event bus from Python: the contract of old, subscriptions, policies, threads, loops."""

import asyncio
import gc
import json
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import talkpath
from talkpath.bus import Event, EventBus, Gap, Subscription


def numbers(items: list[Event | Gap]) -> list[int]:
    return [item.sequence for item in items if isinstance(item, Event)]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# The contract of old.


def test_callbacks_get_type_and_data_by_reference() -> None:
    bus, got = EventBus(), []
    data = object()

    def cb(event_type: str, data: object) -> None:
        got.append((event_type, data))

    bus.subscribe("call-1", cb)
    bus.publish("call-1", "console", data)
    bus.publish(session_id="call-1", event_type="nothing")
    bus.publish("call-2", "console", data)
    assert got == [("console", data), ("nothing", None)]
    assert got[0][1] is data
    bus.unsubscribe("call-1", cb)
    bus.unsubscribe("call-1", cb)
    bus.unsubscribe("nobody")
    bus.publish("call-1", "console", data)
    assert len(got) == 2


def test_a_session_has_many_callbacks_and_its_name_is_no_pattern() -> None:
    bus, got = EventBus(), []
    bus.subscribe("call-*", lambda *event: got.append("star"))
    bus.subscribe("call-1", lambda *event: got.append("first"))
    bus.subscribe("call-1", lambda *event: got.append("second"))
    bus.publish("call-1", "x", None)
    assert got == ["first", "second"]
    bus.unsubscribe("call-1")
    bus.publish("call-1", "x", None)
    assert got == ["first", "second"]


def test_there_is_one_instance() -> None:
    found: list[EventBus] = []
    threads = [in_thread(lambda: found.append(EventBus.instance())) for _ in range(8)]
    for thread in threads:
        thread.join()
    assert set(found) == {talkpath.EventBus.instance()}


def test_what_a_callback_publishes_comes_after_what_it_was_called_with_for_everyone() -> None:
    bus, first, second = EventBus(), [], []

    def eager(event_type: str, data: int) -> None:
        first.append(data)
        if data < 3:
            bus.publish("s", "x", data + 1)

    bus.subscribe("s", eager)
    bus.subscribe("s", lambda event_type, data: second.append(data))
    bus.publish("s", "x", 1)
    assert first == [1, 2, 3]
    assert second == [1, 2, 3]


def test_a_callback_may_subscribe_and_unsubscribe() -> None:
    bus, got = EventBus(), []

    def once(event_type: str, data: int) -> None:
        got.append(data)
        bus.unsubscribe("s", once)
        bus.subscribe("s", lambda event_type, data: got.append(-data))
        bus.publish("s", "x", 2)

    bus.subscribe("s", once)
    bus.publish("s", "x", 1)
    assert got == [1, -2]


def test_an_exception_in_a_callback_is_logged_and_reaches_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    bus, got = EventBus(), []

    def fails(event_type: str, data: int) -> None:
        raise LookupError("no such thing")

    bus.subscribe("s", fails)
    bus.subscribe("s", lambda event_type, data: got.append(data))
    with caplog.at_level(logging.ERROR, "talkpath.bus"):
        assert [bus.publish("s", "x", number) for number in (1, 2)] == [1, 2]
    assert got == [1, 2]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError, LookupError]


def test_an_exit_from_a_callback_is_one_and_loses_nothing() -> None:
    bus, got = EventBus(), []
    arrived = threading.Event()

    def leaves(event_type: str, data: int) -> None:
        if data == 1:
            raise KeyboardInterrupt
        got.append(data)
        arrived.set()

    bus.subscribe("s", leaves)
    bus.subscribe("s", lambda event_type, data: bus.publish("s", "x", 2) if data == 1 else None)
    with pytest.raises(KeyboardInterrupt):
        bus.publish("s", "x", 1)
    assert arrived.wait(10)
    assert got == [2]


def test_callbacks_of_one_subscriber_never_overlap() -> None:
    bus = EventBus()
    state = {"inside": 0, "calls": 0}
    done = threading.Event()

    def cb(event_type: str, data: int) -> None:
        state["inside"] += 1
        assert state["inside"] == 1
        state["calls"] += 1
        state["inside"] -= 1
        if state["calls"] == 8_000:
            done.set()

    bus.subscribe("s", cb)
    threads = [in_thread(lambda: [bus.publish("s", "x", 0) for _ in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert done.wait(10)


def test_typed_callbacks_get_events_of_all_that_matches() -> None:
    bus, got = EventBus(), []
    listener = bus.subscribe("call-*", "voice:*", callback=got.append)
    bus.publish("call-1", "voice:status", {"talking": True})
    bus.publish("call-1", "console", "no")
    bus.publish("call-2", "voice:status", {"talking": False})
    assert [(event.session, event.kind, event.sequence, event.data["talking"]) for event in got] == [
        ("call-1", "voice:status", 1, True),
        ("call-2", "voice:status", 1, False),
    ]
    listener.close()
    bus.publish("call-1", "voice:status", None)
    assert len(got) == 2


# Subscriptions.


async def test_events_arrive_in_order_with_what_they_say() -> None:
    bus = EventBus()
    subscription = bus.subscribe("call-1", policy="lossless", capacity=100)
    thread = in_thread(lambda: [bus.publish("call-1", "console", {"n": n}) for n in range(5_000)])
    got = []
    async for event in subscription:
        assert isinstance(event, Event)
        got.append(event.data["n"])
        assert event.sequence == len(got)
        if len(got) == 5_000:
            break
    thread.join()
    assert got == list(range(5_000))
    assert event.session == "call-1"
    assert event.kind == "console"
    assert event.time_us > 1_700_000_000_000_000
    assert repr(event) == "<talkpath.bus.Event 5000 of call-1: console>"


async def test_batches() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless", capacity=100)
    thread = in_thread(lambda: [bus.publish("s", "k", n) for n in range(5_000)])
    got: list[int] = []
    async for batch in subscription.batches(max_events=60):
        assert 1 <= len(batch) <= 60
        got += numbers(batch)
        if len(got) == 5_000:
            break
    thread.join()
    assert got == list(range(1, 5_001))


def test_threads_iterate_and_read() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    assert subscription.read(timeout=0.001) == []
    got: list[int] = []

    def read() -> None:
        got.extend(event.sequence for event in subscription if isinstance(event, Event))

    thread = in_thread(read)
    for _ in range(1_000):
        bus.publish("s", "k")
    while len(got) < 1_000:
        assert thread.is_alive()
        thread.join(0.001)
    subscription.close()
    thread.join(10)
    assert not thread.is_alive()
    assert got == list(range(1, 1_001))
    another = bus.subscribe()
    bus.publish("s", "k")
    assert numbers(another.read()) == [1_001]


def test_a_gap_says_exactly_what_was_dropped() -> None:
    bus = EventBus()
    subscription = bus.subscribe("s", "wanted", capacity=2)
    for _ in range(4):
        bus.publish("s", "wanted")
        bus.publish("s", "other")
    gap, *events = subscription.drain()
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.session, gap.count, gap.first_sequence, gap.last_sequence) == ("bus:gap", "s", 2, 1, 3)
    assert repr(gap) == "<talkpath.bus.Gap 2 of s, between 1 and 3>"
    assert numbers(events) == [5, 7]
    assert subscription.stats() == {"waiting": 0, "waiting_bytes": 0, "dropped": 2, "conflated": 0}


def test_conflation_keeps_the_newest() -> None:
    bus = EventBus()
    meter = bus.subscribe(policy="conflate")
    for level in range(100):
        bus.publish("s", "voice:mic_level", level)
    (event,) = meter.drain()
    assert isinstance(event, Event)
    assert event.data == 99


def test_data_by_reference_and_as_json() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    sent: list[Any] = [{"text": "grüß", "raw": b"\x00", "odd": {1}}, "text", b"\x01\x02", None, 1.5]
    for data in sent:
        bus.publish("s", "k", data)
    events = [event for event in subscription.drain() if isinstance(event, Event)]
    for event, data in zip(events, sent, strict=True):
        assert event.data is data
    said = [json.loads(event.json()) for event in events]
    assert said == [
        {"text": "grüß", "raw": {"base64": "AA=="}, "odd": "{1}"},
        "text",
        {"base64": "AQI="},
        None,
        1.5,
    ]


def test_arguments_are_checked() -> None:
    bus = EventBus(event_bytes=1_000)
    with pytest.raises(ValueError, match="wanted lossless, drop_oldest or conflate"):
        bus.subscribe(policy="sometimes")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="capacity of 0"):
        bus.subscribe(capacity=0)
    with pytest.raises(ValueError, match="kind of 0 bytes"):
        bus.publish("s", "")
    with pytest.raises(ValueError, match="wanted at most 1000"):
        bus.publish("s", "k", "x" * 1_000)
    with pytest.raises(TypeError):
        bus.publish(1, "k")  # type: ignore[arg-type]


# A lossless subscriber and a publisher who must wait.


async def test_a_loop_does_not_wait_for_itself() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless", capacity=2, name="the log")
    assert bus.publish("s", "k") == 1
    assert await bus.send("s", "k") == 2
    with pytest.raises(talkpath.LimitExceeded, match=r"await bus\.send"):
        bus.publish("s", "k")
    sending = asyncio.create_task(bus.send("s", "k", "sent"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not sending.done()
    assert numbers(subscription.drain()) == [1, 2]
    assert await sending == 3
    assert numbers(subscription.drain()) == [3]
    with pytest.raises(RuntimeError, match="wanted `async for`"):
        subscription.read(timeout=0)


def test_a_thread_waits_no_longer_than_it_may() -> None:
    bus = EventBus(publish_timeout_s=0.02)
    subscription = bus.subscribe(policy="lossless", capacity=1)
    bus.publish("s", "k")
    with pytest.raises(TimeoutError, match="wanted it to read"):
        bus.publish("s", "k")
    subscription.close()
    assert subscription.closed
    assert bus.publish("s", "k") == 2


def test_after_the_loop_has_closed_publishing_neither_raises_nor_waits() -> None:
    bus = EventBus(publish_timeout_s=60)
    kept: list[Subscription] = []

    async def main() -> None:
        kept.append(bus.subscribe(policy="lossless", capacity=4))
        kept.append(bus.subscribe(capacity=4))
        bus.publish("s", "k")

    asyncio.run(main())
    assert [bus.publish("s", "k") for _ in range(1_000)] == list(range(2, 1_002))
    assert kept[0].closed


def test_publishers_that_wait_go_on_when_the_loop_closes() -> None:
    bus = EventBus(publish_timeout_s=60)
    kept: list[Subscription] = []
    full = threading.Event()
    published: list[int] = []

    def publish() -> None:
        published.append(bus.publish("s", "k"))
        full.set()
        published.append(bus.publish("s", "k"))

    async def main() -> None:
        kept.append(bus.subscribe(policy="lossless", capacity=1))
        threads.append(in_thread(publish))
        while not full.is_set():
            await asyncio.sleep(0)

    threads: list[threading.Thread] = []
    asyncio.run(main())
    threads[0].join(10)
    assert published == [1, 2]


# Loops and tasks.


async def test_many_tasks_share_what_one_subscription_gets() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless", capacity=50)
    got: list[int] = []

    async def read() -> None:
        async for event in subscription:
            got.append(event.sequence)  # type: ignore[union-attr]
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(read()) for _ in range(5)]
    thread = in_thread(lambda: [bus.publish("s", "k") for _ in range(2_000)])
    while len(got) < 2_000:
        await asyncio.sleep(0)
    thread.join()
    subscription.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert sorted(got) == list(range(1, 2_001))


async def test_a_cancelled_wait_takes_nothing() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    waiting.cancel()
    bus.publish("s", "k")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    event = await asyncio.wait_for(anext(subscription), 10)
    assert isinstance(event, Event)
    assert event.sequence == 1


async def test_a_flood_leaves_the_loop_its_turns() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless")
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            bus.publish("s", "k")

    async def read() -> None:
        async for _ in subscription:
            pass

    reading = asyncio.create_task(read())
    thread = in_thread(flood)
    for _ in range(200):
        await asyncio.sleep(0)
    stop.set()
    while thread.is_alive():
        await asyncio.sleep(0)
    subscription.close()
    await asyncio.wait_for(reading, 10)


async def test_a_subscription_stays_on_its_loop() -> None:
    bus = EventBus()
    subscription = bus.subscribe()

    def elsewhere() -> None:
        async def read() -> None:
            await anext(subscription)

        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(read())

    await asyncio.to_thread(elsewhere)


async def test_iteration_ends_with_the_subscription_and_with_the_bus() -> None:
    bus = EventBus()
    first, second = bus.subscribe(), bus.subscribe()
    bus.publish("s", "k")
    asyncio.get_running_loop().call_soon(first.close)
    assert [event async for event in first if isinstance(event, Event)][:1] == []
    with second:
        del bus
        gc.collect()
        assert numbers([event async for event in second]) == [1]


async def test_what_nobody_holds_is_gone() -> None:
    bus = EventBus()
    subscription = bus.subscribe(policy="lossless", capacity=1)
    bus.publish("s", "k")
    gone = weakref.ref(subscription)
    del subscription
    gc.collect()
    assert gone() is None
    assert bus.publish("s", "k") == 2


def test_sessions_are_forgotten() -> None:
    bus = EventBus(sessions=32)
    assert [bus.publish(f"call-{n}", "k") for n in range(10_000)] == [1] * 10_000
    bus.publish("mine", "k")
    assert bus.publish("mine", "k") == 2
    bus.forget("mine")
    assert bus.publish("mine", "k") == 1
