"""`talkpath.audioop` beside CPython's own, on seeded random data: the same answers, states and refusals."""

import array
import random
import warnings
from typing import Any

import pytest

from talkpath import TalkpathError
from talkpath import audioop as ours


@pytest.fixture(scope="module")
def theirs() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="Python 3.13 has no audioop")


def answer(module: Any, name: str, *args: Any) -> Any:
    """Calls a function; a refusal is an answer too. Answers are compared as text, in which nan equals nan."""
    try:
        return repr(getattr(module, name)(*args))
    except module.error as error:
        return f"error: {error}"
    except (ValueError, TypeError) as error:
        return type(error).__name__


def calls(seed: int) -> list[tuple[Any, ...]]:
    rng = random.Random(seed)
    width = rng.choice([1, 2, 3, 4])
    count = rng.choice([0, 1, 2, 5, 6, 160, 1001])
    data = rng.randbytes(width * count)
    other = rng.randbytes(width * count)
    ragged = data + b"x"
    even = rng.randbytes(2 * count)
    factors = rng.uniform(-3, 3), rng.uniform(-3, 3)
    adpcm = rng.choice([None, (rng.randrange(-33000, 33000), rng.randrange(-2, 91)), [0, 0]])
    channels = rng.choice([1, 2, 3])
    frames = rng.randbytes(width * channels * count)
    rates = rng.choice([(8000, 16000), (16000, 8000), (8000, 11025), (44100, 8000), (0, 1)])
    samples = tuple((rng.randrange(-(2**31), 2**31), rng.randrange(-(2**31), 2**31)) for _ in range(channels))
    # With one fault at a time: which of two is named first is no part of the promise.
    state = rng.choice([None, (-rng.randrange(1, 9000), samples), (-1, ()), 5]) if rates[0] else None
    measured = ["max", "minmax", "avg", "rms", "avgpp", "maxpp", "cross"]
    whole = ["reverse", "byteswap", "lin2ulaw", "lin2alaw", "ulaw2lin", "alaw2lin"]
    return [
        *((name, piece, size) for name in measured + whole for piece in (data, ragged) for size in (width, 0, 5)),
        ("getsample", data, width, rng.randrange(-1, count + 1)),
        ("add", data, other, width),
        ("add", data, other[width:], width),
        ("mul", data, width, factors[0]),
        ("bias", data, width, rng.randrange(-(2**31), 2**31)),
        ("tomono", data, width, *factors),
        ("tostereo", data, width, *factors),
        *(("lin2lin", data, width, new) for new in (0, 1, 2, 3, 4)),
        ("findfit", even, even[: 2 * (count // 3)]),
        ("findfit", even[: 2 * (count // 3)], even),
        ("findfactor", even, rng.randbytes(2 * count)),
        ("findmax", even, rng.randrange(-1, count + 2)),
        ("lin2adpcm", data, width, adpcm),
        ("adpcm2lin", data, width, adpcm),
        ("ratecv", frames, width, channels, *rates, state),
        ("ratecv", frames, width, channels, *rates, None, rng.randrange(5), rng.randrange(-1, 5)),
    ]


@pytest.mark.parametrize("seed", range(60))
def test_every_answer_is_cpythons(theirs: Any, seed: int) -> None:
    for name, *args in calls(seed):
        assert answer(ours, name, *args) == answer(theirs, name, *args), (name, args[1:])


def test_every_name_is_there(theirs: Any) -> None:
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert set(ours.__all__) == public


def test_every_function_is_tried() -> None:
    assert {call[0] for call in calls(0)} | {"error"} == set(ours.__all__)


def test_any_contiguous_buffer_is_taken() -> None:
    samples = array.array("h", [1, -2, 3])
    assert ours.max(samples, 2) == 3
    assert ours.max(memoryview(samples), 2) == 3
    assert ours.max(bytearray(samples.tobytes()), 2) == 3
    with pytest.raises(TypeError):
        ours.max("abc", 2)  # type: ignore[arg-type]


def test_errors_are_talkpaths_too() -> None:
    with pytest.raises(TalkpathError, match="Size should be 1, 2, 3 or 4"):
        ours.max(b"", 5)
    assert issubclass(ours.error, TalkpathError)
