"""Measures talkpath's resampler and its peers alike, and prints a Markdown table.

    pip install numpy soxr
    python benches/resampler_peers.py [--speexdsp /path/to/libspeexdsp.so.1] [--no-time]

Every peer gets the same 16-bit audio in chunks of 20 ms and gives 16-bit audio back, whose rounding leaves -90 to
-95 dB: figures below -90 dB are not told apart. Peers that are not there are left out: `audioop` ends with Python 3.12.

- us: the least time for 20 ms. talkpath and rubato by criterion, frame by frame; the others a second of audio a call,
  divided by 50, which spares them the cost of calls from Python.
- latency: how far the played audio lags: the shift of a pulse, and the most that is ever held back after a chunk.
- ripple: the largest deviation of a tone's level from 0 dB, 0.1 to 3.4 kHz. Tones scale with the lower rate / 8 kHz.
- alias: to a higher rate, all that comes out beside such a tone; to a lower rate, all that comes out of tones from
  4.6 kHz on.
"""

import argparse
import ctypes
import ctypes.util
import json
import pathlib
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

warnings.filterwarnings("ignore", category=DeprecationWarning)
try:
    import audioop
except ImportError:
    audioop = None  # type: ignore[assignment]
try:
    import soxr  # type: ignore[import-untyped]
except ImportError:
    soxr = None

