"""Voice activity and level from Python."""

import array
import math
import wave
from importlib import resources
from typing import Literal

import pytest

import talkpath


@pytest.mark.parametrize("detector", ["phone", "silero"])
def test_silence_is_not_speech(detector: Literal["phone", "silero"]) -> None:
    vad = talkpath.Vad(8000, detector=detector)
    assert vad.detector == detector
    for _ in range(50):
        verdict = vad.process(bytes(320))
    assert not verdict
    assert not verdict.speech
    assert 0 <= verdict.score < verdict.threshold <= 1


def test_vad_takes_phone_rates_only() -> None:
    with pytest.raises(ValueError, match="24000 Hz, wanted 8000 Hz or 16000 Hz"):
        talkpath.Vad(24000)
    with pytest.raises(ValueError, match="sensitivity 2, wanted 0 to 1"):
        talkpath.Vad(8000, sensitivity=2)


@pytest.mark.parametrize("detector", ["phone", "silero"])
def test_a_recorded_sentence_is_heard(detector: Literal["phone", "silero"]) -> None:
    vad = talkpath.Vad(8000, detector=detector)
    with wave.open(str(resources.files("talkpath") / "data" / "interruption.wav")) as file:
        frames = [file.readframes(160) for _ in range(file.getnframes() // 160)]
    voiced = sum(bool(vad.process(frame)) for frame in frames)
    assert voiced > 0.75 * len(frames)


def test_detectors_have_names() -> None:
    with pytest.raises(ValueError, match='detector "loud", wanted phone or silero'):
        talkpath.Vad(8000, detector="loud")  # type: ignore[arg-type]


@pytest.mark.parametrize("vad", [True, False, "phone", "silero"])
async def test_a_server_takes_a_detector_by_name(vad: bool | Literal["phone", "silero"]) -> None:
    async with talkpath.Server(silent, "127.0.0.1:0", vad=vad) as server:
        assert not server.sessions


async def test_a_server_refuses_an_unknown_detector() -> None:
    with pytest.raises(ValueError, match='detector "loud", wanted phone or silero'):
        async with talkpath.Server(silent, "127.0.0.1:0", vad="loud"):  # type: ignore[typeddict-item]
            pass


async def silent(session: talkpath.Session) -> None:
    raise AssertionError(session)


def test_level_of_a_full_scale_sine() -> None:
    sine = array.array("h", (round(32767 * math.sin(2 * math.pi * i / 100)) for i in range(8000)))
    level = talkpath.level(sine)
    assert level.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert level.peak == 32767
    assert level.dc == pytest.approx(0, abs=0.5)


def test_level_of_silence_is_finite() -> None:
    assert -97 < talkpath.level(b"").rms_dbfs == talkpath.level(bytes(320)).peak_dbfs < -96
