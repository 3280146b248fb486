"""Clips of recorded speech: prompts of Debian's packages in five languages, joined to ten seconds each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vad_corpus import fetch_packages, level_to, load_clips

RATE = 8000
SECONDS = 10
# 20 ms.
FRAME = 160
LEVEL_DBFS = -26
# A recording is never quite silent: -78 dB.
HISS = 4.0


@dataclass(frozen=True)
class Clip:
    """Speech of one speaker at 8 kHz, in whole frames, with half a second of quiet at both ends."""

    name: str
    samples: NDArray[np.int16]


def clips(each: int, seed: int) -> list[Clip]:
    """So many clips of each speaker, the same ones for the same seed; the speakers take turns."""
    prompts = load_clips(fetch_packages(), None)
    made = {speaker: _joined(prompts[speaker], each, [seed, *speaker.encode()]) for speaker in sorted(prompts)}
    return [Clip(f"{speaker} {turn}", made[speaker][turn]) for turn in range(each) for speaker in made]


def _joined(prompts: list[NDArray[np.float64]], count: int, seed: list[int]) -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(seed)
    order = iter(rng.permutation(len(prompts)))
    clips = []
    for _ in range(count):
        pieces: list[NDArray[np.float64]] = []
        while sum(map(len, pieces)) < SECONDS * RATE:
            pieces += [_trimmed(prompts[next(order)]), np.zeros(int(RATE * rng.uniform(0.25, 0.7)))]
        talk = level_to(np.concatenate(pieces)[: SECONDS * RATE], LEVEL_DBFS)
        whole = np.pad(talk, RATE // 2)
        whole += rng.normal(0, HISS, len(whole))
        clips.append(np.clip(np.round(whole), -32768, 32767).astype(np.int16))
    return clips


def _trimmed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    step = RATE // 100
    energy = (samples[: len(samples) // step * step].reshape(-1, step) ** 2).mean(1)
    loud = np.flatnonzero(energy > 4e-4 * energy.max())
    return samples[max(0, loud[0] - 5) * step : (loud[-1] + 6) * step]
