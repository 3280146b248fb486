"""Compares what was said with what came back, sample by sample."""

from __future__ import annotations

import wave
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
