"""Reads and writes WAV files as phone audio: 16-bit mono at a rate that AudioSocket carries."""

import wave
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from talkpath._talkpath import resample
from talkpath.errors import InvalidArgument
from talkpath.testing import AUDIO_KINDS


@dataclass(frozen=True, slots=True)
class Audio:
    """16-bit little-endian mono PCM and its rate."""

    pcm: bytes
    rate: int

    @property
    def duration_ms(self) -> float:
        """How long it is."""
        return len(self.pcm) / 2 / self.rate * 1000

    def at(self, rate: int) -> "Audio":
        """The same at another rate."""
        return self if rate == self.rate else Audio(resample(self.pcm, self.rate, rate, "studio"), rate)


def read_wav(path: Path | Traversable) -> Audio:
    """Reads a 16-bit mono WAV file; anything else is refused with what it is."""
    try:
        with path.open("rb") as source, wave.open(source, "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            pcm = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise InvalidArgument(
            f"{path}: {str(error) or 'the file is too short'}, wanted a 16-bit PCM WAV file"
        ) from None
    if channels != 1:
        raise InvalidArgument(f"{path}: {channels} channels, wanted mono: a phone has one")
    if width != 2:
        raise InvalidArgument(f"{path}: {8 * width}-bit samples, wanted 16-bit")
    if rate not in AUDIO_KINDS and rate != 22050:
        raise InvalidArgument(f"{path}: {rate} Hz, wanted one of {', '.join(map(str, AUDIO_KINDS))}")
    return Audio(pcm[: len(pcm) // 2 * 2], rate)


def write_wav(path: Path, audio: Audio) -> None:
    """Writes a 16-bit mono WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(audio.pcm)
