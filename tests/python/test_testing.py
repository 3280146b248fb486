"""What `talkpath.testing` offers to tests of agents: networks of any quality, the same ones for the same seed."""

import asyncio

import pytest

import talkpath
from audio import noise
from talkpath.testing import Network, Phone


def test_a_network_loses_and_delays_as_its_seed_says() -> None:
    text = "loss=10%,burst=2,jitter=30ms,reorder=2%,dup=1%,delay=20ms,seed=7"
    fates = Network(text).send_all(10_000)
    assert fates == Network(text).send_all(10_000)
    assert fates != Network(text.replace("seed=7", "seed=8")).send_all(10_000)
    assert 0.08 < sum(not arrivals for arrivals in fates) / len(fates) < 0.12
    assert 0.005 < sum(len(arrivals) == 2 for arrivals in fates) / len(fates) < 0.015
    assert all(at >= 20 * index + 20 for index, arrivals in enumerate(fates) for at in arrivals)


def test_packets_can_be_sent_one_by_one() -> None:
    network = Network("jitter=10ms,seed=3")
    fates = [network.send(20.0 * index) for index in range(100)]
    assert fates == Network("jitter=10ms,seed=3").send_all(100)
    assert Network().send(12.5) == [12.5]
    assert Network("delay=5ms").send_all(3, ptime_ms=30) == [[5.0], [35.0], [65.0]]


def test_a_network_says_what_it_is() -> None:
    assert repr(Network("seed=7, loss=5%")) == 'talkpath.testing.Network("loss=5%,seed=7")'
    assert Network("jitter=20ms").only_delays
    assert not Network("dup=1%").only_delays


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss=5", 'loss of "5", wanted a percentage such as 5%'),
        ("lag=3ms", 'impairment "lag", wanted one of loss, burst'),
        ("loss=120%", "loss of 120%, wanted 0% to 100%"),
    ],
)
def test_impairments_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(talkpath.InvalidArgument, match=message):
        Network(text)
    with pytest.raises(talkpath.InvalidArgument, match=message):
        Phone("127.0.0.1:1", impair=text)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(talkpath.InvalidArgument, match="at_ms of -1, wanted"):
        Network().send(-1)


def test_a_stream_cannot_lose_anything() -> None:
    with pytest.raises(talkpath.InvalidArgument, match="impairments loss=1% on AudioSocket, wanted only delay"):
        Phone("127.0.0.1:1", impair="loss=1%")


async def test_a_phone_on_a_slow_network_is_heard_late_and_whole() -> None:
    said = noise(0.4)
    heard = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        heard.set_result(b"".join([frame.bytes() async for frame in session.input()]))

    async with talkpath.Server(agent, "audiosocket://127.0.0.1:0") as server:
        async with Phone(server.address, impair="delay=200ms,jitter=30ms,seed=4") as phone:
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await phone.say(said)
            took_ms = 1000 * (loop.time() - begin)
        assert await heard == said
    # The last of its 20 packets is sent 380 ms after the first.
    assert took_ms >= 579
