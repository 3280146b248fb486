"""Places one call through the core's caller, and says what came back."""

import array
import math
import operator
import time
from dataclasses import dataclass
from typing import Any

from talkpath._talkpath import Caller, resample
from talkpath.cli.wav import Audio


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came back in a call: the audio on the call's own time line, and each frame's arrival."""

    audio: Audio
    arrivals_ms: tuple[float, ...]
    begins_ms: float
    """When the first frame came, from the first frame sent on."""


def recorded(report: dict[str, Any], rate: int) -> Recorded:
    """The recording of a report, brought to one rate."""
    recording = report["recording"] or {"pcm": b"", "frames": []}
    frames: list[tuple[float, int, int]] = recording["frames"]
    pcm: bytes = recording["pcm"]
    pieces, at, index = [], 0, 0
    while index < len(frames):
        # Runs of one rate: a server may change its rate once it has heard the first audio.
        run_rate, begin = frames[index][1], at
        while index < len(frames) and frames[index][1] == run_rate:
            at += frames[index][2] * 2
            index += 1
        run = pcm[begin:at]
        pieces.append(run if run_rate == rate else resample(run, run_rate, rate))
    arrivals = tuple(frame[0] for frame in frames)
    return Recorded(Audio(b"".join(pieces), rate), arrivals, arrivals[0] if arrivals else 0.0)


def wait(caller: Caller, on_progress: Any = None, poll_s: float = 0.05) -> dict[str, Any]:
    """Waits for the calls to end, showing progress; Ctrl-C hangs up and still reports."""
    try:
        while not (progress := caller.poll())["is_finished"]:
            if on_progress is not None:
                on_progress(progress)
            time.sleep(poll_s)
    except KeyboardInterrupt:
        caller.stop()
    return caller.finish()


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How the audio that was sent came back, if it did."""

    ms: float
    correlation: float


def round_trip(sent: Audio, back: Recorded) -> RoundTrip | None:
    """Finds the loudest second of what was sent in what came back, by correlation; None if it is not there.

    An envelope in steps of 5 ms finds the neighbourhood, the samples at 8 kHz the place, those at the wire's rate the
    likeness.
    """
    said, heard = _samples(sent.at(8000)), _samples(back.audio.at(8000))
    length = min(8000, len(said))
    if length < 800 or len(heard) < length:
        return None
    start = _loudest(said, length)
    piece = said[start : start + length]
    outline, heard_outline = _outline(piece), _outline(heard)
    lags = range(len(heard_outline) - len(outline) + 1)
    likeness = sorted(((_correlation(outline, heard_outline[lag:]), lag) for lag in lags), reverse=True)
    for _, coarse in likeness[:5]:
        near = range(max(0, (coarse - 2) * _STEP), min(len(heard) - length, (coarse + 2) * _STEP) + 1)
        found, at = max(((_correlation(piece[:2000], heard[lag:]), lag) for lag in near), default=(0.0, 0))
        if found > 0.8:
            return _refined(sent, back, start, length, at)
    return None


def _refined(sent: Audio, back: Recorded, start: int, length: int, at: int) -> RoundTrip:
    """The place and the likeness at the wire's own rate, near where they are at 8 kHz."""
    rate = sent.rate
    said, heard = _samples(sent), _samples(back.audio)
    start, length, at = (value * rate // 8000 for value in (start, length, at))
    reach = 2 * rate // 8000
    near = range(max(0, at - reach), at + reach + 1)
    piece = said[start : start + length]
    found, lag = max((_correlation(piece, heard[lag:]), lag) for lag in near)
    return RoundTrip((lag - start) / rate * 1000 + back.begins_ms, found)


def _samples(audio: Audio) -> "array.array[int]":
    return array.array("h", audio.pcm)


def _loudest(samples: "array.array[int]", length: int) -> int:
    outline = _outline(samples)
    wide = length // _STEP
    sums = [sum(outline[at : at + wide]) for at in range(max(1, len(outline) - wide + 1))]
    return min(sums.index(max(sums)) * _STEP, len(samples) - length)


def _outline(samples: "array.array[int]") -> list[float]:
    ends = range(_STEP, len(samples) + 1, _STEP)
    blocks = (samples[end - _STEP : end] for end in ends)
    return [math.sqrt(sum(map(operator.mul, block, block))) for block in blocks]


def _correlation(a: Any, b: Any) -> float:
    """How alike `a` and the beginning of `b` are, -1 to 1."""
    count = min(len(a), len(b))
    if count == 0:
        return 0.0
    a, b = a[:count], b[:count]
    mean_a, mean_b = sum(a) / count, sum(b) / count
    cross = sum(map(operator.mul, a, b))
    power_a = sum(map(operator.mul, a, a)) - count * mean_a * mean_a
    power_b = sum(map(operator.mul, b, b)) - count * mean_b * mean_b
    if power_a <= 0 or power_b <= 0:
        return 0.0
    return float((cross - count * mean_a * mean_b) / math.sqrt(power_a * power_b))


# 5 ms at 8 kHz.
_STEP = 40
