"""Plays every clip over every network through every peer, and prints what came of it."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from math import isnan
from multiprocessing import get_context
from zlib import crc32

import numpy as np
import peers
import scores
from corpus import FRAME, RATE, Clip, clips
from networks import JITTER, LOSS, PTIME
from numpy.typing import NDArray
from peers import Missing, Peer
from scores import Score, score

NETWORKS = LOSS | JITTER
QUICK = ("none", "5 %", "10 % x 2.5", "wifi", "mobile", "harsh")
# How long the line is listened to after the last packet was sent.
REST_MS = 440


@dataclass(frozen=True)
class Line:
    """A clip on its way: the packets in the order of arrival, and when the listener ticks."""

    said: NDArray[np.int16]
    packets: list[tuple[float, int, int, bytes]]
    phase_ms: float
    least_ms: float
    """How long the fastest packet takes from the moment its first sample is spoken."""


@dataclass(frozen=True)
class Job:
    """One peer, one network, one clip."""

    peer: str
    network: str
    clip: int


@dataclass(frozen=True)
class Result:
    """What came of a job."""

    job: Job
    score: Score


def run(options: argparse.Namespace) -> None:
    """Runs what the options say and prints the tables."""
    chosen = options.peers.split(",") if options.peers else [make.__name__ for make in peers.PEERS]
    found = available(chosen)
    networks = options.networks.split(",") if options.networks else list(QUICK if options.quick else NETWORKS)
    if unknown := set(networks) - set(NETWORKS):
        raise SystemExit(f"networks {', '.join(sorted(unknown))}, wanted some of {', '.join(NETWORKS)}")
    each = options.clips or (1 if options.quick else 4)
    if scores.pesq is None:
        say("PESQ is not there: pesq could not be installed")
    if scores.plcmos is None:
        say("PLC-MOS is not there: speechmos could not be installed")
    if options.no_plcmos:
        scores.plcmos = None
    speech = clips(each, options.seed)
    jobs = [Job(peer, network, clip) for network in networks for clip in range(len(speech)) for peer in found]
    results = []
    context = get_context("fork")
    with context.Pool(options.jobs, _begin, (found, speech, options.seed)) as pool:
        for done, result in enumerate(pool.imap_unordered(_do, jobs, chunksize=2), 1):
            results.append(result)
            if sys.stderr.isatty():
                say(f"\r{done} of {len(jobs)}", end="" if done < len(jobs) else "\n")
    if options.json:
        rows = [{**asdict(it.job), **asdict(it.score)} for it in results]
        options.json.write_text(json.dumps(rows, indent=1))
    seconds = sum(len(clip.samples) for clip in speech) / RATE
    sys.stdout.write(f"\n{len(speech)} clips, {seconds:.0f} s, five speakers, seed {options.seed}\n")
    for line in tables(results, [peer.name for peer in found.values()], found):
        sys.stdout.write(line + "\n")


def available(chosen: list[str]) -> dict[str, Peer]:
    """The peers that this machine can have, by name; the others are named with the reason."""
    known = {make.__name__: make for make in peers.PEERS}
    if unknown := set(chosen) - set(known):
        raise SystemExit(f"peers {', '.join(sorted(unknown))}, wanted some of {', '.join(known)}")
    peers.CACHE.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in chosen:
        say(f"{name}: ", end="")
        try:
            found[name] = known[name]()
            say("ready")
        except Missing as reason:
            say(f"missing, {reason}")
    return found


def line_of(clip: Clip, network: str, seed: int) -> Line:
    """Sends a clip over a network: the same for every peer."""
    rng = np.random.default_rng([seed, crc32(network.encode()), crc32(clip.name.encode())])
    count = len(clip.samples) // FRAME
    delays = NETWORKS[network](count, rng)
    sequence, timestamp = int(rng.integers(2**16)), int(rng.integers(2**32))
    payload = encode_ulaw(clip.samples[: count * FRAME]).reshape(count, FRAME)
    # A packet leaves when its last sample has been spoken.
    arrivals = PTIME * (1 + np.arange(count)) + delays
    packets = [
        (float(arrivals[n]), (sequence + n) % 2**16, (timestamp + FRAME * n) % 2**32, payload[n].tobytes())
        for n in np.argsort(arrivals, kind="stable")
        if not isnan(delays[n])
    ]
    said = clip.samples[: count * FRAME]
    return Line(said, packets, float(rng.uniform(0, PTIME)), PTIME + float(np.nanmin(delays)))


def play(peer: Peer, line: Line) -> NDArray[np.int16]:
    """What a listener at the end of the line hears, from the first tick on."""
    buffer = peer.start()
    heard, waiting = [], iter([*line.packets, (float("inf"), 0, 0, b"")])
    packet, now = next(waiting), line.phase_ms
    end = len(line.said) * 1000 / RATE + REST_MS
    while now < end:
        while packet[0] <= now:
            buffer.push(*packet)
            packet = next(waiting)
        heard.append(buffer.pull(now))
        now += peer.tick_ms
    buffer.close()
    return np.concatenate(heard)


def encode_ulaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """G.711 mu-law, as CPython's audioop has it for what is not clipped."""
    wide = samples.astype(np.int32)
    biased = np.minimum(np.abs(wide), 32635) + 132
    segment = np.frexp(biased.astype(float))[1] - 8
    return (~(np.where(wide < 0, 128, 0) | segment << 4 | biased >> segment + 3 & 15) & 255).astype(np.uint8)


