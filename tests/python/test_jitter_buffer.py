"""The jitter buffer from Python: packets in any order, one frame every 20 ms, in whatever time is passed in."""

import array
import math

import pytest

import talkpath
from audio import noise, tone
from talkpath.testing import Network

PTIME = 20


def packets(pcm: bytes, codec: str = "slin", rate: int = 8000) -> list[bytes]:
    step = rate // 50 * 2
    return [talkpath.encode(pcm[at : at + step], codec) for at in range(0, len(pcm) - step + 1, step)]


def play(buffer: talkpath.JitterBuffer, said: list[bytes], fates: list[list[float]]) -> tuple[bytes, list[str]]:
    """Sends the packets such that they arrive as told, and listens until a second after the last one."""
    arrivals = sorted((at, index) for index, times in enumerate(fates) for at in times)
    step = buffer.clock_rate // 50
    heard, kinds = bytearray(), []
    for tick in range(len(said) + 50):
        while arrivals and arrivals[0][0] <= tick * PTIME:
            at, index = arrivals.pop(0)
            timestamp = (2**32 - 1000 + index * step) % 2**32
            buffer.push(
                said[index], sequence=(65530 + index) % 65536, timestamp=timestamp, arrival_ms=at, marker=index == 0
            )
        played = buffer.poll(tick * PTIME)
        assert played is not None
        heard += played[0]
        kinds.append(played[1])
    return bytes(heard), kinds


def test_a_steady_stream_comes_out_as_it_went_in() -> None:
    said = noise(2)
    buffer = talkpath.JitterBuffer("slin", 8000)
    heard, kinds = play(buffer, packets(said), Network("delay=40ms").send_all(100))
    assert kinds[:2] == ["rest", "rest"]
    assert heard[640 : 640 + len(said)] == said
    assert set(kinds[2:102]) == {"audio"}
    stats = buffer.stats()
    assert (stats["packets"], stats["packets_lost"], stats["samples_played"]) == (100, 0, 16000)


def test_what_is_lost_is_concealed_and_counted() -> None:
    said = array.array("h", tone(4))
    fates = Network("loss=8%,burst=2,jitter=20ms,delay=40ms,seed=5").send_all(200)
    buffer = talkpath.JitterBuffer("ulaw", 8000)
    heard, kinds = play(buffer, packets(said.tobytes(), "ulaw"), fates)
    lost = sum(not times for times in fates[:-5])
    assert abs(buffer.stats()["packets_lost"] - lost) <= 3
    assert kinds.count("concealed") >= lost - 3
    # A tone that is concealed well stays a tone: no frame in its middle is quiet.
    frames = array.array("h", heard)
    levels = [max(map(abs, frames[at : at + 160])) for at in range(40 * 160, 180 * 160, 160)]
    assert min(levels) > 0.3 * max(said)


def test_a_fixed_delay_is_kept() -> None:
    buffer = talkpath.JitterBuffer("slin", 8000, playout="fixed:80ms")
    heard, kinds = play(buffer, packets(noise(1)), Network().send_all(50))
    assert kinds[:5] == ["rest"] * 4 + ["audio"]
    assert buffer.stats()["target_ms"] == 80
    assert len(heard) == 100 * 320


def test_asap_gives_each_packet_at_once_and_waits_for_late_ones() -> None:
    said = packets(noise(0.1))
    buffer = talkpath.JitterBuffer("slin", 8000, playout="asap:40ms")
    assert buffer.poll(0) is None
    for index, at in ((0, 0.0), (2, 40.0)):
        buffer.push(said[index], sequence=index, timestamp=160 * index, arrival_ms=at)
    assert buffer.poll(40) == (said[0], "audio")
    assert buffer.poll(40) is None
    assert buffer.push(said[1], sequence=1, timestamp=160, arrival_ms=50) == "held"
    assert [buffer.poll(50), buffer.poll(50)] == [(said[1], "audio"), (said[2], "audio")]
    assert buffer.poll(51) is None


def test_a_buffer_says_what_became_of_each_packet() -> None:
    said = packets(noise(0.5))
    buffer = talkpath.JitterBuffer("slin", 8000)

    def push(index: int, payload: bytes) -> str:
        return buffer.push(payload, sequence=index, timestamp=160 * index, arrival_ms=20 * index)

    assert [push(0, said[0]), push(1, said[1]), push(1, said[1])] == ["held", "held", "duplicate"]
    assert push(2, b"\0\0\0") == "malformed"
    for tick in range(20):
        buffer.poll(1000 + 20 * tick)
    assert buffer.push(said[0], sequence=65535, timestamp=2**32 - 160, arrival_ms=1400) == "late"
    stats = buffer.stats()
    assert (stats["packets_duplicate"], stats["packets_malformed"], stats["packets_late"]) == (1, 1, 1)


def test_comfort_noise_fills_the_pause_at_its_level() -> None:
    buffer = talkpath.JitterBuffer("slin", 8000)
    for index, payload in enumerate(packets(noise(0.4))):
        buffer.push(payload, sequence=index, timestamp=160 * index, arrival_ms=20 * index)
        buffer.poll(20 * index)
    buffer.push_comfort_noise(40, sequence=20, timestamp=3200, arrival_ms=400)
    heard = [buffer.poll(400 + 20 * tick) for tick in range(100)]
    last = heard[-1]
    assert last is not None
    assert last[1] == "rest"
    assert abs(talkpath.level(last[0]).rms_dbfs + 40) < 6


@pytest.mark.parametrize(
    ("codec", "rate", "clock"), [("g722", 16000, 8000), ("opus", 48000, 48000), ("alaw", 8000, 8000)]
)
def test_timestamps_count_as_the_codec_has_it(codec: str, rate: int, clock: int) -> None:
    buffer = talkpath.JitterBuffer(codec, rate)
    assert (buffer.codec, buffer.rate, buffer.clock_rate) == (codec, rate, clock)
    played = buffer.poll(0)
    assert played is not None
    assert len(played[0]) == rate // 50 * 2


def test_the_codec_may_change() -> None:
    buffer = talkpath.JitterBuffer("ulaw", 8000)
    buffer.set_codec("alaw", 8000)
    assert repr(buffer) == 'talkpath.JitterBuffer("alaw", 8000, playout="adaptive:0-400ms")'


@pytest.mark.parametrize(
    ("arguments", "playout", "message"),
    [
        (("gsm", 8000), "adaptive", "gsm"),
        (("g722", 8000), "adaptive", "g722 at 8000 Hz, wanted 16000 Hz"),
        (("ulaw", 7), "adaptive", "7"),
        (("ulaw", 8000), "fast", 'playout "fast", wanted adaptive'),
        (("ulaw", 8000), "fixed:3000ms", "fixed delay 3s, wanted at most 2s"),
    ],
)
def test_what_is_no_buffer_is_refused(arguments: tuple[str, int], playout: str, message: str) -> None:
    with pytest.raises(talkpath.InvalidArgument, match=message):
        talkpath.JitterBuffer(*arguments, playout=playout)


def test_times_and_counters_out_of_range_are_refused() -> None:
    buffer = talkpath.JitterBuffer("ulaw", 8000)
    with pytest.raises(talkpath.InvalidArgument, match="now_ms of NaN"):
        buffer.poll(math.nan)
    with pytest.raises(OverflowError):
        buffer.push(b"", sequence=65536, timestamp=0, arrival_ms=0)
