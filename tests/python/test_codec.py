"""Codecs from Python: exact, from any buffer, and clear about what they do not take."""

import array
import random

import pytest

import talkpath
from talkpath import _talkpath

PCM = array.array("h", [0, 1000, -1000, 32767, -32768])


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("ulaw", "ffce4e8000"),
        ("alaw", "d5fa7aaa2a"),
        ("slin", "0000e80318fcff7f0080"),
        ("slin_be", "000003e8fc187fff8000"),
    ],
)
def test_every_encoding_has_its_known_bytes(encoding: str, wire: str) -> None:
    assert talkpath.encode(PCM, encoding).hex() == wire


@pytest.mark.parametrize("encoding", ["ulaw", "alaw"])
def test_g711_is_bit_exact_with_audioop(encoding: str) -> None:
    audioop = pytest.importorskip("audioop", reason="Python 3.13 has no audioop")
    every = array.array("h", range(-32768, 32768)).tobytes()
    assert talkpath.encode(every, encoding) == getattr(audioop, f"lin2{encoding}")(every, 2)
    codes = bytes(range(256))
    assert talkpath.decode(codes, encoding) == getattr(audioop, f"{encoding}2lin")(codes, 2)


@pytest.mark.parametrize("encoding", ["slin", "slin_be"])
@pytest.mark.parametrize("samples", [0, 1, 160, 100_000])
def test_linear_encodings_give_back_what_they_took(encoding: str, samples: int) -> None:
    pcm = random.Random(samples).randbytes(2 * samples)
    assert talkpath.decode(talkpath.encode(pcm, encoding), encoding) == pcm


def test_every_kind_of_buffer_gives_the_same_bytes() -> None:
    numpy = pytest.importorskip("numpy")
    data = PCM.tobytes()
    unaligned = memoryview(b"x" + data)[1:]
    wanted = talkpath.encode(data, "ulaw")
    for samples in (PCM, bytearray(data), memoryview(data), unaligned, memoryview(PCM), numpy.array(PCM, "int16")):
        assert talkpath.encode(samples, "ulaw") == wanted


def test_decode_takes_any_bytes_like() -> None:
    for codes in (b"\xff\xce", bytearray(b"\xff\xce"), memoryview(b"\xff\xce"), array.array("B", b"\xff\xce")):
        assert talkpath.decode(codes, "mulaw") == talkpath.decode(b"\xff\xce", "ulaw")


def test_an_odd_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes of PCM, wanted an even number"):
        talkpath.encode(b"abc", "ulaw")
    with pytest.raises(talkpath.InvalidArgument, match="slin payload of 3 bytes"):
        talkpath.decode(b"abc", "slin")


def test_floats_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"audio as floats, wanted 16-bit integers.*astype\('int16'\)"):
        talkpath.encode(array.array("f", [0.5]), "ulaw")


def test_other_items_and_types_are_named() -> None:
    with pytest.raises(TypeError, match='format "i", wanted 16-bit integers'):
        talkpath.encode(array.array("i", [1]), "ulaw")
    with pytest.raises(TypeError, match="audio of type str, wanted bytes-like PCM"):
        talkpath.encode("text", "ulaw")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="encoded audio as 16-bit integers, wanted bytes"):
        talkpath.decode(PCM, "ulaw")


def test_a_stretched_view_is_refused() -> None:
    with pytest.raises(BufferError):
        talkpath.encode(memoryview(PCM)[::2], "ulaw")


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(talkpath.InvalidArgument, match='encoding "gsm", wanted one of slin'):
        talkpath.encode(b"", "gsm")


@pytest.mark.parametrize("encoding", ["ulaw", "alaw"])
@pytest.mark.parametrize("kernel", ["portable", "avx2", "avx512"])
def test_every_kernel_decodes_alike(encoding: str, kernel: str) -> None:
    codes = random.Random(kernel).randbytes(8_000)
    try:
        decoded = _talkpath._decode_with_kernel(codes, encoding, kernel)
    except talkpath.InvalidArgument:
        pytest.skip(f"this CPU has no {kernel}")
    assert decoded == talkpath.decode(codes, encoding)


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(talkpath.InvalidArgument, match='kernel "mmx", wanted one that this CPU runs'):
        _talkpath._decode_with_kernel(b"", "ulaw", "mmx")
    with pytest.raises(talkpath.InvalidArgument, match="encoding slin, wanted ulaw or alaw"):
        _talkpath._decode_with_kernel(b"", "slin", "portable")
