"""Frames are buffers of 16-bit samples, with or without numpy."""

import array
import struct
import subprocess
import sys

import pytest

import talkpath

SAMPLES = array.array("h", range(-80, 80))


def frame() -> talkpath.Frame:
    return talkpath.Frame(SAMPLES, 8000, position_ms=40, speech=True, level_dbfs=-20, lost_ms=20)


def test_a_frame_says_what_is_known_of_it() -> None:
    it = frame()
    assert (it.rate, len(it), it.position_ms, it.duration_ms, it.lost_ms) == (8000, 160, 40.0, 20.0, 20.0)
    assert it.speech
    assert it.level_dbfs == -20
    assert repr(it) == "<talkpath.Frame 160 samples at 8000 Hz, position_ms=40, speech=True>"


def test_a_frame_is_a_read_only_buffer_of_samples() -> None:
    view = memoryview(frame())
    assert (view.format, view.itemsize, view.shape, view.strides, view.readonly) == ("h", 2, (160,), (2,), True)
    assert view.tolist() == SAMPLES.tolist()
    assert bytes(frame()) == frame().bytes() == SAMPLES.tobytes()
    assert array.array("h", view) == SAMPLES


def test_a_view_outlives_the_frame() -> None:
    it = frame()
    view = memoryview(it)
    del it
    assert view.tobytes() == SAMPLES.tobytes()


def test_numpy_sees_the_samples_without_a_copy() -> None:
    numpy = pytest.importorskip("numpy")
    it = frame()
    seen = numpy.asarray(it)
    assert seen.dtype == numpy.int16
    assert not seen.flags.writeable
    assert seen.tolist() == SAMPLES.tolist()
    assert seen.__array_interface__["data"][0] == it.__array_interface__["data"][0]


def test_an_empty_frame_is_a_buffer_too() -> None:
    assert memoryview(talkpath.Frame(b"", 8000)).tolist() == []


def test_a_frame_goes_back_in_as_audio() -> None:
    assert talkpath.encode(frame(), "slin") == SAMPLES.tobytes()


def test_a_frame_is_not_written_to() -> None:
    with pytest.raises((AttributeError, TypeError)):
        frame().rate = 16000  # type: ignore[misc]
    with pytest.raises(TypeError, match="read-write"):
        struct.pack_into("h", frame(), 0, 1)  # type: ignore[arg-type]


def test_a_wrong_rate_is_named() -> None:
    with pytest.raises(ValueError, match="8001 Hz, wanted one of"):
        talkpath.Frame(b"", 8001)


def test_talkpath_needs_no_numpy() -> None:
    program = "import sys, talkpath; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
