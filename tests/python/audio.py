"""Audio for tests: noise and tones whose samples can be told apart, and how alike two recordings are."""

import array
import math
import random


def noise(seconds: float, rate: int = 8000, seed: int = 1) -> bytes:
    """Noise that sounds like nothing else: any shift of it is unlike it."""
    source = random.Random(seed)
    return array.array("h", (source.randint(-9000, 9000) for _ in range(int(seconds * rate)))).tobytes()


def tone(seconds: float, rate: int = 8000, hz: float = 440, peak: int = 9000) -> bytes:
    """A sine."""
    count = int(seconds * rate)
    return array.array("h", (round(peak * math.sin(2 * math.pi * hz * i / rate)) for i in range(count))).tobytes()


def find(needle: bytes, haystack: bytes) -> int:
    """At which sample of `haystack` the samples of `needle` lie, exactly; -1 if nowhere."""
    at = haystack.find(needle)
    while at % 2 == 1:
        at = haystack.find(needle, at + 1)
    return at // 2 if at >= 0 else -1


def samples(pcm: bytes) -> "array.array[int]":
    """PCM as integers."""
    return array.array("h", pcm)
