"""Judges the echo canceller on recorded speech, beside speexdsp's in the same run.

    python benches/echo_corpus.py                  # clips from Debian's prompt packages, as vad_corpus.py has them
    python benches/echo_corpus.py --clips FOLDER   # *.raw (8 kHz, s16le) named <speaker>_<n>8k.raw, or *.wav at 8 kHz
    python benches/echo_corpus.py --speexdsp libspeexdsp.so.1

Needs numpy, scipy (for vad_corpus.py), pesq, cargo, and speexdsp's shared library for the comparison (left out
without it).

The agent speaks without a pause for 24 s; its voice comes back at -15 dB after 40, 180 or 350 ms, plainly, through a
hybrid (8 ms of decaying ripple) or a room (60 ms of reverberation at 200 ms RT60), and all goes through mu-law both
ways with line noise at -70 dBFS. From 8 s on the caller speaks, too, as loud as the agent or 6 dB below. Printed are
the ERLE from 4 to 8 s, the PESQ of 8 to 24 s against what the caller said, and the mean cost of a frame of 20 ms,
searches included; "no echo" is the same line without any, the best that can be reached.
"""

import argparse
import ctypes
import glob
import itertools
import json
import os
import subprocess
import time

import numpy as np
from pesq import pesq
from vad_corpus import ROOT, fetch_packages, load_clips

RATE = 8000
FRAME = 160
SECONDS = 24
ALONE = 8


def mu_law(samples):
    """Sends samples through mu-law and back."""
    x = np.clip(samples, -32124, 32124)
    magnitude = np.abs(x) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    step = 2.0 ** (exponent + 3)
    return np.sign(x) * ((np.floor(magnitude / step) + 0.5) * step - 132)


def level(samples):
    """RMS of the loud frames."""
    power = (samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(float) ** 2).mean(1)
    return np.sqrt(power[power > power.max() * 1e-3].mean())


def speech(clips, seconds, dbfs):
    """Clips one after the other, at an active level."""
    joined = np.concatenate(clips).astype(float)
    joined = np.tile(joined, int(np.ceil(seconds * RATE / len(joined))))[: seconds * RATE]
    return joined / level(joined) * 32768 * 10 ** (dbfs / 20)


def response(kind, rng):
    """An echo path with a gain of one in power."""
    if kind == "plain":
        return np.ones(1)
    if kind == "hybrid":
        h = rng.standard_normal(64) * np.exp(-np.arange(64) / 14)
    else:
        n = int(0.06 * RATE)
        h = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / (0.2 * RATE))
        h[0] = 3
    return h / np.sqrt((h**2).sum())


def scene(clips, delay_ms, kind, below, rng):
    """One call: what was sent, what was heard with and without its echo, and what the caller said."""
    speakers = sorted(clips)
    agent, caller = rng.choice(len(speakers), 2, replace=False)
    agents, callers = (clips[speakers[speaker]] for speaker in (agent, caller))
    sent = mu_law(speech([agents[i] for i in rng.permutation(len(agents))], SECONDS, -23))
    said = speech([callers[i] for i in rng.permutation(len(callers))], SECONDS - ALONE, -23 - below)
    said = np.concatenate([np.zeros(ALONE * RATE), said])
    echo = np.convolve(sent, response(kind, rng))[: len(sent)]
    delay = delay_ms * RATE // 1000
    echo = np.concatenate([np.zeros(delay), echo])[: len(sent)] * 10 ** (-15 / 20)
    noise = rng.standard_normal(len(sent)) * 32768 * 10 ** (-70 / 20)
    heard = [mu_law(said + noise + part).astype(np.int16) for part in (echo, 0)]
    return sent.astype(np.int16), *heard, said.astype(np.int16)


