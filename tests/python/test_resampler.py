"""The resampler from Python: exact lengths, no chunk held back, the same samples however they are cut."""

import array
import math

import pytest

import talkpath


def tone(rate: int, seconds: float = 0.5, hz: float = 440) -> bytes:
    count = int(rate * seconds)
    return array.array("h", (round(9000 * math.sin(2 * math.pi * hz * i / rate)) for i in range(count))).tobytes()


@pytest.mark.parametrize(("source", "target"), [(8000, 16000), (24000, 8000), (16000, 24000), (44100, 8000)])
def test_every_chunk_gives_its_output_at_once(source: int, target: int) -> None:
    resampler = talkpath.Resampler(source, target)
    pcm = tone(source)
    step = source // 50 * 2
    out = [resampler.process(pcm[at : at + step]) for at in range(0, len(pcm), step)]
    assert {len(chunk) for chunk in out} == {target // 50 * 2}
    assert b"".join(out) == talkpath.Resampler(source, target).process(pcm)


def test_a_whole_recording_stays_in_place() -> None:
    wide = array.array("h", talkpath.resample(tone(8000), 8000, 16000))
    wanted = array.array("h", tone(16000))
    assert len(wide) == len(wanted)
    middle = slice(200, -200)
    assert max(abs(a - b) for a, b in zip(wide[middle], wanted[middle], strict=True)) < 20


def test_flush_and_reset_make_it_new() -> None:
    resampler = talkpath.Resampler(8000, 16000, "studio")
    first = resampler.process(tone(8000))
    assert len(resampler.flush()) == 2 * resampler.delay_samples
    assert resampler.process(tone(8000)) == first
    resampler.reset()
    assert resampler.process(tone(8000)) == first
    assert 0 < talkpath.Resampler(8000, 16000).delay_ms <= 2.5 < resampler.delay_ms


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(talkpath.InvalidArgument, match="7000 Hz, wanted one of"):
        talkpath.Resampler(7000, 8000)
    with pytest.raises(ValueError, match='quality "best", wanted "phone" or "studio"'):
        talkpath.Resampler(8000, 16000, "best")  # type: ignore[arg-type]
