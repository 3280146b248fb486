"""What a call from Python costs: talkpath beside CPython's audioop, at 20 ms and at a second of 8 kHz audio.

    python benches/python_calls.py [--json]

Needs an installed talkpath; audioop is there up to Python 3.12. Each figure is the least of many batches, in
nanoseconds a call, the interpreter's own part included.
"""

import argparse
import array
import json
import os
import timeit
import warnings
from collections.abc import Callable

import talkpath

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import audioop
    except ImportError:
        audioop = None


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    rows = [row for samples in (160, 8000) for row in measure(samples)]
    if parser.parse_args().json:
        print(
            json.dumps([dict(zip(("call", "samples", "talkpath_ns", "audioop_ns"), row, strict=True)) for row in rows])
        )
        return
    print(f"{'call':28} {'samples':>8} {'talkpath ns':>12} {'audioop ns':>12} {'times':>7}")
    for call, samples, ours, theirs in rows:
        peer, times = (f"{theirs:12.0f}", f"{theirs / ours:7.1f}") if theirs else (" " * 12, "")
        print(f"{call:28} {samples:8} {ours:12.0f} {peer} {times}")


def measure(samples: int) -> list[tuple[str, int, float, float | None]]:
    """Each call's cost, ours and audioop's."""
    pcm, codes = os.urandom(2 * samples), os.urandom(samples)
    frame = talkpath.Frame(pcm, 8000)
    integers = array.array("h", pcm)
    calls: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("decode ulaw", lambda: talkpath.decode(codes, "ulaw"), audioop and (lambda: audioop.ulaw2lin(codes, 2))),
        ("decode alaw", lambda: talkpath.decode(codes, "alaw"), audioop and (lambda: audioop.alaw2lin(codes, 2))),
        ("encode ulaw", lambda: talkpath.encode(pcm, "ulaw"), audioop and (lambda: audioop.lin2ulaw(pcm, 2))),
        ("encode alaw", lambda: talkpath.encode(pcm, "alaw"), audioop and (lambda: audioop.lin2alaw(pcm, 2))),
        ("encode ulaw, of an array", lambda: talkpath.encode(integers, "ulaw"), None),
        ("encode ulaw, of a frame", lambda: talkpath.encode(frame, "ulaw"), None),
        ("level", lambda: talkpath.level(pcm).rms, audioop and (lambda: audioop.rms(pcm, 2))),
        ("make a frame", lambda: talkpath.Frame(pcm, 8000), None),
    ]
    return [(name, samples, least(ours), least(theirs) if theirs else None) for name, ours, theirs in calls]


def least(call: Callable[[], object]) -> float:
    """The least cost of one call in nanoseconds."""
    timer = timeit.Timer(call)
    number = max(1, int(0.01 / max(1e-9, timer.timeit(100) / 100)))
    return min(timer.repeat(repeat=20, number=number)) / number * 1e9


if __name__ == "__main__":
    main()