class Ours:
    """talkpath's canceller."""

    def __init__(self):
        subprocess.check_call(["cargo", "build", "-q", "--release", "--bench", "echo_pipe"], cwd=ROOT)
        built = glob.glob(os.path.join(ROOT, "target/release/deps/echo_pipe-*"))
        self.program = max((path for path in built if not path.endswith(".d")), key=os.path.getmtime)

    def __call__(self, sent, heard):
        """Runs it."""
        frames = np.stack([heard.reshape(-1, FRAME), sent.reshape(-1, FRAME)], 1)
        frames = frames.astype("<i2").tobytes()
        program = subprocess.run([self.program, str(RATE)], input=frames, capture_output=True, check=True)
        return np.frombuffer(program.stdout, "<i2"), json.loads(program.stderr)


class Speex:
    """speexdsp's canceller with a tail of 512 ms."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.speex_echo_state_init.restype = ctypes.c_void_p

    def __call__(self, sent, heard):
        """Runs it; the cost is measured in here, without Python's."""
        state = ctypes.c_void_p(self.library.speex_echo_state_init(FRAME, 512 * RATE // 1000))
        rate = ctypes.c_int(RATE)
        self.library.speex_echo_ctl(state, 24, ctypes.byref(rate))
        sent, heard = np.ascontiguousarray(sent), np.ascontiguousarray(heard)
        out = np.zeros(len(heard), np.int16)
        began = time.perf_counter()
        for at in range(0, len(heard), FRAME):
            where = 2 * at
            self.library.speex_echo_cancellation(
                state,
                ctypes.c_void_p(heard.ctypes.data + where),
                ctypes.c_void_p(sent.ctypes.data + where),
                ctypes.c_void_p(out.ctypes.data + where),
            )
        cost = (time.perf_counter() - began) / (len(heard) // FRAME) * 1e6
        self.library.speex_echo_state_destroy(state)
        return out, {"mean_us": cost}


def judge(heard, said, out):
    """ERLE in dB, and PESQ while both speak."""
    alone = slice(4 * RATE, ALONE * RATE)
    erle = 10 * np.log10((heard[alone].astype(float) ** 2).sum() / max((out[alone].astype(float) ** 2).sum(), 1))
    both = slice(ALONE * RATE, None)
    return erle, pesq(RATE, said[both], out[both], "nb")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="folder of clips instead of Debian's packages")
    parser.add_argument("--speexdsp", default="libspeexdsp.so.1", help="speexdsp's shared library")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2, help="pairs of speakers for each line")
    args = parser.parse_args()
    clips = load_clips(args.clips or fetch_packages(), judged=None if args.clips else True)
    clips = {speaker: [c for c in all_ if len(c) > 2 * RATE] for speaker, all_ in clips.items()}
    clips = {speaker: all_ for speaker, all_ in clips.items() if all_}
    cancellers = {"talkpath": Ours()}
    try:
        cancellers["speexdsp"] = Speex(args.speexdsp)
    except OSError as error:
        print(f"without speexdsp: {error}")
    columns = [*cancellers, "uncancelled", "no echo"]
    print("delay path    caller |" + "|".join(f"{name:>12}: ERLE PESQ    us " for name in columns))
    totals = {name: [] for name in columns}
    for delay, kind, below in itertools.product((40, 180, 350), ("plain", "hybrid", "room"), (0, 6)):
        rng = np.random.default_rng([args.seed, delay, len(kind), below])
        scenes = [scene(clips, delay, kind, below, rng) for _ in range(args.runs)]
        cells = []
        for name in columns:
            rows = []
            for sent, heard, without, said in scenes:
                if name in cancellers:
                    out, facts = cancellers[name](sent, heard)
                else:
                    out, facts = {"uncancelled": heard, "no echo": without}[name], {"mean_us": 0}
                rows.append((*judge(heard, said, out), facts["mean_us"]))
            totals[name] += rows
            cells.append("              {:4.1f} {:.2f} {:5.1f} ".format(*np.mean(rows, 0)))
        print(f"{delay:5} {kind:7} {-below:5}  |" + "|".join(cells), flush=True)
    for name in columns:
        rows = np.array(totals[name])
        print(
            f"{name:11} mean {rows.mean(0).round(2)} worst {rows.min(0)[:2].round(2)} least us {rows[:, 2].min():.1f}"
        )


if __name__ == "__main__":
    main()
