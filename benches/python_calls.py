"""What does a call from Python cost, beside the standard library's audioop?

    python benches/python_calls.py [--batches 1000] [--json]

Each statement runs in batches of about 50 us, ours and the peer's in turn; a figure is the fastest batch, divided by
its calls. `audioop` ends with Python 3.12: without it there are no ratios. `ratecv` interpolates linearly, which is
less than `Resampler` does. The session's calls are made in a real call over the loopback interface.
"""

import argparse
import array
import asyncio
import itertools
import json
import platform
import random
import time
import timeit
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import talkpath
from talkpath import _talkpath
from talkpath.testing import Phone

warnings.filterwarnings("ignore", category=DeprecationWarning)
MISSING = ""
try:
    import audioop
except ImportError:
    audioop = None  # type: ignore[assignment]
    MISSING = ", which has no audioop to compare with"

BATCH_NS = 50_000
FRAMES = 25


@dataclass
class Row:
    """One line of the table, in nanoseconds a call."""

    what: str
    ours_ns: float
    peer_ns: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer."""
        return None if self.peer_ns is None else self.peer_ns / self.ours_ns


def batch_of(statement: str, names: dict[str, Any]) -> Iterator[float]:
    """Runs a batch of calls each time it is asked, and gives nanoseconds a call."""
    timer = timeit.Timer(statement, timer=time.perf_counter_ns, globals=names)
    timer.timeit(100)  # The first calls are slower, and would make for too small a batch.
    calls = 1
    while timer.timeit(calls) < BATCH_NS:
        calls *= 2
    while True:
        yield timer.timeit(calls) / calls


def compare(batches: int, what: str, ours: str, peer: str | None, names: dict[str, Any]) -> Row:
    """Measures a statement, and the peer's in turn with it if there is one."""
    our_batches = batch_of(ours, names)
    if peer is None or audioop is None:
        return Row(what, min(itertools.islice(our_batches, batches)))
    pairs = list(itertools.islice(zip(our_batches, batch_of(peer, names), strict=True), batches))
    return Row(what, min(pair[0] for pair in pairs), min(pair[1] for pair in pairs))


def codec_rows(batches: int) -> Iterator[Row]:
    """G.711 both ways, decoding also on each kernel that this CPU runs, and levels."""
    for samples in (160, 8_000):
        noise = random.Random(samples)
        names: dict[str, Any] = {
            "codes": noise.randbytes(samples),
            "pcm": noise.randbytes(2 * samples),
            "talkpath": talkpath,
            "core": _talkpath,
            "audioop": audioop,
        }
        for law in ("ulaw", "alaw"):
            peer = f"audioop.{law}2lin(codes, 2)"
            yield compare(batches, f"decode {law}, {samples}", f"talkpath.decode(codes, '{law}')", peer, names)
            for kernel in ("portable", "avx2", "avx512"):
                ours = f"core._decode_with_kernel(codes, '{law}', '{kernel}')"
                try:
                    eval(ours, names)
                except talkpath.InvalidArgument:
                    continue
                yield compare(batches, f"decode {law}, {samples}, {kernel} alone", ours, peer, names)
            ours, peer = f"talkpath.encode(pcm, '{law}')", f"audioop.lin2{law}(pcm, 2)"
            yield compare(batches, f"encode {law}, {samples}", ours, peer, names)
        names |= {"integers": array.array("h", names["pcm"]), "frame": talkpath.Frame(names["pcm"], 8_000)}
        for source in ("integers", "frame"):
            ours = f"talkpath.encode({source}, 'ulaw')"
            yield compare(batches, f"encode ulaw, {samples}, of {source}", ours, None, names)
        peer = "audioop.rms(pcm, 2)"
        yield compare(batches, f"level, {samples}", "talkpath.level(pcm).rms", peer, names)


def stream_rows(batches: int) -> Iterator[Row]:
    """What is called once a frame of 20 ms."""
    names: dict[str, Any] = {"pcm": random.Random(0).randbytes(320), "talkpath": talkpath, "audioop": audioop}
    for source, target in ((8_000, 16_000), (24_000, 8_000)):
        names |= {"resampler": talkpath.Resampler(source, target), "chunk": random.Random(1).randbytes(source // 25)}
        if audioop is not None:
            names["state"] = audioop.ratecv(names["chunk"], 2, 1, source, target, None)[1]
        what = f"Resampler.process 20 ms, {source} to {target}"
        peer = f"audioop.ratecv(chunk, 2, 1, {source}, {target}, state)"
        yield compare(batches, what, "resampler.process(chunk)", peer, names)
    names["vad"] = talkpath.Vad(8_000)
    yield compare(batches, "Vad.process 20 ms, 8000", "vad.process(pcm)", None, names)
    names["frame"] = talkpath.Frame(names["pcm"], 8_000)
    yield compare(batches, "Frame(pcm, 8000)", "talkpath.Frame(pcm, 8000)", None, names)
    for ours in ("len(frame)", "memoryview(frame)", "frame.bytes()"):
        yield compare(batches, ours, ours, None, names)


async def session_rows(batches: int) -> list[Row]:
    """A call's reads and writes: the agent's side of a call over a real socket."""
    rows: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
    pcm = random.Random(0).randbytes(320)
    phones: list[Phone] = []

    async def agent(session: talkpath.Session) -> None:
        heard, output, now = session.input(), session.output, time.perf_counter_ns
        read, empty, write = [], [], []
        for batch in range(batches // 20 + 1):
            await phones[0].say(pcm * FRAMES, paced=False)
            while session.stats().frames_received < FRAMES * (batch + 1):  # noqa: ASYNC110
                await asyncio.sleep(0)
            begin = now()
            frames = [heard.read() for _ in range(FRAMES)]
            read.append((now() - begin) / FRAMES)
            assert None not in frames, "all frames had come in"
            begin = now()
            for _ in range(FRAMES):
                heard.read()
            empty.append((now() - begin) / FRAMES)
            begin = now()
            for _ in range(FRAMES):
                output.try_write(pcm, 8_000)
            write.append((now() - begin) / FRAMES)
            output.interrupt()
        measured = {"input.read() of 20 ms": read, "input.read() of none": empty, "output.try_write(20 ms)": write}
        rows.set_result([Row(what, min(times)) for what, times in measured.items()])

    async with talkpath.Server(agent, "audiosocket://127.0.0.1:0", vad=False) as server, Phone(server.address) as phone:
        phones.append(phone)
        return await asyncio.wait_for(rows, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what calls from Python cost.")
    parser.add_argument("--batches", type=int, default=1_000)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [*codec_rows(options.batches), *stream_rows(options.batches)]
    rows += asyncio.run(session_rows(options.batches))
    if options.json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=2))
        return
    print(f"Python {platform.python_version()}{MISSING}\n")
    print("| call | ns | audioop ns | times as fast |\n| --- | ---: | ---: | ---: |")
    for row in rows:
        peer, ratio = ("" if it is None else f"{it:.{digits}f}" for it, digits in ((row.peer_ns, 0), (row.ratio, 1)))
        print(f"| {row.what} | {row.ours_ns:.0f} | {peer} | {ratio} |")


if __name__ == "__main__":
    main()
