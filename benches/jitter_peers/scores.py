"""What a listener would say of what a buffer played: how good, how late, and how much of it came through.

Nothing that a buffer says of itself is believed: delays and losses are found in its audio. Each 60 ms of speech are
looked for in the output by correlation; the place tells the delay, and speech that is nowhere was not delivered.
PESQ (ITU-T P.862.1, narrow band) compares with the original and punishes every change of timing, PLC-MOS (Microsoft,
2023) judges without it: the one hears concealment, the other naturalness.
"""

import warnings
from dataclasses import dataclass
from math import nan

import numpy as np
from corpus import RATE
from numpy.typing import NDArray

warnings.filterwarnings("ignore")
try:
    from pesq import PesqError, pesq
except ImportError:
    pesq = None
try:
    import soxr
    from speechmos import plcmos
except ImportError:
    plcmos = None

WINDOW = 60 * RATE // 1000
STEP = 30 * RATE // 1000
# How much later than the network allows speech is looked for.
SEARCH = 1200 * RATE // 1000
ALIKE = 0.8
# A beginning of speech follows that much quiet.
PAUSE_STEPS = 7


@dataclass(frozen=True)
class Score:
    """How one buffer did on one clip; nan where it was not measured."""

    pesq: float
    plcmos: float
    delay_ms: float
    """How much later than the fastest packet allows speech is heard, in the mean."""
    p95_ms: float
    delivered: float
    """The share of speech that is heard recognisably."""
    onset_loss: float
    """The share of beginnings of speech, 60 ms each, that are not."""


def score(said: NDArray[np.int16], heard: NDArray[np.int16], offset_ms: float, *, opinions: bool = True) -> Score:
    """Judges what was heard: a sample of it is, without any delay, that of `said` `offset_ms` earlier."""
    delays, is_onset = _delays(said, heard, offset_ms)
    found = ~np.isnan(delays)
    smooth = _median(delays[found])
    return Score(
        pesq=_pesq(said, heard) if opinions else nan,
        plcmos=_plcmos(heard) if opinions else nan,
        delay_ms=float(np.mean(smooth)) if len(smooth) else nan,
        p95_ms=float(np.percentile(smooth, 95)) if len(smooth) else nan,
        delivered=float(np.mean(found)),
        onset_loss=float(1 - np.mean(found[is_onset])) if is_onset.any() else nan,
    )


def _delays(
    said: NDArray[np.int16], heard: NDArray[np.int16], offset_ms: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """For each window of speech its delay in ms, nan if it is not found, and whether it begins speech."""
    source, target = said.astype(float), heard.astype(float)
    starts = np.arange(0, len(source) - WINDOW, STEP)
    levels = np.array([np.sqrt(np.mean(source[start : start + WINDOW] ** 2)) for start in starts])
    is_speech = levels >= 0.25 * np.percentile(levels, 95)
    delays, onsets = [], []
    energy = np.concatenate([[0.0], np.cumsum(target**2)])
    # 5 ms early: a buffer that shortens time may seem to.
    ahead = (offset_ms - 5) * RATE / 1000
    for index in np.flatnonzero(is_speech):
        begin = max(0, int(starts[index] + ahead))
        place = target[begin : begin + WINDOW + SEARCH]
        onsets.append(not is_speech[max(0, index - PAUSE_STEPS) : index].any())
        delays.append(nan)
        if len(place) < WINDOW + STEP:
            continue
        piece = source[starts[index] : starts[index] + WINDOW]
        size = 1 << (len(place) - 1).bit_length()
        cross = np.fft.irfft(np.fft.rfft(place, size) * np.conj(np.fft.rfft(piece, size)), size)
        lags = len(place) - WINDOW + 1
        power = energy[begin + WINDOW : begin + WINDOW + lags] - energy[begin : begin + lags]
        likeness = cross[:lags] / (np.sqrt(np.maximum(power, 1)) * np.linalg.norm(piece))
        best = int(np.argmax(likeness))
        if likeness[best] > ALIKE:
            delays[-1] = (begin + best - starts[index]) * 1000 / RATE - offset_ms
    return np.array(delays), np.array(onsets, bool)


def _median(delays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each delay's median with its neighbours: a vowel may be taken for its own next period."""
    if len(delays) < 5:
        return delays
    padded = np.pad(delays, 2, mode="edge")
    return np.median(np.stack([padded[shift : shift + len(delays)] for shift in range(5)]), axis=0)


def _pesq(said: NDArray[np.int16], heard: NDArray[np.int16]) -> float:
    if pesq is None:
        return nan
    try:
        return float(pesq(RATE, said / 32768, heard / 32768, "nb"))
    except PesqError:
        return nan


def _plcmos(heard: NDArray[np.int16]) -> float:
    if plcmos is None:
        return nan
    wide = soxr.resample(heard / 32768, RATE, 2 * RATE)
    return float(plcmos.run(np.clip(wide, -1, 1), 2 * RATE)["plcmos"])