Samples = NDArray[np.int16]
Process = Callable[[Samples], Samples]
NewProcess = Callable[[int, int], Process]
Stream = Callable[[Samples], list[Samples]]

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAIRS = [
    (8_000, 16_000),
    (16_000, 8_000),
    (8_000, 24_000),
    (24_000, 8_000),
    (16_000, 24_000),
    (24_000, 16_000),
    (48_000, 8_000),
    (44_100, 8_000),
    (8_000, 44_100),
]
AMPLITUDE = 30_000.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure talkpath's resampler beside its peers.")
    parser.add_argument("--speexdsp", default=ctypes.util.find_library("speexdsp"), help="path of libspeexdsp")
    parser.add_argument("--no-time", action="store_true", help="take times from the last run")
    args = parser.parse_args()
    bench = build_bench()
    if not args.no_time:
        command = ["cargo", "bench", "--quiet", "--bench", "resampler", "--", "--quiet"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    sys.stdout.write("| ratio | resampler | µs per 20 ms | latency ms | ripple dB | alias or image dB |\n")
    sys.stdout.write("| --- | --- | ---: | ---: | ---: | ---: |\n")
    for source, target in PAIRS:
        for peer, label in (("Phone", "Phone"), ("Studio", "Studio"), ("rubato", "rubato Fft")):
            stream = partial(stream_bench, bench, peer, source, target)
            row(source, target, label, criterion_time(source, target, label), stream)
        for label, new in peers(args.speexdsp):
            row(
                source,
                target,
                label,
                call_time(new(source, target), source),
                partial(stream_calls, new, source, target),
            )


def row(source: int, target: int, label: str, microseconds: float, stream: Stream) -> None:
    latency = measure_latency(stream, source, target)
    ripple, alias = measure_signal(stream, source, target)
    clean = "< -90" if alias < -90 else f"{alias:.0f}"
    name = f"**talkpath {label}**" if label in ("Phone", "Studio") else label
    sys.stdout.write(
        f"| {source / 1000:g} → {target / 1000:g} | {name} | {microseconds:.2f} | {latency:.2f} |"
        f" {ripple:.3f} | {clean} |\n"
    )
    sys.stdout.flush()


def measure_latency(stream: Stream, source: int, target: int) -> float:
    middle = 0.5
    width = 4 / min(source, target)
    seconds = np.arange(source * 3 // 2) / source
    pulse = (20_000 * np.exp(-(((seconds - middle) / width) ** 2))).astype(np.int16)
    chunks = stream(pulse)
    fed = 0.02 * (1 + np.arange(len(chunks)))
    held = np.max((fed - np.cumsum([len(chunk) for chunk in chunks]) / target)[len(chunks) // 2 :])
    out = np.concatenate(chunks).astype(float)
    shift = np.sum(out * np.arange(len(out))) / np.sum(out) / target - middle
    return 1_000 * float(max(held, 0) + shift)


def measure_signal(stream: Stream, source: int, target: int) -> tuple[float, float]:
    scale = min(source, target) / 8_000
    ripple, alias = 0.0, -999.0
    for hz in np.linspace(100, 3_400, 12) * scale:
        out = settled(stream, hz, source)
        amplitude, rest = fit(out, hz, target)
        ripple = max(ripple, abs(decibels(amplitude / AMPLITUDE)))
        if target > source:
            alias = max(alias, decibels(rest / (amplitude / np.sqrt(2))))
    if target < source:
        for hz in np.arange(4_600 * scale, source / 2, 230 * scale):
            alias = max(alias, decibels(rms(settled(stream, hz, source)) / (AMPLITUDE / np.sqrt(2))))
    return ripple, alias


def settled(stream: Stream, hz: float, source: int) -> NDArray[np.float64]:
    sine = AMPLITUDE * np.sin(2 * np.pi * hz * np.arange(source) / source)
    out = np.concatenate(stream(np.round(sine).astype(np.int16))).astype(float)
    return out[len(out) // 4 : len(out) * 3 // 4]


def fit(out: NDArray[np.float64], hz: float, rate: int) -> tuple[float, float]:
    """The tone's amplitude, and the RMS of what is left without it."""
    turn = 2 * np.pi * hz * np.arange(len(out)) / rate
    basis = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    weights = np.linalg.lstsq(basis, out, rcond=None)[0]
    return float(np.hypot(*weights)), rms(out - basis @ weights)


def rms(signal: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-9)))


def build_bench() -> str:
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "resampler", "--message-format", "json"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    built = (json.loads(line) for line in out.splitlines())
    return next(str(it["executable"]) for it in built if it.get("executable") and it["target"]["name"] == "resampler")


def stream_bench(bench: str, peer: str, source: int, target: int, signal: Samples) -> list[Samples]:
    command = [bench, "--stream", peer, str(source), str(target)]
    out = subprocess.run(command, input=signal.astype("<i2").tobytes(), check=True, capture_output=True).stdout
    chunks = []
    while out:
        (length,) = struct.unpack_from("<I", out)
        chunks.append(np.frombuffer(out[4 : 4 + 2 * length], dtype="<i2"))
        out = out[4 + 2 * length :]
    return chunks


def criterion_time(source: int, target: int, label: str) -> float:
    folder = ROOT / "target" / "criterion" / f"resample 20 ms {source} to {target}" / label / "new"
    sample = json.loads((folder / "sample.json").read_text())
    return min(float(t) / float(n) for t, n in zip(sample["times"], sample["iters"], strict=True)) / 1_000


def stream_calls(new: NewProcess, source: int, target: int, signal: Samples) -> list[Samples]:
    process = new(source, target)
    step = source // 50
    return [process(signal[at : at + step]) for at in range(0, len(signal) - step + 1, step)]


def call_time(process: Process, source: int) -> float:
    second = (12_000 * np.sin(np.arange(source) * 0.05)).astype(np.int16)
    best = float("inf")
    for _ in range(100):
        start = time.perf_counter()
        process(second)
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / 50


def peers(speexdsp: str | None) -> Iterator[tuple[str, NewProcess]]:
    if soxr is not None:
        yield "soxr HQ", soxr_stream
    if speexdsp is not None:
        library = ctypes.CDLL(speexdsp)
        yield "speexdsp q3", partial(speexdsp_stream, library)
    if audioop is not None:
        yield "audioop.ratecv", audioop_stream


def soxr_stream(source: int, target: int) -> Process:
    resampler = soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")
    return lambda chunk: np.asarray(resampler.resample_chunk(chunk))


def audioop_stream(source: int, target: int) -> Process:
    state = None

    def process(chunk: Samples) -> Samples:
        nonlocal state
        out, state = audioop.ratecv(chunk.tobytes(), 2, 1, source, target, state)
        return np.frombuffer(out, dtype=np.int16)

    return process


def speexdsp_stream(library: ctypes.CDLL, source: int, target: int) -> Process:
    quality = 3
    status = ctypes.c_int()
    library.speex_resampler_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.speex_resampler_init(1, source, target, quality, ctypes.byref(status)))
    out = np.zeros(target + 1_000, dtype=np.int16)

    def process(chunk: Samples) -> Samples:
        taken, given = ctypes.c_uint32(len(chunk)), ctypes.c_uint32(len(out))
        library.speex_resampler_process_int(
            state,
            0,
            ctypes.c_void_p(chunk.ctypes.data),
            ctypes.byref(taken),
            ctypes.c_void_p(out.ctypes.data),
            ctypes.byref(given),
        )
        return out[: given.value].copy()

    return process


if __name__ == "__main__":
    main()
