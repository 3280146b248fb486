"""Voice activity and level from Python."""

import array
import math

import pytest

import talkpath


def test_silence_is_not_speech() -> None:
    vad = talkpath.Vad(8000)
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


def test_level_of_a_full_scale_sine() -> None:
    sine = array.array("h", (round(32767 * math.sin(2 * math.pi * i / 100)) for i in range(8000)))
    level = talkpath.level(sine)
    assert level.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert level.peak == 32767
    assert level.dc == pytest.approx(0, abs=0.5)


def test_level_of_silence_is_finite() -> None:
    assert -97 < talkpath.level(b"").rms_dbfs == talkpath.level(bytes(320)).peak_dbfs < -96
