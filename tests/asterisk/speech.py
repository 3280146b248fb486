"""Compares what was said with what came back, sample by sample."""

from __future__ import annotations

import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def read(path: Path) -> Samples:
    """Reads a headerless (.sln, .sln16) or .wav file of 16-bit samples."""
    if path.suffix == ".wav":
        with wave.open(str(path)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return np.frombuffer(path.read_bytes(), "<i2")


class RanDry(Exception):
    """The agent was late on this machine: the call had gaps, which were counted and reported as they should be."""


def hold(attempt: Callable[[], Match], attempts: int = 5) -> Match:
    """Returns the match of an attempt in which the agent was never late; all but the last may be.

    Sample by sample is a statement about a call in which nobody was late. On a machine whose processors are all busy
    with something else the agent's process may be, and then the core plays silence and says so: that is another test.
    """
    for _ in range(attempts - 1):
        with suppress(RanDry):
            return attempt()
    return attempt()


@dataclass(frozen=True)
class Match:
    """How well `heard` repeats `said`: the delay at which it fits best, and the correlation there."""

    delay: int
    correlation: float
    equal: float
    """The share of samples that are the same to the bit."""

    def delay_ms(self, rate: int) -> float:
        """Returns the delay in milliseconds."""
        return self.delay * 1000 / rate


def match(said: Samples, heard: Samples) -> Match:
    """Finds the delay at which `heard` repeats `said` best and compares the two over all of `said`.

    What `heard` lacks at the end counts as silence: an answer that is cut short does not match.
    """
    spoken = np.flatnonzero(np.abs(said.astype(np.int32)) > 32)
    if spoken.size == 0:
        raise ValueError("nothing was said")
    first, last = int(spoken[0]), int(spoken[-1]) + 1
    wanted = said[first:last].astype(np.float64)
    got = heard.astype(np.float64)
    size = 1 << int(np.ceil(np.log2(wanted.size + got.size)))
    fit = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(wanted, size)), size)[: got.size]
    start = int(np.argmax(fit))
    piece = np.zeros_like(wanted)
    found = got[start : start + wanted.size]
    piece[: found.size] = found
    norm = float(np.linalg.norm(wanted) * np.linalg.norm(piece))
    correlation = float(wanted @ piece) / norm if norm > 0 else 0.0
    return Match(start - first, correlation, float(np.mean(wanted == piece)))


WINDOW_S = 0.010
VOICE_BELOW_LOUDEST_DB = 32.0


def voice(samples: Samples, rate: int) -> NDArray[np.bool_]:
    """Returns, for each 10 ms, whether clean recorded speech is loud enough there to be voice and not the room.

    Voice is what is less than 32 dB below the loudest of it; the labels of detector benchmarks are made in this way.
    """
    size = int(rate * WINDOW_S)
    windows = samples[: samples.size // size * size].astype(np.float64).reshape(-1, size)
    level = 10 * np.log10((windows**2).mean(axis=1) + 1e-9)
    return np.asarray(level > np.percentile(level, 97) - VOICE_BELOW_LOUDEST_DB)


def first_voiced(samples: Samples, rate: int) -> int:
    """Returns the index of the first sample of voice that lasts 30 ms."""
    voiced = voice(samples, rate)
    lasting = voiced[:-2] & voiced[1:-1] & voiced[2:]
    return int(np.argmax(lasting)) * int(rate * WINDOW_S)


def phrase(samples: Samples, rate: int, pause_s: float = 0.2) -> Samples:
    """Returns the speech up to its first pause: what is said in one breath, from 50 ms before its first voice."""
    voiced = voice(samples, rate)
    size = int(rate * WINDOW_S)
    first = first_voiced(samples, rate) // size
    last = first
    for window in range(first, voiced.size):
        if voiced[window]:
            last = window
        elif (window - last) * WINDOW_S >= pause_s:
            break
    return samples[max(0, first - 5) * size : (last + 1) * size]


def phrases(samples: Samples, rate: int, pause_s: float = 0.15) -> list[slice]:
    """Returns where each breath of clean recorded speech lies: what is between pauses of `pause_s` and more."""
    size = int(rate * WINDOW_S)
    voiced = np.flatnonzero(voice(samples, rate))
    ends = np.flatnonzero(np.diff(voiced) * WINDOW_S >= pause_s)
    firsts = voiced[np.concatenate([[0], ends + 1])]
    lasts = voiced[np.concatenate([ends, [voiced.size - 1]])]
    return [slice(int(first) * size, (int(last) + 1) * size) for first, last in zip(firsts, lasts, strict=True)]


def match_phrases(said: Samples, heard: Samples, rate: int) -> Match:
    """Compares as `match` does, but each breath where it fits best, and returns the whole.

    A jitter buffer follows the network: it shortens and lengthens pauses, in which nobody hears it.
    """
    found = [(said[part], match(said[part], heard)) for part in phrases(said, rate)]
    energies = [float(np.sum(part.astype(np.float64) ** 2)) for part, _ in found]
    sizes = [part.size for part, _ in found]
    return Match(
        delay=found[0][1].delay - phrases(said, rate)[0].start,
        correlation=float(np.average([one.correlation for _, one in found], weights=energies)),
        equal=float(np.average([one.equal for _, one in found], weights=sizes)),
    )
