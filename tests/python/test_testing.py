"""What `talkpath.testing` offers to tests of agents: networks of any quality, the same ones for the same seed."""

import asyncio

import pytest

import talkpath
from audio import noise, tone
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


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_a_phone_over_rtp_is_heard_and_hears(rate: int) -> None:
    said = tone(0.6, rate)
    heard = asyncio.get_running_loop().create_future()
    keys = []

    async def agent(session: talkpath.Session) -> None:
        async def listen() -> bytes:
            return b"".join([frame.bytes() async for frame in session.input()])

        listening = asyncio.create_task(listen())
        await session.output.write(tone(0.4, rate), rate=rate)
        async for event in session.events():
            if isinstance(event, talkpath.Dtmf):
                keys.append(event.digit)
        heard.set_result(await listening)

    async with talkpath.Server(agent, "rtp://127.0.0.1:0") as server:
        async with Phone(server.address, rate=rate) as phone:
            await phone.say(said)
            phone.press("7")
            reply = await phone.hear(ms=500)
            assert phone.heard_rate == rate
        audio = await heard
    assert keys == ["7"]
    assert talkpath.level(reply).peak > 8000
    # The agent hears on until the call ends.
    assert len(audio) > 0.9 * len(said)
    assert talkpath.level(audio[: len(said)]).rms > 0.7 * talkpath.level(said).rms


async def test_what_a_lossy_network_takes_is_concealed() -> None:
    done = asyncio.get_running_loop().create_future()

    async def agent(session: talkpath.Session) -> None:
        async for _ in session.input():
            pass
        done.set_result(session.stats())

    impair = "loss=20%,burst=2,jitter=20ms,seed=9"
    lost = sum(not arrivals for arrivals in Network(impair).send_all(100))
    async with talkpath.Server(agent, "rtp://127.0.0.1:0") as server:
        async with Phone(server.address, impair=impair) as phone:
            await phone.say(tone(2))
        stats = await done
    assert stats.network is not None
    # The call begins with the first two that arrive in a row, and the count is renewed twice a second.
    assert lost / 2 <= stats.network.packets_lost <= lost
    assert stats.network.concealed_share > 0.05


async def test_a_server_that_hangs_up_over_rtp_is_noticed() -> None:
    async def agent(session: talkpath.Session) -> None:
        async for _ in session.input():
            await session.hangup()

    async with talkpath.Server(agent, "rtp://127.0.0.1:0") as server, Phone(server.address) as phone:
        await phone.say(noise(0.1))
        await phone.wait_ended()
        await phone.hangup()


def test_a_rate_that_rtp_has_no_number_for_is_refused() -> None:
    async def call() -> None:
        async with Phone("rtp://127.0.0.1:9", rate=9000):
            pass

    with pytest.raises(talkpath.InvalidArgument, match="rate of 9000 over RTP, wanted one of 8000, 12000, 16000"):
        asyncio.run(call())
