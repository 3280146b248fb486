"""Processes on a real nats-server, which is killed and started again under them: order, counts, and nothing twice."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import talkpath
from bridged import Agent
from nats_server import NatsServer
from talkpath import EventBus, NatsBridge, SecretRef

LIMIT_S = 30

Start = Callable[..., Agent]


def until(done: Callable[[], bool]) -> None:
    """Looks again until it is so."""
    deadline = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < deadline, "not so in time"


def numbers_in(gaps: list[tuple[int, int]]) -> Iterator[int]:
    for first, last in gaps:
        yield from range(first, last + 1)


def test_two_processes_and_a_server_that_is_killed_in_order_and_counted_exactly(
    server: NatsServer, start_agent: Start
) -> None:
    listener = start_agent(server, max_backoff_s=0.2)
    listener.ask("wait_connected")
    talker = start_agent(server, capacity=500, max_backoff_s=0.2)
    talker.ask("wait_connected")
    origin = talker.ask("origin")
    for first in range(1, 2000, 400):
        talker.ask("publish", "call.1 *", first, first + 399)
        talker.ask("flush")
    until(lambda: len(listener.ticks("call.1 *")) == 2000)

    server.kill()
    # While it is away, there is room for 500 of these; it takes a moment, and 1024 events at most, to notice.
    talker.ask("publish", "call.1 *", 2001, 5000)
    until(lambda: talker.ask("stats")["connected"] is False and talker.ask("stats")["dropped"] >= 1400)
    server.start()
    talker.ask("wait_connected")
    listener.ask("wait_connected")
    talker.ask("publish", "call.1 *", 5001, 5300)
    talker.ask("flush")

    # The server is killed while events are under way.
    for life in range(3):
        talker.ask("publish", "call.1 *", 5301 + 200 * life, 5500 + 200 * life)
        server.kill()
        server.start()
    talker.ask("wait_connected")
    listener.ask("wait_connected")
    talker.ask("publish", "call.1 *", 5901, 6000)
    talker.ask("flush")

    def got_everything() -> bool:
        return len(listener.ticks("call.1 *")) + len(list(numbers_in(listener.gaps(origin)))) == 6000

    until(got_everything)
    came, missing = listener.ticks("call.1 *"), list(numbers_in(listener.gaps(origin)))
    assert came == sorted(set(came)), "in order, and nothing twice"
    # The bridge counts what it sends from 1, and so did the talker.
    assert sorted(came + missing) == list(range(1, 6001))
    assert came[-1] == 6000
    stats, sent = listener.ask("stats"), talker.ask("stats")
    assert (stats["received"], stats["missing"]) == (len(came), len(missing))
    assert 1400 <= sent["dropped"] <= len(missing)
    assert (sent["waiting"], sent["connected"]) == (0, True)
    assert stats["connections"] >= 3


def test_each_gets_the_others_events_once_and_none_goes_round(server: NatsServer, start_agent: Start) -> None:
    agents = [start_agent(server, name=name) for name in ("one", "two", "three")]
    for agent in agents:
        agent.ask("wait_connected")
    for index, agent in enumerate(agents):
        agent.ask("publish", f"session-{index}", 1, 300)
    for agent in agents:
        agent.ask("flush")
    for index, agent in enumerate(agents):
        for other in range(3):
            wanted = [] if other == index else list(range(1, 301))
            until(lambda agent=agent, other=other, wanted=wanted: agent.ticks(f"session-{other}") == wanted)
        stats = agent.ask("stats")
        assert (stats["sent"], stats["received"], stats["repeated"], stats["missing"]) == (300, 600, 0, 0)
    assert agents[0].ask("origin").startswith("one-")


def test_over_jetstream_nothing_is_lost_whoever_is_killed(server: NatsServer, start_agent: Start) -> None:
    options = {"stream": "EVENTS", "max_backoff_s": 0.2}
    listener = start_agent(server, durable="listener", **options)
    listener.ask("wait_connected")
    talker = start_agent(server, receive=None, capacity=100, **options)
    talker.ask("wait_connected")
    for life in range(3):
        talker.ask("publish", "call", 1 + 500 * life, 500 + 500 * life)
        server.kill()
        server.start()
    talker.ask("flush", LIMIT_S)
    until(lambda: listener.ticks("call") == list(range(1, 1501)))
    assert talker.ask("stats")["dropped"] == 0
    assert talker.ask("stats")["sent"] == 1500

    # The reader dies, and the next of its name goes on where it was: at most what it had not confirmed comes again.
    listener.kill()
    talker.ask("publish", "call", 1501, 2000)
    talker.ask("flush", LIMIT_S)
    after = start_agent(server, durable="listener", **options)
    until(lambda: 2000 in after.ticks("call"))
    came = after.ticks("call")
    assert came == sorted(set(came))
    assert came[0] <= 1501
    assert came[-500:] == list(range(1501, 2001))


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


def test_names_payloads_and_origins_come_through(server: NatsServer, bus: EventBus) -> None:
    there = EventBus()
    events = there.subscribe()
    with NatsBridge(there, server.url, send=None) as receiver, bus.bridge_nats(server.url, receive=None) as sender:
        receiver.wait_connected()
        sender.wait_connected()
        sent = [("call.1 *>%", "voice:x"), ("größe", "a.b c"), ("s", "console")]
        for session, kind in sent:
            bus.publish(session, kind, {"text": "ü\n", "list": [1, None, 2.5]})
        sender.flush()
        came = []
        while len(came) < len(sent):
            came += [event for event in events.read(timeout=LIMIT_S) if event.session != "talkpath"]
        assert [(event.session, event.kind) for event in came] == sent
        for event in came:
            assert isinstance(event, talkpath.bus.Event)
            assert event.data == {"text": "ü\n", "list": [1, None, 2.5]}
            assert event.origin == sender.origin
            assert abs(event.time_us / 1e6 - time.time()) < LIMIT_S


def test_only_what_is_asked_for_is_sent_and_received(server: NatsServer, bus: EventBus) -> None:
    there = EventBus()
    events = there.subscribe("*", "*")
    with (
        NatsBridge(there, server.url, receive="voice:*", session="call-*") as receiver,
        NatsBridge(bus, server.url, send="*:x") as sender,
    ):
        receiver.wait_connected()
        sender.wait_connected()
        for session, kind in [("call-1", "voice:x"), ("call-1", "voice:y"), ("call-1", "text:x"), ("z", "voice:x")]:
            bus.publish(session, kind)
        bus.publish("call-2", "voice:x")
        sender.flush()
        came: list[tuple[str | None, str]] = []
        while ("call-2", "voice:x") not in came:
            came += [(event.session, event.kind) for event in events.read(timeout=LIMIT_S)]
        assert [it for it in came if it[0] != "talkpath"] == [("call-1", "voice:x"), ("call-2", "voice:x")]
        assert sender.stats().sent == 4
        assert receiver.stats().missing == 0


def test_what_is_longer_than_the_server_takes_is_said_and_missed(server: NatsServer, bus: EventBus) -> None:
    there = EventBus()
    said, missed = bus.subscribe("talkpath", "nats:too_long"), there.subscribe("talkpath", "nats:gap")
    with NatsBridge(there, server.url, send=None) as receiver, NatsBridge(bus, server.url) as sender:
        receiver.wait_connected()
        sender.wait_connected()
        for data in ("short", "x" * 2_000_000, "short"):
            bus.publish("call", "a:b", data)
        sender.flush()
        (event,) = said.read(timeout=LIMIT_S)
        assert isinstance(event, talkpath.bus.Event)
        assert (event.data["session"], event.data["sequence"], event.data["bytes"]) == ("call", 2, 2_000_002)
        (gap,) = missed.read(timeout=LIMIT_S)
        assert isinstance(gap, talkpath.bus.Event)
        assert (gap.data["count"], gap.data["first"], gap.data["last"]) == (1, 2, 2)
        assert (sender.stats().too_long, sender.stats().dropped, sender.stats().sent) == (1, 1, 2)


def test_credentials_are_secrets_and_are_not_told(make_server: Callable[..., NatsServer], bus: EventBus) -> None:
    server = make_server("--user", "agent", "--pass", "Xq7canary")
    url = server.url.removeprefix("nats://")
    with NatsBridge(bus, server.url, user="agent", password=SecretRef(bytearray(b"Xq7canary"))) as bridge:
        bridge.wait_connected()
        assert "canary" not in repr(bridge)
    with NatsBridge(bus, f"nats://agent:Xq7canary@{url}") as bridge:
        bridge.wait_connected()
    wrong = NatsBridge(bus, f"nats://agent:Xq7wrong@{url}")
    until(lambda: wrong.stats().last_error is not None)
    with pytest.raises(talkpath.Timeout, match="uthorization") as caught:
        wrong.wait_connected(0.1)
    assert "Xq7" not in str(caught.value)
    wrong.close(0)


def test_tls_with_a_certificate_of_ones_own(
    make_server: Callable[..., NatsServer], bus: EventBus, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*made, *names, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("the certificate is made by openssl, and this machine has none")
    server = make_server("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    url = server.url.replace("nats:", "tls:")
    with NatsBridge(bus, url, root_certificates=certificate) as bridge:
        bridge.wait_connected()
    stranger = NatsBridge(bus, url)
    until(lambda: stranger.stats().last_error is not None)
    assert not stranger.stats().connected
    stranger.close(0)


def test_options_that_cannot_be_are_refused(bus: EventBus) -> None:
    secret = SecretRef(bytearray(b"a secret"))
    for servers, options in [
        ((), {}),
        (("ftp://x",), {}),
        (("nats://user:Xq7canary@[",), {}),
        (("x",), {"prefix": "a.*"}),
        (("x",), {"name": "a b"}),
        (("x",), {"send": None, "receive": None}),
        (("x",), {"user": "me"}),
        (("x",), {"token": secret, "nkey": secret}),
        (("x",), {"durable": "d"}),
        (("x",), {"stream": "s"}),
        (("x",), {"stream": "s.t", "durable": "d"}),
    ]:
        with pytest.raises(talkpath.InvalidArgument) as caught:
            NatsBridge(bus, *servers, **options)
        assert "Xq7" not in str(caught.value)