def tables(results: list[Result], names: list[str], found: dict[str, Peer]) -> Iterator[str]:
    """The summary of each suite, then PESQ and delay network by network."""
    for title, suite in (("Packets lost, steady delay", LOSS), ("Jitter", JITTER)):
        networks = [name for name in suite if any(it.job.network == name for it in results)]
        if not networks:
            continue
        yield f"\n**{title}**, means over {len(networks)} networks:\n"
        yield "| | PESQ | PLC-MOS | delay, ms | p95, ms | delivered | onsets lost |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for key, name in zip(found, names, strict=True):
            mean = {field: float(np.nanmean(column(results, key, networks, field))) for field in FIELDS}
            cells = [cell(mean["pesq"], 2), cell(mean["plcmos"], 2), cell(mean["delay_ms"]), cell(mean["p95_ms"])]
            shares = [f"{cell(100 * mean[field], 1)} %" for field in ("delivered", "onset_loss")]
            yield f"| {' | '.join([name, *cells, *shares])} |"
        for field, label in (("pesq", "PESQ"), ("plcmos", "PLC-MOS"), ("delay_ms", "mean delay, ms")):
            yield f"\n| {label} | {' | '.join(networks)} |"
            yield "| --- |" + " --- |" * len(networks)
            for key, name in zip(found, names, strict=True):
                means = (float(np.nanmean(column(results, key, [network], field))) for network in networks)
                yield f"| {name} | {' | '.join(cell(mean, 0 if field == 'delay_ms' else 2) for mean in means)} |"


def column(results: list[Result], peer: str, networks: list[str], field: str) -> NDArray[np.float64]:
    """One field of all results of a peer on some networks; each network weighs the same, as all have every clip."""
    return np.array([getattr(it.score, field) for it in results if it.job.peer == peer and it.job.network in networks])


def cell(value: float, digits: int = 0) -> str:
    """A number, or a dash."""
    return "-" if isnan(value) else f"{value:.{digits}f}"


def say(text: str, end: str = "\n") -> None:
    """Tells the person who waits."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


class _Worker:
    """What the processes of the pool share with their parent."""

    peers: dict[str, Peer]
    speech: list[Clip]
    seed: int


def _begin(found: dict[str, Peer], speech: list[Clip], seed: int) -> None:
    _Worker.peers, _Worker.speech, _Worker.seed = found, speech, seed


@cache
def _line(network: str, clip: int) -> Line:
    return line_of(_Worker.speech[clip], network, _Worker.seed)


def _do(job: Job) -> Result:
    line = _line(job.network, job.clip)
    heard = play(_Worker.peers[job.peer], line)
    return Result(job, score(line.said, heard, line.least_ms - line.phase_ms))


FIELDS = ("pesq", "plcmos", "delay_ms", "p95_ms", "delivered", "onset_loss")
